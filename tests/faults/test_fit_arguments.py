"What a learner is given: the right value in any form does what it says, a wrong one is named at once."
import io, math, warnings
from functools import partial

import numpy as np, pytest, torch
from fastcore.foundation import L
from PIL import Image
from torch import nn, tensor
import torch.nn.functional as F

from course_lib.augment import aug_transforms
from course_lib.datablock import CategoryBlock, ColReader, ColSplitter, DataBlock, MultiCategoryBlock
from course_lib.core import func_name
from course_lib.dataloaders import DataLoader, DataLoaders
from course_lib.learner import Learner, ProgressCallback, Recorder
from course_lib.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat
from course_lib.metrics import F1ScoreMulti, accuracy_multi
from course_lib.transfer import resnet18, vision_learner
from course_lib.vision import ImageBlock, RandomResizedCrop, Resize

import pandas as pd

def numbers(n=20, bs=4, n_targets=1):
    g = torch.Generator().manual_seed(0)
    items = [(torch.randn(3, generator=g), *[tensor([1., 0.])]*n_targets) for _ in range(n)]
    return DataLoaders.from_dsets(items[:16], items[16:], bs=bs, device='cpu')

def make(dls=None, model=None, loss=F.binary_cross_entropy_with_logits, **kw):
    return Learner(dls or numbers(), model or nn.Linear(3, 2), loss, **kw)

def quiet(learn, method, *args, **kw):
    with learn.no_bar(), learn.no_logging(): return getattr(learn, method)(*args, **kw)

# ------------------------------------------------------------------ numbers

NUMBERS = [np.float32(.5), np.float64(.5), tensor(.5), tensor([.5]), np.array(.5), np.array([.5], dtype='float32'),
           [.5], (np.float32(.5),), L(.5), slice(np.float32(.05), tensor(.5)), slice(tensor(.5)),
           tensor([.5], requires_grad=True)]

@pytest.mark.parametrize('lr', NUMBERS, ids=repr)
def test_a_rate_in_any_form(lr):
    learn = make()
    quiet(learn, 'fit', 1, lr)
    assert learn.recorder.lrs == [.5]*4
    quiet(learn, 'fit_one_cycle', 1, lr)
    assert max(learn.recorder.lrs) == pytest.approx(.5)

@pytest.mark.parametrize('lr', [np.float32(.5), tensor(.5), slice(.05, .5), 1])
def test_a_rate_of_the_learner_in_any_form(lr):
    learn = make(lr=lr)
    quiet(learn, 'fit', 1)
    assert set(learn.recorder.lrs) == {1. if isinstance(lr, int) else .5}

WRONG = ['1e-3', -1, -1e-9, math.nan, math.inf, 1j, {1e-3}, {'a': 1}, ['a'], slice('a', 1), slice(-1, 1), slice(None),
    slice(1e-3, None), slice(0, 1e-3), [None], [[1e-3]]]

@pytest.mark.parametrize('lr', WRONG, ids=repr)
@pytest.mark.parametrize('method', ['fit', 'fit_one_cycle', 'fine_tune'])
def test_a_rate_that_is_none(lr, method):
    learn = make()
    before = [p.detach().clone() for p in learn.model.parameters()]
    with pytest.raises(ValueError, match='lr=|lr_max=|slice|values for'): quiet(learn, method, 1, lr)
    assert all(torch.equal(a, b) for a,b in zip(before, learn.model.parameters()))

def test_a_rate_of_zero_leaves_all_as_it_is():
    learn = make()
    quiet(learn, 'fit', 1, 0)
    quiet(learn, 'fit', 1, 0., wd=0)

@pytest.mark.parametrize('kw', [dict(wd=-1), dict(wd='0.1'), dict(lr=-1), dict(lr='x')])
def test_numbers_of_the_learner_are_looked_at_when_it_is_made(kw):
    with pytest.raises(ValueError, match='wd=|lr='): make(**kw)

@pytest.mark.parametrize('n', [np.int64(2), np.int8(2), tensor(2), np.array(2)])
def test_a_number_of_epochs_in_any_form(n):
    learn = make()
    quiet(learn, 'fit', n)
    assert len(learn.recorder.values) == 2 and type(learn.n_epoch) is int
    quiet(learn, 'fine_tune', n, freeze_epochs=np.int64(0))
    assert len(learn.recorder.values) == 2

@pytest.mark.parametrize('n', ['1', 1., 1.5, None, -1, [1], 1e-3, np.float32(2)])
@pytest.mark.parametrize('method', ['fit', 'fit_one_cycle', 'fine_tune'])
def test_a_number_of_epochs_that_is_none(method, n):
    learn = make()
    with pytest.raises(ValueError, match='n_epoch='): quiet(learn, method, n)
    assert not learn.recorder.values

@pytest.mark.parametrize('moms', [.9, (.9,), (.95, .85), 'abc', (1, 2, 3), None])
def test_momentum(moms):
    learn = make()
    if moms is None: return quiet(learn, 'fit_one_cycle', 1, moms=moms)
    with pytest.raises(ValueError, match='moms='): quiet(learn, 'fit_one_cycle', 1, moms=moms)

@pytest.mark.parametrize('kw, words',
    [(dict(num_it=5), 'num_it=5'), (dict(num_it=20.5), 'num_it=20.5'), (dict(num_it='20'), 'num_it'),
    (dict(start_lr='1e-7'), 'start_lr'), (dict(start_lr=-1), 'start_lr'), (dict(start_lr=0), 'start_lr'),
    (dict(start_lr=1, end_lr=.1), 'end_lr')])
def test_a_search_that_cannot_be(kw, words):
    with pytest.raises(ValueError, match=words): quiet(make(), 'lr_find', show_plot=False, **kw)

@pytest.mark.parametrize('n, warns', [(10, 1), (12, 1), (40, 0), (np.int64(100), 0)])
def test_few_losses_are_little_to_go_by(n, warns):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        assert quiet(make(), 'lr_find', num_it=n, show_plot=False).valley > 0
    assert len(seen) == warns and all('num_it=100' in str(w.message) for w in seen)

@pytest.mark.parametrize('k', [np.int64(-1), tensor(0), 0])
def test_a_group_in_any_form(k): make().freeze_to(k)

@pytest.mark.parametrize('k', ['a', None, .5, 1, -2])
def test_a_group_that_is_none(k):
    with pytest.raises(ValueError, match='counted from 0'): make().freeze_to(k)

# ------------------------------------------------------------------ parts

@pytest.mark.parametrize('model, words',
    [('resnet18', "'resnet18'"), (nn.Linear, 'brackets'), (resnet18, 'vision_learner'), (None, 'nn.Module')])
def test_a_model_that_is_none(model, words):
    with pytest.raises(TypeError, match=words): Learner(numbers(), model, F.mse_loss)

def test_data_that_are_none():
    dls = numbers()
    for wrong, words in [(nn.Linear(1, 1), 'before the model'), (dls.train, r'DataLoaders\(train'),
        (DataBlock(), 'block.dataloaders'),
                         ('x', 'str'), (None, 'NoneType'), ([1, 2], 'list')]:
        with pytest.raises(TypeError, match=words): Learner(wrong,
        dls if isinstance(wrong, nn.Module) else nn.Linear(3, 2), F.mse_loss)

@pytest.mark.parametrize('kw, words',
[(dict(loss='bce'), "'bce'"), (dict(loss=nn.MSELoss), 'brackets'), (dict(loss=BCEWithLogitsLossFlat), 'brackets'),
    (dict(opt_func='adam'), "'adam'"), (dict(opt_func=torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1)), 'SGD'),
    (dict(splitter='x'), "'x'"),
    (dict(metrics='accuracy'), "'accuracy'"), (dict(metrics=[F1ScoreMulti]), 'brackets'),
    (dict(cbs='recorder'), 'Callback')])
def test_a_part_that_is_none(kw, words):
    with pytest.raises(TypeError, match=words): make(**kw)

def test_an_optimiser_function_that_makes_none():
    with pytest.raises(TypeError, match='optimiser'): quiet(make(opt_func=lambda ps, lr: 3), 'fit', 1)

def test_classes_and_partials_of_torch_are_optimiser_functions():
    for f in torch.optim.SGD, torch.optim.AdamW: quiet(make(opt_func=f), 'fit', 1)

@pytest.mark.parametrize('arch', [None, 18])
def test_an_architecture_that_is_none(arch):
    with pytest.raises(TypeError, match='resnet18'): vision_learner(numbers(), arch, n_out=2, loss_func=F.mse_loss)

def test_a_callback_of_ones_own_takes_the_place_of_the_default():
    mine = Recorder(add_time=False)
    learn = make(cbs=mine)
    assert learn.recorder is mine and sum(isinstance(o, Recorder) for o in learn.cbs) == 1
    assert len(make(cbs=[Recorder, ProgressCallback()]).cbs) == len(Learner.default_cbs)

def test_a_second_recorder_is_refused():
    learn = make()
    with pytest.raises(ValueError, match='learn.recorder'): quiet(learn, 'fit', 1, cbs=Recorder())
    with pytest.raises(ValueError, match='learn.progress'): learn.add_cb(ProgressCallback)
    quiet(learn, 'fit', 1) # nothing is lost
    class Mine(Recorder): pass
    make(cbs=Mine) # another class is another callback

# ------------------------------------------------------------------ losses

@pytest.mark.parametrize('loss, error, words', [
    (nn.BCEWithLogitsLoss(reduction='none'), ValueError, '8 numbers'),
    (BCEWithLogitsLossFlat(reduction='none'), ValueError, '8 numbers'),
    (lambda p, t: .5, TypeError, 'float'), (lambda p, t: None, TypeError, 'NoneType'),
    (lambda p, t: (p.argmax(1) == 0).float().mean(), ValueError, 'no gradient'),
    (lambda p, t: F.mse_loss(p.detach(), t), ValueError, 'no gradient'),
    (lambda p, t: F.mse_loss(p, t).item(), TypeError, 'item')])
def test_a_loss_that_is_no_number(loss, error, words):
    with pytest.raises(error, match=words): quiet(make(loss=loss), 'fit', 1)

def test_validation_needs_no_gradient():
    assert quiet(make(loss=lambda p, t: (p.argmax(1) == 0).float().mean()), 'validate')[0] <= 1

# ------------------------------------------------------------------ batches of one

def with_norm(): return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

@pytest.mark.parametrize('method', ['fit', 'fit_one_cycle', 'fine_tune', 'lr_find'])
def test_batch_norm_of_a_single_item(method):
    kw = dict(show_plot=False) if method == 'lr_find' else dict()
    args = () if method == 'lr_find' else (1,)
    with pytest.raises(ValueError, match='one item.*`bs`'): quiet(make(numbers(bs=1), with_norm()), method, *args, **kw)

def test_a_single_training_item():
    items = [(torch.randn(3), tensor([1., 0.]))]*3
    with pytest.raises(ValueError, match='one item.*training items: 1'):
        quiet(make(DataLoaders.from_dsets(items[:1], items, bs=8, device='cpu'), with_norm()), 'fit', 1)

def test_single_items_are_fine_without_batch_norm_and_in_validation():
    quiet(make(numbers(bs=1)), 'fit', 1)
    quiet(make(numbers(bs=1), with_norm()), 'validate')
    quiet(make(numbers(n=17), with_norm()), 'fit', 1) # one item is left for validation

# ------------------------------------------------------------------ pictures

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp('pictures')
    for i in range(22):
        a = np.random.default_rng(i).integers(0, 256, (4, 6, 3), dtype='uint8')
        Image.fromarray(a).resize((30, 20)).save(d/f'{i}.png')
    return d

def frame(n=22, n_valid=9):
    return pd.DataFrame(dict(fname=[f'{i}.png' for i in range(n)],
    labels=['a b', 'b', 'a', 'c', '']*(n//5) + ['a']*(n % 5),
                             kind=['x', 'y']*(n//2), is_valid=[i >= n - n_valid for i in range(n)]))

def pictures(d, blocks=(ImageBlock, MultiCategoryBlock), get_y=None, bs=4, **kw):
    block = DataBlock(blocks=blocks, get_x=ColReader('fname', pref=d),
    get_y=get_y or ColReader('labels', label_delim=' '),
                      splitter=ColSplitter(), **{**dict(item_tfms=Resize(16, 'squish')), **kw})
    return block.dataloaders(frame(), bs=bs, num_workers=0)

def tiny(n): return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
nn.Linear(64, n))

def random_crops(d): return pictures(d, item_tfms=RandomResizedCrop(16, min_scale=.3), batch_tfms=aug_transforms())

def test_training_items_are_scored_as_in_validation(folder):
    dls = random_crops(folder)
    learn = Learner(dls, tiny(3), metrics=accuracy_multi)
    df = frame()
    with learn.no_bar():
        by_test_dl, _ = learn.get_preds(dl=dls.test_dl(df[~df.is_valid]))
        for kw in dict(ds_idx=0), dict(dl=dls.train), dict(ds_idx=0), dict(ds_idx=np.int64(0)):
            preds, targs = learn.get_preds(**kw)
            assert len(preds) == 13 and torch.allclose(preds, by_test_dl, atol=1e-6)
            assert torch.equal(targs, torch.stack([dls.train_ds.value(i).plain() for i in range(13)]))
            loss, acc = learn.validate(**kw)
            assert loss == pytest.approx(F.binary_cross_entropy(preds, targs.float()).item(), abs=1e-5)
            assert acc == pytest.approx(accuracy_multi(preds, targs, sigmoid=False).item(), abs=1e-6)

def test_training_itself_goes_on_with_random_crops(folder):
    dls = random_crops(folder)
    learn = Learner(dls, tiny(3))
    quiet(learn, 'validate', 0)
    a, b = (dls.train.new(shuffle=False).one_batch()[0] for _ in range(2))
    assert not torch.equal(a, b) and len(dls.train) == 3

def test_training_loaders_of_torch_are_scored_in_order():
    ds = [(torch.randn(3), tensor([i/10., 0.])) for i in range(10)]
    loaders = [torch.utils.data.DataLoader(ds, 4, shuffle=True, drop_last=True) for _ in range(2)]
    learn = make(DataLoaders(*loaders))
    learn.device = torch.device('cpu')
    for kw in dict(ds_idx=0), dict(dl=loaders[0]):
        assert torch.equal(quiet(learn, 'get_preds', **kw)[1], torch.stack([t for _,t in ds]))
    assert quiet(learn, 'validate', 0) == quiet(learn, 'validate', 0)

@pytest.mark.parametrize('kw',
[dict(ds_idx='valid'), dict(ds_idx=None), dict(dl=['1.png']), dict(dl='1.png'), dict(dl=frame())])
@pytest.mark.parametrize('method', ['validate', 'get_preds'])
def test_a_loader_that_is_none(method, kw):
    with pytest.raises(TypeError, match='dl='): quiet(make(), method, **kw)

def test_predict_takes_a_picture_in_any_form(folder):
    learn = Learner(pictures(folder), tiny(3))
    file = folder/'9.png'
    want = quiet(learn, 'predict', file)[2]
    stream = io.BytesIO(file.read_bytes())
    with open(file, 'rb') as f:
        data = file.read_bytes()
        for item in str(file), data, bytearray(data), stream, stream, f, frame().iloc[9], Image.open(file):
            assert torch.allclose(quiet(learn, 'predict', item)[2], want, atol=1e-4)

@pytest.mark.parametrize('form',
[lambda f, df: None, lambda f, df: [f, f], lambda f, df: [f], lambda f, df: df.iloc[[9]], lambda f, df: df,
                                  lambda f, df: L(f), lambda f, df: {'fname': '9.png'}])
def test_predict_takes_one_item(folder, form):
    learn = Learner(pictures(folder), tiny(3))
    with pytest.raises(TypeError, match='one item.*test_dl'): quiet(learn, 'predict', form(folder/'9.png', frame()))

# ------------------------------------------------------------------ two targets

class Two(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = tiny(3), tiny(2)
    def forward(self, x): return self.a(x), self.b(x)

def two(d):
    return pictures(d, (ImageBlock, MultiCategoryBlock, CategoryBlock),
    [ColReader('labels', label_delim=' '), ColReader('kind')], n_inp=1)

def both(p, y, z): return BCEWithLogitsLossFlat()(p[0], y) + CrossEntropyLossFlat()(p[1], z)

class Both:
    "A loss that knows how its outputs become decisions."
    def __call__(self, p, y, z): return both(p, y, z)
    def activation(self, p): return p[0].sigmoid(), p[1].softmax(1)
    def decodes(self, p): return p[0] > .5, p[1].argmax(1)

def test_without_a_loss_two_targets_are_named(folder):
    with pytest.raises(ValueError, match='2 targets.*loss_func'): Learner(two(folder), Two())

def test_a_loss_of_one_target_is_named(folder):
    for loss in CrossEntropyLossFlat(), nn.MSELoss():
        with pytest.raises(TypeError) as e: quiet(Learner(two(folder), tiny(3), loss), 'fit', 1)
        assert '2 targets' in ''.join(e.value.__notes__)

def test_a_head_for_two_targets_is_asked_for(folder):
    with pytest.raises(ValueError, match='3 and 2 outputs.*n_out='): vision_learner(two(folder), resnet18,
    pretrained=False)

def test_predict_with_two_targets(folder):
    learn = Learner(two(folder), Two(), both)
    decoded, decision, preds = quiet(learn, 'predict', folder/'9.png') # this loss decides nothing
    assert [p.shape for p in preds] == [(3,), (2,)] and all(map(torch.equal, decoded, preds))
    learn.loss_func = Both()
    (labels, kind), (a, b), (p, q) = quiet(learn, 'predict', folder/'9.png')
    assert list(labels) == [v for v,d in zip('abc', a) if d] and kind == 'xy'[int(b)]
    assert torch.equal(a, p > .5) and b == q.argmax() and q.sum().item() == pytest.approx(1)

def test_results_that_cannot_be_decided_are_not_shown(folder):
    with pytest.raises(TypeError, match='decodes'): quiet(Learner(two(folder), Two(), both), 'show_results')
    own = Learner(pictures(folder), tiny(3), lambda p, t: F.binary_cross_entropy_with_logits(p, t))
    with pytest.raises(TypeError, match='decodes'): quiet(own, 'show_results')
    decoded, decision, preds = quiet(own, 'predict', folder/'9.png')
    assert torch.equal(decoded, preds) # outputs, and not the labels of all that are not 0

@pytest.mark.parametrize('loss', [nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(), F.mse_loss,
                                  partial(F.l1_loss, reduction='sum')], ids=func_name)
def test_torchs_losses_do_not_compare_each_with_each(loss):
    "A column of predictions and a row of targets: torch would stretch both, and learn the mean."
    data = [(torch.randn(3), tensor(1.)) for _ in range(8)]
    dls = DataLoaders(DataLoader(data, bs=4), DataLoader(data, bs=4), device='cpu')
    learn = Learner(dls, nn.Linear(3, 1), loss_func=loss)
    with learn.no_logging(), pytest.raises(ValueError, match=r'\(4, 1\).*\(4,\)'): learn.fit(1)
    flat = Learner(dls, nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), loss_func=loss)
    with flat.no_logging(): flat.fit(1)
