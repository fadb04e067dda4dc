"Bad arguments of loaders in one line get a sentence; addresses that lie give no file and hold nobody up."
import io, threading, time, warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import pandas as pd, pytest
from course_lib import shortcuts
from course_lib.all import *

KW = dict(item_tfms=Resize(8), bs=2, num_workers=0, device='cpu')

def refused(exc, *says):
    "A block that raises `exc`, whose text holds all of `says`."
    return pytest.raises(exc, match='(?s)' + ''.join(f'(?=.*{re.escape(o)})' for o in says))

@pytest.fixture(scope='module')
def d(tmp_path_factory):
    d = tmp_path_factory.mktemp('animals')
    for c in 'cat', 'dog':
        (d/c).mkdir()
        for i in range(5): Image.fromarray(np.full((10, 12, 3), i*10, 'uint8')).save(d/c/f'{c}_{i}.png')
    return d

@pytest.fixture
def files(d): return get_image_files(d)
@pytest.fixture
def df(files): return pd.DataFrame({'name': [o.as_posix() for o in files], 'kind': [o.parent.name for o in files]})

# ------------------------------------------------------------------ tables

@pytest.mark.parametrize('kw,says', [
    (dict(label_col='kinds'), ["'kinds'", 'name, kind']), (dict(fn_col='fname'), ["'fname'", 'name, kind']),
    (dict(valid_col='is_valid'), ["'is_valid'", 'name, kind']), (dict(label_col=7), ['7', 'name, kind']),
    (dict(label_col=['kind', 'age']), ["'age'", 'name, kind'])])
def test_a_column_that_is_not_there(df, kw, says):
    with refused(KeyError, *says): ImageDataLoaders.from_df(df, '/', **kw, **KW)

@pytest.mark.parametrize('kw,exc,says', [
    (dict(valid_pct=20), ValueError, ['valid_pct=20', '0.2']), (dict(valid_pct=0), ValueError, ['valid_pct=0']),
    (dict(valid_pct='a fifth'), TypeError, ['valid_pct']), (dict(label_delim=''), ValueError, ["label_delim=''"]),
    (dict(folder='nowhere'), FileNotFoundError, ['nowhere']), (dict(suff='.jpg'), FileNotFoundError, ['.png.jpg']),
    (dict(bs=0), ValueError, ['bs=0']), (dict(val_bs=-1), ValueError, ['-1']), (dict(n=99), ValueError, ['n=99', '8']),
    (dict(n=0), ValueError, ['n=0']), (dict(dl_kwargs=dict(bs=3)), TypeError, ['dl_kwargs', 'list']),
    (dict(dl_kwargs=[{}]), ValueError, ['dl_kwargs', '2 loaders']), (dict(shufle=True), TypeError, ["'shuffle'"]),
    (dict(item_tfms=8), TypeError, ['Resize(8)'])])
def test_other_arguments_of_a_table(df, kw, exc, says):
    path = '.' if 'folder' in kw else '/'
    if 'folder' in kw: df = df.assign(name=df.name.str.split('/').str[-1])
    with refused(exc, *says): ImageDataLoaders.from_df(df, path, **{**KW, **kw})

def test_a_table_that_is_not_there(df, tmp_path):
    with refused(FileNotFoundError, 'labels.csv', 'Nor is there'): ImageDataLoaders.from_csv(tmp_path)
    df.to_csv(tmp_path/'train.csv', index=False)
    with refused(FileNotFoundError, "csv_fname='train.csv'"): ImageDataLoaders.from_csv(tmp_path)
    with refused(FileNotFoundError, 'labels.csv'): ImageDataLoaders.from_csv(tmp_path/'nowhere')

# ------------------------------------------------------------------ folders and names

def test_folders_of_parts(d):
    with refused(FileNotFoundError, "no folder 'train'", 'cat, dog', 'valid_pct=0.2'): ImageDataLoaders.from_folder(d)
    with refused(FileNotFoundError, "'validation'"): ImageDataLoaders.from_folder(d, 'cat', 'validation')
    with refused(FileNotFoundError, 'no folder'): ImageDataLoaders.from_folder(d/'nowhere')
    with refused(ValueError, 'valid_pct=20'): ImageDataLoaders.from_folder(d, valid_pct=20)

@pytest.mark.parametrize('pat,exc,says', [
    (r'^(\d+)_', ValueError, [r'^(\d+)_', 'cat_0.png']), (r'\d', ValueError, ['parentheses']),
    (r'(\d', ValueError, ['no regular expression']), (7, TypeError, ['7'])])
def test_patterns(d, files, pat, exc, says):
    for way in ImageDataLoaders.from_name_re, ImageDataLoaders.from_path_re:
        with refused(exc, *says): way(d, files, pat, **KW)

def test_a_pattern_that_fits_some_names_only(d, files):
    with refused(ValueError, 'dog_0.png') as e: ImageDataLoaders.from_name_re(d, files, r'^(c.t)', **KW)
    assert 'item 5' in '\n'.join(e.value.__notes__)

def forgets(name):
    if name.startswith('cat'): return 'cat'

def test_functions_that_return_nothing(d, files):
    with refused(ValueError, 'forgets', 'dog_0.png', 'return'): ImageDataLoaders.from_name_func(d, files, forgets, **KW)
    with refused(ValueError, 'dog_0.png'): ImageDataLoaders.from_path_func(d, files, lambda f: forgets(f.name), **KW)
    assert ImageDataLoaders.from_path_func(d, files, lambda f: 0, **KW).vocab == [0] # a label that is false

def test_names_as_text(d, files): # in fastai an error
    dls = ImageDataLoaders.from_name_func(d, list(map(str, files)), lambda n: n[:3], **KW)
    assert dls.vocab == ['cat', 'dog']

def test_lists(d, files):
    with refused(ValueError, '10, 3'): ImageDataLoaders.from_lists(d, files, ['cat']*3)
    with refused(ValueError, 'RegressionBlock'): ImageDataLoaders.from_lists(d, files, [[.1, .2]]*10)
    with refused(ValueError, 'missing'): ImageDataLoaders.from_lists(d, files, ['cat']*9 + [None], **KW)
    two = ImageDataLoaders.from_lists(d, files, [[.1, .2]]*10, y_block=RegressionBlock, **KW)
    assert two.one_batch()[1].shape == (2, 2)

def test_columns(files):
    block = DataBlock.from_columns((ImageBlock, CategoryBlock))
    with refused(ValueError, '10, 2'): block.datasets((files, 'ab'))
    with refused(TypeError, 'list of columns'): block.datasets('labels.csv')
    with refused(TypeError, 'list of columns'): block.datasets(pd.DataFrame({'a': [1]}))

# ------------------------------------------------------------------ splitters

def test_splitters(files, tmp_path):
    with refused(ValueError, '3 entries for 10'): MaskSplitter([True, False, True])(files)
    with refused(TypeError, 'MaskSplitter'): IndexSplitter([True]*5 + [False]*5)(files)
    for bad in 0, 1, 20, -.1:
        with refused(ValueError, f'valid_pct={bad}'): EndSplitter(bad)
        with refused(ValueError, f'train_sz={bad}'): RandomSubsetSplitter(bad, .2)
    with refused(ValueError, 'more than 1'): RandomSubsetSplitter(.8, .4)
    (tmp_path/'valid.txt').write_text('rex.png\n')
    with refused(ValueError, 'valid.txt', 'cat_0.png'): FileSplitter(tmp_path/'valid.txt')(files)
    with pytest.raises(FileNotFoundError): FileSplitter(tmp_path/'nowhere.txt')
    for split in EndSplitter(), EndSplitter(valid_last=False): assert list(map(len, split(files[:3]))) == [2, 1]

def test_functions_left_out(d, files):
    dls = ImageDataLoaders.from_path_func(d, files, parent_label, **KW)
    with refused(TypeError, 'with_labels=True'): dls.test_dl(files, True)

def test_what_cannot_be_set(d, files):
    dls = ImageDataLoaders.from_path_func(d, files, parent_label, **KW)
    for name in 'items', 'after_batch', 'dataset':
        with pytest.raises(AttributeError): setattr(dls, name, None)

# ------------------------------------------------------------------ addresses

def png(seed=0):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 30, 3), 'uint8')).save(out, 'PNG')
    return out.getvalue()

class Host(BaseHTTPRequestHandler):
    "Answers `/HOW/name`."
    def log_message(self, *args): pass
    def begin(self, code=200, **headers):
        self.send_response(code)
        for k,v in headers.items(): self.send_header(k.replace('_', '-'), str(v))
        self.end_headers()

    def do_GET(self):
        how = self.path.split('/')[1]
        self.server.asked.append(self.path)
        try: getattr(self, f'do_{how}')()
        except OSError: pass # the client went away

    def do_good(self): self.begin(); self.wfile.write(png())
    def do_page(self): self.begin(Content_Type='image/png'); self.wfile.write(b'<html>Sold out</html>')
    def do_none(self): self.begin(404)
    def do_empty(self): self.begin(Content_Length=0)
    def do_half(self): self.begin(Content_Length=len(png())); self.wfile.write(png()[:300])
    def do_liar(self): self.begin(Content_Length=10**12); self.wfile.write(png()[:300])
    def do_round(self): self.begin(302, Location=self.path)
    def do_away(self): self.begin(302, Location='file:///etc/passwd')
    def do_moved(self): self.begin(301, Location='/good/x.png')
    def do_dead(self): self.connection.close()
    def do_deaf(self): time.sleep(2)
    def do_slow(self):
        self.begin()
        for byte in png():
            self.wfile.write(bytes([byte]))
            time.sleep(.02)
    def do_endless(self):
        self.begin()
        while True: self.wfile.write(bytes(2**16))

@pytest.fixture
def host(monkeypatch):
    for o in 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY': monkeypatch.delenv(o, raising=False)
    server = ThreadingHTTPServer(('127.0.0.1', 0), Host)
    server.asked, server.url = [], f'http://127.0.0.1:{server.server_port}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown(); server.server_close()

def fetched(dest, *urls, **kw):
    "The names of the files that came, and what was warned of."
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        download_images(dest, urls=list(urls), **{**dict(timeout=.3), **kw})
    assert not list(dest.glob('.*')) and len(told) <= 1 # no half a file
    return [o.name for o in get_files(dest)], ''.join(str(w.message) for w in told)

@pytest.mark.parametrize('how,why', [
    ('page', 'not a picture'), ('none', 'status 404'), ('empty', 'empty'), ('half', ''), ('liar', ''),
    ('round', 'too many other addresses'), ('away', ''), ('dead', ''), ('deaf', 'too slow'), ('slow', 'too slow'),
    ('endless', 'more than 30 MB')])
def test_what_is_no_picture_is_not_kept(host, tmp_path, monkeypatch, how, why):
    monkeypatch.setattr(shortcuts, '_patience', 3)
    start = time.time()
    names, told = fetched(tmp_path/'p', f'{host.url}/{how}/x.png')
    assert names == [] and '1 of 1 addresses gave no picture' in told and f'/{how}/x.png' in told and why in told
    assert time.time() - start < 10

@pytest.mark.parametrize('url', [
    'file:///etc/passwd', 'ftp://host/x.png', '/etc/passwd', 'x.png', 'data:image/png;base64,'])
def test_only_http_is_asked(tmp_path, url):
    assert fetched(tmp_path/'p', url)[0] == [] and 'http or https' in fetched(tmp_path/'p', url)[1]

def test_good_ones_come_beside_bad_ones(host, tmp_path):
    urls = [f'{host.url}/{o}' for o in ('good/1.png', 'page/2.png', 'moved/3', 'good/4.php?size=2', 'none/5.png')]
    names, told = fetched(tmp_path/'a'/'p', *urls)
    assert len(names) == 3 and all(o.endswith('.png') for o in names) and '2 of 5' in told
    assert verify_images(get_files(tmp_path/'a'/'p')) == []
    asked = len(host.asked)
    assert fetched(tmp_path/'a'/'p', *urls[:1])[1] == '' and len(host.asked) == asked # it is there
    assert '/good/4.php?size=2' in host.asked

def test_names_are_kept_if_asked_for(host, tmp_path):
    urls = [f'{host.url}/good/{o}' for o in ('bear.png', 'bear.png?2', '..%2F..%2Fup.png', 'teddy.jpg', '')]
    names, told = fetched(tmp_path/'p', *urls, preserve_filename=True)
    assert names == ['bear.png', 'bear1.png', 'good.png', 'teddy.png', 'up.png'] and told == ''
    assert [o.name for o in tmp_path.iterdir()] == ['p']

def test_lists_of_addresses(host, tmp_path):
    file = tmp_path/'urls.txt'
    good = f'{host.url}/good'
    file.write_text(f'{good}/1.png\n\n  {good}/2.png \n{good}/1.png\n{good}/3.png\n')
    download_images(tmp_path/'p', url_file=file, max_pics=2, n_workers=1)
    assert sorted(host.asked) == ['/good/1.png', '/good/2.png'] and len(get_files(tmp_path/'p')) == 2
    download_images(tmp_path/'q', file)
    assert len(get_files(tmp_path/'q')) == 3
    with refused(ValueError, 'url_file'): download_images(tmp_path/'r')
    with refused(TypeError, 'list'): download_images(tmp_path/'r', urls='http://host/x.png')
