"What goes wrong while a data set is fetched: an error that helps, and nothing half-written left behind."
import gzip, hashlib, io, os, signal, stat, subprocess, sys, tarfile, threading, time, zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import pytest
from course_lib import datasets, downloads
from course_lib.datasets import register_sample, untar_data

BIG = os.urandom(300_000)

def tar_of(*members):
    "The bytes of a `.tgz` of `members`: pairs of a name, or a `TarInfo`, and contents."
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w:gz') as tar:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()

PETS = tar_of(('pets/cat.txt', b'miaow'), ('pets/dog.txt', b'woof'), ('pets/noise.bin', BIG))

class Host(BaseHTTPRequestHandler):
    "Answers `/HOW/pets.tgz`, where HOW is how it (mis)behaves."
    def log_message(self, *args): pass
    def do_GET(self):
        self.server.paths.append(self.path)
        how, body = self.path.split('/')[1], self.server.body
        if how == 'missing': return self.send_error(404)
        if how == 'broken': return self.send_error(500)
        if how == 'moved':
            self.send_response(302); self.send_header('Location', '/good/pets.tgz'); return self.end_headers()
        self.send_response(200)
        if how != 'unsaid': self.send_header('Content-Length', str(len(body)))
        if how == 'gzipped': self.send_header('Content-Type', 'application/gzip')
        self.end_headers()
        if how in ('cut', 'unsaid'): body = body[:len(body)//2]
        if how == 'login': body = b'<html>please log in</html>'.ljust(len(body))
        try:
            for i in range(0, len(body), 20_000):
                self.wfile.write(body[i:i+20_000])
                if how == 'slow': time.sleep(.2)
        except OSError: pass # the client went away: some of the tests want that

@pytest.fixture(autouse=True)
def no_pause(monkeypatch): monkeypatch.setattr(downloads, '_first_pause', 0)

@pytest.fixture
def host(monkeypatch):
    for o in 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY': monkeypatch.delenv(o, raising=False)
    server = ThreadingHTTPServer(('127.0.0.1', 0), Host)
    server.paths, server.body, server.url = [], PETS, f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown(); server.server_close()

def known(monkeypatch, url, data):
    "Make size and md5 of `data` known for `url`, as they are for the originals."
    monkeypatch.setitem(datasets._known, url, (len(data), hashlib.md5(data).hexdigest()))

def names(folder): return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob('*') if p.is_file())

def left(home):
    "Every file under `home`, but for the empty files that serve as locks."
    return [o for o in names(home) if not o.endswith('.lock')] if home.exists() else []

def is_pets(path): return names(path) == ['cat.txt', 'dog.txt', 'noise.bin'] and (path/'noise.bin').read_bytes() == BIG

# ------------------------------------------------------------------ what works

@pytest.mark.parametrize('how', ['good', 'moved', 'gzipped', 'slow'])
def test_fetches_once(home, host, how):
    url = f'{host.url}/{how}/pets.tgz'
    path = untar_data(url)
    assert path == home/'data'/'pets' and is_pets(path)
    asked = len(host.paths)
    assert untar_data(url) == path and len(host.paths) == asked

def test_shows_progress(home, host, capsys):
    untar_data(f'{host.url}/good/pets.tgz')
    assert 'pets.tgz: 100%' in capsys.readouterr().err

def test_known_sum_is_accepted(home, host, monkeypatch):
    known(monkeypatch, url := f'{host.url}/good/pets.tgz', PETS)
    assert is_pets(untar_data(url))

def test_force_download_repairs(home, host):
    path = untar_data(url := f'{host.url}/good/pets.tgz')
    (path/'cat.txt').unlink(); (path/'junk.txt').touch()
    assert is_pets(untar_data(url, force_download=True)) and len(host.paths) == 2

def test_zip_and_flat_archives(home, tmp_path):
    with zipfile.ZipFile(tmp_path/'flat.zip', 'w') as z: z.writestr('a.txt', 'a'); z.writestr('deep/b.txt', 'b')
    assert names(untar_data((tmp_path/'flat.zip').as_uri())) == ['a.txt', 'deep/b.txt']

def test_folders_of_ones_own(tmp_path, host):
    path = untar_data(f'{host.url}/good/pets.tgz', archive=tmp_path/'a', data='d', base=tmp_path/'b')
    assert path == tmp_path/'b'/'d'/'pets' and (tmp_path/'a'/'pets.tgz').exists()
    assert untar_data(f'{host.url}/good/pets.tgz', c_key='model', base=tmp_path/'b') == tmp_path/'b'/'models'/'pets'

def test_harmless_link_is_kept(home, tmp_path):
    link = tarfile.TarInfo('pets/same.txt'); link.type, link.linkname = tarfile.SYMTYPE, 'cat.txt'
    (tmp_path/'pets.tgz').write_bytes(tar_of(('pets/cat.txt', b'miaow'), (link, b'')))
    assert (untar_data((tmp_path/'pets.tgz').as_uri())/'same.txt').read_text() == 'miaow'

# ------------------------------------------------------------------ downloads that fail

@pytest.mark.parametrize('how,error,text', [
    ('missing', ConnectionError, '404'), ('broken', ConnectionError, '500'),
    ('cut', ConnectionError, 'broke'), ('unsaid', ValueError, 'bytes instead of'), ('login', ValueError, 'md5')])
def test_bad_download(home, host, monkeypatch, how, error, text):
    known(monkeypatch, url := f'{host.url}/{how}/pets.tgz', PETS)
    with pytest.raises(error) as e: untar_data(url)
    for o in text, url, str(home/'archive'/'pets.tgz'), 'browser': assert o in str(e.value)
    assert left(home) == []
    host.paths.clear()
    known(monkeypatch, good := f'{host.url}/good/pets.tgz', PETS)
    assert is_pets(untar_data(good)) # the failure does not stand in the way of a later success

def test_unknown_file_cut_without_a_word(home, host):
    with pytest.raises(ValueError, match='cannot be unpacked.*cut short'): untar_data(f'{host.url}/unsaid/pets.tgz')
    assert left(home) == ['archive/pets.tgz'] # kept: the message names it, and says to delete it

def test_nobody_answers(home):
    with pytest.raises(ConnectionError, match='no connection.*browser'): untar_data('http://127.0.0.1:1/pets.tgz')
    assert left(home) == []

def test_error_is_one_error(home, host):
    with pytest.raises(ConnectionError) as e: untar_data(f'{host.url}/missing/pets.tgz')
    assert e.value.__suppress_context__ # no screens of urllib3 above it

@pytest.mark.parametrize('url', ['pets.tgz', '/data/pets.tgz', 'ftp://a.example/pets.tgz', 'https://a.example/pets.html',
                                 'https://a.example/', 'https://a.example/..tgz', 'sample://unicorns'])
def test_bad_address(home, url):
    with pytest.raises(ValueError, match='address|archive|sample'): untar_data(url)
    assert not home.exists()

def test_bad_c_key(home):
    with pytest.raises(ValueError, match="'models'.*data, archive, model, storage"):
        untar_data('https://a.example/a.tgz', c_key='models')

# ------------------------------------------------------------------ archives put in place by hand

def test_archive_by_hand(home, monkeypatch):
    known(monkeypatch, url := 'https://a.example/pets.tgz', PETS)
    (home/'archive').mkdir(parents=True)
    (home/'archive'/'pets.tgz').write_bytes(PETS[:-1])
    with pytest.raises(ValueError, match='bytes instead of.*Delete it'): untar_data(url)
    assert left(home) == ['archive/pets.tgz'] # a file of the learner's: never deleted unasked
    (home/'archive'/'pets.tgz').write_bytes(PETS)
    assert is_pets(untar_data(url))

def test_folder_by_hand(home):
    (home/'data'/'pets').mkdir(parents=True)
    (home/'data'/'pets'/'cat.txt').touch()
    assert names(untar_data('https://a.example/pets.tgz')) == ['cat.txt']

def test_empty_folder_is_no_data_set(home, host):
    (home/'data'/'pets').mkdir(parents=True)
    assert is_pets(untar_data(f'{host.url}/good/pets.tgz'))

def test_same_name_from_elsewhere(home, host):
    untar_data(f'{host.url}/good/pets.tgz')
    with pytest.raises(ValueError, match='holds the data of .*/good/pets.tgz'): untar_data(f'{host.url}/moved/pets.tgz')
    assert is_pets(untar_data(f'{host.url}/moved/pets.tgz', force_download=True))

# ------------------------------------------------------------------ archives that would write elsewhere

def linked(kind, target, name='pets/link'):
    info = tarfile.TarInfo(name); info.type, info.linkname = kind, target
    return info

EVIL = {'parent': [('../../evil.txt', b'!')], 'middle': [('pets/../../../evil.txt', b'!')],
        'absolute': [('/tmp/evil.txt', b'!')], 'windows': [('C:\\evil.txt', b'!')],
        'backslash': [('..\\..\\evil.txt', b'!')],
        'symlink': [(linked(tarfile.SYMTYPE, '/etc'), b''), ('pets/link/evil.txt', b'!')],
        'symlink up': [(linked(tarfile.SYMTYPE, '../../..'), b'')],
        'symlink chain': [(linked(tarfile.SYMTYPE, 'a/b', 'pets/s'), b''),
                          (linked(tarfile.SYMTYPE, 's/../../..'), b'')],
        'hard link': [(linked(tarfile.LNKTYPE, '../../../etc/passwd'), b'')],
        'pipe': [(linked(tarfile.FIFOTYPE, ''), b'')], 'device': [(linked(tarfile.CHRTYPE, ''), b'')]}

@pytest.mark.parametrize('kind', EVIL)
def test_refuses_evil_tar(home, tmp_path, kind):
    (tmp_path/'pets.tgz').write_bytes(tar_of(('pets/cat.txt', b'miaow'), *EVIL[kind]))
    with pytest.raises(ValueError, match='refused') as e: untar_data((tmp_path/'pets.tgz').as_uri())
    member = EVIL[kind][0][0] if kind != 'symlink chain' else EVIL[kind][1][0]
    assert repr(getattr(member, 'name', member)) in str(e.value) and 'pets.tgz' in str(e.value)
    assert left(home) == [] and not list(tmp_path.rglob('evil*')) and not Path('/tmp/evil.txt').exists()

@pytest.mark.parametrize('name', ['../../evil.txt', '/tmp/evil.txt', 'pets/../../../evil.txt'])
def test_refuses_evil_zip(home, tmp_path, name):
    with zipfile.ZipFile(tmp_path/'pets.zip', 'w') as z: z.writestr('pets/cat.txt', 'miaow'); z.writestr(name, '!')
    with pytest.raises(ValueError, match='refused'): untar_data((tmp_path/'pets.zip').as_uri())
    assert left(home) == [] and not list(tmp_path.rglob('evil*'))

def test_refuses_link_in_zip(home, tmp_path):
    info = zipfile.ZipInfo('pets/link'); info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path/'pets.zip', 'w') as z: z.writestr(info, '/etc')
    with pytest.raises(ValueError, match="'pets/link' is neither"): untar_data((tmp_path/'pets.zip').as_uri())

@pytest.mark.parametrize('data', [PETS[:-1000], PETS[:200], b'<html>not found</html>', b'', gzip.compress(b'x'*10_000)],
                         ids=['cut', 'cut early', 'web page', 'empty', 'no tar within'])
def test_damaged_archive(home, tmp_path, data):
    (tmp_path/'pets.tgz').write_bytes(data)
    with pytest.raises(ValueError, match='pets.tgz'): untar_data((tmp_path/'pets.tgz').as_uri())
    assert left(home) == []

def test_damaged_zip(home, tmp_path):
    with zipfile.ZipFile(tmp_path/'pets.zip', 'w') as z: z.writestr('pets/cat.txt', 'miaow'*100)
    data = bytearray((tmp_path/'pets.zip').read_bytes()); data[100] ^= 255
    (tmp_path/'pets.zip').write_bytes(data)
    with pytest.raises(ValueError, match='cannot be unpacked.*cat.txt'): untar_data((tmp_path/'pets.zip').as_uri())
    assert left(home) == []

# ------------------------------------------------------------------ trouble on this machine

def test_no_room_is_seen_before_the_download(home, host, monkeypatch):
    known(monkeypatch, url := f'{host.url}/good/pets.tgz', PETS)
    monkeypatch.setattr(datasets.shutil, 'disk_usage', lambda path: type('', (), {'free': 1000}))
    with pytest.raises(OSError, match='needs about.*COURSE_LIB_HOME'): untar_data(url)
    assert host.paths == [] and left(home) == []

def run_python(code, home, **kw):
    "Start Python on `code` with the data folder `home`."
    env = {**os.environ, 'COURSE_LIB_HOME': str(home), 'TQDM_DISABLE': '1'}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return subprocess.Popen([sys.executable, '-c', code], env=env, text=True, **pipes, **kw)

@pytest.mark.skipif(os.name == 'nt', reason='file size limits are for Unix')
@pytest.mark.parametrize('files', [[], ['archive/pets.tgz']], ids=['downloading', 'unpacking'])
def test_disk_is_full(home, host, files):
    "A limit on the size of a file stands in for a full disk: the write fails with an `OSError` in the midst of it."
    if files: (home/'archive').mkdir(parents=True); (home/'archive'/'pets.tgz').write_bytes(PETS)
    p = run_python(f'''
import resource, signal
from course_lib.datasets import untar_data
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
untar_data("{host.url}/good/pets.tgz")''', home)
    err = p.communicate(timeout=60)[1]
    assert 'File too large' in err and 'room on the disk' in err and p.returncode == 1
    assert left(home) == files

def wait_for(condition, seconds=60):
    end = time.time() + seconds
    while not condition():
        assert time.time() < end, 'waited in vain'
        time.sleep(.02)

@pytest.mark.skipif(os.name == 'nt', reason='signals are for Unix')
@pytest.mark.parametrize('name', ['SIGKILL', 'SIGINT'])
def test_interrupted_download(home, host, name):
    sig = getattr(signal, name)
    p = run_python(f'from course_lib.datasets import untar_data; untar_data("{host.url}/slow/pets.tgz")', home)
    wait_for(lambda: any(o.stat().st_size > 0 for o in home.glob('archive/pets.tgz.part')))
    p.send_signal(sig); p.communicate(timeout=60)
    assert not (home/'archive'/'pets.tgz').exists() and not (home/'data'/'pets').exists()
    if sig == signal.SIGINT: assert left(home) == []
    assert is_pets(untar_data(f'{host.url}/good/pets.tgz'))
    pets = [f'data/pets/{o}' for o in ('cat.txt', 'dog.txt', 'noise.bin')]
    assert left(home) == ['archive/pets.tgz', 'data/.pets.source', *pets]

SHAPES = '''
import time
from pathlib import Path
from course_lib.datasets import register_sample, untar_data
def draw(folder):
    for i in range(10):
        (folder/f"{i}.txt").write_text(str(i)); time.sleep(PAUSE)
register_sample("shapes", draw)
print(len(list(untar_data("sample://shapes").iterdir())))
'''

@pytest.mark.skipif(os.name == 'nt', reason='signals are for Unix')
def test_killed_while_drawing(home):
    p = run_python(SHAPES.replace('PAUSE', '.3'), home)
    wait_for(lambda: list(home.glob('data/.shapes.*/*/2.txt')))
    p.kill(); p.communicate(timeout=60)
    assert not (home/'data'/'shapes').exists()
    assert run_python(SHAPES.replace('PAUSE', '0'), home).communicate(timeout=60)[0].strip() == '10'
    assert not [o for o in home.rglob('.shapes.*') if o.is_dir()] # the rubbish of the killed one is gone

def test_drawing_fails(home):
    def draw(folder):
        (folder/'1.txt').touch()
        raise ValueError('no more ink')
    register_sample('ink', draw)
    with pytest.raises(ValueError, match='no more ink'): untar_data('sample://ink')
    assert left(home) == []
    register_sample('ink', lambda folder: None)
    with pytest.raises(ValueError, match='holds no files'): untar_data('sample://ink')
    assert left(home) == []

def test_new_version_that_fails_keeps_no_stamp(home):
    register_sample('dots', lambda folder: (folder/'1.txt').touch())
    path = untar_data('sample://dots')
    def broken(folder): raise ValueError('no more ink')
    register_sample('dots', broken, version=2)
    for _ in range(2):
        with pytest.raises(ValueError, match='no more ink'): untar_data('sample://dots')
    register_sample('dots', lambda folder: (folder/'2.txt').touch(), version=3)
    assert untar_data('sample://dots') == path and names(path) == ['2.txt']

# ------------------------------------------------------------------ several at once

def test_processes_at_once(home, host):
    code = f'''
from course_lib.datasets import untar_data
input() # all start together
path = untar_data("{host.url}/slow/pets.tgz")
print(sorted(o.name for o in path.iterdir()))'''
    running = [run_python(code, home, stdin=subprocess.PIPE) for _ in range(3)]
    for p in running: p.stdin.write('\n'); p.stdin.flush()
    for p in running:
        out, err = p.communicate(timeout=120)
        assert p.returncode == 0, err
        assert out.splitlines()[-1] == "['cat.txt', 'dog.txt', 'noise.bin']"
    assert len(host.paths) == 1 and is_pets(home/'data'/'pets')
