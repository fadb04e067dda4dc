"""The exercises of chapters 09 and 10, without the training that stands before them.

Each solution passes its check; likely mistakes do not, and hear what they mean."""
import re
import pytest, torch
import torch.nn.functional as F
from fastcore.test import test_close as close, test_eq as eq
from course_lib.all import *
from course_lib.exercises import exercise, judge_exercise
from tests.helpers import NBS, cells

def known(nb, needed=(), **more):
    "The names of a chapter after the checks and solutions of its exercises, and the cells that define one of `needed`."
    scope = {**globals(), 'exercise': exercise, 'test_close': close, 'test_eq': eq, **more}
    for c in cells(NBS/nb):
        if c.is_code and ('@exercise(' in c.text or any(f'{o}(' in c.text.split('\n\n')[0] for o in needed)):
            exec(c.text, scope)
        for solution in re.findall(r'<summary>Solution</summary>.*?```py\n(.*?)```', c.text, re.DOTALL):
            if not c.is_code: exec(solution, scope)
    return scope

def says(n, answer):
    "Nothing if the answer passes, else what the check says."
    card = judge_exercise(n, answer)
    return None if card.passed else card.text()

@pytest.fixture(scope='module')
def nine(): return known('09_transfer.ipynb', ['class Rates', 'def toy_learner', 'def trace'])

@pytest.fixture(scope='module')
def ten():
    g = torch.Generator().manual_seed(0)
    targs = (torch.rand(200, 20, generator=g) < 0.1).float()
    preds = (torch.rand(200, 20, generator=g) + targs)/2
    return known('10_multilabel.ipynb', preds=preds, targs=targs, preds_192=preds**2)

def test_convolution(nine):
    assert says('09.1', nine['convolve']) is None
    def torch_with(**kw): return lambda x, w: F.conv2d(x[None, None], w[None, None], **kw)[0, 0]
    assert says('09.1', torch_with()) is None
    assert 'turn the window' in says('09.1', lambda x, w: torch_with()(x, w.flip(0, 1)))
    assert 'sticks out' in says('09.1', lambda x, w: x)
    assert '[5, 7] places' in says('09.1', torch_with(padding=1))

def test_votes(nine):
    assert says('09.2', nine['votes']) is None
    assert 'You count' in says('09.2', lambda found, t: t[found].sum(1))
    assert 'nearest neighbour only' in says('09.2', lambda found, t: t[found[:, 0]])
    assert 'not [2, 3]' in says('09.2', lambda found, t: t[found].mean(0))

def test_numbers_of_a_head(nine):
    assert says('09.4', 269824) is None
    assert 'maximum and the mean' in says('09.4', 2*512 + 512*256 + 2*256 + 256*20)
    assert 'Batch-norm' in says('09.4', 1024*256 + 256*20)
    assert 'counted, not trained' in says('09.4', 269824 + 2*1280)

def parts(first=0.99, halved=2, mult=True, div=5, freeze=True):
    "`fine_tune`, or one with a mistake."
    def tune(learn, epochs, base_lr=2e-3, freeze_epochs=1, lr_mult=100):
        if freeze: learn.freeze()
        learn.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=first)
        learn.unfreeze()
        top = base_lr/halved
        learn.fit_one_cycle(epochs, slice(top/lr_mult, top) if mult else top, pct_start=0.3, div=div)
    return tune

@pytest.mark.parametrize('mistake, said', [
    (dict(first=0.25), 'pct_start'), (dict(halved=1), 'highest rate'), (dict(mult=False), 'lr_mult'),
    (dict(div=25), 'div'), (dict(freeze=False), 'head alone')])
def test_fine_tune_from_parts(nine, mistake, said):
    assert says('09.6', nine['tune']) is None
    assert said in says('09.6', parts(**mistake))

def test_best_constant(ten):
    assert says('10.1', ten['best_constant']) is None
    assert 'can be had' in says('10.1', lambda t: torch.zeros(t.shape[1]))
    assert 'not a probability' in says('10.1', lambda t: t.mean(0))

def test_even_threshold(ten):
    assert says('10.2', ten['even_threshold']) is None
    assert 'Go higher' in says('10.2', lambda p, t: 0.01) and 'Go lower' in says('10.2', lambda p, t: 0.99)

def test_most_alike(ten):
    assert says('10.3', ten['most_alike']) is None
    assert 'First the class that is there' in says('10.3', lambda p, t: (1, 0))
    assert 'like itself' in says('10.3', lambda p, t: (1, 1))
