"Metrics and losses refuse what they cannot score, warn of probabilities, and leave alone what is right."
import math, warnings
from functools import partial

import numpy as np, pytest, torch
from torch import nn, tensor
import torch.nn.functional as F

from course_lib.dataloaders import DataLoaders
from course_lib.learner import Learner
from course_lib.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat, binary_cross_entropy
from course_lib.metrics import (APScoreMulti, AvgMetric, F1ScoreMulti, accuracy, accuracy_multi, ap_multi,
                                average_precision, error_rate, f1_multi, mse, rmse)

MULTI = [accuracy_multi, f1_multi, ap_multi, average_precision, AvgMetric(accuracy_multi), F1ScoreMulti(),
    APScoreMulti()]

def table(n=6, c=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = (torch.rand(n, c, generator=g) < .5).float()
    y[0], y[1] = 0, 1 # each class is there, and absent
    return 3*torch.randn(n, c, generator=g), y

# ------------------------------------------------------------------ targets

@pytest.mark.parametrize('metric', MULTI, ids=str)
@pytest.mark.parametrize('odd', [0.1, 0.9, -1., 2., math.nan, math.inf])
def test_a_target_that_says_neither_yes_nor_no_is_refused(metric, odd):
    x, y = table()
    y[2, 1] = odd
    with pytest.raises(ValueError, match=f'item 2 in column 1 is {odd:g}.*targ > 0'): metric(x, y)

@pytest.mark.parametrize('metric', MULTI, ids=str)
@pytest.mark.parametrize('dtype', [torch.bool, torch.int64, torch.uint8, torch.float64, torch.bfloat16])
def test_zeros_and_ones_of_any_type_are_not(metric, dtype):
    x, y = table()
    metric(x, y.to(dtype))

@pytest.mark.parametrize('targ', [[0, 3, 1], [-1, 0, 1], [0, 1, 99]])
def test_a_class_number_without_a_column_is_refused(targ):
    with pytest.raises(ValueError, match='from 0 to 2'): accuracy(torch.randn(3, 3), tensor(targ))
    with pytest.raises(ValueError, match='from 0 to 2'): error_rate(torch.randn(3, 3), tensor(targ))

def test_a_single_column_cannot_tell_classes_apart():
    with pytest.raises(ValueError, match='1 column:.*from 0 to 0'): accuracy(torch.randn(3, 1), tensor([0, 1, 1]))

def test_class_numbers_that_are_floats_are_looked_at():
    assert accuracy(tensor([[1., 0.], [0., 1.]]), tensor([0., 1.])) == 1
    for odd in 0.5, math.nan:
        with pytest.raises(ValueError, match='item 1'): accuracy(torch.randn(2, 2), tensor([0., odd]))

# ------------------------------------------------------------------ predictions

@pytest.mark.parametrize('metric', MULTI + [mse, rmse], ids=str)
def test_nan_predictions_score_nan(metric):
    x, y = table()
    assert metric(x, y).isfinite().all()
    x[2, 1] = math.nan
    assert metric(x, y).isnan().any()
    assert metric(torch.full_like(x, math.nan), y).isnan().all()

def test_nan_predictions_of_one_class_of_many_score_nan():
    x, y = torch.randn(4, 3), tensor([0, 1, 2, 0])
    x[1] = math.nan
    assert accuracy(x, y).isnan() and error_rate(x, y).isnan()

def test_infinite_activations_are_as_sure_as_can_be():
    y = table()[1]
    x = torch.where(y == 1, math.inf, -math.inf)
    assert accuracy_multi(x, y) == f1_multi(x, y) == 1

@pytest.mark.parametrize('average', ['macro', 'micro', 'weighted', 'samples', None])
def test_nan_in_any_average_of_f1(average):
    x, y = table()
    x[2, 1] = math.nan
    f1 = f1_multi(x, y, average=average)
    assert f1.isnan().tolist() == [False, True, False] if average is None else f1.isnan()

def test_nan_in_a_column_that_is_not_asked_for():
    x, y = table()
    x[2, 1] = math.nan
    assert f1_multi(x, y, labels=[0, 2]).isfinite()

def told(f):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        f()
    return [str(w.message) for w in seen]

@pytest.mark.parametrize('metric', [accuracy_multi, f1_multi, partial(accuracy_multi, thresh=.2)])
def test_probabilities_beside_a_sigmoid_are_pointed_out(metric):
    x, y = table()
    message, = told(lambda: metric(x.sigmoid(), y))
    assert 'sigmoid=False' in message and '18' in message
    assert told(lambda: metric(x.sigmoid(), y, sigmoid=False)) == told(lambda: metric(x, y)) == []

def evenly(low, high): return torch.linspace(low, high, 18).view(6, 3)

@pytest.mark.parametrize('x', [torch.zeros(6, 3), torch.full((6, 3), .5), evenly(.1, .9)[:2], evenly(0., .1),
                               evenly(0., 3.), evenly(-.1, .9), torch.empty(0, 3)])
def test_activations_that_are_small_by_chance_are_not(x):
    assert told(lambda: accuracy_multi(x, torch.zeros(x.shape))) == []

def test_the_order_of_probabilities_is_that_of_activations():
    x, y = table()
    assert told(lambda: (ap_multi(x.sigmoid(), y), average_precision(x.sigmoid(), y))) == []

def test_many_sparse_probabilities_are_pointed_out():
    x = torch.linspace(0, 1, 1200).view(60, 20)**6
    assert x.mean() < .2 and len(told(lambda: accuracy_multi(x, (x > .5).float()))) == 1

def test_a_metric_warns_once_in_all_its_epochs():
    x, y = table(80)
    def epochs(m):
        for _ in range(3):
            m.reset()
            for a, b in zip(x.sigmoid().split(40), y.split(40)): m.accumulate(a, b)
            assert m.value > 0
    for m in AvgMetric(accuracy_multi), F1ScoreMulti(): assert len(told(partial(epochs, m))) == 1

# ------------------------------------------------------------------ thresholds, columns

@pytest.mark.parametrize('metric', [accuracy_multi, f1_multi])
@pytest.mark.parametrize('form',
    [list, tuple, np.array, tensor, lambda v: tensor(v)[None], lambda v: list(map(tensor, v))])
def test_a_threshold_for_each_class(metric, form):
    x, y = table()
    ths = [.2, .5, .8]
    for sigmoid in True, False:
        p = x if sigmoid else x.sigmoid()
        want = metric(((x.sigmoid() > tensor(ths))*2 - 1.)*9, y)
        torch.testing.assert_close(metric(p, y, thresh=form(ths), sigmoid=sigmoid), want)

def test_a_threshold_for_each_class_along_another_axis():
    x, y = table()
    by_class = f1_multi(x.T, y.T, thresh=[.2, .5, .8], axis=0)
    torch.testing.assert_close(by_class, f1_multi(x, y, thresh=[.2, .5, .8]))

@pytest.mark.parametrize('metric', [accuracy_multi, f1_multi])
@pytest.mark.parametrize('thresh, words',
    [([.2, .5], '2 thresholds for 3 classes'), (tensor([.1]*4), '4 thresholds for 3'),
    ([], '0 thresholds'), (50, 'between 0 and 1'), (-.1, 'between'), (math.nan, 'between'), ([.2, .5, 20], 'between')])
def test_thresholds_that_do_not_fit(metric, thresh, words):
    with pytest.raises(ValueError, match=words): metric(*table(), thresh=thresh)

@pytest.mark.parametrize('thresh', ['0.5', None, {'a': 1}, ['a', 'b', 'c']])
def test_thresholds_that_are_none(thresh):
    with pytest.raises(TypeError, match='one for each class'): accuracy_multi(*table(), thresh=thresh)

def test_one_threshold_in_any_form():
    x, y = table()
    for t in tensor(.3), [.3], np.float32(.3), np.array(.3):
        assert accuracy_multi(x, y, thresh=t) == accuracy_multi(x, y, thresh=.3)
    for t in 0, 1: assert accuracy_multi(x, y, thresh=t).isfinite()
    assert accuracy_multi(x, y, thresh=-2., sigmoid=False).isfinite() # raw activations are compared as they are

@pytest.mark.parametrize('labels', [[3], [-1], ['cat'], [True, False, True], [], [.5], 'ab'])
def test_labels_that_are_no_columns(labels):
    with pytest.raises(ValueError, match='0 to 2'): f1_multi(*table(), labels=labels)

def test_labels_in_any_form():
    x, y = table()
    for o in (0, 2), tensor([0, 2]), np.array([0, 2]), range(0, 3, 2):
        assert f1_multi(x, y, labels=o) == f1_multi(x, y, labels=[0, 2])

@pytest.mark.parametrize('metric', [f1_multi, ap_multi])
@pytest.mark.parametrize('average', ['binary', 'Macro', ['macro'], 0])
def test_an_unknown_average(metric, average):
    with pytest.raises(ValueError, match="'macro'"): metric(*table(), average=average)

# ------------------------------------------------------------------ losses

@pytest.mark.parametrize('loss', [BCEWithLogitsLossFlat(), binary_cross_entropy])
@pytest.mark.parametrize('odd', [-1., 2., math.nan])
def test_bce_refuses_targets_beyond_0_and_1(loss, odd):
    x, y = table()
    loss(x, y*.8 + .1) # soft ones are fine
    y[2, 1] = odd
    with pytest.raises(ValueError, match=f'item 2 in column 1 is {odd:g}'): loss(x, y)

def test_squared_error_refuses_nan():
    with pytest.raises(ValueError, match='item 1 is nan'): MSELossFlat()(torch.zeros(2, 1), tensor([1., math.nan]))

@pytest.mark.parametrize('targ', [[0, 3], [-1, 0]])
def test_cross_entropy_refuses_classes_without_a_column(targ):
    with pytest.raises(ValueError, match='from 0 to 2'): CrossEntropyLossFlat()(torch.randn(2, 3), tensor(targ))
    assert CrossEntropyLossFlat()(torch.randn(2, 3), tensor([-100, 0])).isfinite() # the number to be ignored
    assert CrossEntropyLossFlat(ignore_index=-1)(torch.randn(2, 3), tensor([-1, 0])).isfinite()

WEIGHTED = [(BCEWithLogitsLossFlat, 'pos_weight'), (BCEWithLogitsLossFlat, 'weight'), (CrossEntropyLossFlat, 'weight')]

@pytest.mark.parametrize('loss, name', WEIGHTED)
@pytest.mark.parametrize('n', [1, 2, 4, 5])
def test_another_number_of_class_weights(loss, name, n):
    if n == 1 and loss is BCEWithLogitsLossFlat: pytest.skip('one weight for all is fine')
    x, y = table(5)
    with pytest.raises(ValueError, match=f'{name} has {n} numbers.*3 classes'):
        loss(**{name: torch.ones(n)})(x, y if loss is BCEWithLogitsLossFlat else y.argmax(1))

@pytest.mark.parametrize('loss, name', WEIGHTED)
@pytest.mark.parametrize('odd', [-1., math.nan, math.inf])
def test_a_class_weight_that_is_none(loss, name, odd):
    with pytest.raises(ValueError, match=f'{name} of class 1 is {odd:g}'): loss(**{name: tensor([1., odd, 0.])})

def test_weights_that_would_broadcast_to_a_table_are_refused():
    with pytest.raises(ValueError, match='1 classes'):
        BCEWithLogitsLossFlat(pos_weight=torch.ones(3))(torch.zeros(8, 1), torch.ones(8))

def test_weights_for_items_fit():
    x, y = table(5)
    w = torch.rand(5, 1)
    torch.testing.assert_close(BCEWithLogitsLossFlat(weight=w)(x, y), nn.BCEWithLogitsLoss(weight=w)(x, y))

def test_the_threshold_of_a_loss_may_be_one_for_each_class():
    p = tensor([[.3, .3, .3]])
    assert BCEWithLogitsLossFlat(thresh=[.2, .3, .4]).decodes(p).tolist() == [[True, False, False]]
    with pytest.raises(ValueError, match='2 thresholds for 3'): BCEWithLogitsLossFlat(thresh=[.2, .3]).decodes(p)

# ------------------------------------------------------------------ in a fit

class OneInput(list): n_inp = 1

def loaders(n_targets=1, odd=None):
    x, y = table(24)
    if odd is not None: y[y == 0] = odd
    items = [(a, *[b]*n_targets) for a,b in zip(x, y)]
    return DataLoaders.from_dsets(OneInput(items[:16]), OneInput(items[16:]), bs=4, device='cpu')

def fit(learn):
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
    return learn

def test_a_fit_refuses_targets_of_minus_one():
    with pytest.raises(ValueError, match='column . is -1'):
        fit(Learner(loaders(odd=-1.), nn.Linear(3, 3), BCEWithLogitsLossFlat()))
    with pytest.raises(ValueError, match='column . is 0.2'):
        fit(Learner(loaders(odd=.2), nn.Linear(3, 3), BCEWithLogitsLossFlat(), metrics=accuracy_multi))

def test_a_metric_that_fails_says_which():
    def mine(p, t): return p.nothing
    with pytest.raises(AttributeError) as e: fit(Learner(loaders(), nn.Linear(3, 3), F.mse_loss, metrics=mine))
    assert 'metric mine' in e.value.__notes__[0]

def test_a_metric_for_one_target_where_there_are_two():
    learn = Learner(loaders(2), nn.Linear(3, 3), lambda p, a, b: F.mse_loss(p, a), metrics=accuracy_multi)
    with pytest.raises((TypeError, ValueError)) as e: fit(learn)
    assert '2 targets' in ''.join(e.value.__notes__)

def test_a_small_batch_of_a_fit_proves_nothing():
    "A new model's few activations may all lie within 0..1; whether a model ends in a sigmoid is looked at elsewhere."
    x, y = table()
    m = AvgMetric(accuracy_multi)
    assert told(lambda: m.accumulate(x.sigmoid(), y)) == []
