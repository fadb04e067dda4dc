"Metrics against scikit-learn: ties, empty classes, every average, batches of any size, no broadcasting."
import math, pickle, warnings
from functools import partial

import numpy as np, pytest, torch
from hypothesis import assume, example, given, strategies as st
from sklearn import metrics as skm

from course_lib.metrics import (APScoreMulti, AccumMetric, AvgMetric, F1ScoreMulti, accuracy, accuracy_multi, ap_multi,
                                average_precision, error_rate, f1_multi, mAP, mk_metric, mse, rmse)

AVERAGES = ['macro', 'micro', 'weighted', 'samples', None]


@st.composite
def table(draw, values=st.integers(-3, 3).map(float) | st.floats(-8, 8, width=16)):
    n, c = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    x = draw(st.lists(values, min_size=n*c, max_size=n*c))
    y = draw(st.lists(st.booleans(), min_size=n*c, max_size=n*c))
    return torch.tensor(x).reshape(n, c).to(dtype), torch.tensor(y).reshape(n, c)


def columnwise_ap(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        def ap(x, y): return skm.average_precision_score(y, x) if y.any() else math.nan
        return np.array([ap(x[:, i], y[:, i]) for i in range(x.shape[1])])


@given(table(), st.sampled_from([torch.bool, torch.int64, torch.float32]))
def test_average_precision_is_scikit_learns_ties_included(t, dtype):
    x, y = t
    ours, theirs = average_precision(x, y.to(dtype)).numpy(), columnwise_ap(x.double().numpy(), y.numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@given(table(), st.randoms(use_true_random=False))
def test_average_precision_does_not_depend_on_the_order_of_items(t, rnd):
    x, y = t
    order = list(range(len(x))); rnd.shuffle(order)
    torch.testing.assert_close(average_precision(x[order], y[order]), average_precision(x, y), equal_nan=True)


@given(table(), st.sampled_from(AVERAGES))
def test_mean_ap_is_scikit_learns_after_dropping_empty_classes(t, average):
    x, y = t
    ours = ap_multi(x, y, average=average)
    x, y = x.double().numpy(), y.numpy()
    if average is None or not y.any(): # nothing to take a mean of
        np.testing.assert_allclose(ours.numpy(), columnwise_ap(x, y) if average is None else math.nan, rtol=1e-6)
        return
    if average == 'samples': x, y = x[y.any(1)], y[y.any(1)]
    if average in ('macro', 'weighted'): x, y = x[:, y.any(0)], y[:, y.any(0)]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        # scikit-learn takes one column for a plain binary problem
        if y.shape[1] == 1 and average == 'samples': theirs = 1.
        else: theirs = skm.average_precision_score(y, x, average=average)
    assert ours.item() == pytest.approx(theirs, rel=1e-6)


def test_ap_of_saturated_activations_keeps_their_order():
    x, y = torch.tensor([[40.], [30.], [20.]]), torch.tensor([[1], [0], [0]]) # as float32 probabilities all three are 1
    assert ap_multi(x, y) == 1 and ap_multi(x, y, sigmoid=False) == 1


def test_ap_says_nan_rather_than_something():
    x, y = torch.tensor([[math.nan, 1.], [2., 3.]]), torch.tensor([[1, 0], [0, 1]])
    assert average_precision(x, y).isnan().tolist() == [True, False] and ap_multi(x, y).isnan()
    assert ap_multi(torch.zeros(3, 2), torch.zeros(3, 2)).isnan()
    assert average_precision(torch.zeros(0, 2), torch.zeros(0, 2)).isnan().all()
    assert average_precision(torch.tensor([[math.inf], [-math.inf]]), torch.tensor([[1], [0]])) == 1


@given(table(), st.sampled_from(AVERAGES), st.sampled_from([.5, .2, .9]), st.booleans())
def test_f1_is_scikit_learns(t, average, thresh, some):
    x, y = t
    labels = list(range(0, x.shape[1], 2)) if some else None
    pred = x.float() if x.dtype == torch.bfloat16 else x
    pred = (pred.sigmoid() > thresh).numpy()
    y_ = y.numpy()
    if labels: pred, y_ = pred[:, labels], y_[:, labels]
    ours = f1_multi(x, y, thresh=thresh, average=average, labels=labels).numpy()
    if y_.shape[1] == 1: # scikit-learn takes one column for a plain binary problem
        theirs = skm.f1_score(y_[:, 0], pred[:, 0], zero_division=0)
        if average == 'samples': theirs = (pred & y_).mean()
        if average is None: theirs = [theirs]
    else: theirs = skm.f1_score(y_, pred, average=average, zero_division=0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@given(table(), st.sampled_from([.5, .2, .9]))
def test_accuracy_multi_counts_cells(t, thresh):
    x, y = t
    p = 1/(1 + np.exp(-x.double().numpy()))
    assume((np.abs(p - thresh) > 1e-6).all() or thresh == .5)
    assert accuracy_multi(x, y, thresh=thresh).item() == pytest.approx(((p > thresh) == y.numpy()).mean(), rel=1e-6)
    probs = torch.tensor(p)
    assert accuracy_multi(probs, y.float(), thresh=thresh, sigmoid=False) == accuracy_multi(x, y, thresh=thresh)


@given(table())
def test_the_baseline_that_says_nothing(t):
    _, y = t
    nothing = torch.full(y.shape, -20.)
    assert accuracy_multi(nothing, y).item() == pytest.approx(1 - y.double().mean().item())
    assert f1_multi(nothing, y) == 0
    torch.testing.assert_close(average_precision(nothing, y)[y.any(0)], y.float().mean(0)[y.any(0)])


@given(table(), st.randoms(use_true_random=False))
def test_accuracy_is_scikit_learns(t, rnd):
    x, _ = t
    x = x.float() + torch.arange(x.shape[1])*1e-3 # no ties: whose column is the largest is a matter of taste then
    y = torch.tensor([rnd.randrange(x.shape[1]) for _ in x])
    theirs = skm.accuracy_score(y, x.argmax(1))
    assert accuracy(x, y).item() == pytest.approx(theirs)
    assert error_rate(x, y).item() == pytest.approx(1 - theirs, abs=1e-6)
    assert accuracy(x, y[:, None]) == accuracy(x, y) == accuracy(x.T, y, axis=0)


def test_accuracy_for_pixels():
    x, y = torch.eye(3)[torch.tensor([[[0, 1], [2, 2]]])].permute(0, 3, 1, 2), torch.tensor([[[0, 1], [2, 0]]])
    assert accuracy(x, y, axis=1) == .75


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
@given(shapes, shapes)
@example((3, 3), (3,))
@example((20, 4), (4, 20))
@example((4, 1), (1, 4))
def test_shapes_that_do_not_fit_raise(a, b):
    x, y = torch.zeros(a), torch.zeros(b)
    if a != b:
        for f in f1_multi, average_precision, ap_multi:
            with pytest.raises(ValueError): f(x, y)
    if a[0] != b[0] or np.prod(a) != np.prod(b):
        for f in accuracy_multi, mse, rmse:
            with pytest.raises(ValueError): f(x, y)
    if len(a) == len(b) and a[:-1] + (1,) != b: # not one class number for each item
        with pytest.raises(ValueError): accuracy(x, y)


def test_multi_hot_targets_are_refused_by_accuracy_even_where_they_would_broadcast():
    with pytest.raises(ValueError, match='accuracy_multi'): accuracy(torch.randn(20, 20), torch.zeros(20, 20))


@given(table(), st.integers(1, 12), st.sampled_from([
    lambda: AvgMetric(accuracy_multi), lambda: AvgMetric(partial(accuracy_multi, thresh=.2)), lambda: AvgMetric(mse),
    lambda: AccumMetric(f1_multi), lambda: F1ScoreMulti(thresh=.3, average='micro'), APScoreMulti, lambda: rmse]))
def test_metrics_do_not_depend_on_the_batch_size(t, bs, make):
    x, y = t
    m = make()
    for _ in range(2): # a second epoch starts afresh
        m.reset()
        assert m.value is None
        for a, b in zip(x.split(bs), y.split(bs)): m.accumulate(a, b)
        assert isinstance(m.value, float)
        np.testing.assert_allclose(m.value, m(x, y).item(), rtol=1e-5, atol=1e-6)


def test_values_for_each_class():
    x, y = torch.tensor([[1., -1.], [-1., 1.]]), torch.tensor([[1, 0], [1, 0]])
    for m, want in (F1ScoreMulti(average=None), [2/3, 0]), (APScoreMulti(average=None), [1., math.nan]):
        m.reset()
        for i in range(2): m.accumulate(x[i:i+1], y[i:i+1])
        np.testing.assert_allclose(m.value.numpy(), want, rtol=1e-6)


def test_gradients_are_not_kept():
    x = torch.randn(4, 3, requires_grad=True)
    for m in AvgMetric(mse), AccumMetric(mse):
        m.accumulate(x, torch.zeros(4, 3))
        held = m.total if type(m) is AvgMetric else m.preds[0]
        assert isinstance(held, torch.Tensor) and not held.requires_grad


def named(pred, targ): return (pred > 0).float().mean()

@pytest.mark.parametrize('m,name', [
    (accuracy_multi, 'accuracy_multi'), (partial(accuracy_multi, thresh=.2), 'accuracy_multi'),
    (partial(partial(accuracy_multi, thresh=.2), sigmoid=False), 'accuracy_multi'), (named, 'named'), (rmse, 'rmse'),
    (F1ScoreMulti(), 'f1_score'), (APScoreMulti(), 'average_precision_score'),
    (mAP(average='micro'), 'average_precision_score'),
    (skm.f1_score, 'f1_score')], ids=str)
def test_names_and_pickling(m, name):
    metric = pickle.loads(pickle.dumps(mk_metric(m)))
    assert metric.name == name
    assert mk_metric(metric) is metric


def test_what_is_no_metric():
    with pytest.raises(TypeError, match=r'F1ScoreMulti\(\)'): mk_metric(F1ScoreMulti)
    with pytest.raises(TypeError, match='function'): mk_metric('accuracy')
    m = AvgMetric(lambda p, t: p)
    m.accumulate(torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match='one number'): m.value
    for f in f1_multi, ap_multi:
        with pytest.raises(ValueError, match="'macro'"): f(torch.zeros(2, 2), torch.zeros(2, 2), average='mean')


def test_mse_of_items_shaped_otherwise():
    p, t = torch.tensor([[1., 2.], [3., 4.]]), torch.tensor([[[1., 2.]], [[5., 4.]]])
    assert mse(p, t) == 1 and rmse(p, t) == 1
    assert mse(torch.tensor([[1.], [2.]]), torch.tensor([1, 2])) == 0


@pytest.mark.parametrize('thresh', [torch.tensor(.4), np.float32(.4), torch.tensor([.4, .4])])
def test_a_threshold_may_be_a_tensor(thresh):
    "As `for t in torch.linspace(...)` gives it."
    x, y = torch.tensor([[.3, .5], [.6, .2]]), torch.tensor([[0, 1], [1, 1]])
    assert F1ScoreMulti(thresh=thresh, sigmoid=False)(x, y) == F1ScoreMulti(thresh=.4, sigmoid=False)(x, y)
