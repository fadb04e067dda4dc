"""The family of metrics against scikit-learn: every average, weights, ties, empty classes, one item, one class; their
arguments, their heads, and what they say of what does not fit."""
import math, pickle, warnings
from functools import partial
from types import SimpleNamespace

import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics as skm
from torch import nn, tensor

from course_lib.all import *

MULTI = dict(f1_score=F1ScoreMulti, precision_score=PrecisionMulti, recall_score=RecallMulti,
             jaccard_score=JaccardMulti)
SINGLE = dict(f1_score=F1Score, precision_score=Precision, recall_score=Recall, jaccard_score=Jaccard)
AVERAGES = ['macro', 'micro', 'weighted', 'samples', None]

def quiet(f, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return f(*args, **kwargs)

def same(ours, theirs): np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=1e-5, atol=1e-7)

@st.composite
def table(draw, min_classes=2):
    "Activations with many ties, zeros and ones, and a weight for each item."
    n, c = draw(st.integers(1, 12)), draw(st.integers(min_classes, 5))
    x = draw(st.lists(st.integers(-3, 3).map(lambda i: i + .5), min_size=n*c, max_size=n*c)) # never at a threshold
    y = draw(st.lists(st.booleans(), min_size=n*c, max_size=n*c))
    w = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    return tensor(x).reshape(n, c), tensor(y).reshape(n, c), tensor(w).double()

def by_epoch(metric, x, y, bs=5):
    metric.reset()
    for a,b in zip(x.split(bs), y.split(bs)): metric.accumulate(a, b)
    return metric.value

# ------------------------------------------------------------------ several labels

@pytest.mark.parametrize('name', MULTI)
@settings(deadline=None, max_examples=60)
@given(t=table(), average=st.sampled_from(AVERAGES), thresh=st.sampled_from([.5, .2]), weighted=st.booleans())
def test_ratios_of_several_labels(name, t, average, thresh, weighted):
    x, y, w = t
    args = dict(average=average, sample_weight=w if weighted else None)
    theirs = quiet(getattr(skm, name), y, x.sigmoid() > thresh, zero_division=0, **args)
    same(by_epoch(MULTI[name](thresh=thresh, **args), x, y), theirs)
    same(MULTI[name](thresh=thresh, sigmoid=False, **args)(x.sigmoid(), y), theirs)

@settings(deadline=None, max_examples=60)
@given(t=table(), average=st.sampled_from(AVERAGES), beta=st.sampled_from([0, .5, 1, 2, math.inf]))
def test_fbeta(t, average, beta):
    x, y, w = t
    theirs = quiet(skm.fbeta_score, y, x > 0, beta=beta, average=average, sample_weight=w, zero_division=0)
    same(by_epoch(FBetaMulti(beta, average=average, sample_weight=w), x, y), theirs)

@settings(deadline=None, max_examples=60)
@given(t=table())
def test_hamming_loss(t):
    x, y, w = t
    same(by_epoch(HammingLossMulti(), x, y), skm.hamming_loss(y, x > 0))
    same(HammingLossMulti(sample_weight=w)(x, y), skm.hamming_loss(y, x > 0, sample_weight=w))
    same(HammingLossMulti(labels=[1])(x, y), skm.hamming_loss(y[:, 1], x[:, 1] > 0))

def columnwise(score, x, y, w, is_defined):
    return [quiet(score, y[:, i], x[:, i], sample_weight=w) if is_defined(y[:, i]) else math.nan
            for i in range(x.shape[1])]

def mixed(y): return bool(y.any() and not y.all())

@pytest.mark.parametrize('make, score, is_defined', [
    (RocAucMulti, skm.roc_auc_score, mixed), (APScoreMulti, skm.average_precision_score, lambda y: bool(y.any()))],
    ids=['roc_auc', 'ap'])
@settings(deadline=None, max_examples=60)
@given(t=table(), average=st.sampled_from(AVERAGES))
def test_scores_of_the_order(make, score, is_defined, t, average):
    "As scikit-learn's, of the columns (or rows) that have a score."
    x, y, w = t
    ours = by_epoch(make(average=average, sample_weight=w), x, y)
    if average == 'micro':
        x, y, w = x.reshape(-1, 1), y.reshape(-1, 1), w.repeat_interleave(x.shape[1])
    each = np.array(columnwise(score, x, y, w, is_defined))
    if average is None: return same(ours, each)
    importance = (y*w[:, None]).sum(0).numpy() if average == 'weighted' else np.ones(len(each))
    if average == 'samples':
        each, importance = np.array(columnwise(score, x.T, y.T, None, is_defined)), w.numpy()
    known = ~np.isnan(each)
    same(ours, np.average(each[known], weights=importance[known]) if known.any() else math.nan)

@settings(deadline=None, max_examples=60)
@given(t=table(1), max_fpr=st.sampled_from([.05, .3, .5, .99, 1]))
def test_a_part_of_the_curve(t, max_fpr):
    x, y, w = t
    theirs = columnwise(partial(skm.roc_auc_score, max_fpr=max_fpr), x, y, w, mixed)
    same(roc_auc_multi(x, y, average=None, max_fpr=max_fpr, sample_weight=w), theirs)

DEGENERATE = {
    'nothing is there': (torch.randn(5, 3), torch.zeros(5, 3)), 'all is there': (torch.randn(5, 3), torch.ones(5, 3)),
    'nothing is named': (torch.full((5, 3), -9.), torch.eye(5, 3)),
    'all is named': (torch.full((5, 3), 9.), torch.eye(5, 3)),
    'one item': (tensor([[1., -1., 2.]]), tensor([[1., 1., 0.]])),
    'neither': (torch.full((5, 3), -9.), torch.zeros(5, 3))}

@pytest.mark.parametrize('case', DEGENERATE)
@pytest.mark.parametrize('average', AVERAGES)
@pytest.mark.parametrize('name', MULTI)
def test_degenerate_tables(name, average, case):
    x, y = DEGENERATE[case]
    same(MULTI[name](average=average)(x, y), quiet(getattr(skm, name), y, x > 0, average=average, zero_division=0))

def test_one_class_alone():
    x, y = tensor([[1.], [-1.], [2.]]), tensor([[1.], [1.], [0.]])
    assert F1ScoreMulti()(x, y) == PrecisionMulti()(x, y) == RecallMulti()(x, y) == .5
    assert JaccardMulti()(x, y) == tensor(1/3)

@pytest.mark.parametrize('make', [*MULTI.values(), partial(FBetaMulti, 2), HammingLossMulti, RocAucMulti, APScoreMulti])
def test_what_is_not_a_number_scores_nan(make):
    x, y = torch.randn(6, 3), torch.eye(6, 3)
    x[2, 1] = math.nan
    assert math.isnan(by_epoch(make(), x, y))

@pytest.mark.parametrize('make', [*MULTI.values(), partial(FBetaMulti, 2), HammingLossMulti])
def test_at_the_threshold_it_is_a_yes_as_in_fastai(make):
    x, y = tensor([[0., -1.], [1., 0.]]), tensor([[1., 0.], [0., 1.]])
    same(make()(x, y), make()(x + 1e-3, y))
    same(make(thresh=.25, sigmoid=False)(tensor([[.25, 0], [.5, .25]]), y), make()(x, y))
    assert f1_multi(x, y) == 0 and accuracy_multi(x, y) == .25

def test_only_some_columns():
    x, y = torch.randn(20, 4), (torch.rand(20, 4) < .5).float()
    for name, make in MULTI.items():
        for average in 'macro', 'weighted', 'micro', None:
            theirs = getattr(skm, name)(y, x > 0, labels=[3, 1], average=average, zero_division=0)
            same(make(labels=[3, 1], average=average)(x, y), theirs)

def test_fastais_order_of_arguments():
    x, y, w = torch.randn(9, 3), torch.eye(9, 3), torch.rand(9)
    same(F1ScoreMulti(.3, False, [0, 2], 1, 'micro', w)(x.sigmoid(), y),
         skm.f1_score(y[:, [0, 2]], x.sigmoid()[:, [0, 2]] > .3, average='micro', sample_weight=w))
    same(FBetaMulti(2, .3, False, [0, 2], 1, 'micro', w)(x.sigmoid(), y),
         skm.fbeta_score(y[:, [0, 2]], x.sigmoid()[:, [0, 2]] > .3, average='micro', sample_weight=w, beta=2))
    same(HammingLossMulti(.3, False, None, w)(x.sigmoid(), y), skm.hamming_loss(y, x.sigmoid() > .3, sample_weight=w))
    y[8, 0], y[7, 1] = 1, 1
    same(APScoreMulti(True, 'micro', 1, w)(x, y), skm.average_precision_score(y, x, average='micro', sample_weight=w))
    same(RocAucMulti(True, 'macro', w, .5)(x, y), skm.roc_auc_score(y, x, sample_weight=w, max_fpr=.5))

# ------------------------------------------------------------------ one class for each item

@st.composite
def classes(draw):
    "Activations without ties in a row, class numbers, a weight for each item."
    n, c = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    named, there = (draw(st.lists(st.integers(0, c - 1), min_size=n, max_size=n)) for _ in range(2))
    w = draw(st.lists(st.integers(1, 4), min_size=n, max_size=n))
    return 3*F.one_hot(tensor(named), c) + .1*torch.arange(c), tensor(there), tensor(w).double()

@pytest.mark.parametrize('name', SINGLE)
@settings(deadline=None, max_examples=60)
@given(t=classes(), average=st.sampled_from(['macro', 'micro', 'weighted']))
def test_ratios_of_one_class(name, t, average):
    x, y, w = t
    theirs = quiet(getattr(skm, name), y, x.argmax(1), average=average, sample_weight=w, zero_division=0)
    same(by_epoch(SINGLE[name](average=average, sample_weight=w), x, y), theirs)
    same(SINGLE[name](average=average, sample_weight=w)(x.argmax(1), y), theirs) # decided already
    labels = list(range(x.shape[1]))
    same(SINGLE[name](average=None, sample_weight=w)(x, y),
         quiet(getattr(skm, name), y, x.argmax(1), average=None, labels=labels, sample_weight=w, zero_division=0))

@pytest.mark.parametrize('name', SINGLE)
@pytest.mark.parametrize('pos_label', [0, 1])
def test_one_class_of_two(name, pos_label):
    x, y = torch.randn(30, 2), torch.randint(0, 2, (30,))
    theirs = getattr(skm, name)(y, x.argmax(1), pos_label=pos_label)
    same(by_epoch(SINGLE[name](pos_label=pos_label), x, y), theirs)
    same(by_epoch(FBeta(2, pos_label=pos_label), x, y), skm.fbeta_score(y, x.argmax(1), beta=2, pos_label=pos_label))

@settings(deadline=None, max_examples=60)
@given(t=classes(), adjusted=st.booleans(), weights=st.sampled_from([None, 'linear', 'quadratic']))
def test_scores_of_the_table_of_pairs(t, adjusted, weights):
    x, y, w = t
    named = x.argmax(1)
    same(by_epoch(HammingLoss(sample_weight=w), x, y), skm.hamming_loss(y, named, sample_weight=w))
    same(by_epoch(CohenKappa(weights=weights, sample_weight=w), x, y),
         quiet(skm.cohen_kappa_score, y, named, weights=weights, sample_weight=w))
    same(by_epoch(MatthewsCorrCoef(w), x, y), quiet(skm.matthews_corrcoef, y, named, sample_weight=w))
    if not adjusted or len(y.unique()) > 1:
        same(by_epoch(BalancedAccuracy(adjusted=adjusted, sample_weight=w), x, y),
             quiet(skm.balanced_accuracy_score, y, named, adjusted=adjusted, sample_weight=w))

@pytest.mark.parametrize('multi_class', ['ovr', 'ovo'])
@pytest.mark.parametrize('average', ['macro', 'weighted'])
def test_roc_auc_of_several_classes(multi_class, average):
    x, y = torch.randn(60, 4).round(), torch.arange(60) % 7 % 4
    theirs = skm.roc_auc_score(y, x.softmax(1).double(), multi_class=multi_class, average=average)
    same(by_epoch(RocAuc(average=average, multi_class=multi_class), x, y), theirs)

def test_scores_of_two_classes():
    x, y, args = torch.randn(40, 2), torch.randint(0, 2, (40,)), dict(sample_weight=torch.rand(40), max_fpr=.4)
    p = x.softmax(1)[:, 1]
    same(by_epoch(RocAucBinary(**args), x, y), skm.roc_auc_score(y, p, **args))
    for pos in 0, 1:
        same(by_epoch(APScoreBinary(pos_label=pos), x, y), skm.average_precision_score(y, p, pos_label=pos))

def test_classes_along_another_axis():
    x, y = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    flat = x.movedim(1, -1).reshape(-1, 3)
    same(F1Score(axis=1, average='macro')(x, y), skm.f1_score(y.flatten(), flat.argmax(1), average='macro'))
    same(CohenKappa(axis=1)(x, y), skm.cohen_kappa_score(y.flatten(), flat.argmax(1)))
    same(top_k_accuracy(x, y, k=2, axis=1), skm.top_k_accuracy_score(y.flatten(), flat, k=2))

def test_one_class_that_is_not_a_number():
    x, y = torch.randn(6, 3), tensor([0, 1, 2]*2)
    x[2] = math.nan
    for m in F1Score(average='macro'), HammingLoss(), BalancedAccuracy(), CohenKappa(), MatthewsCorrCoef(), RocAuc():
        assert math.isnan(by_epoch(m, x, y)), m
    assert top_k_accuracy(x, y, k=2).isnan()

# ------------------------------------------------------------------ numbers

def test_numbers():
    x, y, w = torch.randn(30, 2), torch.randn(30, 2), torch.rand(60)
    a, b = x.flatten(), y.flatten()
    same(mae(x, y), skm.mean_absolute_error(b, a))
    same(msle(x.exp(), y.exp()), skm.mean_squared_log_error(b.exp(), a.exp()))
    same(by_epoch(exp_rmspe, x, y), ((y.exp() - x.exp())/y.exp()).square().mean().sqrt())
    for m in R2Score, ExplainedVariance: same(by_epoch(m(w), x, y), getattr(skm, m().name)(b, a, sample_weight=w))
    same(by_epoch(PearsonCorrCoef(), x, y), np.corrcoef(a, b)[0, 1])

@pytest.mark.parametrize('targ', [[1., 1., 1.], [1., 2., 4.]])
@pytest.mark.parametrize('pred', [[1., 1., 1.], [1., 2., 4.], [0., 0., 3.]])
def test_numbers_that_do_not_vary(pred, targ):
    for m in R2Score(), ExplainedVariance(): same(m(tensor(pred), tensor(targ)), getattr(skm, m.name)(targ, pred))

def test_spearman_shares_ranks():
    stats = pytest.importorskip('scipy.stats')
    x, y = torch.randn(40).round(), torch.randn(40).round()
    same(SpearmanCorrCoef()(x, y), stats.spearmanr(x, y)[0])
    assert spearmanr(tensor([1., math.nan]), tensor([1., 2.])).isnan()

# ------------------------------------------------------------------ heads

def test_heads():
    def heads(*ms): return column_heads([mk_metric(m) for m in ms])
    named = (F1ScoreMulti(), 'f1_score'), (PrecisionMulti(), 'precision_score'), (RecallMulti(), 'recall_score'), \
        (JaccardMulti(), 'jaccard_score'), (HammingLossMulti(), 'hamming_loss'), (FBetaMulti(2), 'fbeta_score'), \
        (RocAucMulti(), 'roc_auc_score'), (APScoreMulti(), 'average_precision_score'), (F1Score(), 'f1_score'), \
        (BalancedAccuracy(), 'balanced_accuracy_score'), (CohenKappa(), 'cohen_kappa_score'), \
        (RocAuc(), 'roc_auc_score'), (MatthewsCorrCoef(), 'matthews_corrcoef'), (HammingLoss(), 'hamming_loss'), \
        (APScoreBinary(), 'average_precision_score'), \
        (partial(accuracy_multi, thresh=.2), 'accuracy_multi'), (R2Score(), 'r2_score'), (perplexity, 'perplexity')
    for m, head in named: assert heads(m) == [head]
    assert heads(FBetaMulti(.5), FBetaMulti(2)) == ['fbeta_score beta=0.5', 'fbeta_score beta=2.0']
    assert heads(F1ScoreMulti(), F1ScoreMulti(.2)) == ['f1_score', 'f1_score thresh=0.2']
    by_skm = [skm_to_fastai(skm.f1_score, average=a) for a in ('macro', 'micro')]
    assert heads(*by_skm) == ["f1_score average='macro'", "f1_score average='micro'"]

def test_they_survive_pickling():
    for m in F1ScoreMulti(), FBetaMulti(2), RocAucMulti(), F1Score(), RocAuc(), R2Score(), exp_rmspe, AvgLoss():
        assert pickle.loads(pickle.dumps(m)).name == m.name

# ------------------------------------------------------------------ AccumMetric, skm_to_fastai

def args_of(**kw):
    "What a function is called with by an `AccumMetric` with these arguments."
    seen = []
    def look(*args, **kwargs): seen.append((args, kwargs)); return 0.
    x, y = tensor([[2., 0.], [-1., 3.]]), tensor([0, 1])
    m = AccumMetric(look, **kw)
    m.accumulate(x, y)
    assert m.value == 0
    return seen[0]

def test_what_an_accum_metric_hands_over():
    x, y = tensor([[2., 0.], [-1., 3.]]), tensor([0, 1])
    (p, t), kw = args_of(flatten=False)
    assert torch.equal(p, x) and torch.equal(t, y) and kw == {}
    (p, t), kw = args_of(dim_argmax=-1, k=3)
    assert p.tolist() == [0, 1] and kw == dict(k=3)
    (p, t), _ = args_of(dim_argmax=1, to_np=True, invert_arg=True)
    assert isinstance(p, np.ndarray) and p.tolist() == y.tolist() and t.tolist() == [0, 1]
    (p, t), _ = args_of(activation='softmax', dim_argmax=-1, flatten=False)
    torch.testing.assert_close(p, x.softmax(1))
    (p, t), _ = args_of(activation=ActivationType.BinarySoftmax)
    torch.testing.assert_close(p, x.softmax(1)[:, 1])
    (p, t), _ = args_of(activation=ActivationType.Sigmoid, thresh=.5, flatten=False)
    assert p.tolist() == [[True, True], [False, True]] # at the threshold too

def test_rows_are_flattened_by_default():
    def length(p, t): return float(p.ndim*10 + t.ndim)
    m = AccumMetric(length, name='mine')
    m.accumulate(torch.zeros(4, 3), torch.zeros(4, 3))
    assert m.value == 11 and m.name == 'mine'
    with pytest.raises(ValueError, match='flatten=False'): AccumMetric(length)(torch.zeros(4, 3), torch.zeros(4))
    assert type(mk_metric(f1_multi)) is AccumMetric and not mk_metric(f1_multi).flatten

def test_scores_of_sklearn():
    x, y, several = torch.randn(50, 3), torch.randint(0, 3, (50,)), (torch.rand(50, 3) < .4).float()
    same(by_epoch(skm_to_fastai(skm.f1_score, average='macro'), x, y), skm.f1_score(y, x.argmax(1), average='macro'))
    r2 = skm_to_fastai(skm.r2_score, is_class=False)
    same(by_epoch(r2, x, several), skm.r2_score(several.flatten(), x.flatten()))
    m = skm_to_fastai(skm.f1_score, thresh=.3, flatten=False, average='macro')
    same(by_epoch(m, x, several), skm.f1_score(several, x.sigmoid() >= .3, average='macro'))
    m = skm_to_fastai(skm.average_precision_score, activation=ActivationType.Sigmoid, is_class=False, flatten=False)
    same(by_epoch(m, x, several), skm.average_precision_score(several, x))

def test_a_learner_may_be_handed_over():
    "As fastai's own tests and metrics do."
    x, y = torch.randn(12, 3), torch.eye(12, 3)
    for m in AvgMetric(accuracy_multi), F1ScoreMulti():
        for batch in SimpleNamespace(pred=x, yb=(y,)), SimpleNamespace(pred=x, y=y):
            m.reset()
            m.accumulate(batch)
            assert m.value == pytest.approx(float(m(x, y)))

# ------------------------------------------------------------------ metrics of one's own

class SeenMetric(Metric):
    def reset(self): self.n = tensor(0)
    def accumulate(self, learn): self.n += len(learn.yb[0])
    @property
    def value(self): return self.n

class Duck:
    "No subclass, and without a name."
    def reset(self): self.n = 0
    def accumulate(self, learn): self.n += len(learn.pred)
    @property
    def value(self): return self.n

class OldKind(AvgMetric):
    def accumulate(self, pred, targ): super().accumulate(pred + 1, targ)

def learner(metrics):
    items = [(x, (x > 0).float()) for x in torch.randn(24, 3)]
    dls = DataLoaders.from_dsets(items[:16], items[16:], bs=4, device='cpu')
    return Learner(dls, nn.Linear(3, 3), BCEWithLogitsLossFlat(), metrics=metrics)

def test_in_a_learner():
    learn = learner([SeenMetric(), Duck(), OldKind(accuracy_multi), AvgLoss(), Perplexity(), AvgSmoothLoss(),
                     ValueMetric(lambda: 7, 'lucky')])
    with learn.no_bar(), learn.no_logging():
        for _ in range(2): loss, seen, duck, _, again, surprise, smooth, lucky = learn.validate()
    assert (seen, duck, lucky) == (8, 8, 7) and type(seen) is int
    assert again == pytest.approx(loss) and surprise == pytest.approx(math.exp(loss)) and abs(smooth - loss) < .5
    assert learn.recorder.metric_names[3:5] == ['seen', 'duck']

def test_a_part_of_a_loss():
    class Parts(BCEWithLogitsLossFlat):
        def __call__(self, x, y):
            self.big = x.abs().mean()
            return super().__call__(x, y) + self.big
    learn = learner(LossMetrics('big,none', ['size', 'nothing']))
    learn.loss_func = Parts()
    with learn.no_bar(), learn.no_logging(): _, size, nothing = learn.validate()
    assert size > 0 and nothing == 0 and learn.recorder.metric_names[3:5] == ['size', 'nothing']

def test_one_without_a_value_and_one_that_fails():
    class Forgot(Metric): pass
    class Failing(Metric):
        def accumulate(self, learn): return learn.nothing_of_this_name
        @property
        def value(self): return 0
    for m, error, words in [(Forgot(), NotImplementedError, 'Forgot needs a property'),
                            (Failing(), AttributeError, 'failing')]:
        with pytest.raises(error) as e:
            learn = learner(m)
            with learn.no_bar(), learn.no_logging(): learn.validate()
        assert words in ''.join([str(e.value), *getattr(e.value, '__notes__', [])])

# ------------------------------------------------------------------ what does not fit

X, Y = torch.randn(6, 3), torch.eye(6, 3)
@pytest.mark.parametrize('make, words', [
    (lambda: F1ScoreMulti(average='makro'), "'makro'.*'macro'"), (lambda: RocAucMulti(average='binary'), "'macro'"),
    (lambda: F1Score(average='samples'), "'binary'"), (lambda: PrecisionMulti(thresh=50), 'between 0 and 1'),
    (lambda: RecallMulti(pos_label=0), 'labels='), (lambda: APScoreMulti(pos_label='cat'), 'pos_label'),
    (lambda: FBetaMulti(-1), 'from 0 up'), (lambda: FBeta('2'), 'from 0 up'),
    (lambda: RocAucMulti(max_fpr=0), 'above 0'),
    (lambda: RocAuc(multi_class='raise'), "'ovr'"), (lambda: CohenKappa(weights='cubic'), "'quadratic'"),
    (lambda: AccumMetric(mse, activation='relu'), "'sigmoid'"), (lambda: score_multi('f1', X, Y), "'f1_score'")])
def test_arguments_are_looked_at_when_they_are_given(make, words):
    with pytest.raises(ValueError, match=words): make()

@pytest.mark.parametrize('metric, x, y, words', [
    (F1ScoreMulti(sample_weight=[1, 2]), X, Y, '6 numbers'), (RocAucMulti(sample_weight=[-1]*6), X, Y, 'item 0 is -1'),
    (APScoreMulti(sample_weight=[0]*6), X, Y, 'all are 0'), (JaccardMulti(labels=[3]), X, Y, '0 to 2'),
    (PrecisionMulti(thresh=[.1, .2]), X, Y, '2 thresholds for 3'), (RocAucMulti(), X, Y - .5, 'is 0.5'),
    (RocAucMulti(), X, Y[:, :2], 'for each class'), (HammingLossMulti(), X, Y[:5], 'for each class'),
    (F1Score(), X, tensor([0, 1]*3), "average='macro'"), (F1Score(average='macro'), X, Y, 'end in Multi'),
    (F1Score(average='macro'), X, tensor([0, 1, 3]*2), 'from 0 to 2'),
    (F1Score(pos_label=2), X[:, :2], tensor([0, 1]*3), '0 or 1'),
    (RocAucBinary(), X, tensor([0, 1]*3), 'RocAuc'), (RocAuc(), X, tensor([0, 1, 5]*2), 'from 0 to 2'),
    (top_k_accuracy, X, tensor([0, 1]*3), '1 to 3'), (mae, X, Y.T, 'same number of items'),
    (R2Score(), X, Y[:, 0], 'flatten=False')])
def test_what_does_not_fit_is_refused(metric, x, y, words):
    with pytest.raises(ValueError, match=words): metric(x, y)

@pytest.mark.parametrize('cls', [*MULTI.values(), *SINGLE.values(), RocAucMulti, HammingLossMulti, R2Score, AvgLoss])
def test_brackets_that_were_forgotten(cls):
    with pytest.raises(TypeError, match=rf'{cls.__name__}\(\)'): mk_metric(cls)

def test_probabilities_are_pointed_out_where_they_are_given():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        PrecisionMulti()(X.sigmoid(), Y)
        PrecisionMulti(sigmoid=False)(X.sigmoid(), Y)
    assert [w.filename for w in seen] == [__file__]

def test_a_metric_may_use_a_name_that_gets_its_value_later():
    "Such as the learner that it is given to: nothing is known of it yet, and what stands outside still counts."
    def plain(pred, targ): return (pred*later).mean()
    def gathered(pred, targ): return f1_multi(pred, targ)*later
    kinds = [type(mk_metric(f)) for f in (plain, gathered)]
    later = 1
    assert kinds == [AvgMetric, AccumMetric]
