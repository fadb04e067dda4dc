"If one process fails, all end soon, and what one reads is what went wrong first. No file is half there."
import re, socket, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import pytest, torch
from tests.helpers import free_port
from tests.scale.group import ENV, ROOT, end, said, start

KINDS = 'raises is_killed hangs'.split()

@pytest.fixture(scope='module')
def ends(tmp_path_factory):
    "The exit status, what was printed, and the seconds from the trouble to the end of the last process, for each kind."
    folders = {k: tmp_path_factory.mktemp(k) for k in KINDS}
    programs = [start(2, '-m', 'tests.scale.troubles', k, folder) for k,folder in folders.items()]
    def ended(p, folder): return *end(p), time.time() - float((folder/'happened').read_text())
    with ThreadPoolExecutor(len(KINDS)) as pool: return dict(zip(KINDS, pool.map(ended, programs, folders.values())))

def test_message_of_the_first(ends):
    code, out, *_ = ends['raises']
    assert code and 'It is over.' not in out
    assert said(out)[0] == 'FileNotFoundError: no such picture'
    assert set(said(out)[1:]) <= {'RankFailed: rank 1 failed with FileNotFoundError: no such picture'}
    assert 'of the dataset was loaded: look at' in out and 'closed by peer' not in out

def test_torchrun_names_the_first(ends):
    "The table at its end."
    for k,text in dict(raises='FileNotFoundError: no such picture', is_killed='SIGKILL').items():
        cause = ends[k][1].split('Root Cause')[1]
        assert text in cause and re.search(r'rank +: 1 ', cause)

def test_killed(ends):
    code, out, *_ = ends['is_killed']
    assert code and 'It is over.' not in out
    assert set(said(out)) <= {'RankFailed: rank 1 has ended without a word: was it killed, for want of memory perhaps?'}

def test_hanging(ends):
    "The others wait for as long as they were told, and name the one that does not come."
    code, out, *_ = ends['hangs']
    assert code and 'It is over.' not in out
    late = 'rank 1 did not come where the others waited for it: it hangs, or needs more time than `timeout`.'
    assert said(out) == [f'RankFailed: {late}']

@pytest.mark.parametrize('k', KINDS)
def test_all_end_soon(ends, k):
    "One that hangs would take a quarter of an hour; here the others are told to wait 4 seconds."
    assert ends[k][2] < 30 + 4*(k == 'hangs')

def alone(kind, rank, port, folder):
    "One process of two, started by hand."
    env = dict(ENV, WORLD_SIZE='2', RANK=str(rank), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    return subprocess.Popen([sys.executable, '-m', 'tests.scale.troubles', kind, folder], env=env, cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

def test_port_in_use(tmp_path):
    "Rank 0 says it, in one sentence. The others wait for an answer as long as they were told, and say nothing."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        programs = [alone('hangs', rank, port, tmp_path) for rank in (0, 1)] # with a timeout of 4 seconds
        (code, out), (other, silence) = map(end, programs)
    assert code and other and len(said(out)) == 1 and said(silence) == []
    assert said(out)[0].startswith(f'RuntimeError: The processes cannot meet at 127.0.0.1:{port}: another program uses')

def test_without_torchrun_a_kill_is_told_too(tmp_path):
    "Then rank 0 has the time to say it."
    port = free_port()
    (code, out), (killed, _) = map(end, [alone('is_killed', rank, port, tmp_path) for rank in (0, 1)])
    assert code and killed == -9
    assert said(out) == ['RankFailed: rank 1 has ended without a word: was it killed, for want of memory perhaps?']

# ------------------------------------------------------------------ going on

def test_goes_on_where_it_was_killed(tmp_path):
    "`torchrun --max-restarts` starts all anew; with `checkpoint=` they come to the same weights, bit for bit."
    pytest.importorskip('course_lib.resume')
    folders = [tmp_path/'killed', tmp_path/'whole']
    for f in folders: f.mkdir()
    programs = [start(2, '-m', 'tests.scale.restarts', f, f.name, restarts=1) for f in folders]
    (code, out), (other, _) = map(end, programs)
    assert (code, other) == (0, 0), out
    assert out.count('Going on in epoch 2 of 3') == 1 # rank 0 says it
    (weights, table), (whole, whole_table) = [torch.load(f/'end.pt', weights_only=False) for f in folders]
    assert torch.equal(weights, whole) and table == whole_table

@pytest.mark.skipif(sys.platform != 'linux', reason='/proc is needed')
def test_no_thread_outlives_the_program(tmp_path):
    "A thread of torch that wants the interpreter after its end aborts the process, though all went well."
    code, out = end(start(2, '-m', 'tests.scale.leaving', tmp_path))
    assert code == 0, out
    for rank in '01': assert 'gloo' not in (tmp_path/rank).read_text()

# ------------------------------------------------------------------ a full disk

@contextmanager
def tiny_disk():
    """Files of more than 20 000 bytes find no room: the operating system says so in the middle of writing.

    For a block inside a test only: pytest writes its report to a file, too."""
    resource = pytest.importorskip('resource')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try: yield
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, before)

def learner_in(folder):
    from course_lib.all import BCEWithLogitsLossFlat, DataLoader, DataLoaders, Learner, nn, torch
    items = [(torch.zeros(100), torch.zeros(100))]*4
    return Learner(DataLoaders(DataLoader(items, 2), DataLoader(items, 2), path=folder), nn.Linear(100, 100),
                   BCEWithLogitsLossFlat())

def test_full_disk(tmp_path):
    learn = learner_in(tmp_path)
    with tiny_disk(), pytest.raises(OSError, match=r'no room .* for .*big.pth .*; nothing is half'): learn.save('big')
    assert list((tmp_path/'models').iterdir()) == []

def test_full_disk_leaves_what_was_there(tmp_path):
    learn = learner_in(tmp_path)
    (tmp_path/'models').mkdir()
    (tmp_path/'models/big.pth').write_bytes(b'before')
    with tiny_disk(), pytest.raises(OSError, match='what it held before is still there'): learn.save('big')
    assert (tmp_path/'models/big.pth').read_bytes() == b'before' and len(list((tmp_path/'models').iterdir())) == 1

def test_other_errors_stay_what_they_are(tmp_path):
    learn = learner_in(tmp_path)
    (tmp_path/'models').write_text('a file')
    with pytest.raises(OSError) as e: learn.save('big')
    assert 'no room' not in str(e.value)
