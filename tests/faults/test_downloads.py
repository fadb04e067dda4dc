"A download that breaks goes on where it stopped; size and sum decide whether the whole is right."
import hashlib, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import pytest
from course_lib import datasets, downloads
from course_lib.datasets import untar_data
from tests.faults.test_datasets import BIG, is_pets, left, run_python, tar_of, wait_for

PETS = tar_of(('pets/cat.txt', b'miaow'), ('pets/dog.txt', b'woof'), ('pets/noise.bin', BIG))

class Host(BaseHTTPRequestHandler):
    "Answers `/HOW/pets.tgz`. `server.starts`: where each request asked to begin; `server.sent`: bytes given away."
    def log_message(self, *args): pass
    def do_GET(self):
        how, server = self.path.split('/')[1], self.server
        start = int((self.headers['Range'] or 'bytes=0-')[6:-1])
        server.starts.append(start)
        if how == 'busy' and len(server.starts) < 3: return self.refuse(503)
        if how == 'dead': return self.connection.close()
        if how == 'deaf' or self.headers['If-Range'] not in (None, server.tag): start = 0
        if start >= len(server.body): return self.refuse(416)
        self.give(how, start)

    def refuse(self, code):
        self.send_response(code); self.send_header('Retry-After', '0'); self.send_header('Content-Length', '0')
        self.end_headers()

    def give(self, how, start):
        body = self.server.body
        said = start + 1 if how == 'liar' and start else start
        self.send_response(206 if start else 200)
        if how != 'unnamed': self.send_header('ETag', f'W/{self.server.tag}' if how == 'weak' else self.server.tag)
        self.send_header('Content-Length', str(len(body) - start))
        if start: self.send_header('Content-Range', f'bytes {said}-{len(body)-1}/{len(body)}')
        self.end_headers()
        most = self.server.most if how != 'good' else len(body)
        try:
            for i in range(start, min(start + most, len(body)), 10_000):
                piece = body[i:min(i + 10_000, start + most)]
                self.wfile.write(piece)
                self.server.sent += len(piece)
                if how == 'slow': time.sleep(.1)
        except OSError: pass # the client went away

@pytest.fixture
def host(monkeypatch):
    monkeypatch.setattr(downloads, '_first_pause', 0)
    for o in 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY': monkeypatch.delenv(o, raising=False)
    server = ThreadingHTTPServer(('127.0.0.1', 0), Host)
    server.starts, server.sent, server.body, server.tag, server.most = [], 0, PETS, '"one"', 100_000
    server.url = f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown(); server.server_close()

def test_goes_on_within_a_call(home, host):
    assert is_pets(untar_data(f'{host.url}/breaks/pets.tgz'))
    assert len(host.starts) == 4 and host.starts == sorted(host.starts) # 300 kB, 100 kB at a time
    assert host.sent - len(PETS) < 4*downloads._piece # nothing is asked for twice but the piece that broke
    assert not list(home.glob('archive/*.part*'))

@pytest.mark.parametrize('how', ['deaf', 'weak', 'unnamed'])
def test_without_a_version_or_ranges_it_begins_again(home, host, how):
    "Bytes of two versions are never mixed: who cannot say which version it is gets no request for a part."
    with pytest.raises(ConnectionError, match='Try again' if how != 'deaf' else 'kept'):
        untar_data(f'{host.url}/{how}/pets.tgz')
    assert how == 'deaf' or set(host.starts) == {0}
    assert len(host.starts) == 1 + downloads._most_in_vain
    assert left(home) == [] or how == 'deaf'
    host.most = len(PETS)
    assert is_pets(untar_data(f'{host.url}/{how}/pets.tgz'))

def test_goes_on_after_the_process_was_killed(home, host):
    host.most = len(PETS)
    url = f'{host.url}/slow/pets.tgz'
    p = run_python(f'from course_lib.datasets import untar_data; untar_data("{url}")', home)
    part = home/'archive'/'pets.tgz.part'
    wait_for(lambda: part.exists() and part.stat().st_size > 50_000)
    p.kill(); p.communicate(timeout=60)
    have = part.stat().st_size
    assert not (home/'archive'/'pets.tgz').exists()
    host.starts.clear()
    assert is_pets(untar_data(url)) and host.starts == [have]

def test_goes_on_in_the_next_call(home, host, monkeypatch):
    monkeypatch.setattr(downloads, '_most', 2)
    with pytest.raises(ConnectionError, match=r'0\.2 MB have come and are kept.*browser'):
        untar_data(f'{host.url}/breaks/pets.tgz')
    assert left(home) == ['archive/pets.tgz.part', 'archive/pets.tgz.part.json'] # no archive, no folder
    assert is_pets(untar_data(f'{host.url}/breaks/pets.tgz')) and len(host.starts) == 4

def test_file_that_changed_meanwhile_is_fetched_anew(home, host, monkeypatch):
    monkeypatch.setattr(downloads, '_most', 1)
    with pytest.raises(ConnectionError): untar_data(f'{host.url}/breaks/pets.tgz')
    host.body, host.tag, host.most = tar_of(('pets/cow.txt', b'moo'), ('pets/n.bin', BIG[::-1])), '"two"', 10**6
    path = untar_data(f'{host.url}/breaks/pets.tgz')
    assert (path/'n.bin').read_bytes() == BIG[::-1] and host.starts[-1] > 0

def test_other_address_of_the_same_name(home, host, monkeypatch):
    monkeypatch.setattr(downloads, '_most', 1)
    with pytest.raises(ConnectionError): untar_data(f'{host.url}/breaks/pets.tgz')
    assert is_pets(untar_data(f'{host.url}/good/pets.tgz')) and host.starts == [0, 0]
    assert not list(home.glob('archive/*.part*'))

def test_host_that_answers_with_another_part(home, host):
    "A 206 that does not begin where we stopped would leave a hole."
    host.most = 200_000
    with pytest.raises(ConnectionError): untar_data(f'{host.url}/liar/pets.tgz')
    assert not (home/'archive'/'pets.tgz').exists() and max(host.starts) > 0
    host.most = len(PETS)
    assert is_pets(untar_data(f'{host.url}/liar/pets.tgz'))

def test_host_that_is_busy_is_asked_again(home, host):
    host.most = len(PETS)
    assert is_pets(untar_data(f'{host.url}/busy/pets.tgz')) and len(host.starts) == 3

def test_attempts_are_bounded_and_pause(home, host, monkeypatch):
    waited = []
    monkeypatch.setattr(downloads, '_first_pause', 1.)
    monkeypatch.setattr(downloads.time, 'sleep', waited.append)
    with pytest.raises(ConnectionError): untar_data(f'{host.url}/dead/pets.tgz')
    assert waited == [1, 2, 4, 8] and len(host.starts) == 5

def test_retry_after_is_heard_but_not_for_hours():
    error = type('', (), {'response': type('', (), {'headers': {'Retry-After': '7'}})})
    assert downloads._pause(error, 1) == 7
    error.response.headers['Retry-After'] = '86400'
    assert downloads._pause(error, 1) == 60
    error.response.headers['Retry-After'] = 'Thu, 26 Nov 2026 08:00:00 GMT'
    assert downloads._pause(error, 3) == 4*downloads._first_pause

def test_wrong_sum_is_thrown_away(home, host, monkeypatch):
    "A part that went bad on this disk: the sum tells, nothing of it is kept, and the next call begins anew."
    url = f'{host.url}/breaks/pets.tgz'
    monkeypatch.setitem(datasets._known, url, (len(PETS), hashlib.md5(PETS).hexdigest()))
    monkeypatch.setattr(downloads, '_most', 1)
    with pytest.raises(ConnectionError): untar_data(url)
    part = home/'archive'/'pets.tgz.part'
    part.write_bytes(bytes(part.stat().st_size))
    monkeypatch.setattr(downloads, '_most', 100)
    with pytest.raises(ValueError, match='md5'): untar_data(url)
    assert left(home) == []
    assert is_pets(untar_data(url))

@pytest.mark.parametrize('extra', [0, 10], ids=['whole', 'too long'])
def test_part_that_is_whole_or_more(home, host, monkeypatch, extra):
    "Killed before the last step: nothing is left to fetch. A part longer than the file is begun again."
    monkeypatch.setattr(downloads, '_most', 1)
    with pytest.raises(ConnectionError): untar_data(f'{host.url}/breaks/pets.tgz')
    (home/'archive'/'pets.tgz.part').write_bytes(PETS + bytes(extra))
    monkeypatch.setattr(downloads, '_most', 100)
    host.starts.clear()
    assert is_pets(untar_data(f'{host.url}/breaks/pets.tgz'))
    assert (host.starts == []) == (not extra)

def test_spoilt_note_means_a_new_beginning(home, host, monkeypatch):
    monkeypatch.setattr(downloads, '_most', 1)
    with pytest.raises(ConnectionError): untar_data(f'{host.url}/breaks/pets.tgz')
    (home/'archive'/'pets.tgz.part.json').write_text('{"url"')
    host.starts.clear(); host.most = len(PETS)
    monkeypatch.setattr(downloads, '_most', 100)
    assert is_pets(untar_data(f'{host.url}/breaks/pets.tgz')) and host.starts == [0]
