"What may go wrong while a training is watched: names, numbers, files, early ends of every kind."
import math, os, warnings
import numpy as np, pandas as pd, pytest, torch
import torch.nn.functional as F
from torch import nn
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.learner import *
from course_lib.schedules import *
from course_lib.tracking import *

def data(bs=4, n_valid=16, valid_bs=4):
    set_seed(0)
    x = torch.randn(32 + n_valid, 3)
    items = list(zip(x, x @ torch.randn(3, 1)))
    return DataLoaders(DataLoader(items[:32], bs=bs), DataLoader(items[32:], bs=valid_bs), device='cpu')

def make(path='.', **kwargs):
    dls = kwargs.pop('dls', None) or data()
    return Learner(dls, nn.Linear(3, 1), F.mse_loss, path=path, **kwargs)

def fit(learn, *args, method='fit', **kwargs):
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kwargs)
    return learn

def mae(pred, targ): return (pred - targ).abs().mean()
def weights(learn): return [p.detach().clone() for p in learn.model.parameters()]
def equal(a, b): return all(map(torch.equal, a, b))

class At(Callback):
    "Does something at one event of one epoch."
    order = 0
    def __init__(self, event, epoch, do, training=True):
        self.event, self.at, self.do, self.part = event, epoch, do, training

for name in event_names:
    def method(self, name=name):
        in_part = self.part == self.training or not name.endswith(('batch', 'pred', 'loss'))
        if name == self.event and self.epoch == self.at and in_part: self.do()
    setattr(At, name, method)

def raising(error):
    def do(): raise error
    return do

# ------------------------------------------------------------------ every early end, at every event

INSIDE = {
    CancelBatchException: 'before_batch after_pred after_loss before_backward after_backward before_step after_step',
    CancelTrainException: '''before_train before_batch after_pred after_loss before_backward after_backward before_step
        after_step after_batch''',
    CancelValidException: 'before_validate',
    CancelEpochException: '''before_epoch before_train before_batch after_pred after_loss before_backward
        after_backward before_step after_step after_batch after_train before_validate after_validate''',
    CancelFitException: '''before_epoch before_train before_batch after_pred after_loss before_backward after_backward
        before_step after_step after_batch after_train before_validate after_validate after_epoch''',
}
ENDS = [(error, event) for error,events in INSIDE.items() for event in events.split()]

@pytest.mark.parametrize('epoch', [0, 1])
@pytest.mark.parametrize('error, event', ENDS, ids=lambda o: getattr(o, '__name__', o))
def test_an_early_end_leaves_rows_of_what_there_was(tmp_path, error, event, epoch):
    "Also with all who watch: a row has every column, `None` for what it did not come to, and never old numbers."
    watch = [SaveModelCallback('mae'), EarlyStoppingCallback('train_loss', patience=9), CSVLogger(),
             ReduceLROnPlateau(patience=9), ShowGraphCallback()]
    learn = make(tmp_path, metrics=mae)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fit(learn, 3, .01, cbs=[At(event, epoch, raising(error)), *watch])
    rec = learn.recorder
    assert all(len(v) == 3 for v in rec.values) and len(rec.lrs) == len(rec.losses)
    assert [len(rec.log), rec.log[0]] == [5, len(rec.values) - 1] if rec.values else rec.log is None
    if error is CancelFitException: assert len(rec.values) == epoch
    else: assert len(rec.values) == 3 and len(pd.read_csv(tmp_path/'history.csv')) == 3
    if error is CancelEpochException: assert rec.values[epoch][1:] == [None, None] or event == 'after_validate'
    if error is CancelEpochException and event in ('before_epoch', 'before_train'): assert rec.values[epoch][0] is None
    if error is CancelValidException: assert rec.values[epoch][1:] == [None, None] and rec.values[epoch][0]
    if error in (CancelBatchException, CancelTrainException): assert None not in rec.values[epoch][1:]
    assert not learn.model.training and learn.xb == () and equal(weights(learn), weights(fit(learn, 0)))
    fit(learn, 1)
    assert None not in learn.recorder.values[0] # the next fit is whole
    import matplotlib.pyplot as plt
    rec.plot_loss(); plt.close('all')

@pytest.mark.parametrize('epoch', [0, 1])
@pytest.mark.parametrize('event', ['after_pred', 'before_batch', 'after_batch'])
def test_a_validation_that_is_left_counts_with_what_it_has_seen(event, epoch):
    class Third(Callback):
        order = 60
        def at(self):
            if not self.training and self.epoch == epoch and self.iter == 2: raise CancelValidException
    setattr(Third, event, Third.at)
    learn = fit(make(metrics=mae), 2, .01, cbs=Third)
    loss, error = learn.recorder.values[epoch][1:]
    n = 12 if event == 'after_batch' else 8
    at = make(metrics=mae)
    fit(at, 2, .01, cbs=At('before_validate', epoch, raising(CancelFitException)))
    xs, ys = map(torch.cat, zip(*at.dls.valid))
    with torch.no_grad(): pred = at.model(xs[:n])
    np.testing.assert_allclose([loss, error], [F.mse_loss(pred, ys[:n]), mae(pred, ys[:n])], rtol=1e-5)

def test_a_batch_that_is_left_does_not_count_with_the_loss_before_it():
    class Second(Callback):
        def before_batch(self):
            if self.iter % 2: raise CancelBatchException
    learn = fit(make(metrics=mae), 1, 0., cbs=Second)
    dls, model = learn.dls, learn.model
    parts = [F.mse_loss(model(x), y).item() for k,(x,y) in enumerate(dls.valid) if k % 2 == 0]
    assert learn.recorder.values[0][1] == pytest.approx(sum(parts)/2, rel=1e-5) and len(learn.recorder.losses) == 4

@pytest.mark.parametrize('error, event', [
    (CancelBatchException, 'before_epoch'), (CancelTrainException, 'before_validate'),
    (CancelValidException, 'before_train'), (CancelEpochException, 'before_fit'),
    (CancelStepException, 'after_loss'), (CancelTrainException, 'after_epoch')])
def test_what_ends_a_part_that_does_not_run_names_the_callback(error, event):
    learn = make()
    with pytest.raises(error) as e: fit(learn, 2, cbs=At(event, 0, raising(error)))
    assert e.value.__notes__ == [f'This happened in the callback At, at {event}.'] and not learn.model.training

def test_no_targets_at_all_are_still_refused():
    learn = make()
    with pytest.raises(ValueError, match='nothing to compare with'): learn.validate(dl=[(torch.zeros(2, 3),)])

def test_a_loss_that_is_lost_ends_it_and_keeps_the_best(tmp_path, capsys):
    class Spoil(Callback):
        def before_train(self):
            if self.epoch == 2: nn.init.constant_(self.model.weight, math.nan)
    learn = fit(make(tmp_path), 6, .01, cbs=[Spoil, SaveModelCallback()])
    assert len(learn.recorder.values) == 3 and learn.model.weight.isfinite().all()
    assert 'weights are spoilt' in capsys.readouterr().out

# ------------------------------------------------------------------ names and numbers

TRACKERS = [TrackerCallback, SaveModelCallback, EarlyStoppingCallback, ReduceLROnPlateau]

@pytest.mark.parametrize('cls', TRACKERS)
@pytest.mark.parametrize('monitor', ['accuracy', 'val_loss', 'epoch', 'time', 'MAE', ''])
def test_a_column_that_is_not_there(cls, monitor, tmp_path):
    learn = make(tmp_path, metrics=mae)
    before = weights(learn)
    with pytest.raises(ValueError, match='What can be watched: train_loss, valid_loss, mae.') as e:
        fit(learn, 1, cbs=cls(monitor))
    assert cls.__name__ in str(e.value) and equal(before, weights(learn)) and list(tmp_path.iterdir()) == []

@pytest.mark.parametrize('cls', TRACKERS)
@pytest.mark.parametrize('monitor', [mae, None, 1])
def test_a_column_is_named_by_a_text(cls, monitor):
    with pytest.raises(TypeError, match='head of a column'): cls(monitor)

@pytest.mark.parametrize('make_it, words', [
    (lambda: SaveModelCallback('valid_loss', 'best'), "comp='best'"), (lambda: TrackerCallback(comp=min), 'comp='),
    (lambda: TrackerCallback(comp=lambda a, b: True), 'np.less'),
    (lambda: TrackerCallback(min_delta='small'), 'min_delta'),
    (lambda: EarlyStoppingCallback(patience=-1), 'patience=-1'),
    (lambda: EarlyStoppingCallback(patience=1.5), 'patience'),
    (lambda: ReduceLROnPlateau(factor=.1), 'divided'), (lambda: ReduceLROnPlateau(factor=1), 'factor=1'),
    (lambda: ReduceLROnPlateau(min_lr=-1), 'min_lr=-1'),
    (lambda: SaveModelCallback(every_epoch=True, at_end=True), 'Choose one'),
    (lambda: SaveModelCallback(every_epoch=-1), 'every_epoch=-1'),
    (lambda: GradientAccumulation(0), 'n_acc=0'), (lambda: GradientAccumulation(2.5), 'n_acc=2.5'),
    (lambda: GradientClip(0), 'max_norm=0'), (lambda: GradientClip('1'), "max_norm='1'"),
    (lambda: GradientClip(norm_type=-2), 'norm_type')])
def test_numbers_are_looked_at_when_they_are_given(make_it, words):
    with pytest.raises(ValueError, match=words): make_it()

@pytest.mark.parametrize('make_it', [
    lambda: TrackerCallback(min_delta=np.float32(.1)), lambda: EarlyStoppingCallback(patience=np.int64(3)),
    lambda: EarlyStoppingCallback(patience=0), lambda: GradientClip(math.inf), lambda: GradientAccumulation(1),
    lambda: ReduceLROnPlateau(factor=2), lambda: TrackerCallback(comp=np.less_equal)])
def test_good_numbers_in_any_form(make_it): make_it()

def test_adding_up_says_what_it_counts():
    with pytest.raises(ValueError, match='64 samples in all'): fit(make(), 2, cbs=GradientAccumulation(65))
    learn = make()
    with pytest.warns(UserWarning, match='n_acc=8'): fit(learn, 1, cbs=GradientAccumulation(2))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        fit(learn, 1, cbs=GradientAccumulation(2)) # told once
        fit(make(), 2, cbs=GradientAccumulation(64))
        fit(make(), 1, cbs=GradientAccumulation(4))

def test_a_schedule_makes_a_lower_rate_useless():
    for method in 'fit_one_cycle', 'fit':
        learn = make()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            for _ in range(2): fit(learn, 2, .01, method=method, cbs=ReduceLROnPlateau)
        assert len(said) == (method == 'fit_one_cycle')

def test_nothing_was_ever_a_number(tmp_path, capsys):
    def none(pred, targ): return torch.tensor(math.nan)
    old = make(tmp_path).save('model', with_opt=False)
    learn = fit(make(tmp_path, metrics=none), 2, .01, cbs=SaveModelCallback('none'))
    assert 'has saved nothing' in capsys.readouterr().out
    assert not equal(weights(learn), weights(make(tmp_path).load('model', with_opt=False))) and old.is_file()

# ------------------------------------------------------------------ files

def test_a_save_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    learn = make(tmp_path)
    file = learn.save('model', with_opt=False)
    before = file.read_bytes()
    def half(state, path, *args, **kwargs):
        Path(path).write_bytes(b'half')
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(torch, 'save', half)
    with pytest.raises(OSError, match='No space') as e: fit(learn, 2, .01, cbs=SaveModelCallback())
    assert 'SaveModelCallback, at after_epoch' in e.value.__notes__[0]
    assert file.read_bytes() == before and [p.name for p in file.parent.iterdir()] == ['model.pth']

@pytest.mark.parametrize('cb', [SaveModelCallback, CSVLogger, lambda: CSVLogger('logs/deep/h.csv'),
                                lambda: SaveModelCallback(fname='a/b', every_epoch=True)])
def test_a_folder_that_cannot_be_written_is_found_before_the_training(tmp_path, cb):
    (tmp_path/'file').write_text('no folder')
    learn = make(tmp_path/'file')
    before = weights(learn)
    with pytest.raises(OSError, match='Give the learner a folder'): fit(learn, 1, cbs=cb())
    assert equal(before, weights(learn))

def test_rows_of_other_columns_are_not_mixed(tmp_path):
    fit(make(tmp_path), 1, cbs=CSVLogger())
    other = make(tmp_path, metrics=mae)
    with pytest.raises(ValueError, match='other columns'): fit(other, 1, cbs=CSVLogger(append=True))
    assert len(pd.read_csv(tmp_path/'history.csv')) == 1
    fit(make(tmp_path, metrics=mae), 1, cbs=CSVLogger())
    assert 'mae' in pd.read_csv(tmp_path/'history.csv').columns

def test_a_history_is_whole_after_each_epoch(tmp_path):
    class Look(Callback):
        order = 61
        def after_epoch(self): assert len(pd.read_csv(tmp_path/'history.csv')) == self.epoch + 1
    learn = make(tmp_path)
    with pytest.raises(ZeroDivisionError): fit(learn, 5, cbs=[CSVLogger(), Look(), At('before_epoch', 3, lambda: 1/0)])
    assert len(pd.read_csv(tmp_path/'history.csv')) == 3 and os.listdir(tmp_path) == ['history.csv']

# ------------------------------------------------------------------ stop, and errors

def press(): raise KeyboardInterrupt

@pytest.mark.parametrize('training', [True, False])
def test_stop_brings_the_best_back(tmp_path, capsys, training):
    def rising(pred, targ): return pred.sum()*0 + learn.epoch
    learn = make(tmp_path)
    learn.metrics = rising
    save = SaveModelCallback('rising', comp=np.less)
    fit(learn, 5, .1, cbs=[save, CSVLogger(), At('before_batch', 2, press, training)])
    assert learn.interrupted and save.best_epoch == 0 and len(pd.read_csv(tmp_path/'history.csv')) == 2
    assert equal(weights(learn), weights(make(tmp_path).load('model', with_opt=False)))
    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith('Stopped by you in epoch 3 of 5') and 'weights of epoch 0 again' in said[-1]

def test_stop_before_there_is_a_best(tmp_path, capsys):
    make(tmp_path).save('model', with_opt=False)
    learn = fit(make(tmp_path), 5, .1, cbs=[SaveModelCallback(), At('before_step', 0, press)])
    assert learn.interrupted and 'has saved nothing' in capsys.readouterr().out

def test_stop_saves_at_the_end(tmp_path):
    learn = fit(make(tmp_path), 5, .1, cbs=[SaveModelCallback(at_end=True), At('after_step', 2, press)])
    assert equal(weights(learn), weights(make(tmp_path).load('model', with_opt=False)))

@pytest.mark.parametrize('kw', [{}, dict(at_end=True)])
def test_after_an_error_all_stays_as_it_is(tmp_path, kw):
    seen = []
    learn = make(tmp_path)
    def fail():
        seen.extend(weights(learn))
        1/0
    with pytest.raises(ZeroDivisionError): fit(learn, 5, .1, cbs=[SaveModelCallback(**kw), At('before_epoch', 2, fail)])
    assert equal(weights(learn), seen) and (tmp_path/'models/model.pth').is_file()
    fit(learn, 1, .1, cbs=SaveModelCallback(**kw))

def test_trackers_are_ready_again_after_a_stop_and_an_error(tmp_path):
    learn = make(tmp_path, cbs=[SaveModelCallback(), EarlyStoppingCallback(patience=9), GradientAccumulation(8)])
    fit(learn, 2, .1, cbs=At('before_step', 1, press))
    with pytest.raises(ZeroDivisionError): fit(learn, 2, .1, cbs=At('after_loss', 1, lambda: 1/0))
    fit(learn, 2, .1)
    assert len(learn.recorder.values) == 2 and learn.gradient_accumulation.count == 0

def test_gradients_that_were_not_used_up_are_gone_in_the_next_fit(tmp_path):
    "32 items, 24 for a step: a quarter of the gradients is left at the end."
    learn = make(tmp_path, opt_func=SGD)
    fit(learn, 1, .1, cbs=GradientAccumulation(24))
    assert all(p.grad is None for p in learn.model.parameters())
