"""Any file that may be dropped on the page of chapter 15: a picture comes out, or a sentence.

No browser here, and no Gradio."""
import os, random, subprocess, sys, zlib
import numpy as np, pytest, torch
from PIL import Image, ImageDraw
from pathlib import Path
from course_lib import bear_page as bears
from course_lib.bears import *
from course_lib.bear_page import *
from course_lib.checks import check_bear_folder
from course_lib.datasets import get_image_files
from course_lib.export import load_learner

class StandIn:
    "In place of a trained model: the mean red, green and blue of a picture are its probabilities."
    vocab, thresholds, asked = ['black', 'grizzly', 'teddy'], [.5, .5, .5], 0
    def get_preds(self, items):
        self.asked += len(items)
        return torch.stack([torch.tensor(np.asarray(o, dtype='float32')).mean((0, 1))/255 for o in items])

@pytest.fixture
def model(): return StandIn()

def drawing(w=120, h=80):
    "Red on the left, blue on the right: it shows which way up and round it is."
    im = Image.new('RGB', (w, h), (230, 20, 20))
    ImageDraw.Draw(im).rectangle((w//2, 0, w, h), fill=(20, 20, 230))
    return im

@pytest.fixture
def save(tmp_path):
    def f(name, im=None, **kw):
        (im or drawing()).save(tmp_path/name, **kw)
        return tmp_path/name
    return f

def same(a, b, by=6):
    def off(): return np.abs(np.asarray(a, float) - np.asarray(b, float)).mean()
    return a.size == b.size and a.mode == 'RGB' and off() < by

# Pictures, of any kind: opened, upright, RGB

def test_plain_kinds(save):
    for ending in 'jpg', 'png', 'webp', 'bmp', 'tiff', 'gif', 'avif':
        picture, note = open_picture(save(f'a.{ending}'))
        assert same(picture, drawing()) and note == '', ending

@pytest.mark.parametrize('orientation,turn', [
    (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90), (8, Image.Transpose.ROTATE_270)])
def test_phone_held_sideways(save, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = save('phone.jpg', drawing().transpose(turn), exif=exif, quality=95)
    assert same(open_picture(file)[0], drawing())

def test_other_colours(save):
    assert same(open_picture(save('press.jpg', drawing().convert('CMYK')))[0], drawing(), by=12)
    assert same(open_picture(save('p.png', drawing().quantize(16)))[0], drawing())
    grey = np.linspace(0, 65535, 120*80).reshape(80, 120).astype('uint16')
    eight_bits = Image.fromarray((grey//256).astype('uint8'))
    assert same(open_picture(save('deep.png', Image.fromarray(grey)))[0], eight_bits.convert('RGB'))
    assert same(open_picture(save('bits.png', drawing().convert('1')))[0], drawing().convert('1').convert('RGB'))

def test_transparent_is_put_on_white(save):
    clear = drawing().convert('RGBA')
    clear.putalpha(0)
    white = Image.new('RGB', (120, 80), 'white')
    assert same(open_picture(save('alpha.png', clear))[0], white)
    indexed = Image.new('P', (120, 80), 0)
    indexed.putpalette([200, 0, 0])
    assert same(open_picture(save('indexed.png', indexed, transparency=0))[0], white)
    assert same(open_picture(save('clear.webp', clear, lossless=True))[0], white)

@pytest.mark.parametrize('ending', ['gif', 'webp', 'png', 'avif'])
def test_moving_picture_is_its_first_frame(save, ending):
    other = Image.new('RGB', (120, 80), 'yellow')
    picture, note = open_picture(save(f'moving.{ending}', save_all=True, append_images=[other, other.rotate(90)]))
    assert same(picture, drawing()) and 'first frame' in note and 'moving' in note

def test_wrong_ending_does_not_matter(save):
    file = save('a.png')
    assert same(open_picture(file.rename(file.with_suffix('.txt')))[0], drawing())

# No pictures: a sentence that names the file

def refused(file, *says):
    with pytest.raises(NotAPicture) as info: open_picture(file)
    text = str(info.value)
    for s in says: assert s in text, f'{s!r} is missing in {text!r}'
    assert text[0] in '“D' and text[-1] == '.' and '\n' not in text and len(text) < 200 and 'Error' not in text
    return text

def test_nothing_was_dropped(): refused(None, 'Drop a picture first')

def test_no_such_file(tmp_path):
    refused(tmp_path/'gone.jpg', '“gone.jpg”', 'no file')
    refused(tmp_path, 'no file') # a folder

@pytest.mark.parametrize('name,data', [
    ('letter.txt', b'Dear bear,'), ('table.csv', b'fname,labels\n'), ('page.html', b'<html><img src=x></html>'),
    ('one.jpg', b'\xff'), ('a.svg', b'<svg xmlns="http://www.w3.org/2000/svg"/>'), ('a.pdf', b'%PDF-1.7\n'),
    ('a.zip', b'PK\x03\x04'), ('noise.jpg', bytes(range(256))*40),
    ('a.eps', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n'), ('a.ppm', b'P6 40 40 255\n' + bytes(4800))])
def test_no_picture(tmp_path, name, data):
    (tmp_path/name).write_bytes(data)
    refused(tmp_path/name, f'“{name}” is no picture')

def test_empty_file(tmp_path):
    (tmp_path/'a.jpg').touch()
    refused(tmp_path/'a.jpg', 'is empty')

@pytest.mark.parametrize('brand', [b'heic', b'heix', b'mif1', b'hevc'])
def test_photograph_of_an_iphone(tmp_path, brand):
    (tmp_path/'IMG_1.HEIC').write_bytes(b'\0\0\0\x18ftyp' + brand + bytes(100))
    refused(tmp_path/'IMG_1.HEIC', 'HEIC', 'JPEG')

@pytest.mark.parametrize('size', [(1, 1), (1, 4000), (15, 200)])
def test_too_small(save, size):
    refused(save('dot.png', Image.new('RGB', size)), f'{size[0]} × {size[1]} pixels', 'too few')

def test_too_many_bytes(save, monkeypatch):
    file = save('a.bmp')
    monkeypatch.setattr(bears, '_max_bytes', 20_000)
    refused(file, 'MB', 'smaller')

def png(w, h, rows=b''):
    "A PNG with this size in its header, and `rows` for pixels, whatever they are."
    def chunk(kind, data):
        return len(data).to_bytes(4, 'big') + kind + data + zlib.crc32(kind + data).to_bytes(4, 'big')
    header = w.to_bytes(4, 'big') + h.to_bytes(4, 'big') + bytes([8, 2, 0, 0, 0])
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')

@pytest.mark.parametrize('w,h', [(10_000, 10_000), (7_746, 7_746), (20_000, 20_000), (2**31-1, 2**31-1)])
def test_huge_picture_is_refused_by_its_header(tmp_path, monkeypatch, w, h):
    "Were it decoded, that would be seen."
    monkeypatch.setattr(Image.Image, 'load', lambda self: pytest.fail('decoded'))
    monkeypatch.setattr('PIL.ImageFile.ImageFile.load', lambda self: pytest.fail('decoded'))
    (tmp_path/'huge.png').write_bytes(png(w, h))
    refused(tmp_path/'huge.png', 'pixels')

@pytest.mark.skipif(os.name == 'nt', reason='Unix tells how much memory was in use at most')
def test_decompression_bomb_costs_no_memory(tmp_path):
    "100 megapixels, honestly there: 300 MB if it were decoded."
    packed = zlib.compressobj(9)
    data = b''.join(packed.compress(bytes(30_001)) for _ in range(10_000)) + packed.flush()
    def chunk(kind, d): return len(d).to_bytes(4, 'big') + kind + d + zlib.crc32(kind + d).to_bytes(4, 'big')
    whole = png(10_000, 10_000)
    (tmp_path/'bomb.png').write_bytes(whole[:33] + chunk(b'IDAT', data) + chunk(b'IEND', b''))
    assert (tmp_path/'bomb.png').stat().st_size < 400_000
    import resource
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(tmp_path/'bomb.png', '10,000 × 10,000', '60 million')
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000 # kB

def test_largest_size_is_allowed(save, monkeypatch):
    monkeypatch.setattr(bears, '_max_pixels', 120*80)
    open_picture(save('a.png'))
    refused(save('b.png', drawing(121, 80)), '121 × 80')

@pytest.mark.parametrize('ending', ['jpg', 'png', 'gif', 'webp', 'tiff', 'bmp', 'avif'])
def test_cut_short(save, ending):
    noise = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype='uint8')
    file = save(f'half.{ending}', Image.fromarray(noise))
    data = file.read_bytes()
    file.write_bytes(data[:len(data)//2])
    refused(file, '“half.')

@pytest.mark.filterwarnings('ignore:.*:UserWarning') # of Pillow, about what it found
@pytest.mark.parametrize('ending', ['jpg', 'png', 'gif', 'webp', 'tiff', 'bmp', 'avif'])
def test_damaged_anywhere_gives_a_picture_or_a_sentence(save, ending):
    "Nothing but `NotAPicture` comes out, whichever bytes are hit."
    file, rng, seen = save(f'a.{ending}', drawing(40, 30)), random.Random(1), set()
    data = file.read_bytes()
    for _ in range(150):
        bad = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(min(len(bad), rng.choice([20, 200, len(bad)])))
            bad[at] = rng.randrange(256)
        file.write_bytes(bad)
        try: seen.add(open_picture(file)[0].mode)
        except NotAPicture: seen.add('refused')
    assert 'refused' in seen and seen <= {'refused', 'RGB'}

def test_names_of_files(tmp_path):
    for name in 'x'*200 + '.jpg', 'a\nb\x07.txt', '\u202egnp.exe', '🐻.txt':
        (tmp_path/name).write_text('no picture')
        text = refused(tmp_path/name, '“')
        assert text.isprintable() and len(text) < 160

# Judging

def test_judge_names_what_is_above(model, save):
    v = judge(model, save('a.png', Image.new('RGB', (50, 50), (250, 200, 10))))
    assert v.found == ['black', 'grizzly'] and v.headline == 'Black bear and grizzly bear' and not v.problem
    assert v.picture.size == (50, 50) and '98%' in v.reason and '78%' in v.reason

def test_judge_says_no_bear(model, save):
    v = judge(model, save('a.png', Image.new('RGB', (50, 50), (20, 60, 10))))
    assert v.found == [] and v.headline == 'No bear found' and 'grizzly' in v.reason and '24%' in v.reason

def test_thresholds(model, save):
    file = save('a.png', Image.new('RGB', (50, 50), (51, 102, 204))) # .2, .4, .8
    assert judge(model, file).found == ['teddy']
    assert judge(model, file, .3).found == ['teddy', 'grizzly']
    assert judge(model, file, [.1, .9, .9]).found == ['black']
    model.thresholds = [.1, .5, .9]
    assert judge(model, file).found == ['black']
    with pytest.raises(ValueError, match='3 names.*2 thresholds'): judge(model, file, [.1, .2])

def test_another_threshold_asks_no_model(model, save):
    v = judge(model, save('a.png', Image.new('RGB', (50, 50), (51, 102, 204))))
    assert [len(v.at(t).found) for t in (0, .3, .5, .9, 1)] == [3, 2, 1, 0, 0] and model.asked == 1
    assert v.found == ['teddy'] # itself unchanged
    assert v.at(v.probs['teddy']).found == [] # above, not at

def test_problem_becomes_a_verdict(model, tmp_path):
    (tmp_path/'letter.txt').write_text('Dear bear,')
    for file in tmp_path/'letter.txt', None:
        v = judge(model, file)
        assert v.problem and not v.found and v.picture is None and v.at(.9) == v and v.headline == 'That did not work'
    assert model.asked == 0

def test_model_for_something_else_is_refused(model, save):
    model.thresholds = None
    with pytest.raises(ValueError, match='any number of labels'): judge(model, save('a.png'))
    pytest.importorskip('gradio')
    with pytest.raises(ValueError, match='any number of labels'): bears_app(model)

def test_names_cannot_become_html(model, tmp_path):
    (tmp_path/'<img src=x onerror=alert(1)>.txt').write_text('no picture')
    page = verdict_html(judge(model, tmp_path/'<img src=x onerror=alert(1)>.txt'))
    assert '<img' not in page and '&lt;img' in page
    page = verdict_html(Verdict({'<b>': .9}, {'<b>': .5}))
    assert '<b>' not in page and '&lt;b&gt;' in page

def test_html_of_a_verdict():
    page = verdict_html(Verdict(dict(black=.9, teddy=.2), dict(black=.5, teddy=.25), note='It moves.'))
    assert 'Black bear</h2>' in page and page.count('<li') == 2 and page.count('class="bear over"') == 1
    assert 'width:90.0%' in page and 'left:25.0%' in page and 'It moves.' in page
    assert 'No bear found' in verdict_html(Verdict(dict(black=.1), dict(black=.5)))
    assert 'No picture yet' in verdict_html(None)

# Command, and life without Gradio

def run(code, home):
    env = {**os.environ, 'COURSE_LIB_HOME': str(home)}
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=env, timeout=120)

def test_no_gradio(tmp_path):
    code = ("import sys; sys.modules['gradio'] = None\n"
            "from course_lib.all import *\nfrom course_lib.bear_page import *\n"
            "try: bears_app(type('P', (), dict(thresholds=[.5], vocab=['teddy'])))\n"
            "except ModuleNotFoundError as e: print(e)")
    assert 'pip install "course_lib[app]"' in run(code, tmp_path).stdout

def test_gradio_is_not_imported_before_it_is_needed(tmp_path):
    code = ("import sys\nfrom course_lib.all import *\nfrom course_lib.bears import *\n"
            "print([o for o in sys.modules if o.split('.')[0] in ('gradio', 'gradio_client')])")
    assert run(code, tmp_path).stdout.strip() == '[]'

def test_command_without_a_model_says_how_to_make_it(home, capsys):
    assert course_bears([]) == 1
    assert '15_bears.ipynb' in capsys.readouterr().out

@pytest.mark.parametrize('data,says', [
    (None, 'There is no exported model'), (b'', ''), (b'no model', 'cannot be loaded'), (b'\x80\x04.', 'pickle')])
def test_command_with_a_bad_model(home, tmp_path, capsys, data, says):
    file = tmp_path/'m.safetensors'
    if data is not None: file.write_bytes(data)
    assert course_bears([str(file)]) == 1
    said = capsys.readouterr().out
    assert says in said and 'm.safetensors' in said

@pytest.mark.parametrize('port', ['eighty', '-1', '70000'])
def test_command_with_a_bad_port(port, capsys):
    with pytest.raises(SystemExit): course_bears(['--port', port])
    assert port in capsys.readouterr().err

# A folder of one's own

PHOTOS = Path(__file__).resolve().parents[2].parent/'shared'/'data'/'photos'/'train'

@pytest.fixture
def own(tmp_path):
    "A folder with six pictures in each of two folders, all a bit different."
    for name, dark in ('black', 90), ('none', 0):
        (tmp_path/'own'/name).mkdir(parents=True)
        for i in range(6):
            picture = np.asarray(drawing(120 + i, 80)) // (1 + dark) + 3*i
            Image.fromarray(picture.astype('uint8')).save(tmp_path/'own'/name/f'{i}.jpg')
    return tmp_path/'own'

def test_own_pictures_make_a_model_that_says_what_it_knows(own, tmp_path, capsys, home):
    (own/'none'/'broken.jpg').write_bytes(b'no picture')
    file = train_bears(own, epochs=1)
    assert file == model_file() and 'Left out, as they cannot be opened: broken.jpg.' in capsys.readouterr().out
    predictor = load_learner(file)
    assert predictor.vocab == ['black'] and predictor.about == "12 pictures from the folder 'own'"
    assert 0 < predictor.thresholds[0] < 1 and judge(predictor, own/'black'/'0.jpg').problem == ''
    assert 'trained on 12 pictures from the folder' in bears._trained_on(predictor)

def test_names_of_folders_are_labels(own, tmp_path):
    (own/'none').rename(own/'black+teddy')
    with pytest.warns(UserWarning, match="no folder 'none'"): train_bears(own, tmp_path/'m.safetensors', epochs=1)
    assert load_learner(tmp_path/'m.safetensors').vocab == ['black', 'teddy']

def test_folder_that_is_not_as_asked_for(own, tmp_path):
    (own/'none'/'5.jpg').unlink()
    (own/'none'/'4.jpg').unlink()
    with pytest.raises(ValueError, match="'none' has 4"): train_bears(own)
    with pytest.raises(ValueError, match='is no folder'): train_bears(tmp_path/'nowhere')
    with pytest.raises(ValueError, match='lie in no folder of a label'): train_bears(own/'black')

def test_pictures_of_a_folder_are_those_of_get_image_files(own):
    for k,ending in enumerate(('jfif', 'JPE', 'ppm')): (own/'none'/f'{k}.jpg').rename(own/'none'/f'{k}.{ending}')
    for name in '._1.jpg', '.trash/2.jpg', 'notes.txt': # hidden, or no picture: not counted, and not loose
        (own/'none'/name).parent.mkdir(exist_ok=True)
        (own/'none'/name).write_bytes(b'x')
    (own/'.DS_Store.jpg').write_bytes(b'x')
    files = check_bear_folder(own, get_image_files)
    assert len(files) == 12 and files == list(get_image_files(own))
    (own/'none'/'0.jfif').unlink()
    (own/'none'/'1.JPE').unlink()
    with pytest.raises(ValueError, match="'none' has 4"): train_bears(own)

def test_split_has_each_folder_on_both_sides():
    files = [Path(f'/x/{k}/{i}.jpg') for k,n in (('a', 5), ('b', 50), ('none', 11)) for i in range(n)]
    valid = fifth_of_each(files)
    assert [sum(f.parent.name == k for f in valid) for k in ('a', 'b', 'none')] == [1, 10, 2]
    assert valid == fifth_of_each(files[::-1])

@pytest.mark.skipif(not PHOTOS.is_dir(), reason='the folder ../shared/data/photos is not here')
def test_a_handful_of_photographs(tmp_path):
    import pandas as pd, shutil
    table = pd.read_csv(PHOTOS.parent/'train.csv', keep_default_na=False)
    for label in 'person', '':
        folder = tmp_path/'mine'/(label or 'none')
        folder.mkdir(parents=True)
        for f in table[table.labels == label].fname[:12]: shutil.copy(PHOTOS/f, folder)
    predictor = load_learner(train_bears(tmp_path/'mine', tmp_path/'m.safetensors', epochs=2))
    right = [(bool(judge(predictor, f).found), f.parent.name == 'person') for f in (tmp_path/'mine').rglob('*.jpg')]
    assert sum(a == b for a,b in right) >= .7*len(right)
