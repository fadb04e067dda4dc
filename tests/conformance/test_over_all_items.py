"What must be over all items is: metrics, the validation loss, the training set scored as validation, several outputs."
from functools import partial

import pytest, torch
from sklearn import metrics as skm
from torch import nn, tensor
import torch.nn.functional as F

from course_lib.dataloaders import DataLoaders
from course_lib.learner import Learner
from course_lib.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
from course_lib.metrics import (AccumMetric, AvgMetric, F1ScoreMulti, accuracy, accuracy_multi, ap_multi,
                                average_precision, column_heads, f1_multi, mk_metric, mse, needs_all, rmse)
from course_lib.results import each_loss, n_counted

def multi(n=43, bs=8):
    "Loaders whose inputs are the predictions: 3 yes-or-no answers an item."
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, 3, generator=g), (torch.rand(n, 3, generator=g) < tensor([.5, .2, .1])).float()
    y[0] = 1
    items = list(zip(x, y))
    return DataLoaders.from_dsets(items[:20], items, bs=bs, device='cpu'), x, y

def validate(dls, metrics, model=None, loss=None):
    learn = Learner(dls, model or nn.Identity(), loss or BCEWithLogitsLossFlat(), metrics=metrics)
    with learn.no_bar(): return learn.validate()

# ------------------------------------------------------------------ metrics

def by_name(p, t): return f1_multi(p, t)
def by_sklearn(p, t): return skm.f1_score(t, p > 0, average='macro', zero_division=0)
inner = partial(f1_multi, average='micro')
mean_of_roots = lambda p, t: rmse(p, t)

CASES = [(f1_multi, by_sklearn),
    (partial(f1_multi, average='micro'), lambda p, t: skm.f1_score(t, p > 0, average='micro')),
    (partial(partial(f1_multi, thresh=.3), average='weighted'),
     lambda p, t: skm.f1_score(t, p.sigmoid() > .3, average='weighted', zero_division=0)),
    (lambda p, t: f1_multi(p, t, thresh=.3), lambda p,
    t: skm.f1_score(t, p.sigmoid() > .3, average='macro', zero_division=0)),
    (by_name, by_sklearn), (by_sklearn, by_sklearn),
    (lambda p, t: inner(p, t), lambda p, t: skm.f1_score(t, p > 0, average='micro')),
    (ap_multi, lambda p, t: skm.average_precision_score(t, p)),
    (lambda p, t: average_precision(p, t).mean(), lambda p, t: skm.average_precision_score(t, p)),
    (F1ScoreMulti(), by_sklearn), (rmse, lambda p, t: (p - t).square().mean().sqrt()),
    (mean_of_roots, lambda p, t: (p - t).square().mean().sqrt())]

@pytest.mark.parametrize('bs', [1, 8, 64])
@pytest.mark.parametrize('case', range(len(CASES)))
def test_metrics_that_need_all_items_get_them(case, bs):
    metric, reference = CASES[case]
    dls, x, y = multi(bs=bs)
    assert validate(dls, metric)[1] == pytest.approx(float(reference(x, y)), abs=1e-6)

def test_metrics_that_are_means_go_batch_by_batch():
    for f in accuracy_multi, partial(accuracy_multi, thresh=.2), mse, accuracy, lambda p, t: (p - t).abs().mean():
        assert not needs_all(f) and type(mk_metric(f)) is AvgMetric
    assert type(mk_metric(f1_multi)) is AccumMetric
    assert type(mk_metric(AvgMetric(f1_multi))) is AvgMetric # who asks for a mean over batches gets it

def test_what_is_no_python_function_is_taken_as_it_is():
    class Callable:
        def __call__(self, p, t): return 0.
    for f in Callable(), torch.dist, nn.MSELoss(): assert type(mk_metric(f)) is AvgMetric

def test_a_function_inside_a_function_is_found():
    def made(thresh): return lambda p, t: f1_multi(p, t, thresh=thresh)
    score = partial(f1_multi, average=None)
    def worst(p, t): return score(p, t).min()
    assert needs_all(made(.2)) and needs_all(worst)

# ------------------------------------------------------------------ heads

def heads(*metrics): return column_heads([mk_metric(m) for m in metrics])

def test_columns_of_one_name_say_their_arguments():
    assert heads(accuracy_multi, f1_multi) == ['accuracy_multi', 'f1_multi']
    assert heads(partial(accuracy_multi, thresh=.2)) == ['accuracy_multi']
    assert heads(accuracy_multi, partial(accuracy_multi, thresh=.2)) == ['accuracy_multi', 'accuracy_multi thresh=0.2']
    assert heads(F1ScoreMulti(), F1ScoreMulti(average='micro')) == ['f1_score', "f1_score average='micro'"]
    assert heads(*[partial(partial(f1_multi, thresh=.3), average=a) for a in ('macro', 'micro')]) == [
        'f1_multi thresh=0.3', "f1_multi thresh=0.3 average='micro'"]

def test_no_two_columns_are_alike():
    fs = [lambda p, t: 0., lambda p, t: 1., accuracy_multi, accuracy_multi, AvgMetric(mse, 'mine'),
        AvgMetric(mse, 'mine'),
          *[partial(accuracy_multi, thresh=torch.full((3,), t)) for t in (.1, .2)]]
    assert len(set(heads(*fs))) == len(fs)

def test_the_heads_stand_in_the_table():
    learn = Learner(multi()[0], nn.Linear(3, 3), BCEWithLogitsLossFlat(),
        metrics=[F1ScoreMulti(average=a) for a in ('macro', 'micro')])
    assert learn.recorder.metric_names[3:-1] == ['f1_score', "f1_score average='micro'"]

# ------------------------------------------------------------------ the validation loss

W = tensor([10., 1., 3.])
LOSSES = [CrossEntropyLossFlat(), CrossEntropyLossFlat(weight=W), nn.CrossEntropyLoss(weight=W),
    partial(F.cross_entropy, weight=W),
    CrossEntropyLossFlat(ignore_index=1), CrossEntropyLossFlat(weight=W, label_smoothing=.1),
    nn.CrossEntropyLoss(weight=W, ignore_index=2)]

@pytest.mark.parametrize('bs', [3, 8, 64])
@pytest.mark.parametrize('loss', LOSSES, ids=range(len(LOSSES)))
def test_valid_loss_is_that_of_all_items_at_once(loss, bs):
    _, x, y = multi()
    items = list(zip(x, torch.arange(len(x))**2 % 7 % 3))
    dls = DataLoaders.from_dsets(items, items, bs=bs, device='cpu')
    assert validate(dls, None, loss=loss)[0] == pytest.approx(loss(x, torch.stack([t for _,t in items])).item(),
        rel=1e-5)

def test_other_losses_count_items():
    y = torch.zeros(5, 3)
    for loss in BCEWithLogitsLossFlat(), F.mse_loss, nn.CrossEntropyLoss(reduction='sum'):
        assert n_counted(loss, (y,)) == 5
    assert n_counted(nn.CrossEntropyLoss(), (torch.full((5, 3), 1/3),)) == 5 # probabilities as targets

def test_the_loss_of_each_item_has_its_weight():
    _, x, _ = multi(5)
    t = tensor([0, 1, 2, 0, 1])
    for loss in CrossEntropyLossFlat(weight=W), nn.CrossEntropyLoss(weight=W):
        torch.testing.assert_close(each_loss(loss, x, (t,)), F.cross_entropy(x, t, weight=W, reduction='none'))
        assert loss.reduction == 'mean'

# ------------------------------------------------------------------ several outputs

class OneInput(list): n_inp = 1

class Two(nn.Module):
    "Two outputs, in the `form` that is asked for."
    def __init__(self, form): super().__init__(); self.form, self.a, self.b = form, nn.Linear(3, 3), nn.Linear(3, 1)
    def forward(self, x): return self.form(self.a(x), self.b(x))

FORMS = dict(tuple=lambda a, b: (a, b), list=lambda a, b: [a, b], dict=lambda a, b: dict(a=a, b=b), nested=lambda a,
    b: (a, dict(c=[b])))

def parts(p): return p if isinstance(p, (tuple, list)) else list(p.values())

@pytest.mark.parametrize('form', FORMS)
def test_several_outputs_are_joined_each_with_its_like(form):
    dls, x, y = multi()
    two = OneInput((a, b, b[:1]) for a,b in zip(x, y))
    dls = DataLoaders.from_dsets(two, two, bs=8, device='cpu')
    model = Two(FORMS[form])
    def loss(p, s, t): return F.mse_loss(parts(p)[0], s)
    learn = Learner(dls, model, loss, metrics=loss)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
        preds, (s, t), losses = learn.get_preds(with_loss=True)
    with torch.no_grad(): whole = model(x)
    torch.testing.assert_close(preds, whole)
    assert type(preds) is type(whole) and torch.equal(s, y) and torch.equal(t, y[:, :1])
    torch.testing.assert_close(losses, (parts(whole)[0] - y).square().mean(1))
    assert learn.recorder.final[1] == pytest.approx(losses.mean().item(), rel=1e-5)

def test_decisions_of_several_outputs():
    dls, x, y = multi()
    class Loss:
        def __call__(self, p, s, t): return F.mse_loss(p[0], s)
        def activation(self, p): return p[0].sigmoid(), p[1]
        def decodes(self, p): return p[0] > .5, p[1]
    two = OneInput((a, b, b[:1]) for a,b in zip(x, y))
    learn = Learner(DataLoaders.from_dsets(two, two, bs=8, device='cpu'), Two(FORMS['tuple']), Loss())
    with learn.no_bar(): (p, q), _, (d, e) = learn.get_preds(with_decoded=True)
    assert torch.equal(d, p > .5) and torch.equal(e, q)
