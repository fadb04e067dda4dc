"A training that was cut short: the same cell goes on, to the same weights; anything else is named and refused."
import errno, io, os, subprocess, sys, time
from pathlib import Path
import numpy as np, pandas as pd, pytest, torch
import torch.nn.functional as F
from torch import nn
from course_lib import resume
from course_lib.core import *
from course_lib.augment import aug_transforms
from course_lib.datablock import MultiCategoryBlock
from course_lib.dataloaders import *
from course_lib.learner import *
from course_lib.metrics import accuracy_multi
from course_lib.resume import Checkpoint
from course_lib.schedules import *
from course_lib.tracking import *
from course_lib.precision import *
from course_lib.rates import *
from course_lib.transfer import *
from tests.helpers import block_maker

# ------------------------------------------------------------------ a training, and how it is cut short

def items(n=28, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [(torch.randn(6, generator=g), torch.randint(2, (2,), generator=g).float()) for _ in range(n)]

def noise(b): return b[0] + .1*torch.randn_like(b[0]), b[1]

def loaders(data=None, bs=4, **kw):
    data = items() if data is None else data
    train = DataLoader(data[:20], bs=bs, **{'shuffle': True, 'after_batch': noise, **kw})
    return DataLoaders(train, DataLoader(data[20:], bs=bs), device='cpu')

def net(n=8, act=nn.ReLU):
    return nn.Sequential(nn.Linear(6, n), nn.BatchNorm1d(n), nn.Dropout(.3), act(), nn.Linear(n, 2))

def two_groups(m): return [params(m[0]), params(m[1:])]

def make(dls=None, model=None, loss=F.binary_cross_entropy_with_logits, seed=1, **kw):
    set_seed(seed)
    return Learner(dls or loaders(), model or net(), loss, splitter=two_groups, **{'metrics': accuracy_multi, **kw})

class Crash(Callback):
    "The power fails after a number of training batches."
    order, only_shows = 3000, True # it is no part of the training
    def __init__(self, at): self.at, self.n = at, 0
    def after_batch(self):
        self.n += self.training
        if self.training and self.n == self.at: raise ZeroDivisionError

FITS = dict(fit=dict(n_epoch=3, lr=.01), fit_one_cycle=dict(n_epoch=3, lr_max=.02), fine_tune=dict(epochs=2),
            fit_flat_cos=dict(n_epoch=3), fit_sgdr=dict(n_cycles=2, cycle_len=1))

def train(learn, method='fit', checkpoint=None, crash=0, **kw):
    if crash: learn.add_cb(Crash(crash))
    try: getattr(learn, method)(**{**FITS[method], **kw}, checkpoint=checkpoint)
    except ZeroDivisionError: pass
    if crash: learn.remove_cb(Crash)
    return learn

def same(a, b):
    "Are two learners the same to the last bit, with their histories and all random generators?"
    assert all(map(torch.equal, a.model.state_dict().values(), b.model.state_dict().values()))
    for k in 'losses', 'lrs', 'moms', 'iters', 'values': assert getattr(a.recorder, k) == getattr(b.recorder, k), k
    assert [g['lr'] for g in a.opt.param_groups] == [g['lr'] for g in b.opt.param_groups]
    return True

def every_batch(tmp_path): return Checkpoint(tmp_path/'run.ckpt', minutes=0)

# ------------------------------------------------------------------ to the same weights

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='lives are forked from a process that has loaded all')
@pytest.mark.parametrize('args', [['20', '1'], ['4', '1', 'clock']], ids=' '.join)
def test_twenty_deaths(args):
    "Killed between any two steps, and while the file is written; with draws of all kinds, callbacks, two loaders."
    run = subprocess.run([sys.executable, Path(__file__).with_name('killed.py'), *args], capture_output=True, text=True)
    assert run.returncode == 0 and 'deaths' in run.stdout, run.stdout + run.stderr

@pytest.mark.parametrize('method', FITS)
@pytest.mark.parametrize('crash', [1, 4, 5, 7, 11])
def test_every_fit_goes_on(tmp_path, method, crash):
    whole = train(make(), method)
    after = torch.rand(2), np.random.rand()
    train(make(), method, every_batch(tmp_path), crash)
    again = train(make(seed=9), method, every_batch(tmp_path))
    assert same(whole, again) and (torch.rand(2).tolist(), np.random.rand()) == (after[0].tolist(), after[1])

@pytest.mark.parametrize('crash', [3, 5, 8, 12])
def test_by_epochs_only(tmp_path, crash):
    whole, kept = train(make()), Checkpoint(tmp_path/'run.ckpt', minutes=None)
    train(make(), checkpoint=kept, crash=crash)
    assert same(whole, train(make(seed=9), checkpoint=kept))

def test_a_path_is_enough(tmp_path):
    whole, path = train(make(), 'fine_tune'), str(tmp_path/'new folder'/'run')
    train(make(), 'fine_tune', path, 12)
    assert same(whole, train(make(seed=9), 'fine_tune', path)) and Path(path).is_file()

def test_the_same_learner_goes_on(tmp_path):
    whole, learn = train(make(), 'fit_one_cycle'), make()
    for crash in 7, 3, 2: train(learn, 'fit_one_cycle', every_batch(tmp_path), crash)
    assert same(whole, train(learn, 'fit_one_cycle', every_batch(tmp_path)))

# ------------------------------------------------------------------ what must not be lost

@pytest.mark.parametrize('crash', [3, 6, 8])
def test_gradients_that_are_being_added_up(tmp_path, crash):
    def new(seed=1): return make(cbs=[GradientAccumulation(14), GradientClip(.1)], seed=seed)
    whole = train(new())
    train(new(), checkpoint=every_batch(tmp_path), crash=crash)
    assert same(whole, train(new(9), checkpoint=every_batch(tmp_path)))

def test_half_precision(tmp_path):
    whole = train(make().to_bf16())
    train(make().to_bf16(), checkpoint=every_batch(tmp_path), crash=8)
    assert same(whole, train(make(seed=9).to_bf16(), checkpoint=every_batch(tmp_path)))

class Scale(LossScaler):
    "As on a graphics card, where the scale grows."
    def __init__(self): self.scaler = torch.amp.GradScaler('cpu', init_scale=4., growth_interval=3)

def test_a_scaled_loss(tmp_path):
    whole = train(make(cbs=Scale))
    train(make(cbs=Scale), checkpoint=every_batch(tmp_path), crash=8)
    again = train(make(cbs=Scale, seed=9), checkpoint=every_batch(tmp_path))
    assert same(whole, again) and again.scale.scaler.get_scale() == whole.scale.scaler.get_scale() > 4

def test_channels_last_and_momentum(tmp_path):
    data = [(torch.randn(3, 8, 8), torch.rand(2)) for _ in range(28)]
    def new(seed=1):
        set_seed(seed)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                              nn.Linear(4, 2))
        return Learner(loaders(data, after_batch=None), model, F.mse_loss, opt_func=partial(SGD, mom=.9))
    whole = train(new(), 'fit_one_cycle')
    train(new(), 'fit_one_cycle', every_batch(tmp_path), 8)
    assert same(whole, train(new(9), 'fit_one_cycle', every_batch(tmp_path)))

def test_what_callbacks_remember(tmp_path, capsys):
    def new(name, seed=1):
        cbs = [SaveModelCallback(), EarlyStoppingCallback(patience=2), ReduceLROnPlateau(patience=1), CSVLogger()]
        return make(cbs=cbs, path=tmp_path/name, seed=seed)
    kw = dict(n_epoch=30, lr=.1)
    whole, kept = train(new('a'), **kw), Checkpoint(tmp_path/'run.ckpt', 0)
    n = len(whole.recorder.values)
    assert 3 <= n < 30
    for seed,crash in (1, 7), (2, 6), (3, 9): train(new('b', seed), checkpoint=kept, crash=crash, **kw)
    again = train(new('b', 5), checkpoint=kept, **kw)
    assert same(whole, again) and again.save_model.best_epoch == whole.save_model.best_epoch
    assert again.save_model.best == whole.save_model.best and len(again.csv_logger.read_log()) == n
    third = train(new('b', 5), checkpoint=kept, **kw)
    assert same(whole, third) and 'finished' in capsys.readouterr().out

class Counts(Callback):
    def __init__(self): self.n = self.epochs = 0
    def before_epoch(self): self.epochs += 1
    def after_batch(self): self.n += self.training

class Remembers(Counts):
    def state_dict(self): return {'n': self.n, 'epochs': self.epochs}
    def load_state_dict(self, state): self.n, self.epochs = state['n'], state['epochs']

def test_a_callback_of_ones_own(tmp_path):
    train(make(cbs=[Remembers()]), checkpoint=every_batch(tmp_path), crash=8)
    again = train(make(cbs=[Remembers()]), checkpoint=every_batch(tmp_path))
    assert (again.remembers.n, again.remembers.epochs) == (15, 3)

def test_what_a_callback_remembers_must_be_data(tmp_path):
    class Odd(Callback):
        def state_dict(self): return {'learner': [self.learn]}
        def load_state_dict(self, state): ...
    with pytest.raises(TypeError, match=r"\['learner'\]\[0\] is a Learner"):
        train(make(cbs=[Odd()]), checkpoint=every_batch(tmp_path))

def test_a_callback_that_unfreezes_on_its_way(tmp_path):
    class Thaw(Callback):
        def before_epoch(self):
            if self.epoch == 1: self.learn.unfreeze()
    def new(seed=1):
        learn = make(cbs=[Thaw()], seed=seed)
        learn.freeze()
        return learn
    whole = train(new())
    for crash in 8, 7: train(new(), checkpoint=every_batch(tmp_path), crash=crash)
    again = train(new(9), checkpoint=every_batch(tmp_path))
    assert same(whole, again) and again.frozen_idx == 0 and all(p.requires_grad for p in again.model.parameters())

# ------------------------------------------------------------------ loaders

class Opened:
    "Items that keep a list of what was opened."
    def __init__(self, data): self.data, self.opened = data, []
    def __len__(self): return len(self.data)
    def __getitem__(self, i):
        self.opened.append(i)
        return self.data[i]

@pytest.mark.parametrize('workers', [0, 2])
def test_what_was_seen_is_not_opened_again(tmp_path, workers):
    def new(seed=1):
        train = DataLoader(Opened(items()[:20]), bs=4, shuffle=True, num_workers=workers)
        return make(DataLoaders(train, DataLoader(items()[20:], bs=4), device='cpu'), seed=seed)
    whole = train(new(), n_epoch=1)
    train(new(), n_epoch=1, checkpoint=every_batch(tmp_path), crash=4) # three batches are in the file
    again = train(new(9), n_epoch=1, checkpoint=every_batch(tmp_path))
    assert same(whole, again) and len(again.dls.train.dataset.opened) == 8 + 1 # a look at item 0, to count its entries

def torch_loader(data, **kw): return torch.utils.data.DataLoader(data, batch_size=4, shuffle=True, **kw)

@pytest.mark.parametrize('kind', ['torch', 'batches'])
def test_any_loader(tmp_path, kind):
    def new(seed=1):
        data = items()
        if kind == 'torch': dls = DataLoaders(torch_loader(data[:20]), torch_loader(data[20:]))
        else: dls = DataLoaders([collate(data[k:k+4]) for k in range(0, 20, 4)], [collate(data[20:])])
        return make(dls, seed=seed)
    whole = train(new())
    for crash in 3, 5: train(new(), checkpoint=every_batch(tmp_path), crash=crash)
    assert same(whole, train(new(9), checkpoint=every_batch(tmp_path)))

# ------------------------------------------------------------------ what is shown

def rows(text):
    "The rows of the tables, without their times."
    return [l.split()[:-1] for l in text.splitlines() if l.startswith(' ')]

def test_the_table_has_the_whole_history(tmp_path, capsys):
    train(make(), 'fine_tune', epochs=3)
    whole = rows(capsys.readouterr().out)
    for crash in 3, 7, 6: train(make(), 'fine_tune', every_batch(tmp_path), crash, epochs=3)
    capsys.readouterr()
    train(make(seed=9), 'fine_tune', every_batch(tmp_path), epochs=3)
    out = capsys.readouterr().out
    assert rows(out) == whole and out.count('Going on in fit 2 of 2, epoch 2 of 3, after batch 3') == 1
    train(make(seed=9), 'fine_tune', every_batch(tmp_path), epochs=3)
    out = capsys.readouterr().out
    assert rows(out) == whole and out.count('finished') == 1 and 'run.ckpt' in out

def test_finished_trains_no_more(tmp_path):
    first = train(make(), checkpoint=every_batch(tmp_path))
    again = make(seed=9, cbs=[Crash(1)])
    with again.no_bar(), again.no_logging(): train(again, checkpoint=every_batch(tmp_path))
    assert same(first, again) and again.crash.n == 0 and not again.interrupted
    assert again.validate() == first.validate()

class Stop(Callback):
    "A press on the stop button."
    order, only_shows = 3000, True
    def __init__(self, at): self.at, self.n = at, 0
    def after_batch(self):
        self.n += self.training
        if self.training and self.n == self.at: raise KeyboardInterrupt

@pytest.mark.parametrize('method', ['fit', 'fine_tune'])
def test_the_stop_button(tmp_path, capsys, method):
    "The same cell goes on, from the last time that the file was written."
    whole, learn = train(make(), method), make()
    for at in 4, 6:
        learn.add_cb(Stop(at))
        train(learn, method, every_batch(tmp_path))
        learn.remove_cb(Stop)
        out = capsys.readouterr().out
        assert learn.interrupted and 'Run the same cell again' in out and 'run.ckpt' in out
    assert same(whole, train(learn, method, every_batch(tmp_path))) and not learn.interrupted

# ------------------------------------------------------------------ something else

def other(**kw): return lambda: make(loaders(**kw))
def fewer():
    train = DataLoader(items()[:19], bs=4, shuffle=True, after_batch=noise)
    return make(DataLoaders(train, DataLoader(items()[20:], bs=4), device='cpu'))

CHANGED = {
    'the number of training items was 20, and is 19': fewer,
    'the training items: number 0 is another': other(data=items(seed=5)),
    'the validation items: number 2': lambda: make(loaders([*items()[:22], items(seed=7)[0], *items()[23:]])),
    'the batch size in training was 4, and is 5': other(bs=5),
    '`shuffle` in training was True': other(shuffle=False),
    'after_batch in training there was noise': other(after_batch=None),
    'after_item in training': other(after_item=lambda s: s),
    r'the model there was \(0\): Linear\(in_features=6, out_features=8': lambda: make(model=net(9)),
    r'the model there was \(3\): ReLU\(\), and now there is \(3\): Tanh': lambda: make(model=net(act=nn.Tanh)),
    'the loss was binary_cross_entropy_with_logits': lambda: make(loss=F.mse_loss),
    'the optimiser was Adam': lambda: make(opt_func=SGD),
    'the list of metrics': lambda: make(metrics=[]),
    'in the list of callbacks there is now GradientClip': lambda: make(cbs=[GradientClip(1.)]),
    'MixedPrecision': lambda: make().to_bf16(),
    'the weight decay was': lambda: make(wd=.5),
}

@pytest.fixture
def half_done(tmp_path):
    train(make(), checkpoint=every_batch(tmp_path), crash=8)
    return every_batch(tmp_path)

def refused(learn, kept, says, **kw):
    before, weights = kept.path.read_bytes(), [p.clone() for p in learn.model.state_dict().values()]
    with pytest.raises(ValueError, match=says) as e: train(learn, checkpoint=kept, **kw)
    text = str(e.value)
    assert str(kept.path) in text and 'delete that file or give another path' in text and '\n' not in text
    assert kept.path.read_bytes() == before and all(map(torch.equal, weights, learn.model.state_dict().values()))

@pytest.mark.parametrize('says', CHANGED)
def test_what_has_changed_is_named(half_done, says): refused(CHANGED[says](), half_done, says)

@pytest.mark.parametrize('says, kw', [('the number of epochs was 3, and is 4 now', dict(n_epoch=4)),
    ('the learning rate was 0.01, and is 0.1 now', dict(lr=.1)), ('the learning rate', dict(lr=slice(1e-4, 1e-2))),
    ('the first epoch was 0, and is 1', dict(start_epoch=1)), ('weight decay', dict(wd=.3)),
    ('in the list of callbacks there is now GradientClip', dict(cbs=[GradientClip()]))])
def test_settings_of_the_fit(half_done, says, kw): refused(make(), half_done, says, **kw)

@pytest.mark.parametrize('kw', [dict(div=10), dict(pct_start=.5), dict(moms=(.9, .8, .9)), dict(div_final=10)], ids=str)
def test_another_schedule(tmp_path, kw):
    train(make(), 'fit_one_cycle', every_batch(tmp_path), 8)
    refused(make(), every_batch(tmp_path), 'ParamScheduler', method='fit_one_cycle', **kw)

def test_another_fit(half_done):
    refused(make(), half_done, 'the number of epochs was 3, and is 1 now', method='fine_tune')
    refused(make(), half_done, 'now ParamScheduler', method='fit_one_cycle', n_epoch=3, lr_max=.01)

def test_another_setting_of_a_callback(tmp_path):
    train(make(cbs=[EarlyStoppingCallback(patience=5)]), checkpoint=every_batch(tmp_path), crash=8)
    refused(make(cbs=[EarlyStoppingCallback(patience=6)]), every_batch(tmp_path), 'patience=5.*patience=6')

def test_who_is_frozen(half_done):
    learn = make()
    learn.freeze()
    refused(learn, half_done, 'frozen')

def test_a_finished_one_too(tmp_path):
    train(make(), checkpoint=every_batch(tmp_path))
    refused(make(), every_batch(tmp_path), 'epochs was 3, and is 5', n_epoch=5)

def test_weights_of_a_loss(tmp_path):
    def new(w): return make(loss=nn.BCEWithLogitsLoss(pos_weight=tensor([1., w])))
    train(new(2.), checkpoint=every_batch(tmp_path), crash=8)
    refused(new(3.), every_batch(tmp_path), 'the loss was')
    train(new(2.), checkpoint=every_batch(tmp_path))

INNOCENT = dict(
    threads=lambda: make(loaders(num_workers=2)), no_table=lambda: make(cbs=[ProgressCallback(table=False)]),
    graph=lambda: make(cbs=[ShowGraphCallback()]), again=make, seed=lambda: make(seed=77))

@pytest.mark.parametrize('name', INNOCENT)
def test_what_makes_no_difference(half_done, name):
    assert same(train(make()), train(INNOCENT[name](), checkpoint=half_done))

def test_nothing_was_trained_yet(tmp_path):
    "A file that a failed beginning has left is in nobody's way."
    train(make(), checkpoint=every_batch(tmp_path), crash=1)
    kept = Checkpoint(tmp_path/'b.ckpt', None)
    train(make(), checkpoint=kept, crash=2)
    assert same(train(make(loaders(bs=5))), train(make(loaders(bs=5)), checkpoint=kept))

# ------------------------------------------------------------------ pictures of a table

def picture_table(folder, n=12):
    from PIL import Image
    for k in range(n): Image.fromarray(np.full((20, 30, 3), 20*k, 'uint8')).save(folder/f'{k}.png')
    return pd.DataFrame(dict(fname=[f'{k}.png' for k in range(n)], labels=['cat', 'dog', 'cat dog']*(n//3),
                             is_valid=[k >= n-4 for k in range(n)]))

def pictures(folder, df, size=16, **kw):
    set_seed(1)
    dls = block_maker(folder, size)(batch_tfms=aug_transforms(), **kw).dataloaders(df, bs=2, num_workers=0)
    return Learner(dls, nn.Sequential(nn.Flatten(), nn.LazyLinear(dls.c)), **dict(cbs=[Materialise]))

class Materialise(Callback):
    order = -100
    def after_create(self): self.model(torch.zeros(1, 3, 16, 16))

def test_pictures(tmp_path):
    df, names = picture_table(tmp_path), ['cat', 'dog']
    whole = train(pictures(tmp_path, df))
    train(pictures(tmp_path, df), checkpoint=every_batch(tmp_path), crash=6)
    for says, learn in {
        'the training items: number 1 is another': pictures(tmp_path, df.replace({'fname': {'1.png': '0.png'}})),
        'the number of training items was 8, and is 7': pictures(tmp_path, df.assign(is_valid=np.arange(12) >= 7)),
        'in the classes there is now sheep': pictures(tmp_path, df, y=MultiCategoryBlock(vocab=[*names, 'sheep'])),
    }.items(): refused(learn, every_batch(tmp_path), says)
    assert same(whole, train(pictures(tmp_path, df), checkpoint=every_batch(tmp_path)))

# ------------------------------------------------------------------ files

def test_a_damaged_file(half_done):
    good, draw = half_done.path.read_bytes(), np.random.default_rng(0)
    for k in draw.integers(30, len(good), 20):
        half_done.path.write_bytes(good[:k] + bytes([good[k] ^ 4]) + good[k+1:])
        with pytest.raises(ValueError, match='is damaged: delete it to begin anew'): train(make(), checkpoint=half_done)
    for k in 30, len(good)//2, len(good) - 1:
        half_done.path.write_bytes(good[:k])
        with pytest.raises(ValueError, match='damaged'): train(make(), checkpoint=half_done)

@pytest.mark.parametrize('what', [b'', b'hello', b'course_lib training 9\n'])
def test_another_file_is_left_alone(tmp_path, what):
    (tmp_path/'run.ckpt').write_bytes(what)
    with pytest.raises(ValueError, match='was not written by'): train(make(), checkpoint=every_batch(tmp_path))
    assert (tmp_path/'run.ckpt').read_bytes() == what

def test_weights_of_save_are_left_alone(tmp_path):
    file = make(path=tmp_path).save('a')
    with pytest.raises(ValueError, match='was not written by'): train(make(), checkpoint=file)

def test_a_file_runs_no_code(half_done):
    class Evil:
        def __reduce__(self): return print, ('run!',)
    data = io.BytesIO()
    torch.save({'part': Evil()}, data)
    half_done.path.write_bytes(resume._head + resume.digest(data.getvalue()).encode() + b'\n' + data.getvalue())
    with pytest.raises(ValueError, match='damaged'): train(make(), checkpoint=half_done)

@pytest.mark.parametrize('path', [True, 3, ['a'], b'a'])
def test_no_path(path):
    with pytest.raises(TypeError, match='the path of a file is expected'): train(make(), checkpoint=path)

def test_a_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match='is a folder'): train(make(), checkpoint=tmp_path)

@pytest.mark.parametrize('minutes', [-1, 'a', float('nan'), [1]])
def test_minutes(minutes):
    with pytest.raises(ValueError, match='minutes='): Checkpoint('a', minutes)

def left(folder): return [o.name for o in Path(folder).iterdir() if o.name != 'run.ckpt']

class Full(io.FileIO):
    "A file on a disk that is full after a number of bytes."
    def write(self, b):
        if len(b) > 100:
            super().write(bytes(b)[:1000])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(b)

def test_a_full_disk(half_done, monkeypatch):
    before = half_done.path.read_bytes()
    usual = open
    def full(f, mode='r', **kw): return Full(f, 'w') if mode == 'wb' else usual(f, mode, **kw)
    monkeypatch.setattr('builtins.open', full)
    with pytest.raises(OSError, match='There is no room on the disk for .*what it held before is still there') as e:
        train(make(), checkpoint=half_done)
    assert '\n' not in str(e.value) and half_done.path.read_bytes() == before and left(half_done.path.parent) == []
    monkeypatch.undo()
    assert same(train(make()), train(make(), checkpoint=half_done))

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='limits of a process')
def test_a_limit_of_the_system(tmp_path):
    "Real bytes that the system does not take."
    code = f"""if True:
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from tests.faults.test_resume import *
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        train(make(), checkpoint={str(tmp_path/'run.ckpt')!r})"""
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert 'OSError: There is no room on the disk for' in run.stderr and left(tmp_path) == []

def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path/'file').write_text('')
    with pytest.raises(OSError, match='cannot be written'): train(make(), checkpoint=tmp_path/'file'/'run.ckpt')

def test_the_same_sentence_as_save(tmp_path, monkeypatch):
    "Weights, checkpoints: a full disk is said in one way."
    learn, said = make(path=tmp_path), []
    def full(*args): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, 'replace', full)
    for f in lambda: learn.save(tmp_path/'run.ckpt.pth'), lambda: train(learn, checkpoint=tmp_path/'run.ckpt'):
        with pytest.raises(OSError) as e: f()
        said.append(str(e.value).replace('.pth', ''))
    assert said[0] == said[1] and 'no room' in said[0]

# ------------------------------------------------------------------ two at once

HOLDS = """if True:
    import sys, time
    sys.path.insert(0, {root!r})
    from tests.faults.test_resume import *
    class Waits(Callback):
        only_shows = True
        def before_train(self):
            Path({folder!r}, 'ready').write_text('')
            time.sleep(100)
    train(make(cbs=[Waits()]), checkpoint=Path({folder!r})/'run.ckpt')"""

@pytest.fixture
def holder(tmp_path):
    "Another program in the middle of a training with the checkpoint `run.ckpt`."
    code = HOLDS.format(root=str(Path(__file__).parents[2]), folder=str(tmp_path))
    program = subprocess.Popen([sys.executable, '-c', code])
    end = time.time() + 60
    while not (tmp_path/'ready').exists() and program.poll() is None and time.time() < end: time.sleep(.05)
    (tmp_path/'ready').unlink()
    try: yield program
    finally:
        program.kill()
        program.wait()

def test_two_programs(holder, tmp_path):
    "The second is refused; when the first is killed, it may."
    before = (tmp_path/'run.ckpt').read_bytes()
    with pytest.raises(RuntimeError, match='run.ckpt is in use: another training, which still runs') as e:
        train(make(), checkpoint=tmp_path/'run.ckpt')
    assert '\n' not in str(e.value) and (tmp_path/'run.ckpt').read_bytes() == before
    train(make(), checkpoint=tmp_path/'other.ckpt')
    holder.kill()
    holder.wait()
    assert same(train(make()), train(make(), checkpoint=tmp_path/'run.ckpt'))
    assert left(tmp_path) == ['other.ckpt']

def test_a_fit_within_a_fit(tmp_path):
    class Inner(Callback):
        def before_train(self): train(make(), checkpoint=tmp_path/'run.ckpt')
    with pytest.raises(RuntimeError, match='is in use'): train(make(cbs=[Inner()]), checkpoint=tmp_path/'run.ckpt')
    assert left(tmp_path) == []

def test_one_after_the_other(tmp_path):
    "Also after an error, whose traceback may still be there."
    with pytest.raises(ZeroDivisionError): make(cbs=[Crash(3)]).fit(3, .01, checkpoint=tmp_path/'run.ckpt')
    train(make(), checkpoint=tmp_path/'run.ckpt')
    assert left(tmp_path) == []

# ------------------------------------------------------------------ what callbacks remember

def test_the_place_of_the_best(tmp_path):
    "It is a path, also when the training has gone on, or is finished."
    def new(crash=0):
        return train(make(cbs=[SaveModelCallback()], path=tmp_path), crash=crash, checkpoint=every_batch(tmp_path))
    new(8)
    for learn in new(), new(): assert learn.save_model.last_saved_path == tmp_path/'models/model.pth'
