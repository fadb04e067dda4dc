"""Grey pictures beyond bytes: white is white whatever the file's mode, and what cannot be known is refused by name."""
import io, struct, warnings
import numpy as np, pytest
from PIL import Image
from course_lib.datablock import *
from course_lib.decode import grey_bytes
from course_lib.vision import *

BYTES = np.linspace(0, 255, 24*32).reshape(24, 32).round().astype('uint8') # a ramp from black to white

def file(a, fmt):
    "The bytes of a file with the picture, or array, `a`."
    out = io.BytesIO()
    (a if isinstance(a, Image.Image) else Image.fromarray(a)).save(out, fmt)
    return out.getvalue()

def big_endian_tiff(a, bits=16):
    "A TIFF of one strip, most significant byte first."
    h, w = a.shape
    tags = [(256, 4, w), (257, 4, h), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, h),
            (279, 4, a.size*2)]
    data = a.astype('>u2').tobytes()
    def entry(tag, kind, v): # a number of 4 bytes, or one of 2 and two bytes that count for nothing
        return struct.pack('>HHI', tag, kind, 1) + (struct.pack('>I', v) if kind == 4 else struct.pack('>HH', v, 0))
    entries = [struct.pack('>H', len(tags)), *(entry(*t) for t in tags), bytes(4)]
    return b'MM\0*' + struct.pack('>I', 8 + len(data)) + data + b''.join(entries)

deep, deep12 = BYTES.astype('uint16')*257, BYTES.astype('uint16')*16 + 15
KINDS = dict(
    png16=lambda: file(deep, 'PNG'), tiff16=lambda: file(deep, 'TIFF'), tiff16_big=lambda: big_endian_tiff(deep),
    png12=lambda: file(deep12, 'PNG'), tiff12_big=lambda: big_endian_tiff(deep12),
    png8=lambda: file(BYTES.astype('uint16'), 'PNG'),
    int16=lambda: file(deep.astype('int32'), 'TIFF'), int12=lambda: file(deep12.astype('int32'), 'TIFF'),
    int8=lambda: file(BYTES.astype('int32'), 'TIFF'), pgm=lambda: file(deep.astype('int32'), 'PPM'),
    float1=lambda: file((BYTES/255).astype('float32'), 'TIFF'), float8=lambda: file(BYTES.astype('float32'), 'TIFF'),
    float12=lambda: file(deep12.astype('float32'), 'TIFF'), float16=lambda: file(deep.astype('float32'), 'TIFF'))

@pytest.mark.parametrize('kind', KINDS)
def test_a_ramp_stays_the_same_ramp(kind, tmp_path):
    data = KINDS[kind]()
    (tmp_path/'ramp').write_bytes(data)
    for source in tmp_path/'ramp', data, Image.open(io.BytesIO(data)):
        a = np.asarray(PILImage.create(source)).astype(int)
        assert a.shape == (24, 32, 3) and (a == a[..., :1]).all()
        assert abs(a[..., 0] - BYTES).max() <= 1
        assert len(np.unique(a)) > 200 # no levels are lost
    x = Pipeline([Resize(24, 'squish'), ToTensor], 1)((PILImage.create(data),))[0]
    assert x.shape == (24, 24, 3) and x.min() < 9 and x.max() > 246

@pytest.mark.parametrize('mode', ['I;16', 'I;16B', 'I;16L'])
def test_images_in_memory_too(mode):
    im = Image.frombytes(mode, (32, 24), deep.astype('>u2' if mode.endswith('B') else '<u2').tobytes())
    assert abs(np.asarray(PILImage.create(im))[..., 0].astype(int) - BYTES).max() <= 1

def test_a_rounding_error_around_0_and_1_is_let_pass():
    a = (BYTES/255).astype('float32')*1.003 - .001
    assert abs(grey_bytes(a).astype(int) - BYTES).max() <= 1

@pytest.mark.parametrize('values,says', [
    (np.array([[-1024, 3071]], 'int32'), '-1024 to 3071'), (np.array([[0, 70000]], 'int32'), '70000'),
    (np.array([[-1, 1]], 'float32'), '-1 to 1'), (np.array([[0, 2.5]], 'float32'), '0 to 2.5'),
    (np.array([[0, np.nan]], 'float32'), 'nan'), (np.array([[0, np.inf]], 'float32'), 'inf'),
    (np.array([[0, 1e6]], 'float32'), '1e+06')])
def test_what_white_is_must_be_known(values, says, tmp_path):
    (tmp_path/'scan.tif').write_bytes(file(values, 'TIFF'))
    with pytest.raises(OSError) as e: np.asarray(PILImage.create(tmp_path/'scan.tif'))
    text = str(e.value)
    assert all(s in text for s in (says, 'scan.tif', 'cannot be known', 'uint8')) and 'damaged' not in text

def test_black_is_black():
    for kind in 'uint16', 'int32', 'float32':
        assert (np.asarray(PILImage.create(file(np.zeros((4, 5), kind), 'TIFF'))) == 0).all()

# Very many pixels

def bitmap(n): return file(Image.new('1', (n, n)), 'PNG')

def test_too_many_pixels_name_the_file_and_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    (tmp_path/'huge.png').write_bytes(bitmap(50))
    with pytest.raises(Image.DecompressionBombError, match=r'huge\.png: .*2500 pixels.*smaller.*MAX_IMAGE_PIXELS'):
        PILImage.create(tmp_path/'huge.png')

def test_many_pixels_are_opened_and_the_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 2000)
    (tmp_path/'large.png').write_bytes(bitmap(50))
    with pytest.warns(Image.DecompressionBombWarning, match=r'large\.png has .*smaller'):
        assert PILImage.create(tmp_path/'large.png').size == (50, 50)

@pytest.mark.parametrize('fmt', ['PNG', 'JPEG'])
def test_without_a_limit_there_is_none(monkeypatch, fmt):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert np.asarray(PILImage.create(file(Image.new('RGB', (20, 10)), fmt))).shape == (10, 20, 3)
