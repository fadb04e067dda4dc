"Freed memory is kept for the next batch, and given back at the end of a fit."
import ctypes, subprocess, sys
import pytest, torch
from torch import nn
from course_lib import learner, memory
from course_lib.dataloaders import DataLoader, DataLoaders
from course_lib.learner import Callback, Learner

GLIBC = memory._of_libc('mallopt') is not None
STEPS = '''
import resource, sys
from course_lib.memory import keep_freed, give_back
if 'keep' in sys.argv: assert keep_freed()
import numpy as np
def pages(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step(): [np.ones(10**6) for _ in range(20)]
step()
if 'give' in sys.argv: give_back()
before = pages()
step()
print(pages() - before)
'''

def pages(*how, **env):
    "How many pages a second step needs, in a process of its own."
    out = subprocess.run([sys.executable, '-c', STEPS, *how], env={'PATH': '', **env}, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return int(out.stdout)

@pytest.mark.skipif(not GLIBC, reason='the C library has no mallopt')
def test_a_second_step_needs_no_new_memory():
    assert pages('keep') < 100 < 5_000 < pages()
    assert pages('keep', 'give') > 5_000 # it was the system's again

@pytest.mark.parametrize('name', memory.CHOSEN)
def test_what_the_user_has_chosen_stays(name, monkeypatch):
    monkeypatch.setattr(memory, '_of_libc', lambda name: pytest.fail('asked for all the same'))
    with pytest.raises(pytest.fail.Exception): memory.keep_freed({})
    monkeypatch.setattr(memory, '_of_libc', lambda name: lambda *a: pytest.fail('changed all the same'))
    assert memory.keep_freed({name: '1'}) is False

@pytest.mark.parametrize('error', [OSError, TypeError])
def test_other_systems_are_left_alone(error, monkeypatch):
    def no_library(name): raise error
    monkeypatch.setattr(ctypes, 'CDLL', no_library)
    assert memory.keep_freed({}) is False
    memory.give_back()

@pytest.mark.parametrize('largest, done', [(64, True), (32, True), (1, False)])
def test_a_library_that_allows_less(largest, done, monkeypatch):
    def mallopt(what, value): return int(what != -3 or value <= largest*2**20)
    monkeypatch.setattr(memory, '_of_libc', lambda name: mallopt)
    assert memory.keep_freed({}) is done

def test_a_fit_gives_back_at_its_end_whatever_the_end(monkeypatch):
    given = []
    monkeypatch.setattr(learner, 'give_back', lambda: given.append(1))
    class Broken(Callback):
        def after_loss(self): 1/0
    ds = [(torch.randn(3), torch.randn(1)) for _ in range(8)]
    learn = Learner(DataLoaders(DataLoader(ds, 4), DataLoader(ds, 4), device='cpu'), nn.Linear(3, 1), nn.MSELoss())
    with learn.no_bar(), learn.no_logging(): learn.fit(2)
    assert given == [1]
    with pytest.raises(ZeroDivisionError): learn.fit(1, cbs=Broken)
    assert given == [1, 1]
