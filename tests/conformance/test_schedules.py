"""Schedules as whole lists against closed forms, the valley rule, and a learning rate finder that leaves no trace."""
import math, os, random
import numpy as np, pytest, torch
from torch import nn
from hypothesis import given, strategies as st
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.draws import item_rng
from course_lib.learner import *
from course_lib.losses import *
from course_lib.schedules import *
from course_lib.transfer import *

def loaders(n=64, bs=8, seed=0, noise=0.):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=g)
    y = x @ torch.randn(6, 2, generator=g) + noise*torch.randn(n, 2, generator=g)
    class Noisy: # draws in loading, so that the random state matters
        def __len__(self): return n
        def __getitem__(self, i): return x[i] + .01*item_rng().random() + .001*np.random.rand(), y[i]
    train, valid = DataLoader(Noisy(), bs=bs, shuffle=True), DataLoader(list(zip(x, y)), bs=bs)
    return DataLoaders(train, valid, path='/nowhere/to/write')

def net():
    body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(.2))
    return nn.Sequential(body, nn.Sequential(nn.Linear(16, 2)))

def learner(splitter=None, **kwargs):
    set_seed(0)
    split = splitter or (lambda m: [list(m[0].parameters()), list(m[1].parameters())])
    return Learner(loaders(**kwargs), net(), nn.MSELoss(), splitter=split)

def quiet(learn): return learn.no_bar(), learn.no_logging()

def fit(learn, f):
    a, b = quiet(learn)
    with a, b: f()
    return learn

# Whole lists

def cosine(start, end, n): return [start + (end-start)*(1-math.cos(math.pi*i/n))/2 for i in range(n)]

@pytest.mark.parametrize('epochs, pct', [(1, .25), (3, .25), (5, .3), (2, .99)])
def test_one_cycle_rates_and_momentum(epochs, pct):
    learn = learner()
    fit(learn, lambda: learn.fit_one_cycle(epochs, 1e-2, pct_start=pct))
    n = epochs*8
    def at(i, a, b, c):
        p = i/n
        return a + (b-a)*(1-math.cos(math.pi*p/pct))/2 if p < pct else b + (c-b)*(1-math.cos(math.pi*(p-pct)/(1-pct)))/2
    np.testing.assert_allclose(learn.recorder.lrs, [at(i, 1e-2/25, 1e-2, 1e-7) for i in range(n)], rtol=1e-9)
    np.testing.assert_allclose(learn.recorder.moms, [at(i, .95, .85, .95) for i in range(n)], rtol=1e-9)

def test_fine_tune_is_two_cycles_with_fastais_numbers():
    learn, seen = learner(), []
    class Watch(Callback):
        order, run_valid = 70, False
        def before_batch(self): seen.append([g['lr'] for g in self.opt.param_groups if g['decay']])
    fit(learn, lambda: learn.fine_tune(2, 4e-3, cbs=Watch()))
    heads = [g[-1] for g in seen]
    frozen = combined_cos(.99, 4e-3/25, 4e-3, 4e-3/1e5)
    full = combined_cos(.3, 2e-3/5, 2e-3, 2e-3/1e5)
    np.testing.assert_allclose(heads, [frozen(i/8) for i in range(8)] + [full(i/16) for i in range(16)], rtol=1e-9)
    np.testing.assert_allclose([g[0]/g[-1] for g in seen[8:]], [1/100]*16, rtol=1e-6)

def test_exponential():
    f = SchedExp(1e-7, 10)
    np.testing.assert_allclose([f(i/100) for i in range(101)], np.geomspace(1e-7, 10, 101), rtol=1e-12)

def test_lr_find_rates_are_geometric():
    learn = learner()
    fit(learn, lambda: learn.lr_find(num_it=40, stop_div=False, show_plot=False, suggest_funcs=None))
    np.testing.assert_allclose(learn.recorder.lrs, [1e-7*(10/1e-7)**(i/40) for i in range(40)], rtol=1e-9)
    assert len(learn.recorder.losses) == 40

# The valley rule

def brute(losses):
    """Straight from the description: the first longest falling subsequence, by all ends.

    Then a third and a sixth into it."""
    n = len(losses)
    best = [1]*n
    for i in range(n): best[i] = 1 + max([best[j] for j in range(i) if losses[j] > losses[i]], default=0)
    top = max(best)
    if top == 1: return 0
    end = best.index(top)
    start = end - top
    return start + int(top/3) + int(top/3/2)

@given(st.lists(st.floats(0, 10), min_size=1, max_size=60))
def test_valley_rule(losses):
    lrs = np.geomspace(1e-7, 10, max(2, len(losses)))[:len(losses)]
    lr, (at, loss) = valley(lrs, losses)
    assert lr == at == lrs[brute(losses)] and loss == losses[brute(losses)]

@pytest.mark.parametrize('a, b, expect', [(0, 100, 49), (20, 50, 34)])
def test_valley_of_a_plain_fall(a, b, expect):
    losses = [1.]*a + list(np.linspace(1, .1, b-a)) + list(np.linspace(.2, 5, 100-b))
    lrs = np.arange(100.)
    assert abs(valley(lrs, losses)[0] - expect) <= 2

# Nothing is left behind

def bits(learn):
    opt = None if learn.opt is None else learn.opt.state_dict()
    def flat(o):
        if isinstance(o, torch.Tensor): return (o.dtype, o.clone())
        if isinstance(o, dict): return {k: flat(v) for k,v in o.items()}
        if isinstance(o, (list, tuple)): return [flat(v) for v in o]
        return o
    rng = random.getstate(), flat(torch.get_rng_state()), [np.asarray(v).tolist() for v in np.random.get_state()]
    return dict(model=flat(dict(learn.model.state_dict())), opt=flat(opt), rng=list(rng), frozen=learn.frozen_idx,
                modes=[m.training for m in learn.model.modules()],
                grads=[p.requires_grad for p in learn.model.parameters()])

def same(a, b):
    if isinstance(a, torch.Tensor): return torch.equal(a, b)
    if isinstance(a, dict): return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    return a == b

def before_training(learn): pass
def after_fit(learn): learn.fit(1, 1e-2)
def frozen(learn): learn.freeze()
def after_fine_tune(learn): learn.fine_tune(1, 1e-2)

@pytest.mark.parametrize('prepare', [before_training, after_fit, frozen, after_fine_tune])
@pytest.mark.parametrize('end_lr', [10, 1e6])
def test_lr_find_leaves_no_trace(prepare, end_lr):
    learn = learner()
    fit(learn, lambda: prepare(learn))
    torch.rand(3); random.random(); np.random.rand()
    old, dls, cbs = bits(learn), learn.dls, list(learn.cbs)
    fit(learn, lambda: learn.lr_find(end_lr=end_lr, num_it=60, show_plot=False))
    new = bits(learn)
    for k in old: assert same(old[k], new[k]), k
    assert learn.dls is dls and learn.cbs == cbs

@pytest.mark.parametrize('prepare', [before_training, after_fine_tune])
def test_the_training_that_follows_is_the_same(prepare):
    def run(look):
        learn = learner()
        fit(learn, lambda: prepare(learn))
        if look: fit(learn, lambda: learn.lr_find(show_plot=False))
        fit(learn, lambda: learn.fine_tune(1, 5e-3))
        return bits(learn)
    a, b = run(False), run(True)
    for k in a: assert same(a[k], b[k]), k

def test_no_trace_after_an_error():
    learn = learner()
    fit(learn, lambda: learn.fit(1))
    old = bits(learn)
    class Trip(Callback):
        def after_batch(self):
            if len(self.recorder.lrs) == 5: raise RuntimeError('tripped')
    learn.add_cb(Trip())
    with pytest.raises(RuntimeError, match='tripped'): fit(learn, lambda: learn.lr_find(show_plot=False))
    new = bits(learn)
    for k in old: assert same(old[k], new[k]), k

def test_suggestion_twice_the_same_and_no_folder_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn = learner()
    a = learn.lr_find(show_plot=False)
    b = learn.lr_find(show_plot=False)
    assert a == b and a._fields == ('valley',) and 1e-6 < a.valley < 10
    assert not os.listdir(tmp_path) and not os.path.exists('/nowhere')

def test_it_stops_when_the_loss_blows_up_and_goes_on_if_told():
    learn = learner()
    fit(learn, lambda: learn.lr_find(end_lr=1e3, show_plot=False))
    n, losses = len(learn.recorder.losses), learn.recorder.losses
    assert n < 100 and losses[-1] > 4*min(losses) and all(v <= 4*min(losses[:i+1]) for i,v in enumerate(losses[:-1]))
    fit(learn, lambda: learn.lr_find(stop_div=False, show_plot=False))
    assert len(learn.recorder.losses) == 100

def test_more_batches_than_an_epoch_and_fewer():
    for bs in 4, 64:
        learn = learner(bs=bs)
        fit(learn, partial(learn.lr_find, num_it=30, stop_div=False, show_plot=False))
        assert len(learn.recorder.losses) == 30

def test_it_names_bad_settings():
    learn = learner()
    with pytest.raises(ValueError, match='num_it'): learn.lr_find(num_it=3)
    with pytest.raises(ValueError, match='start_lr'):
        fit(learn, lambda: learn.lr_find(start_lr=1e6, end_lr=1e9, show_plot=False))

def test_the_plot():
    import matplotlib; matplotlib.use('agg')
    import matplotlib.pyplot as plt
    learn = learner()
    found = fit(learn, lambda: None).lr_find()
    ax = plt.gca()
    assert ax.get_xscale() == 'log' and f'{found.valley:.1e}' in ax.get_legend().get_texts()[0].get_text()
    plt.close('all')
