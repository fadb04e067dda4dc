"Answers that would break a notebook: what each ends with, and that nothing of it stays."
import logging, os, random, re, signal, subprocess, sys, threading, time, warnings
import numpy as np
import pytest, torch
from course_lib.cards import PASS, TRY_AGAIN
from course_lib.sandbox import run_limited
from course_lib.worker import can_run_apart, packed
from tests.helpers import quiz

pytestmark = pytest.mark.skipif(not can_run_apart(), reason='this system cannot run answers in a process of their own')

def right(x, low, high): return torch.sigmoid(x)*(high - low) + low

@pytest.fixture
def z():
    z = quiz(seed=3)
    z.check(15, right) # the process that waits is there
    return z

def big_power(x, low, high): return len(str(10**10**8))
def bad_expression(x, low, high): return re.match('(a+)+b', 'a'*60)
def sleeps(x, low, high): time.sleep(60)
def long_product(x, low, high):
    a = torch.ones(4000, 4000)
    for _ in range(100): a = a @ a/4000
def own_lock(x, low, high):
    lock = threading.Lock()
    with lock, lock: pass
def waits_for_input(x, low, high): signal.pause()

@pytest.mark.parametrize('f', [big_power, bad_expression, sleeps, long_product, own_lock, waits_for_input],
                         ids=lambda f: f.__name__)
def test_what_cannot_be_stopped_is_ended_and_the_next_one_passes(z, f):
    start = time.monotonic()
    card = z.check(15, f, limit=.3)
    assert card.status == TRY_AGAIN and 'did not come back' in card.body and time.monotonic() - start < 5
    assert z.check(15, right).status == PASS

def ends(x, low, high): os._exit(3)
def kills(x, low, high): os.kill(os.getpid(), signal.SIGKILL)
def crashes(x, low, high): import ctypes; ctypes.string_at(0)
def aborts(x, low, high): os.abort()

@pytest.mark.parametrize('f', [ends, kills, crashes, aborts], ids=lambda f: f.__name__)
def test_what_ends_its_process_gets_a_message(z, f):
    card = z.check(15, f)
    assert card.status == TRY_AGAIN and 'ended the process' in card.body
    assert z.check(15, right).status == PASS

def eats(x, low, high): return [torch.ones(10**8) for _ in range(100)]
def eats_text(x, low, high): return 'a'*10**11
def grows(x, low, high):
    more = [0]*10**6
    while True: more += more

@pytest.mark.parametrize('f', [eats, eats_text, grows], ids=lambda f: f.__name__)
def test_what_eats_memory_gets_a_message(z, f):
    card = z.check(15, f)
    assert card.status == TRY_AGAIN and re.search('emory|alloc|did not come back', card.text())
    assert z.check(15, right).status == PASS

def test_forks_are_ended_too(z, tmp_path):
    mark = tmp_path/'alive'
    def forks(x, low, high):
        if os.fork() == 0:
            while True: mark.touch(); time.sleep(.01)
        time.sleep(60)
    assert 'did not come back' in z.check(15, forks, limit=.3).body
    time.sleep(.2)
    mark.unlink(missing_ok=True)
    time.sleep(.2)
    assert not mark.exists()

def state():
    return (torch.get_default_dtype(), os.getcwd(), sys.getrecursionlimit(), torch.is_grad_enabled(), sys.stdout,
            sys.stderr, torch.sigmoid, np.seterr(), torch.get_num_threads(), random.getstate(), len(warnings.filters),
            signal.getsignal(signal.SIGINT), dict(os.environ))

def test_no_state_leaks(z):
    def leaks(x, low, high):
        torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)
        os.chdir('/'); sys.setrecursionlimit(50_000)
        sys.stdout = sys.stderr = None; torch.sigmoid = torch.tanh; np.seterr(all='raise'); random.seed(1)
        warnings.simplefilter('error'); os.environ['LEAKED'] = 'yes'; signal.signal(signal.SIGINT, signal.SIG_IGN)
        return x
    before = state()
    assert not z.check(15, leaks).passed
    assert state() == before

def test_a_patched_function_does_not_make_a_wrong_answer_pass(z):
    def patches(x, low, high):
        torch.sigmoid = torch.Tensor.sigmoid = lambda t: torch.zeros_like(t)
        return torch.zeros_like(x) + low
    def patches_the_comparison(x, low, high):
        torch.allclose = lambda *args, **kw: True
        return x*0
    assert not z.check(15, patches).passed and not z.check(15, patches_the_comparison).passed
    assert z.check(15, right).passed

def test_nothing_that_an_answer_says_is_spilled(z, capfd):
    def loud(x, low, high):
        print('to stdout'); print('to stderr', file=sys.stderr); os.write(1, b'to the file'); os.write(2, b'to it')
        logging.warning('logged'); warnings.warn('warned', stacklevel=1); np.log(np.zeros(1))
        return right(x, low, high)
    assert z.check(15, loud).passed
    assert capfd.readouterr() == ('', '')

def test_four_threads_at_once_leave_stdout_alone(z):
    before, cards = sys.stdout, []
    threads = [threading.Thread(target=lambda: cards.append(z.check(15, right))) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert sys.stdout is before and [c.status for c in cards] == [PASS]*4

@pytest.mark.parametrize('n', range(3))
def test_threads_at_once_are_each_judged_apart(n):
    "The module of an answer is told to cloudpickle for all threads."
    found = []
    def pack():
        for _ in range(30): found.append(packed(right))
    threads = [threading.Thread(target=pack) for _ in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert None not in found and len(found) == 120

def test_threads_at_once_in_the_notebook():
    "Where answers have no process of their own: each gets what it printed, and stdout is where it was."
    before, found = sys.stdout, {}
    def says(k):
        time.sleep(.05); print(k)
        return k
    def run(k): found[k] = run_limited(says, (k,))
    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert sys.stdout is before and {k: o.printed for k,o in found.items()} == {k: f'{k}\n' for k in range(4)}

def test_a_check_takes_ten_seconds_at_most(z):
    def slow(x, low, high): time.sleep(1.5); return right(x, low, high)
    start = time.monotonic()
    card = z.check(15, slow)
    assert card.status == TRY_AGAIN and 'too slow' in card.body and time.monotonic() - start < 13

def test_text_is_guarded_as_well(z):
    assert 'did not come back' in z.check(15, 'while True: pass', limit=.3).body
    assert z.check(15, 'import sys; sys.exit()').status == TRY_AGAIN
    assert z.check(15, 'import os; os._exit(0)').status == TRY_AGAIN
    assert z.check(15, 'torch.sigmoid(x)*(high-low)+low').passed

def test_a_huge_result_makes_a_small_card(z):
    card = z.check(15, lambda x, low, high: torch.zeros(10_000_000))
    assert card.status == TRY_AGAIN and 'the shape is [10000000]' in card.body and len(card.html()) < 20_000

def test_an_answer_that_cannot_travel_runs_in_the_notebook_and_the_card_says_so(z):
    lock = threading.Lock()
    def locked(x, low, high):
        with lock: return right(x, low, high)
    def wrong(x, low, high):
        with lock: return x
    assert z.check(15, locked).passed
    assert 'In the notebook' in dict(z.check(15, wrong).evidence)['Where it ran']

def test_an_answer_may_use_what_the_notebook_has(z):
    def half(t): return t/2
    scale = {'by': 2}
    assert z.check(15, lambda x, low, high: right(half(x)*scale['by'], low, high)).passed

def test_the_process_goes_when_the_notebook_goes(tmp_path):
    code = ('from course_lib import worker; worker.warm_up(); print(worker._waiting.process.pid)')
    pid = int(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout)
    for _ in range(100):
        if not os.path.exists(f'/proc/{pid}'): return
        time.sleep(.1)
    raise AssertionError('it is still there')

def test_it_is_started_again_when_it_is_gone(z):
    from course_lib.worker import _waiting
    assert z.check(15, right).passed
    _waiting.process.kill(); _waiting.process.wait()
    assert z.check(15, right).passed
