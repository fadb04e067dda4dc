"""Callbacks that watch, save, stop, log, add up and clip: against hand-written loops, and fastai's numbers of a table.

The table: a score of .5 .52 .6 .6 .55 .7 .1 .1 in eight epochs. What fastai 2.8 does with it was recorded once."""
import math, warnings
import numpy as np, pandas as pd, pytest, torch
import torch.nn.functional as F
from torch import nn
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.learner import *
from course_lib.precision import *
from course_lib.schedules import *
from course_lib.tracking import *
from course_lib.transfer import * # fine_tune

SCORES = .5, .52, .6, .6, .55, .7, .1, .1

def data(n=32, bs=4, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n + 16, 3, generator=g)
    items = list(zip(x, x @ torch.randn(3, 1, generator=g) + .1))
    return DataLoaders(DataLoader(items[:n], bs=bs), DataLoader(items[n:], bs=16), device='cpu')

def says(values, name='score'):
    "A metric that is one prepared value after each epoch."
    values = iter(values)
    def score(pred, targ): return torch.tensor(float(next(values)))
    score.__name__ = name
    return score

def make(path, scores=None, name='score', opt_func=SGD, dls=None, **kwargs):
    set_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    metrics = None if scores is None else says(scores, name)
    split = lambda m: [list(m[0].parameters()), list(m[2].parameters())]
    settings = dict(opt_func=opt_func, splitter=split, metrics=metrics, path=path)
    return Learner(dls or data(), model, F.mse_loss, **settings, **kwargs)

def fit(learn, *args, method='fit', **kwargs):
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kwargs)
    return learn

def weights(learn): return torch.cat([p.detach().flatten() for p in learn.model.parameters()])

class AllWeights(Callback):
    "The weights after each epoch."
    order = 59
    def before_fit(self): self.seen = []
    def after_epoch(self): self.seen.append(weights(self.learn))

# ------------------------------------------------------------------ what is better, and when

@pytest.mark.parametrize('min_delta, best', [(0., [0, 1, 2, 5]), (.05, [0, 2, 5])])
def test_save_on_each_better_epoch(tmp_path, capsys, min_delta, best):
    learn, spy = make(tmp_path, SCORES), AllWeights()
    fit(learn, 8, .05, cbs=[SaveModelCallback('score', min_delta=min_delta), spy])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith('Better')]
    assert said == [f'Better model found at epoch {k} with score value: {float(np.float32(SCORES[k]))}.' for k in best]
    assert torch.equal(weights(learn), spy.seen[5])
    assert torch.equal(weights(make(tmp_path).load('model', with_opt=False)), spy.seen[5])

@pytest.mark.parametrize('min_delta, patience, epochs, since', [
    (0., 1, 4, 2), (0., 2, 5, 2), (0., 3, 8, None), (.05, 1, 2, 0), (.05, 2, 5, 2), (.05, 3, 8, None)])
def test_early_stopping(tmp_path, capsys, min_delta, patience, epochs, since):
    stop = EarlyStoppingCallback('score', min_delta=min_delta, patience=patience)
    learn = fit(make(tmp_path, SCORES), 8, .05, cbs=stop)
    assert len(learn.recorder.values) == epochs
    said = '' if since is None else f'No improvement since epoch {since}: early stopping\n'
    assert capsys.readouterr().out == said

@pytest.mark.parametrize('patience, rates', [(1, [.09]*4 + [.03, .01, .01, .01/3]), (2, [.09]*5 + [.03]*3),
                                             (3, [.09]*8)])
def test_reduce_lr(tmp_path, patience, rates):
    learn = fit(make(tmp_path, SCORES), 8, .09, cbs=ReduceLROnPlateau('score', patience=patience, factor=3))
    np.testing.assert_allclose(learn.recorder.lrs[::8], rates, rtol=1e-6)

def test_reduce_lr_ends_at_its_least_rate_in_every_group(tmp_path, capsys):
    learn = make(tmp_path, [1, 0, 0, 0, 0])
    fit(learn, 5, slice(.001, .1), cbs=ReduceLROnPlateau('score', min_lr=.005))
    assert {g['group']: g['lr'] for g in learn.opt.param_groups} == {0: .001, 1: .005} # never raised
    assert capsys.readouterr().out == 'Epoch 1: reducing lr to 0.01\nEpoch 2: reducing lr to 0.005\n'

@pytest.mark.parametrize('name, kw, best', [
    ('score', {}, 5), ('my_loss', {}, 6), ('error_rate', {}, 6), ('rmse', {}, 6), ('mae', {}, 6),
    ('score', dict(comp=np.less), 6), ('my_loss', dict(comp=np.greater), 5),
    ('score', dict(comp=lambda a, b: a < b), 6)])
def test_less_or_more_is_better(tmp_path, name, kw, best):
    learn = make(tmp_path, SCORES, name)
    save = SaveModelCallback(name, **kw)
    fit(learn, 8, .05, cbs=save)
    assert save.best_epoch == best and save.best == pytest.approx(SCORES[best])

def test_train_and_valid_loss_can_be_watched(tmp_path):
    for monitor,k in ('train_loss', 0), ('valid_loss', 1):
        tracker = TrackerCallback(monitor)
        learn = fit(make(tmp_path), 4, .3, cbs=tracker)
        assert tracker.best == min(v[k] for v in learn.recorder.values)

def test_nothing_is_better_than_no_number(tmp_path):
    class Note(TrackerCallback):
        def before_fit(self):
            super().before_fit()
            self.seen = []
        def after_epoch(self):
            super().after_epoch()
            self.seen.append(self.new_best)
    for scores in ([math.nan, .5, math.nan, .6], [math.inf, .5, math.nan, .4]):
        note = Note('score', comp=np.less if scores[0] == math.inf else None)
        fit(make(tmp_path, scores), 4, .05, cbs=note)
        assert note.seen == [False, True, False, True]

@pytest.mark.parametrize('reset, best', [(True, 3), (False, 1)])
def test_a_second_fit_begins_anew_or_goes_on(tmp_path, reset, best):
    "Epoch 1 of the first fit is the best of all; the second begins from it."
    scores = [.5, .9, .7, .8, .4, .2]
    learn, spy, save = make(tmp_path, scores), AllWeights(), SaveModelCallback('score', reset_on_fit=reset)
    fit(learn, 3, .05, cbs=[save, spy])
    first = spy.seen
    fit(learn, 3, .05, cbs=[save, spy])
    assert torch.equal(weights(learn), (first + spy.seen)[best])

def test_fine_tune_is_two_fits(tmp_path, capsys):
    learn = make(tmp_path, [.5, .9, .7, .8, .4])
    fit(learn, 3, 1e-2, method='fine_tune', freeze_epochs=2, cbs=SaveModelCallback('score'))
    assert [s.split()[5] for s in capsys.readouterr().out.splitlines() if 'Better' in s] == ['0', '1', '0', '1']

# ------------------------------------------------------------------ files

@pytest.mark.parametrize('every, names', [(True, [0, 1, 2, 3, 4]), (2, [0, 2, 4]), (3, [0, 3])])
def test_every_epoch(tmp_path, every, names):
    learn, spy = make(tmp_path), AllWeights()
    fit(learn, 5, .05, cbs=[SaveModelCallback(fname='e', every_epoch=every), spy])
    assert sorted(p.name for p in (tmp_path/'models').iterdir()) == [f'e_{k}.pth' for k in names]
    assert torch.equal(weights(learn), spy.seen[-1]) # nothing is loaded
    assert torch.equal(weights(make(tmp_path).load(f'e_{names[-1]}', with_opt=False)), spy.seen[names[-1]])

def test_at_end(tmp_path):
    learn = fit(make(tmp_path, SCORES), 8, .05, cbs=SaveModelCallback('score', fname='z', at_end=True))
    assert torch.equal(weights(learn), weights(make(tmp_path).load('z', with_opt=False)))

@pytest.mark.parametrize('fname', ['deep/er/best', 'best.pth', Path('best'), 'v1.2'])
def test_names_of_files(tmp_path, fname):
    save = SaveModelCallback(fname=fname)
    fit(make(tmp_path), 2, .05, cbs=save)
    assert save.last_saved_path == tmp_path/'models'/(str(fname).removesuffix('.pth') + '.pth')
    assert save.last_saved_path.is_file() and torch.equal(weights(make(tmp_path).load(fname, with_opt=False)),
                                                          weights(make(tmp_path).load(fname, with_opt=False)))

def test_the_optimiser_comes_back_but_not_its_rate(tmp_path):
    learn = make(tmp_path, SCORES, opt_func=Adam)
    fit(learn, 8, .05, method='fit_one_cycle', cbs=SaveModelCallback('score', with_opt=True))
    steps = {int(s['step']) for s in learn.opt.state.values()}
    assert steps == {6*8} and {g['lr'] for g in learn.opt.param_groups} == {.05}
    assert {g['betas'] for g in learn.opt.param_groups} == {(.9, .99)}

def test_history(tmp_path):
    log = CSVLogger('logs/h.csv')
    learn = fit(make(tmp_path, [.5, math.nan]), 2, .05, cbs=log)
    df = pd.read_csv(tmp_path/'logs/h.csv')
    assert list(df.columns) == list(learn.recorder.metric_names) == list(log.read_log().columns)
    np.testing.assert_array_equal(df.iloc[:, 1:4].astype('float32'), np.array(learn.recorder.values, dtype='float32'))

def test_history_of_two_fits(tmp_path):
    learn = make(tmp_path, cbs=CSVLogger())
    fit(learn, 2, .05); fit(learn, 3, .05)
    assert list(learn.csv_logger.read_log().epoch) == [0, 1, 2]
    learn.csv_logger.append = True
    fit(learn, 2, .05)
    assert list(learn.csv_logger.read_log().epoch) == [0, 1, 2, 0, 1]

def test_heads_with_commas(tmp_path):
    fit(make(tmp_path, [.5], 'f1, of all "names"'), 1, .05, cbs=CSVLogger())
    assert 'f1, of all "names"' in pd.read_csv(tmp_path/'history.csv').columns

# ------------------------------------------------------------------ gradients

def by_hand(n_epoch, lr, n_acc=None, clip=None, norm_type=2.):
    "A plain loop over the batches of four."
    learn = make('.')
    model, opt = learn.model, torch.optim.SGD(learn.model.parameters(), lr=lr)
    count = 0
    for _ in range(n_epoch):
        for xb,yb in learn.dls.train:
            loss = F.mse_loss(model(xb), yb)
            (loss if n_acc is None else loss*len(yb)/n_acc).backward()
            count += len(yb)
            if n_acc and count < n_acc: continue
            count = 0
            if clip: nn.utils.clip_grad_norm_(model.parameters(), clip, norm_type)
            opt.step(); opt.zero_grad()
    return torch.cat([p.detach().flatten() for p in model.parameters()])

@pytest.mark.parametrize('cbs, kw', [
    ([GradientAccumulation(8)], dict(n_acc=8)), ([GradientAccumulation(10)], dict(n_acc=10)),
    ([GradientAccumulation(4)], dict(n_acc=4)), ([GradientClip(.3)], dict(clip=.3)),
    ([GradientClip(.2, 1.)], dict(clip=.2, norm_type=1.)),
    ([GradientClip(.1, math.inf)], dict(clip=.1, norm_type=math.inf)),
    ([GradientClip(.1), GradientAccumulation(8)], dict(n_acc=8, clip=.1)),
    ([GradientAccumulation(8), GradientClip(.1)], dict(n_acc=8, clip=.1))])
def test_adding_up_and_clipping(tmp_path, cbs, kw):
    learn = fit(make(tmp_path), 3, .1, cbs=cbs)
    torch.testing.assert_close(weights(learn), by_hand(3, .1, **kw), rtol=1e-5, atol=1e-7)

def test_small_batches_added_up_are_a_large_batch(tmp_path):
    small = fit(make(tmp_path), 3, .1, cbs=GradientAccumulation(16))
    large = fit(make(tmp_path, dls=data(bs=16)), 3, .1)
    torch.testing.assert_close(weights(small), weights(large), rtol=1e-5, atol=1e-7)

def test_the_loss_is_recorded_as_it_is(tmp_path):
    plain, added = (fit(make(tmp_path), 1, 0., cbs=cbs) for cbs in (None, GradientAccumulation(8)))
    assert plain.recorder.losses == added.recorder.losses and plain.recorder.values == added.recorder.values

def test_a_callback_may_change_the_loss_that_goes_back_in_place(tmp_path):
    class Double(Callback):
        def after_loss(self): self.learn.loss_grad *= 2
    plain, double = (fit(make(tmp_path), 1, lr, cbs=cbs) for lr,cbs in ((.2, None), (.1, Double)))
    torch.testing.assert_close(weights(plain), weights(double))
    np.testing.assert_allclose(plain.recorder.losses, double.recorder.losses, rtol=1e-5)

def test_a_count_goes_on_over_the_end_of_an_epoch(tmp_path):
    "32 items, 24 for a step: in three epochs there are four steps."
    class Steps(Callback):
        n = 0
        def after_step(self): self.n += 1
    steps = Steps()
    fit(make(tmp_path), 3, .1, cbs=[steps, GradientAccumulation(24)])
    assert steps.n == 4

@pytest.mark.parametrize('cbs, kw', [
    ([], {}), ([GradientAccumulation(8)], dict(n_acc=8)), ([GradientClip(.1)], dict(clip=.1)),
    ([GradientAccumulation(8), GradientClip(.1)], dict(n_acc=8, clip=.1))])
def test_a_scaled_loss_changes_nothing(tmp_path, cbs, kw):
    "Gradients are unscaled once, when they are complete, and before they are clipped."
    learn = make(tmp_path, cbs=LossScaler('cpu'))
    fit(learn, 3, .1, cbs=cbs)
    torch.testing.assert_close(weights(learn), by_hand(3, .1, **kw), rtol=1e-4, atol=1e-6)

def test_half_precision_adds_up_and_clips(tmp_path):
    learn = fit(make(tmp_path).to_bf16(), 2, .1, cbs=[GradientAccumulation(8), GradientClip(.1)])
    torch.testing.assert_close(weights(learn), by_hand(2, .1, n_acc=8, clip=.1), rtol=.05, atol=.01)

def test_sgd_without_momentum_stays_without(tmp_path):
    learn = fit(make(tmp_path), 1, .1, method='fit_one_cycle')
    assert not any(g['momentum'] for g in learn.opt.param_groups) and set(learn.recorder.moms) == {0.}
    learn = fit(make(tmp_path, opt_func=partial(SGD, mom=.9)), 1, .1, method='fit_one_cycle')
    assert learn.recorder.moms[0] == .95

# ------------------------------------------------------------------ the small ones

@pytest.mark.parametrize('pct, n', [(.3, 3), (.01, 1), (1., 8)])
def test_short_epochs(tmp_path, pct, n):
    "As in fastai it leaves at the end of a batch, before the recorder has its turn."
    learn = fit(make(tmp_path), 2, .1, cbs=ShortEpochCallback(pct))
    assert len(learn.recorder.losses) == 2*n and all(len(v) == 2 and None not in v for v in learn.recorder.values)

def test_frozen_batch_norm_stands_still():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1), nn.BatchNorm1d(1), nn.BatchNorm1d(1, affine=False))
    model[0].requires_grad_(False)
    learn = Learner(data(), model, F.mse_loss, cbs=BnFreeze)
    fit(learn, 1, .1)
    assert [m.num_batches_tracked.item() for m in (model[0], model[2], model[3])] == [0, 8, 8]

def test_dropout_that_stays_on():
    learn = Learner(data(), nn.Sequential(nn.Linear(3, 50), nn.Dropout(.5), nn.Linear(50, 1)), F.mse_loss)
    with learn.no_bar():
        assert torch.equal(learn.get_preds()[0], learn.get_preds()[0])
        a, b = (learn.get_preds(cbs=MCDropoutCallback)[0] for _ in range(2))
    assert not torch.equal(a, b) and not learn.model[1].training

def test_collected_and_fetched(tmp_path):
    learn, data_cb, fetch = make(tmp_path, [.1, .2]), CollectDataCallback(), FetchPredsCallback()
    fit(learn, 2, .1, cbs=[fetch, data_cb])
    assert len(data_cb.data) == 18 + 2 and len(learn.recorder.values) == 2 # it sees those that are fetched too
    assert torch.equal(fetch.preds[0], learn.get_preds()[0])
    same = fit(make(tmp_path, [.1, .2]), 2, .1)
    assert [list(v) for v in same.recorder.values] == [list(v) for v in learn.recorder.values]

def test_a_function_before_each_batch(tmp_path):
    @before_batch_cb
    def zero(self, xb, yb): return (xb[0]*0,), yb
    class Seen(Callback):
        order = 1
        def before_batch(self): assert not self.x.any() and self.y.any()
    fit(make(tmp_path), 1, .1, cbs=[zero, Seen])

# ------------------------------------------------------------------ what a callback can ask

def test_counts_are_fastais(tmp_path):
    "Two epochs of four batches, and one of validation."
    seen = []
    class Spy(Callback):
        def before_epoch(self): self.note('be')
        def before_batch(self): self.note('bb')
        def after_batch(self): self.note('ab')
        def after_epoch(self): self.note('ae')
        def after_fit(self): self.note('af')
        def note(self, e): seen.append((e, self.training, self.train_iter, self.pct_train))
    learn = make(tmp_path, dls=data(bs=8))
    assert (learn.n_epoch, learn.train_iter, learn.pct_train) == (1, 0, 0.)
    fit(learn, 2, .1, cbs=Spy)
    expected = []
    for k in range(2):
        expected.append(('be', False, 4*k, k/2))
        for i in range(4): expected += [('bb', True, 4*k + i, k/2 + i/8), ('ab', True, 4*k + i + 1, k/2 + (i + 1)/8)]
        expected += [(e, False, 4*k + 4, (k + 1)/2) for e in ('bb', 'ab', 'ae')]
    assert seen == [*expected, ('af', False, 8, 1.)]

def test_x_and_y(tmp_path):
    seen = []
    class Spy(Callback):
        def after_pred(self): seen.append((self.x is self.xb[0], self.y is self.yb[0], self.learn.x.shape))
    learn = make(tmp_path)
    fit(learn, 1, .1, cbs=Spy)
    assert seen[0] == (True, True, (4, 3)) and learn.x is None
    learn.xb = torch.zeros(1), torch.ones(1)
    assert isinstance(learn.x, tuple)

def test_a_callback_that_was_switched_off_is_on_in_the_next_fit(tmp_path):
    class Once(Callback):
        n = 0
        def before_fit(self):
            self.n += 1
            if self.n == 1: self.run = False
        def before_epoch(self): self.seen = self.n
    learn = make(tmp_path, cbs=Once)
    fit(learn, 1); assert not hasattr(type(learn.once), 'seen') and 'seen' not in vars(learn.once)
    fit(learn, 1); assert learn.once.seen == 2

def test_start_epoch_goes_on_as_if_it_had_never_stopped(tmp_path):
    whole = make(tmp_path, opt_func=Adam, cbs=SaveModelCallback(fname='w', every_epoch=True, with_opt=True))
    fit(whole, 4, .05, method='fit_one_cycle')
    rest = make(tmp_path, opt_func=Adam).load('w_1')
    fit(rest, 4, .05, method='fit_one_cycle', start_epoch=2)
    assert torch.equal(weights(whole), weights(rest))
    assert rest.recorder.lrs == whole.recorder.lrs[16:] and [rest.recorder.log[0], rest.train_iter] == [3, 16]

def test_what_was_recorded(tmp_path):
    learn = fit(make(tmp_path, SCORES), 2, .1)
    assert learn.final_record is learn.recorder.values[1] and len(learn.final_record) == 3
    assert learn.recorder.hps == {'lr': [.1]*16, 'mom': [0.]*16}
    assert learn.smooth_loss.item() == pytest.approx(learn.recorder.losses[-1])

def test_reset_opt(tmp_path):
    learn = fit(make(tmp_path, opt_func=Adam), 1, .05)
    fit(learn, 1, .05)
    assert {int(s['step']) for s in learn.opt.state.values()} == {16}
    fit(learn, 1, .05, reset_opt=True)
    assert {int(s['step']) for s in learn.opt.state.values()} == {8}

def test_training_loop_is_printed(tmp_path, capsys):
    learn = make(tmp_path, cbs=[GradientClip, EarlyStoppingCallback])
    learn.show_training_loop()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'Start Fit' and lines[1].startswith('   - before_fit     : [Recorder, ProgressCallback')
    assert '         - before_step    : [GradientClip]' in lines and lines[-1].startswith(' - after_fit      : [')
    assert [cb.name for cb in learn.ordered_cbs('after_epoch')][-2:] == ['early_stopping', 'terminate_on_na_n']

# ------------------------------------------------------------------ together

def test_order(tmp_path, capsys):
    learn = fit(make(tmp_path, SCORES), 8, .05, cbs=[EarlyStoppingCallback('score', patience=2), CSVLogger(),
                ReduceLROnPlateau('score'), SaveModelCallback('score')])
    assert [type(o) for o in learn.cbs] == [Recorder, ProgressCallback, TerminateOnNaNCallback]
    assert [line.split(':')[0] for line in capsys.readouterr().out.splitlines()][-3:] == [
        'Epoch 3', 'Epoch 4', 'No improvement since epoch 2']
    assert len(pd.read_csv(tmp_path/'history.csv')) == 5

def test_a_search_for_a_rate_leaves_them_alone(tmp_path, capsys):
    cbs = [SaveModelCallback(), EarlyStoppingCallback(), ReduceLROnPlateau(), CSVLogger(), ShowGraphCallback()]
    learn = make(tmp_path, cbs=cbs)
    with learn.no_bar(), warnings.catch_warnings():
        warnings.simplefilter('error')
        learn.lr_find(num_it=30, stop_div=False, show_plot=False, suggest_funcs=None)
    assert len(learn.recorder.lrs) == 30 and list(tmp_path.iterdir()) == [] and capsys.readouterr().out == ''
    fit(learn, 2, .05)
    assert (tmp_path/'models/model.pth').is_file() and len(pd.read_csv(tmp_path/'history.csv')) == 2

def test_two_of_a_kind(tmp_path):
    low, high = SaveModelCallback(fname='low'), SaveModelCallback('score', fname='high')
    learn = fit(make(tmp_path, SCORES), 8, .05, cbs=[low, high])
    assert high.best_epoch == 5 and sorted(p.stem for p in (tmp_path/'models').iterdir()) == ['high', 'low']
    assert torch.equal(weights(learn), weights(make(tmp_path).load('high', with_opt=False))) # the last one loads last

def test_a_graph_without_a_screen(tmp_path):
    import matplotlib.pyplot as plt
    plt.close('all')
    graph = ShowGraphCallback()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fit(make(tmp_path), 3, .05, cbs=graph)
    assert len(plt.get_fignums()) == 1 and graph.ax.get_xlim() == (0, 24) and len(graph.ax.lines) == 2
    plt.close('all')
