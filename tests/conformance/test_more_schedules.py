"Schedules of the room `rates` as whole lists against closed forms, and rules for a rate against fastai's numbers."
import math
import numpy as np, pytest, torch
from torch import nn
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.learner import *
from course_lib.rates import *
from course_lib.schedules import *

def make(bs=4, **kwargs):
    set_seed(0)
    x = torch.randn(48, 3)
    items = list(zip(x, x @ torch.randn(3, 1)))
    dls = DataLoaders(DataLoader(items[:32], bs=bs), DataLoader(items[32:], bs=16), device='cpu')
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    return Learner(dls, model, nn.MSELoss(), splitter=lambda m: [list(o.parameters()) for o in m], **kwargs)

def fit(learn, method, *args, **kwargs):
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kwargs)
    return learn

def cosine(pos, start, end): return start + (end - start)*(1 - math.cos(math.pi*pos))/2
def same(a, b): np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)

POS = 0, .3, .5, 1

@pytest.mark.parametrize('sched, values', [
    (SchedLin(1., .1), [1., .73, .55, .1]), (SchedNo(1., .1), [1.]*4), (SchedPoly(1., .1, 2), [1., .919, .775, .1]),
    (SchedPoly(1., .1, .5), [1 - .9*p**.5 for p in POS]), (SchedPoly(1., .1, 1), [1., .73, .55, .1])])
def test_shapes(sched, values): same([sched(p) for p in POS], values)

@pytest.mark.parametrize('f', [SchedLin, SchedNo, partial(SchedPoly, power=2)])
def test_shapes_of_arrays(f):
    start, end = np.array([1., 10.]), np.array([0., 5.])
    for p in POS: same(f(start, end)(p), [f(a, b)(p) for a,b in zip(start, end)])

@pytest.mark.parametrize('kw', [{}, dict(div_final=100, pct_start=.5), dict(pct_start=.01)])
def test_flat_cos(kw):
    learn = fit(make(), 'fit_flat_cos', 4, .1, **kw)
    pct, end = kw.get('pct_start', .75), .1/kw.get('div_final', 1e5)
    at = lambda p: .1 if p < pct else cosine((p - pct)/(1 - pct), .1, end)
    same(learn.recorder.lrs, [at(k/32) for k in range(32)])
    assert set(learn.recorder.moms) == {.9} # not touched

def test_flat_cos_of_groups():
    seen = []
    class Spy(Callback):
        order, run_valid = 70, False
        def before_batch(self): seen.append({g['group']: g['lr'] for g in self.opt.param_groups})
    fit(make(), 'fit_flat_cos', 2, slice(.01, .1), cbs=Spy)
    assert seen[0] == {0: .01, 1: .1} and all(s[1] == pytest.approx(10*s[0]) for s in seen)

CYCLES = (1, 1, 2), (2, 1, 2), (3, 1, 2), (4, 1, 2), (2, 3, 2), (3, 1, 3), (3, 2, 1), (5, 1, 2)

@pytest.mark.parametrize('n, length, mult', CYCLES)
def test_sgdr(n, length, mult):
    "Each cycle begins at its top, and ends just above nothing."
    learn = fit(make(bs=8), 'fit_sgdr', n, length, .1, cycle_mult=mult)
    expected = [cosine(k/(4*m), .1, 0) for m in [length*mult**i for i in range(n)] for k in range(4*m)]
    same(learn.recorder.lrs, expected)
    assert len(learn.recorder.values) == sum(length*mult**i for i in range(n))

@pytest.mark.parametrize('method, args, n', [
    ('fit_flat_cos', (4, .1), 4), ('fit_sgdr', (2, 1, .1), 3), ('fit_one_cycle', (4, .1), 4)])
def test_going_on(method, args, n):
    whole = fit(make(), method, *args)
    rest = fit(make(), method, *args, start_epoch=n-1)
    same(rest.recorder.lrs, whole.recorder.lrs[-8:])
    assert [v[0] for v in [rest.recorder.log]] == [n-1] and len(rest.recorder.values) == 1

@pytest.mark.parametrize('method, args', [('fit_flat_cos', (2,)), ('fit_sgdr', (1, 2)), ('fit_one_cycle', (2,))])
def test_the_learners_rate_weight_decay_and_a_new_optimiser(method, args):
    learn = fit(make(lr=.02), method, *args, wd=.3)
    assert max(learn.recorder.lrs) == pytest.approx(.02, rel=.05)
    assert {g['weight_decay'] for g in learn.opt.param_groups if g['decay']} == {.3}
    old = learn.opt
    fit(learn, method, *args, reset_opt=True)
    assert learn.opt is not old and {int(s['step']) for s in learn.opt.state.values()} == {16}

def test_one_cycle_of_any_momentum_and_div():
    learn = fit(make(), 'fit_one_cycle', 2, .1, div=10, moms=(.9, .8, .7))
    assert learn.recorder.lrs[0] == pytest.approx(.01) and learn.recorder.moms[0] == .9
    same(learn.recorder.moms[4:], [cosine((k/16 - .25)/.75, .8, .7) for k in range(4, 16)])

@pytest.mark.parametrize('method, args, words', [
    ('fit_sgdr', (0, 1), 'n_cycles=0'), ('fit_sgdr', (2, .5), 'cycle_len=0.5'), ('fit_flat_cos', (.1,), 'n_epoch'),
    ('fit_flat_cos', (2, -1.), 'lr=-1'), ('fit_sgdr', (2, 1, 'high'), "'high'")])
def test_bad_arguments(method, args, words):
    with pytest.raises(ValueError, match=words): fit(make(), method, *args)

@pytest.mark.parametrize('start', [-1, .5, '2', None])
def test_bad_starts(start):
    for method in 'fit', 'fit_one_cycle', 'fit_flat_cos':
        with pytest.raises(ValueError, match=f'start_epoch={start!r}'): fit(make(), method, 2, start_epoch=start)

def test_nothing_is_left_to_go_on_with():
    assert fit(make(), 'fit', 2, start_epoch=2).recorder.values == []

# ------------------------------------------------------------------ rules

# What fastai 2.8's rules give on these curves: rate, point.
RECORDED = dict(
    valley=[(0.0046416, 0.0046416, 0.67588), (0.0046416, 0.0046416, 0.66862), (0.0068129, 0.0068129, 0.61883),
        (0.0056234, 0.0056234, 0.646), (0.0046416, 0.0046416, 0.65463), (0.0068129, 0.0068129, 0.6244)],
    slide=[(0.56234, 0.56234, 1.0395), (0.56234, 0.56234, 1.0395), (0.56234, 0.56234, 1.0395), (0.56234, 0.56234,
        1.0395), (0.56234, 0.56234, 1.0395), (0.56234, 0.56234, 1.0395)],
    minimum=[(0.021544, 0.21544, 0.20658), (0.017783, 0.17783, 0.20138), (0.021544, 0.21544, 0.213), (0.021544,
        0.21544, 0.15932), (0.021544, 0.21544, 0.19961), (0.017783, 0.17783, 0.22213)],
    steep=[(0.0017783, 0.0017783, 0.8181), (0.00031623, 0.00031623, 1.0424), (0.008254, 0.008254, 0.62649),
        (0.0008254, 0.0008254, 0.89576), (1.7783e-05, 1.7783e-05, 1.0451), (0.0026102, 0.0026102, 0.75551)],
)

def curve(k, n=85):
    rng = np.random.default_rng(k)
    falls = np.r_[1 + .02*rng.standard_normal(30), np.linspace(1, .2, 35) + .02*rng.standard_normal(35)]
    return np.geomspace(1e-6, 10, n), np.r_[falls, np.linspace(.25, 4, 20)]

@pytest.mark.parametrize('rule', [valley, slide, minimum, steep])
@pytest.mark.parametrize('kind', [list, np.asarray, torch.tensor], ids=['list', 'array', 'tensor'])
def test_rules_give_what_fastais_give(rule, kind):
    for k,values in enumerate(RECORDED[rule.__name__]):
        lr, point = rule(*map(kind, curve(k)), 100)
        np.testing.assert_allclose([lr, *point], values, rtol=2e-4)

def test_rules_from_the_description():
    lrs, losses = curve(0)
    assert minimum(lrs, losses)[0] == pytest.approx(lrs[losses.argmin()]/10)
    slopes = [(losses[i+1] - losses[i])/math.log(lrs[i+1]/lrs[i]) for i in range(len(lrs) - 1)]
    assert steep(lrs, losses)[0] == lrs[slopes.index(min(slopes))]

@pytest.mark.parametrize('rule', [valley, slide, minimum, steep])
@pytest.mark.parametrize('n', [1, 2, 10, 16])
def test_rules_take_short_curves(rule, n):
    lrs = np.geomspace(1e-6, 1, max(n, 2))[:n]
    lr, (at, loss) = rule(lrs, np.linspace(1, .5, n))
    assert math.isfinite(lr) and at in lrs and .5 <= loss <= 1

def test_slide_can_be_adjusted():
    lrs, losses = curve(1)
    assert partial(slide, adjust_value=.5)(lrs, losses)[0] == pytest.approx(slide(lrs, losses)[0]/2)
    assert slide(lrs, losses, lr_diff=5)[0] != slide(lrs, losses, lr_diff=30)[0]

def test_several_suggestions_by_their_names():
    import matplotlib.pyplot as plt
    learn = make(bs=1)
    with learn.no_bar():
        found = learn.lr_find(stop_div=False, suggest_funcs=(minimum, steep, partial(valley), SuggestionMethod.Slide))
        alone = make(bs=1).lr_find(stop_div=False, show_plot=False, suggest_funcs=SuggestionMethod.Valley)
    assert type(found).__name__ == 'SuggestedLRs' and found._fields == ('minimum', 'steep', 'valley', 'slide')
    assert found.valley == alone.valley and len(plt.gca().lines) == 5
    plt.close('all')

def test_a_rule_of_ones_own_gets_tensors():
    "As those written for fastai expect."
    def lowest(lrs, losses, num_it): return lrs[losses.argmin()].item(), (lrs[losses.argmin()].item(), losses.min())
    assert make(bs=1).lr_find(stop_div=False, show_plot=False, suggest_funcs=lowest).lowest > 0
