"Losses against torch, numpy in 64 bits, and closed forms: any size of activation, any number type, no broadcasting."
import pickle
from functools import partial

import numpy as np, pytest, torch
import torch.nn.functional as F
from hypothesis import assume, example, given, strategies as st
from torch import nn

from course_lib.core import TensorBase
from course_lib.datablock import (CategoryBlock, DataBlock, IndexSplitter, MultiCategoryBlock, RegressionBlock,
                                  TensorMultiCategory, TransformBlock)
from course_lib.dataloaders import DataLoader, DataLoaders
from course_lib.losses import (BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat, activation_for, activations,
                               binary_cross_entropy, decodes_for)

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
FLAT = [BCEWithLogitsLossFlat, MSELossFlat, CrossEntropyLossFlat]
logits = st.floats(-30, 30) | st.floats(-6e4, 6e4) | st.sampled_from([0., -0., 17., -17., 120., -120., 6e4, -6e4])
shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


@st.composite
def batch(draw, targets=st.sampled_from([0., 1.])):
    shape, dtype = draw(shapes), draw(st.sampled_from(DTYPES))
    n = int(np.prod(shape))
    x, t = draw(st.lists(logits, min_size=n, max_size=n)), draw(st.lists(targets, min_size=n, max_size=n))
    return torch.tensor(x).to(dtype).reshape(shape), torch.tensor(t).reshape(shape)


def reference(x, t):
    x, t = x.double().numpy(), t.double().numpy()
    return (t*np.logaddexp(0, -x) + (1-t)*np.logaddexp(0, x)).mean()


@given(batch(targets=st.sampled_from([0., 1.]) | st.floats(0, 1, width=32)))
def test_bce_is_right_for_any_finite_activation(b):
    x, t = b
    for loss in binary_cross_entropy, BCEWithLogitsLossFlat():
        ours = loss(x, t)
        assert ours.ndim == 0 and torch.isfinite(ours)
        assert ours.dtype == (torch.float64 if x.dtype == torch.float64 else torch.float32)
        assert ours.item() == pytest.approx(reference(x, t), rel=1e-5, abs=2e-6)


@given(batch())
def test_bce_is_right_also_where_the_loss_is_tiny(b):
    x, t = b # 0 and 1 only: no rounding to hide behind
    assert binary_cross_entropy(x, t).item() == pytest.approx(reference(x, t), rel=1e-5, abs=1e-30)


@given(batch(targets=st.sampled_from([0., 1.]) | st.floats(0, 1, width=32)))
def test_the_gradient_of_bce_is_prediction_minus_truth(b):
    x, t = b
    x = x.float().requires_grad_()
    binary_cross_entropy(x, t).backward()
    torch.testing.assert_close(x.grad, (torch.sigmoid(x.detach()) - t)/t.numel(), rtol=1e-5, atol=1e-7)


def test_gradcheck():
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    t = (torch.arange(18).reshape(6, 3) % 3 == 0).double()
    for loss in binary_cross_entropy, BCEWithLogitsLossFlat(), MSELossFlat():
        assert torch.autograd.gradcheck(loss, (x, t))
    assert torch.autograd.gradcheck(lambda x: CrossEntropyLossFlat()(x, torch.arange(6) % 3), (x,))


@given(shapes, shapes)
@example((4, 1), (4,))
@example((4, 1), (1, 4))
@example((1,), ())
def test_bce_never_broadcasts(a, b):
    assume(a != b)
    with pytest.raises(ValueError) as e: binary_cross_entropy(torch.zeros(a), torch.zeros(b))
    assert str(a) in str(e.value) and str(b) in str(e.value)


@given(shapes, shapes)
@example((4, 1), (1, 4))
@example((2, 2, 3), (2, 3, 2))
@example((20, 4), (4, 20))
@example((1, 3), (3, 1))
def test_flat_losses_compare_item_by_item_or_raise(a, b):
    x, t = torch.arange(float(np.prod(a))).reshape(a)/10, (torch.arange(float(np.prod(b)))).reshape(b) % 2
    same_numbers = a[0] == b[0] and np.prod(a) == np.prod(b)
    real = [tuple(n for n in s[1:] if n > 1) for s in (a, b)]
    fits = same_numbers and (real[0] == real[1] or min(map(len, real)) == 1)
    for loss, plain in (BCEWithLogitsLossFlat(), F.binary_cross_entropy_with_logits), (MSELossFlat(), F.mse_loss):
        if fits: torch.testing.assert_close(loss(x, t), plain(x.flatten(), t.flatten()))
        else:
            with pytest.raises(ValueError) as e: loss(x, t)
            assert str(a) in str(e.value) and str(b) in str(e.value)


KINDS = [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float16, torch.float32, torch.float64]
BCE_OPTIONS = [{}, dict(reduction='none'), dict(reduction='sum'), dict(pos_weight=torch.tensor([1., 2., 9.])),
               dict(weight=torch.tensor([1., 0., 3.]))]

@pytest.mark.parametrize('dtype', KINDS)
@pytest.mark.parametrize('kw', BCE_OPTIONS, ids=str)
def test_bce_flat_is_torchs(dtype, kw):
    x = torch.linspace(-4, 4, 12).reshape(4, 3)
    t = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1]])
    torch.testing.assert_close(BCEWithLogitsLossFlat(**kw)(x, t.to(dtype)), nn.BCEWithLogitsLoss(**kw)(x, t.float()))


CE_OPTIONS = [{}, dict(reduction='none'), dict(label_smoothing=.1), dict(weight=torch.tensor([1., 0., 3.])),
              dict(ignore_index=2)]

@pytest.mark.parametrize('dtype', [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
@pytest.mark.parametrize('kw', CE_OPTIONS, ids=str)
def test_cross_entropy_flat_is_torchs(dtype, kw):
    x, t = torch.linspace(-4, 4, 12).sin().reshape(4, 3), torch.tensor([2, 0, 1, 0])
    torch.testing.assert_close(CrossEntropyLossFlat(**kw)(x, t.to(dtype)), nn.CrossEntropyLoss(**kw)(x, t))


def test_cross_entropy_flat_along_an_axis():
    g = torch.Generator().manual_seed(0)
    x, t = torch.randn(2, 5, 4, 3, generator=g), torch.randint(0, 5, (2, 4, 3), generator=g)
    torch.testing.assert_close(CrossEntropyLossFlat(axis=1)(x, t), F.cross_entropy(x, t))
    with pytest.raises(ValueError, match='axis -1'): CrossEntropyLossFlat()(x, t)
    with pytest.raises(ValueError): CrossEntropyLossFlat(axis=1)(x, t.transpose(1, 2))


@pytest.mark.parametrize('targ', [
    torch.zeros(4, 3), torch.zeros(4, 3).long(), torch.zeros(4), torch.zeros(3).long(), torch.zeros(1, 4).long()])
def test_cross_entropy_refuses_what_is_no_class_number(targ):
    with pytest.raises(ValueError): CrossEntropyLossFlat()(torch.zeros(4, 3), targ)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_32_bits(dtype):
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    t = (x > .3)
    cases = (BCEWithLogitsLossFlat(), t), (MSELossFlat(), t.to(dtype)), (CrossEntropyLossFlat(), t.long().argmax(1))
    for loss, targ in cases:
        ours = loss(x, targ)
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, loss(x.float(), targ.float() if targ.is_floating_point() else targ))


@pytest.mark.parametrize('cls', FLAT)
def test_losses_survive_pickling_and_give_plain_tensors(cls):
    loss = pickle.loads(pickle.dumps(cls(reduction='sum')))
    assert repr(loss) == f'FlattenedLoss of {loss.func}' and loss.reduction == 'sum'
    x, t = TensorBase(torch.ones(4, 3)), TensorMultiCategory(torch.zeros(4, 3))
    if cls is CrossEntropyLossFlat: t = TensorBase(torch.zeros(4).long())
    assert type(loss(x, t)) is torch.Tensor
    assert type(binary_cross_entropy(x, TensorBase(torch.zeros(4, 3)))) is torch.Tensor
    loss.reduction = 'mean'
    assert loss.func.reduction == 'mean'
    assert loss.to('cpu') is loss


def test_positional_arguments_go_to_torch():
    w = torch.tensor([1., 0., 2.])
    x, t = torch.linspace(-1, 1, 6).reshape(2, 3), torch.tensor([[1., 0., 1.], [0., 0., 1.]])
    torch.testing.assert_close(BCEWithLogitsLossFlat(w)(x, t), nn.BCEWithLogitsLoss(w)(x, t))


x = torch.tensor([[2., -1., .3], [-3., -.1, 0.]])
@pytest.mark.parametrize('loss,act,dec', [
    (BCEWithLogitsLossFlat(), torch.sigmoid, lambda p: p > .5),
    (BCEWithLogitsLossFlat(thresh=.2), torch.sigmoid, lambda p: p > .2),
    (nn.BCEWithLogitsLoss(), torch.sigmoid, lambda p: p > .5),
    (F.binary_cross_entropy_with_logits, torch.sigmoid, lambda p: p > .5),
    (partial(F.binary_cross_entropy_with_logits, pos_weight=torch.ones(3)), torch.sigmoid, lambda p: p > .5),
    (nn.MultiLabelSoftMarginLoss(), torch.sigmoid, lambda p: p > .5),
    (binary_cross_entropy, torch.sigmoid, lambda p: p > .5),
    (CrossEntropyLossFlat(), partial(F.softmax, dim=-1), lambda p: p.argmax(-1)),
    (nn.CrossEntropyLoss(label_smoothing=.1), partial(F.softmax, dim=-1), lambda p: p.argmax(-1)),
    (F.cross_entropy, partial(F.softmax, dim=-1), lambda p: p.argmax(-1)),
    (nn.BCELoss(), lambda x: x, lambda p: p > .5),
    (nn.NLLLoss(), lambda x: x, lambda p: p.argmax(-1)),
    (MSELossFlat(), lambda x: x, lambda p: p), (nn.MSELoss(), lambda x: x, lambda p: p),
    (lambda a, b: 0, lambda x: x, lambda p: p)], ids=str)
def test_every_loss_knows_its_activation(loss, act, dec):
    p = activation_for(loss)(x)
    torch.testing.assert_close(p, act(x))
    assert torch.equal(decodes_for(loss)(p), dec(act(x)))
    pickle.dumps((activation_for(loss), decodes_for(loss)))


@pytest.mark.parametrize('name,loss', [
    ('none', MSELossFlat()), ('sigmoid', BCEWithLogitsLossFlat()), ('softmax', CrossEntropyLossFlat())], ids=str)
def test_an_activation_is_found_by_its_name(name, loss):
    "A file of a model holds the name, so a name means the same for ever."
    torch.testing.assert_close(activations[name](x), loss.activation(x))


def dls(block, targets, x_block=RegressionBlock):
    dblock = DataBlock((x_block, block), get_x=lambda o: o[0], get_y=lambda o: o[1], splitter=IndexSplitter([0]))
    return dblock.dataloaders(list(enumerate(targets)), bs=2, num_workers=0, device='cpu')


@pytest.mark.parametrize('block,targets,cls', [
    (MultiCategoryBlock, [['a'], ['b', 'a'], []], BCEWithLogitsLossFlat),
    (MultiCategoryBlock(encoded=True, vocab=['a', 'b']), [[1, 0], [1, 1], [0, 0]], BCEWithLogitsLossFlat),
    (CategoryBlock, ['a', 'b', 'a'], CrossEntropyLossFlat),
    (RegressionBlock, [1., 2., 3.], MSELossFlat),
    (RegressionBlock(2), [[1., 0.], [2., 0.], [3., 1.]], MSELossFlat)], ids=lambda o: getattr(o, '__name__', ''))
def test_the_blocks_pick_the_loss_and_it_takes_their_batches(block, targets, cls):
    d = dls(block, targets)
    assert type(d.loss_func) is cls
    _, y = d.one_batch()
    assert torch.isfinite(d.loss_func(torch.zeros(len(y), d.c), y))


def test_the_loss_is_picked_without_opening_a_picture():
    def open_it(o): raise AssertionError('opened')
    block = TransformBlock(type_tfms=open_it)
    assert type(dls(MultiCategoryBlock, [['a'], ['a', 'b'], ['b'], []], block).loss_func) is BCEWithLogitsLossFlat


@pytest.mark.parametrize('y', [torch.tensor([1., 0.]), torch.tensor(1), 1., 'cat'])
def test_targets_that_do_not_say_their_loss_ask_for_one(y):
    dl = DataLoader([(torch.zeros(2), y)]*4, bs=2)
    with pytest.raises(ValueError, match='Pass loss_func='): DataLoaders(dl, dl).loss_func
