"Focal loss, label smoothing, the asymmetric loss and others: closed forms, torch's own, fastai's numbers, checks."
import math, pickle

import pytest, torch
from hypothesis import given, settings, strategies as st
from torch import nn, tensor
import torch.nn.functional as F

from course_lib.all import *
from course_lib.export import name_activation
from course_lib.losses import activation_for, activations, decodes_for

G = torch.Generator().manual_seed(0)
X, C, T, W = (3*torch.randn(6, 4, generator=G), torch.randint(0, 4, (6,), generator=G),
              (torch.rand(6, 4, generator=G) < .4).float(), tensor([1., 2., .5, 3.]))
ONE = [FocalLossFlat, LabelSmoothingCrossEntropyFlat]
close = torch.testing.assert_close

# ------------------------------------------------------------------ closed forms

@settings(deadline=None, max_examples=60)
@given(st.sampled_from([0., .5, 1., 2., 5.]), st.integers(1, 9))
def test_focal_loss(gamma, n):
    x, t = X[:n], C[:n]
    p = F.softmax(x.double(), 1)[range(len(x)), t].float()
    close(FocalLossFlat(gamma=gamma)(x, t), (-(1 - p)**gamma*p.log()).mean())
    close(FocalLossFlat(gamma=gamma, reduction='sum')(x, t), (-(1 - p)**gamma*p.log()).sum())

def test_without_focus_and_smoothing_it_is_cross_entropy():
    close(FocalLossFlat(gamma=0)(X, C), F.cross_entropy(X, C))
    close(LabelSmoothingCrossEntropyFlat(0)(X, C), F.cross_entropy(X, C))

@pytest.mark.parametrize('eps', [.05, .1, 1.])
@pytest.mark.parametrize('reduction', ['mean', 'sum', 'none'])
def test_label_smoothing_is_torchs(eps, reduction):
    want = F.cross_entropy(X, C, label_smoothing=eps, reduction=reduction)
    close(LabelSmoothingCrossEntropyFlat(eps=eps, reduction=reduction)(X, C), want)
    close(LabelSmoothingCrossEntropy(eps, reduction=reduction)(X, C), want)

@pytest.mark.parametrize('gn, gp, clip',
    [(4, 0, .05), (4, 1, .05), (2, 0, .2), (1, 0, 0), (.5, .5, .1), (0, 0, 0), (0, 0, .05)])
def test_the_asymmetric_loss(gn, gp, clip):
    p = X.double().sigmoid()
    pm = (p - clip).clamp(min=0)
    want = -(T*(1 - p)**gp*p.log() + (1 - T)*pm**gn*(1 - pm).log())
    close(AsymmetricLossFlat(gn, gp, clip)(X, T), want.mean().float())
    close(AsymmetricLossFlat(gn, gp, clip, reduction='none')(X, T), want.float())
    close(AsymmetricLoss(gn, gp, clip, 'sum')(X, T), want.sum().float())

def test_asymmetric_without_asymmetry():
    close(AsymmetricLossFlat(0, 0, 0)(X, T), nn.BCEWithLogitsLoss()(X, T))
    soft = T*.8 + .1
    close(AsymmetricLossFlat(0, 0, 0)(X, soft), nn.BCEWithLogitsLoss()(X, soft))

@pytest.mark.parametrize('args', [(4, 0, .05), (2, 1, .05), (.5, .5, .05), (1, 1, 0), (0, 0, 0), (4, 0, 0)])
def test_gradients_are_finite_for_any_activation(args):
    x = tensor([[-1e4, -120., -3., 0., 3., 120., 1e4]]).requires_grad_()
    for t in torch.zeros(1, 7), torch.ones(1, 7), torch.full((1, 7), .5):
        loss = AsymmetricLossFlat(*args)(x, t)
        g, = torch.autograd.grad(loss, x)
        assert loss.isfinite() and g.isfinite().all()
    x64 = X.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: AsymmetricLossFlat(*args)(x, T.double()), (x64,))

def test_an_easy_no_costs_nothing():
    easy, hard = (AsymmetricLossFlat()(tensor([[x]]), tensor([[0.]])) for x in (-3., 3.))
    assert easy < 1e-8 and hard > 1

def test_distances_and_probabilities():
    close(L1LossFlat()(tensor([[1.], [4.]]), tensor([2, 2])), tensor(1.5))
    close(BCELossFlat()(X.sigmoid(), T.long()), nn.BCEWithLogitsLoss()(X, T))
    close(BCELossFlat(reduction='sum')(X.sigmoid(), T), nn.BCEWithLogitsLoss(reduction='sum')(X, T))

# ------------------------------------------------------------------ fastai's numbers (2.8.12, on these tensors)

FASTAI = torch.arange(12.).reshape(3, 4).sin()*3, tensor([0, 3, 1]), tensor([1., 2., .5, 3.])
RECORDED = {
    ('FocalLossFlat', False, ()): 1.523722, ('FocalLossFlat', True, ()): 2.281539,
    ('FocalLossFlat', False, (('gamma', .5),)): 1.711514, ('FocalLossFlat', False, (('reduction', 'sum'),)): 4.571166,
    ('FocalLoss', True, ()): 2.281539, ('LabelSmoothingCrossEntropyFlat', False, ()): 1.895333,
    ('LabelSmoothingCrossEntropyFlat', True, ()): 1.395494,
    ('LabelSmoothingCrossEntropyFlat', True, (('eps', .3), ('reduction', 'sum'))): 7.710477,
    ('LabelSmoothingCrossEntropy', True, ()): 1.395494, ('BCELossFlat', False, ()): .9296787,
    ('BCELossFlat', False, (('reduction', 'sum'),)): 11.15615, ('L1LossFlat', False, ()): 2.026622,
    ('L1LossFlat', False, (('reduction', 'sum'),)): 24.31947}

@pytest.mark.parametrize('case', RECORDED)
def test_fastais_numbers(case):
    x, t, w = FASTAI
    name, weighted, args = case
    loss = globals()[name](**dict(args), **(dict(weight=w) if weighted else {}))
    y = F.one_hot(t, 4).float() if name == 'BCELossFlat' else x.cos() if name == 'L1LossFlat' else t
    assert loss(x.sigmoid() if name == 'BCELossFlat' else x, y).item() == pytest.approx(RECORDED[case], rel=1e-5)

# ------------------------------------------------------------------ a loss and what belongs to it

@pytest.mark.parametrize('loss, act, dec', [
    *[(c(), 'softmax', lambda p: p.argmax(-1)) for c in ONE], (FocalLoss(), 'softmax', lambda p: p.argmax(-1)),
    (LabelSmoothingCrossEntropy(), 'softmax', lambda p: p.argmax(-1)), (BCELossFlat(), 'none', lambda p: p > .5),
    (AsymmetricLossFlat(), 'sigmoid', lambda p: p > .5), (AsymmetricLoss(), 'sigmoid', lambda p: p > .5),
    (AsymmetricLossFlat(thresh=.2), 'sigmoid', lambda p: p > .2), (L1LossFlat(), 'none', lambda p: p)], ids=str)
def test_activation_and_decisions(loss, act, dec):
    p = activations[act](X)
    close(activation_for(loss)(X), p)
    assert torch.equal(decodes_for(loss)(p), dec(p))
    assert name_activation(loss, 4) == act # a file of the model says it
    assert pickle.loads(pickle.dumps(loss)) is not None

@pytest.mark.parametrize('cls', ONE)
def test_classes_along_another_axis(cls):
    x, t = torch.randn(2, 4, 3, 5), torch.randint(0, 4, (2, 3, 5))
    flat = x.movedim(1, -1).reshape(-1, 4)
    close(cls(axis=1)(x, t), cls()(flat, t.reshape(-1)))
    close(cls.loss_cls()(x, t), cls()(flat, t.reshape(-1)))

def test_half_precision_and_reduction():
    for loss, t in [(c(), C) for c in ONE] + [(AsymmetricLossFlat(), T), (L1LossFlat(), T)]:
        assert loss(X.bfloat16(), t).dtype == torch.float32
        loss.reduction = 'none'
        assert loss(X, t).shape == t.shape and loss.to('cpu') is loss and 'FlattenedLoss of' in repr(loss)

@pytest.mark.parametrize('cls', [FocalLossFlat, LabelSmoothingCrossEntropyFlat, AsymmetricLossFlat])
def test_a_learner_trains_with_it(cls):
    items = [(x, (x > 0).float() if cls is AsymmetricLossFlat else x.argmax()) for x in torch.randn(64, 4, generator=G)]
    dls = DataLoaders.from_dsets(items, items, bs=16, device='cpu')
    learn = Learner(dls, nn.Linear(4, 4), cls(), metrics=accuracy_multi if cls is AsymmetricLossFlat else accuracy)
    with learn.no_bar(), learn.no_logging():
        before = learn.validate()[0]
        learn.fit(3, 1e-1)
        loss, score = learn.validate()
        preds, targs, each = learn.get_preds(with_loss=True)
    assert loss < before and score > .7 and ((preds >= 0) & (preds <= 1)).all()
    assert each.mean().item() == pytest.approx(loss, rel=1e-4)

# ------------------------------------------------------------------ what does not fit

@pytest.mark.parametrize('make, words', [
    (lambda: FocalLossFlat(gamma=-1), 'from 0 up'), (lambda: AsymmetricLossFlat(gamma_neg='4'), 'gamma_neg'),
    (lambda: AsymmetricLossFlat(gamma_pos=math.inf), 'gamma_pos'), (lambda: AsymmetricLossFlat(clip=5), 'clip=5'),
    (lambda: LabelSmoothingCrossEntropyFlat(eps=10), 'eps=10'),
    (lambda: FocalLossFlat(weight=tensor([1., -1.])), 'weight of class 1')])
def test_arguments(make, words):
    with pytest.raises(ValueError, match=words): make()

@pytest.mark.parametrize('loss, x, t, words', [
    (FocalLossFlat(), X, T, 'BCEWithLogitsLossFlat'), (FocalLossFlat(), X, C + 2, 'from 0 to 3'),
    (LabelSmoothingCrossEntropyFlat(), X, C + 2, 'from 0 to 3'),
    (FocalLossFlat(weight=torch.ones(3)), X, C, '4 classes'),
    (FocalLossFlat(weight=torch.ones(1)), X, C, '4 classes'), (AsymmetricLossFlat(), X, C, 'as many outputs'),
    (AsymmetricLossFlat(), X, T*2 - 1, 'is -1'), (AsymmetricLossFlat(), X, T[:, :3], 'same numbers'),
    (BCELossFlat(), X, T, 'between 0 and 1'), (BCELossFlat(), X.sigmoid(), T*2, 'is 2'),
    (L1LossFlat(), X, T.T, 'same number of items'), (L1LossFlat(), X, T*math.nan, 'nan')])
def test_what_does_not_fit_is_refused(loss, x, t, words):
    with pytest.raises(ValueError, match=words): loss(x, t)
