"""The data chapters against independent references: torch, torchvision, scikit-learn, plain Pillow, closed forms."""
import copy, io, math, pickle, random
import numpy as np, pandas as pd, pytest, torch
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageFilter, ImageOps
from sklearn.preprocessing import MultiLabelBinarizer
from torch.utils.data import DataLoader as TorchLoader, default_collate
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import IndexSplitter
from course_lib.datablock import *
from course_lib.vision import *
from course_lib.augment import *

import_torchvision() # its submodules are imported below

def smooth(h, w, seed=0, cells=12):
    "Smooth random bytes `[h,w,3]`, the kind of signal a photograph is."
    a = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), dtype='uint8')
    return np.asarray(Image.fromarray(a).resize((w, h), Image.Resampling.BICUBIC))

def noise(h, w, seed=0): return np.random.default_rng(seed).integers(0, 256, (h, w, 3), dtype='uint8')

def encoded(im, fmt='JPEG', **kwargs):
    out = io.BytesIO()
    (im if isinstance(im, Image.Image) else Image.fromarray(im)).save(out, fmt, **kwargs)
    return out.getvalue()

def same_pixels(a, b): np.testing.assert_array_equal(np.asarray(a), np.asarray(b))

def plain(o):
    "Nested tensors, tuples and lists as nested lists of numbers and strings."
    if isinstance(o, torch.Tensor): return o.tolist()
    if isinstance(o, dict): return {k: plain(v) for k,v in o.items()}
    return [plain(v) for v in o] if isinstance(o, (list, tuple)) else o

# Splitting

@given(st.integers(2, 400), st.integers(0, 2**31), st.floats(.05, .9))
def test_random_split_is_that_of_fastai(n, seed, pct):
    torch.manual_seed(seed)
    order = torch.randperm(n).tolist()
    cut = max(1, int(pct*n)) # fastai's validation may be empty; ours never is
    assert RandomSplitter(pct, seed=seed)(range(n)) == (order[cut:], order[:cut])

def test_random_split_leaves_the_global_generator_alone():
    set_seed(1); a = torch.rand(3)
    set_seed(1); RandomSplitter(seed=42)(range(9))
    assert torch.equal(a, torch.rand(3))

@given(st.lists(st.booleans(), min_size=2, max_size=30).filter(lambda o: len(set(o)) == 2), st.randoms())
def test_column_split_goes_by_position_whatever_the_index(mask, rnd):
    df = pd.DataFrame(dict(is_valid=mask), index=[rnd.randint(0, 5) for _ in mask])
    train, valid = ColSplitter()(df)
    assert [i in valid for i in range(len(mask))] == mask and sorted(train+valid) == list(range(len(mask)))

# Collating and loading

SINGLE = dict(int=st.integers(-2**40, 2**40), bool=st.booleans(), float=st.floats(width=32, allow_nan=False),
              str=st.text(max_size=3))

@st.composite
def alike(draw, n, depth=2):
    "`n` samples of one random structure."
    nested = ['tuple', 'list', 'dict']*(depth > 0)
    kind = draw(st.sampled_from(['tensor', 'array', 'int', 'bool', 'float', 'str', *nested]))
    if kind in ('tensor', 'array'):
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        dtype = draw(st.sampled_from([torch.float32, torch.uint8, torch.int64, torch.bool]))
        ts = [(torch.rand(shape)*9).to(dtype) for _ in range(n)]
        return ts if kind == 'tensor' else [t.numpy() for t in ts]
    if kind in SINGLE: return draw(st.lists(SINGLE[kind], min_size=n, max_size=n))
    columns = [draw(alike(n, depth-1)) for _ in range(draw(st.integers(1, 3)))]
    container = dict(dict=lambda row: dict(enumerate(row)), tuple=tuple, list=list)[kind]
    return [container(row) for row in zip(*columns)]

@given(st.integers(1, 4).flatmap(alike))
def test_collate_is_that_of_torch(samples): assert plain(collate(samples)) == plain(default_collate(samples))

@settings(max_examples=40)
@given(n=st.integers(1, 40), bs=st.integers(1, 12), drop_last=st.booleans(), workers=st.sampled_from([0, 1, 3]),
       shape=st.lists(st.integers(1, 3), max_size=2))
def test_loader_is_that_of_torch(n, bs, drop_last, workers, shape):
    data = [(torch.rand(shape), i, str(i)) for i in range(n)]
    settings = dict(bs=bs, drop_last=drop_last, num_workers=workers)
    ours = DataLoader(data, **settings)
    theirs = TorchLoader(data, batch_size=bs, drop_last=drop_last)
    assert len(ours) == len(theirs) and plain(list(ours)) == plain(list(theirs))
    shuffled = [i for _,idx,_ in DataLoader(data, shuffle=True, **settings) for i in idx.tolist()]
    assert len(set(shuffled)) == len(shuffled) == (n//bs*bs if drop_last else n)

def test_shuffling_is_uniform_and_new_in_each_epoch():
    dl = DataLoader(range(4), bs=4, shuffle=True)
    counts = pd.Series([tuple(dl.one_batch().tolist()) for _ in range(2400)]).value_counts()
    assert len(counts) == 24 and ((counts - 100)**2/100).sum() < 49.7 # chi-square, 23 degrees of freedom, p = 0.001

def test_function_lists_make_columns():
    f1, f2 = (lambda o: o+'a'), (lambda o: o+'b')
    assert Datasets('xy', [[f1, f2]])[0] == ('xab',) and Datasets('xy', [[f1], [f2]])[0] == ('xa', 'xb')
    dls = DataLoaders.from_dsets(Datasets('xyz', [[f1, f2]]), bs=3, shuffle=False)
    assert dls.one_batch() == (('xab', 'yab', 'zab'),)

def test_a_slice_of_datasets_loads_no_more_than_it_shows():
    loaded = []
    dsets = Datasets(range(100), [lambda i: loaded.append(i) or i])
    assert dsets[2:4] == [(2,), (3,)] and dsets[[5, -1]] == [(5,), (99,)] and loaded == [2, 3, 5, 99]

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('pictures')
    for i in range(12): (path/f'{i}.jpg').write_bytes(encoded(smooth(90+i, 120, i)))
    return path

@pytest.fixture
def block(folder):
    def make(**kwargs):
        settings = dict(blocks=(ImageBlock, CategoryBlock), get_x=lambda i: folder/f'{i}.jpg', get_y=lambda i: i,
                        splitter=IndexSplitter([10, 11]), item_tfms=RandomResizedCrop(24))
        return DataBlock(**{**settings, **kwargs})
    return make

@pytest.mark.parametrize('tfm', [RandomResizedCrop(24), Resize(24)])
def test_same_seed_same_batches_with_any_number_of_threads(block, tfm):
    y = MultiCategoryBlock(vocab=range(12))
    dls = block(item_tfms=tfm, blocks=(ImageBlock, y), get_y=lambda i: [i]).dataloaders(range(12), bs=3)
    def epochs(n):
        set_seed(7)
        return [x for _ in range(2) for b in dls.train.new(num_workers=n) for x in b]
    one = epochs(0)
    assert not torch.equal(one[0], one[len(one)//2])
    for n in 1, 2, 8: assert all(torch.equal(a, b) for a,b in zip(one, epochs(n), strict=True))

def test_one_draw_for_all_columns_of_a_sample_and_another_for_each_sample(folder):
    def same_file(i): return folder/'0.jpg'
    block = DataBlock((ImageBlock, ImageBlock), get_x=same_file, get_y=same_file, splitter=IndexSplitter([0]),
                      item_tfms=RandomResizedCrop(24))
    for n in 0, 2:
        x,y = block.dataloaders(range(9), bs=8, num_workers=n).one_batch()
        assert torch.equal(x, y) and len({bytes(o.numpy().tobytes()) for o in x}) == 8

# Labels

names = st.sampled_from('person car dog chair bird boat'.split())
@given(st.lists(st.lists(names), min_size=2, max_size=12).filter(lambda o: any(o[:-1])))
def test_one_hot_is_that_of_scikit_learn(rows):
    known = {n for r in rows[:-1] for n in r}
    rows[-1] = [n for n in rows[-1] if n in known]
    dsets = Datasets(rows, [[], MultiCategorizeOneHot()], splits=[range(len(rows)-1), [len(rows)-1]])
    ref = MultiLabelBinarizer()
    np.testing.assert_array_equal(torch.stack([y for _,y in dsets]), ref.fit_transform(rows))
    assert dsets.vocab == list(ref.classes_) and dsets[0][1].dtype == torch.float32
    assert [sorted(dsets.decode(s)[1]) for s in dsets] == [sorted(set(r)) for r in rows]

def test_vocab_comes_from_the_training_split_and_keeps_a_given_order():
    assert Datasets('cabad', [[], Categorize()], splits=[[0, 1, 2, 4], [3]]).vocab == ['a', 'b', 'c', 'd']
    assert Datasets('ab', [[], Categorize(vocab=['b', 'a'])]).vocab == ['b', 'a']
    assert Datasets([['b'], ['zz']], [[], MultiCategorize(add_na=True)], splits=[[0], [1]]).valid[0][1].tolist() == [0]

def test_names_of_the_ones_as_in_the_book(block):
    dsets = block(blocks=(ImageBlock, MultiCategoryBlock), get_y=lambda i: ['x', 'abc'[i % 3]]).datasets(range(12))
    ones = torch.where(dsets.train[1][1] == 1.)[0]
    assert dsets.train.vocab[ones] == ['b', 'x'] and dsets.train.vocab.o2i == dict(a=0, b=1, c=2, x=3)

def test_a_walk_from_a_table_to_a_shown_batch(folder):
    "The steps of the book's chapter, with `course_lib.all` in place of its import."
    table = dict(fname=[f'{i}.jpg' for i in range(12)], labels=['a b', 'b', 'c a']*4, is_valid=[False]*9 + [True]*3)
    scope = {'folder': folder, 'df': pd.DataFrame(table)}
    exec("""
from course_lib.all import *
rows = DataBlock().datasets(df)
assert (len(rows.train), len(rows.valid)) == (10, 2)
assert all(o['fname'] == rows.train[0][0]['fname'] for o in rows.train[0])

x_of, y_of = (lambda r: folder/r['fname']), (lambda r: r['labels'].split(' '))
assert DataBlock(get_x=x_of, get_y=y_of).datasets(df)[2] == (folder/'2.jpg', ['c', 'a'])

block = DataBlock(blocks=(ImageBlock, MultiCategoryBlock), splitter=ColSplitter(), get_x=x_of, get_y=y_of,
                  item_tfms=RandomResizedCrop(64, min_scale=.35))
im, y = block.datasets(df).train[0]
assert repr((im, y)) == '(PILImage mode=RGB size=120x90, TensorMultiCategory([1., 1., 0.]))'
assert block.datasets(df).vocab[torch.where(y == 1.)[0]] == ['a', 'b']

block.summary(df)
dls = block.dataloaders(df, bs=4)
xb, yb = to_cpu(first(dls.train))
assert (xb.shape, yb.shape, dls.c, dls.vocab) == ((4, 3, 64, 64), (4, 3), 3, ['a', 'b', 'c'])
assert (len(dls.train), len(dls.valid)) == (2, 1)
dls.show_batch(nrows=1, ncols=3)
axes = plt.gcf().axes
assert [bool(ax.images) for ax in axes] == [True]*3 and {ax.get_title() for ax in axes} <= {'a;b', 'b', 'a;c'}
plt.close('all')
""", scope)

# Opening pictures

def turned_file(kind, orientation, fmt):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(smooth(*kind), fmt, exif=exif)

@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('orientation', range(10)) # 0 and 9 mean nothing
def test_upright_as_pillow_turns_it(orientation, fmt):
    data = turned_file((30, 50), orientation, fmt)
    ref, im = ImageOps.exif_transpose(Image.open(io.BytesIO(data))), PILImage.create(data)
    assert im.size == ref.size and im.shape == ref.size[::-1] # known before it is decoded
    same_pixels(im, ref)
    assert im.size == ref.size and not im.getexif().get(0x0112)

@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('box', [(0, 0, 640, 480), (310, 17, 600, 470), (3, 100, 411, 323)])
def test_reduced_decoding_of_a_turned_picture_shows_the_same_part(orientation, box):
    data = turned_file((480, 640) if orientation < 5 else (640, 480), orientation, 'JPEG')
    full = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    ours = PILImage.create(data).crop_resize(box, (40, 32))
    theirs = full.resize((40, 32), Image.Resampling.BILINEAR, box=box)
    assert np.abs(np.asarray(ours, float) - np.asarray(theirs)).mean() < 2

def of_mode(mode):
    "A picture of `mode`, the format to save it in, and the RGB values expected."
    rgb, gray, alpha = noise(20, 30), noise(20, 30, 1)[..., 0], noise(20, 30, 2)[..., 0]
    def on_white(colour):
        a = alpha[..., None]/255
        return colour*a + 255*(1-a)
    def three(g): return np.repeat(g[..., None], 3, axis=2)
    few = Image.fromarray(rgb).quantize(16)
    if mode == 'RGB': return Image.fromarray(rgb), 'PNG', rgb
    if mode == 'L': return Image.fromarray(gray), 'PNG', three(gray)
    if mode == '1': return Image.fromarray(gray > 127), 'PNG', three((gray > 127)*255)
    if mode == 'LA':
        return Image.merge('LA', [Image.fromarray(gray), Image.fromarray(alpha)]), 'PNG', on_white(three(gray))
    if mode == 'RGBA': return Image.fromarray(np.dstack([rgb, alpha])), 'PNG', on_white(rgb)
    if mode == 'P': return few, 'PNG', np.asarray(few.convert('RGB'))
    if mode == 'P transparent':
        clear = np.asarray(few) == 3
        few.info['transparency'] = 3
        return few, 'PNG', np.where(clear[..., None], 255, np.asarray(few.convert('RGBA'))[..., :3])
    if mode == 'CMYK': return Image.fromarray(noise(20, 30)).convert('CMYK'), 'TIFF', noise(20, 30)
    if mode == 'I;16': return Image.fromarray(gray.astype('uint16')*256 + 77), 'PNG', three(gray)
    if mode == 'F': return Image.fromarray(gray.astype('float32')), 'TIFF', three(gray)
    if mode == 'I': return Image.fromarray(gray.astype('int32')), 'TIFF', three(gray)

@pytest.mark.parametrize('mode', ['RGB', 'L', '1', 'LA', 'RGBA', 'P', 'P transparent', 'CMYK', 'I;16', 'F', 'I'])
def test_every_mode_becomes_rgb(mode):
    im, fmt, expected = of_mode(mode)
    for o in PILImage.create(encoded(im, fmt)), PILImage.create(im):
        a = np.asarray(o)
        assert (o.mode, a.shape, a.dtype) == ('RGB', (20, 30, 3), np.uint8)
        assert np.abs(a - np.asarray(expected, float)).max() < (1 if mode in ('LA', 'RGBA') else .5) # of 255
        assert ToTensor()((Resize(16)(o, split_idx=1),))[0].shape == (16, 16, 3)

def test_grey_jpeg_decoded_at_reduced_scale_is_rgb():
    grey = encoded(Image.fromarray(smooth(400, 400)).convert('L'))
    im = PILImage.create(grey).crop_resize((0, 0, 400, 400), (30, 30))
    a = np.asarray(im)
    assert a.shape == (30, 30, 3) and (a[..., 0] == a[..., 2]).all()

@pytest.mark.parametrize('fmt', ['JPEG', 'PNG'])
@pytest.mark.parametrize('use', [
    lambda im: im.crop((3, 4, 20, 15)), lambda im: im.rotate(20), lambda im: im.convert('L'),
    lambda im: im.resize((9, 7), Image.Resampling.BILINEAR), lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    lambda im: im.filter(ImageFilter.BLUR), lambda im: im.copy(), copy.copy, copy.deepcopy,
    lambda im: pickle.loads(pickle.dumps(im)), np.array, lambda im: np.asarray(im, dtype='float32'), ImageOps.mirror,
    lambda im: im.tobytes(), lambda im: im.getpixel((2, 3)), lambda im: Image.merge('RGB', im.split()[::-1]),
    lambda im: Image.blend(im, im.copy(), .5)])
def test_it_can_all_that_a_pillow_image_can(fmt, use):
    data = encoded(smooth(30, 40), fmt)
    ours, ref = use(PILImage.create(data)), use(Image.open(io.BytesIO(data)))
    if isinstance(ref, Image.Image): assert (ours.mode, ours.size) == (ref.mode, ref.size)
    same_pixels(ours, ref) if not isinstance(ref, bytes) else None
    assert isinstance(ref, (Image.Image, np.ndarray)) or ours == ref

def test_copies_are_pictures_of_their_own():
    im = PILImage.create(encoded(smooth(30, 40)))
    assert repr(im) == 'PILImage mode=RGB size=40x30'
    for other in copy.deepcopy(im), pickle.loads(pickle.dumps(im)):
        assert repr(other) == repr(im)
        other.putpixel((0, 0), (1, 2, 3))
    assert im.getpixel((0, 0)) != (1, 2, 3)
    assert PILImage.create(im) is im

@pytest.mark.parametrize('fmt', ['JPEG', 'PNG'])
def test_thousands_of_open_pictures_hold_no_file_open(tmp_path, fmt):
    resource = pytest.importorskip('resource')
    (tmp_path/'a').write_bytes(encoded(smooth(16, 16), fmt))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(200, soft), hard))
    try: ims = [PILImage.create(tmp_path/'a') for _ in range(5000)]
    finally: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (tmp_path/'a').unlink() # they know all they need
    assert {im.size for im in ims} == {(16, 16)} and np.asarray(ims[-1]).any()

@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'WEBP', 'GIF', 'TIFF'])
def test_opening_does_not_decode(fmt, monkeypatch):
    data = encoded(smooth(64, 64), fmt)
    def decode(*args): raise AssertionError('decoded')
    monkeypatch.setattr('PIL.ImageFile.ImageFile.load', decode)
    monkeypatch.setattr('course_lib.decode.decode_jpeg', decode)
    assert PILImage.create(data).shape == (64, 64)

# JPEGs decoded straight into an array

def with_segment(jpeg, marker, body):
    "`jpeg` with one more part in its header, right after the start."
    return jpeg[:2] + bytes([0xff, marker]) + (len(body)+2).to_bytes(2) + body + jpeg[2:]

def fused_and_by_pillow(data, size=16):
    pipe = Pipeline([Resize(size), ToTensor], split_idx=1)
    assert len(pipe.tfms) == 1
    apart = Resize(size)(PILImage.create(data), split_idx=1)
    return pipe((PILImage.create(data),))[0].numpy().astype(int), np.asarray(apart).astype(int)

@settings(max_examples=60)
@given(w=st.integers(1, 90), h=st.integers(1, 90), k=st.sampled_from([1, 2, 4, 8]), grey=st.booleans(),
       progressive=st.booleans(), quality=st.integers(20, 100),
       save=st.sampled_from([dict(subsampling=0), dict(subsampling=1), dict(subsampling=2), dict(keep_rgb=True)]))
def test_jpegs_decode_as_in_pillow(w, h, k, grey, progressive, save, quality):
    im = Image.fromarray(smooth(h, w))
    data = encoded(im.convert('L') if grey else im, quality=quality, progressive=progressive, **({} if grey else save))
    ours = PILImage.create(data)
    assert ours.encoded.is_plain and ours.size == (w, h)
    theirs = Image.open(io.BytesIO(data))
    theirs.draft(None, (max(1, w//k), max(1, h//k)))
    a = ours.encoded.array(k)
    assert a.shape == (math.ceil(h/k), math.ceil(w/k), 3)
    if min(w, h) > 8: # tiny ones allow several scales
        assert np.abs(a.astype(int) - np.asarray(theirs.convert('RGB'))).max() <= 1

XMP_TURNED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')

def not_plain(why):
    rgb = smooth(40, 60)
    exif = Image.Exif()
    exif[0x0112] = 6
    if why == 'CMYK': return encoded(Image.fromarray(rgb).convert('CMYK'))
    if why == 'EXIF': return encoded(rgb, exif=exif)
    if why == 'EXIF after a preview':
        return with_segment(encoded(rgb, exif=exif), 0xed, b'Photoshop 3.0' + encoded(smooth(8, 8)))
    if why == 'XMP': return encoded(rgb, xmp=XMP_TURNED)

@pytest.mark.parametrize('why', ['CMYK', 'EXIF', 'EXIF after a preview', 'XMP'])
def test_jpegs_that_need_pillow_go_to_pillow(why):
    data = not_plain(why)
    im, ref = PILImage.create(data), ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGB')
    assert not im.encoded.is_plain and im.size == ref.size == ((60, 40) if why == 'CMYK' else (40, 60))
    same_pixels(im, ref)
    fused, by_pillow = fused_and_by_pillow(data)
    assert np.abs(fused - by_pillow).max() <= 1

def test_a_jpeg_with_a_preview_in_its_header_is_plain():
    data = with_segment(encoded(smooth(40, 60)), 0xed, b'Photoshop 3.0' + encoded(smooth(8, 8)))
    im = PILImage.create(data)
    assert im.encoded.is_plain and im.size == (60, 40)
    fused, by_pillow = fused_and_by_pillow(data)
    assert np.abs(fused - by_pillow).max() <= 1

def test_what_pillow_puts_up_with_is_put_up_with():
    data = bytearray(encoded(smooth(200, 200, cells=20)))
    middle = len(data)*3//4
    data[middle:middle+30] = bytes(30)
    data = bytes(data)
    im = PILImage.create(data)
    assert im.encoded.is_plain and im.encoded.array(1) is None # the strict decoder refuses
    fused, by_pillow = fused_and_by_pillow(data, 64)
    assert np.abs(fused - by_pillow).max() <= 1

@pytest.mark.parametrize('part', [.2, .6, .97])
def test_a_jpeg_cut_short_is_named_by_the_fused_cut_too(tmp_path, part):
    data = encoded(smooth(200, 200, cells=20))
    (tmp_path/'short.jpg').write_bytes(data[:int(len(data)*part)])
    with pytest.raises(OSError, match='short.jpg.*damaged'):
        Pipeline([Resize(16), ToTensor], split_idx=1)((PILImage.create(tmp_path/'short.jpg'),))

def test_very_large_pictures_are_left_to_pillow_which_warns(monkeypatch):
    data = encoded(smooth(40, 60))
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 2000)
    with pytest.warns(Image.DecompressionBombWarning): assert not PILImage.create(data).encoded.is_plain
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(Image.DecompressionBombError): PILImage.create(data)

@given(st.binary(max_size=60), st.integers(0, 700))
def test_any_bytes_are_a_picture_or_a_clear_error(tail, n):
    for data in (tail, b'\xff\xd8' + tail, encoded(smooth(20, 20))[:n] + tail):
        try: np.asarray(PILImage.create(data))
        except OSError as e: assert 'these bytes' in str(e)

# Sizes

sides = st.integers(1, 120)
targets = st.integers(1, 40)

@given(sides, sides, targets, targets)
def test_resize_squish_is_pillows_resize(w, h, tw, th):
    a = noise(h, w)
    theirs = Image.fromarray(a).resize((tw, th), Image.Resampling.BILINEAR)
    same_pixels(Resize((th, tw), 'squish')(PILImage.create(a)), theirs)

@given(sides, sides, targets, targets)
def test_resize_crop_keeps_the_largest_centre_of_the_right_shape(w, h, tw, th):
    a, scale = noise(h, w), min(w/tw, h/th)
    cw, ch = max(1, int(scale*tw)), max(1, int(scale*th))
    left, top = (w-cw)//2, (h-ch)//2
    theirs = Image.fromarray(a).crop((left, top, left+cw, top+ch)).resize((tw, th), Image.Resampling.BILINEAR)
    same_pixels(Resize((th, tw))(PILImage.create(a), split_idx=1), theirs)

@pytest.mark.parametrize('pad_mode,theirs', [('zeros', 'constant'), ('border', 'edge'), ('reflection', 'reflect')])
@given(w=st.integers(3, 120), h=st.integers(3, 120), tw=targets, th=targets)
def test_resize_pad_borders_the_whole_picture_as_torchvision_does(pad_mode, theirs, w, h, tw, th):
    from torchvision.transforms.functional import pad
    a, scale = noise(h, w), max(w/tw, h/th)
    cw, ch = int(scale*tw), int(scale*th)
    left, top = max(0, (cw-w)//2), max(0, (ch-h)//2)
    border = [left, top, max(0, cw-w-left), max(0, ch-h-top)]
    bordered = pad(Image.fromarray(a), border, padding_mode=theirs).crop((0, 0, cw, ch))
    same_pixels(Resize((th, tw), 'pad', pad_mode)(PILImage.create(a), split_idx=1),
                bordered.resize((tw, th), Image.Resampling.BILINEAR))

def test_resize_crops_anywhere_in_training_and_at_the_centre_in_validation():
    im, tfm = PILImage.create(np.repeat(np.arange(200, dtype='uint8')[None, :, None], 100, 0).repeat(3, 2)), Resize(100)
    assert np.asarray(tfm(im, split_idx=1))[0, 0, 0] == 50
    corners = [int(np.asarray(tfm(im, split_idx=0))[0, 0, 0]) for _ in range(300)]
    assert min(corners) < 8 and max(corners) > 90 and abs(np.mean(corners) - 49.5) < 6

@given(st.integers(1, 2000), st.integers(1, 2000), st.floats(.01, 1), st.floats(.01, 1), st.integers())
def test_random_crop_stays_within_the_picture_and_its_limits(w, h, a, b, seed):
    lo, hi = sorted((a, b))
    left, top, right, bottom = RandomResizedCrop(9, min_scale=lo, max_scale=hi).box((w, h), random.Random(seed))
    cw, ch = right-left, bottom-top
    assert 0 <= left < right <= w and 0 <= top < bottom <= h
    assert (cw-.5)/(ch+.5) <= 4/3 + 1e-9 and (cw+1)/max(ch-.5, .5) >= 3/4 - 1e-9 # whole pixels
    fallback = (left, top) == ((w-cw)//2, (h-ch)//2) and (cw == w or ch == h)
    assert fallback or lo*w*h <= (cw+.5)*(ch+.5) and (cw-.5)*(ch-.5) <= hi*w*h

@pytest.mark.parametrize('size,box', [
    ((1000, 10), (493, 0, 506, 10)), ((10, 1000), (0, 493, 10, 506)), ((1, 1), (0, 0, 1, 1)),
    ((3, 1), (1, 0, 2, 1)), ((1, 500), (0, 249, 1, 250))])
def test_extreme_pictures_fall_back_to_the_centre(size, box):
    assert RandomResizedCrop(9, min_scale=.9).box(size, random.Random(0)) == box

@pytest.mark.parametrize('size,scale', [
    ((500, 375), (.08, 1.)), ((300, 500), (.35, 1.)), ((400, 400), (.2, .5)), ((900, 200), (.08, .6))])
def test_random_crop_is_distributed_as_torchvisions(size, scale):
    from torchvision.transforms import RandomResizedCrop as Theirs
    n, im, rng = 4000, torch.empty(3, size[1], size[0]), random.Random(1)
    torch.manual_seed(1)
    theirs = np.array([Theirs.get_params(im, scale, (3/4, 4/3)) for _ in range(n)]) # top, left, height, width
    tfm = RandomResizedCrop(9, min_scale=scale[0], max_scale=scale[1])
    ours = np.array([(t, l, b-t, r-l) for l,t,r,b in (tfm.box(size, rng) for _ in range(n))])
    def ks(a, b):
        at = np.union1d(a, b)
        return np.abs(np.searchsorted(np.sort(a), at, 'right') - np.searchsorted(np.sort(b), at, 'right')).max()/n
    def measures(o): return [*o.T, o[:, 2]*o[:, 3], o[:, 3]/o[:, 2]] # the four numbers, area, ratio
    for a,b in zip(measures(ours), measures(theirs)):
        assert ks(a, b) < 1.95*math.sqrt(2/n) # two-sample Kolmogorov-Smirnov, p = 0.001

@given(w=st.integers(20, 120), h=st.integers(20, 120), seed=st.integers(0, 99))
def test_random_crop_in_training_is_crop_then_resize(w, h, seed):
    a, tfm = noise(h, w), RandomResizedCrop((10, 14))
    random.seed(seed); ours = tfm(PILImage.create(a), split_idx=0)
    box = tfm.box((w, h), random.Random(seed))
    same_pixels(ours, Image.fromarray(a).crop(box).resize((14, 10), Image.Resampling.BILINEAR))

@given(w=sides, h=sides, th=st.integers(1, 300), tw=st.integers(1, 300))
def test_random_crop_in_validation_is_squish_then_centre(w, h, th, tw):
    a, extra = noise(h, w), math.ceil(max(th, tw)*.14/8)*8
    larger, half = Image.fromarray(a).resize((tw+extra, th+extra), Image.Resampling.BILINEAR), extra//2
    same_pixels(RandomResizedCrop((th, tw))(PILImage.create(a), split_idx=1),
                larger.crop((half, half, half+tw, half+th)))

resizes = st.tuples(sides, sides, st.sampled_from(['crop', 'squish'])).map(lambda o: Resize(o[:2], o[2]))
cuts = st.one_of(st.tuples(sides, sides).map(RandomResizedCrop), resizes)

@given(w=sides, h=sides, cut=cuts, split_idx=st.integers(0, 1), seed=st.integers(0, 99))
def test_cut_fused_with_totensor_is_cut_then_totensor_up_to_rounding(w, h, cut, split_idx, seed):
    im, p = PILImage.create(smooth(h, w)), TensorPoint.create([.3, -.5])
    fused = Pipeline([cut, ToTensor], split_idx)
    assert len(fused.tfms) == 1
    random.seed(seed); x, p2 = fused((im, p))
    random.seed(seed); ref, p1 = cut((im, p), split_idx)
    assert type(x) is TensorImage and x.dtype == torch.uint8 and x.shape == (*ref.shape, 3)
    assert np.abs(x.numpy().astype(int) - np.asarray(ref).astype(int)).max() <= 1
    torch.testing.assert_close(p2.plain(), p1.plain())

@settings(max_examples=40, deadline=None)
@given(w=st.integers(150, 700), h=st.integers(150, 700), at=st.tuples(st.floats(.3, .7), st.floats(.3, .7)),
       split_idx=st.integers(0, 1), seed=st.integers(0, 99))
def test_point_stays_on_its_pixel_in_a_jpeg_decoded_at_reduced_scale(w, h, at, split_idx, seed):
    ys, xs = np.mgrid[:h, :w] + .5
    dot = np.exp(-((xs-at[0]*w)**2 + (ys-at[1]*h)**2)/(2*5**2))
    im = PILImage.create(encoded(np.repeat((255*dot).round().astype('uint8')[..., None], 3, -1), quality=95))
    pipe = Pipeline([PointScaler, RandomResizedCrop((40, 52), min_scale=.6), ToTensor], split_idx)
    random.seed(seed); x, p = pipe((im, TensorPoint.create([at[0]*w, at[1]*h])))
    if p.plain().abs().max() > .7: return # too near to the edge: part of the dot is outside
    light = x.numpy().astype(float).mean(-1); light[light < 8] = 0
    ys, xs = np.mgrid[:40, :52] + .5
    seen = np.array([(xs*light).sum(), (ys*light).sum()])/light.sum()
    np.testing.assert_allclose((p.numpy()[0] + 1)/2*(52, 40), seen, atol=.5)

def test_what_cannot_fuse_does_not():
    class Mine(Resize): pass
    for tfms in [Resize(8, 'pad'), ToTensor], [Mine(8), ToTensor], [Resize(8)]:
        assert len(Pipeline(tfms).tfms) == len(tfms)

@settings(max_examples=60)
@given(st.data())
def test_reduced_decoding_is_close_to_full_and_never_too_small(data):
    h, w = data.draw(st.integers(40, 700)), data.draw(st.integers(40, 700))
    left, top = data.draw(st.integers(0, w-20)), data.draw(st.integers(0, h-20))
    box = (left, top, data.draw(st.integers(left+20, w)), data.draw(st.integers(top+20, h)))
    size = data.draw(st.integers(4, 90)), data.draw(st.integers(4, 90))
    settings = dict(subsampling=data.draw(st.sampled_from([0, 2])), progressive=data.draw(st.booleans()))
    file = encoded(smooth(h, w, cells=max(2, min(h, w)//30)), quality=95, **settings)
    im, scale = PILImage.create(file).decoded(min((box[2]-left)/size[0], (box[3]-top)/size[1]))
    if scale > 1: assert (box[2]-left)/scale >= size[0] and (box[3]-top)/scale >= size[1]
    assert im.size == (math.ceil(w/scale), math.ceil(h/scale))
    full = Image.open(io.BytesIO(file)).crop(box).resize(size, Image.Resampling.BILINEAR)
    ours = PILImage.create(file).crop_resize(box, size)
    assert np.abs(np.asarray(ours, float) - np.asarray(full)).mean() < 2 # one pixel aside would be 7 or more

def test_large_pictures_are_decoded_at_reduced_scale():
    jpeg = encoded(smooth(512, 512))
    scales = [PILImage.create(jpeg).decoded(s)[1] for s in (1, 1.9, 2, 3.9, 4, 8, 100)]
    assert scales == [1, 1, 2, 2, 4, 8, 8]
    assert PILImage.create(encoded(smooth(512, 512), 'PNG')).decoded(8)[1] == 1

@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 99), st.none() | st.integers(1, 99))
def test_thumb_fits_keeps_proportions_and_is_never_larger(w, h, th, tw):
    t, box = PILImage.create(noise(h, w)).to_thumb(th, tw), (tw or th, th)
    ref = Image.fromarray(noise(h, w))
    ref.thumbnail(box)
    assert t.width <= min(w, box[0]) and t.height <= min(h, box[1])
    assert abs(t.width - ref.width) <= 1 and abs(t.height - ref.height) <= 1

# Batches of pictures

def test_normalise_is_that_of_torchvision_and_can_be_undone():
    from torchvision.transforms.functional import normalize
    x, norm = torch.rand(4, 3, 5, 6), Normalize.from_stats(*imagenet_stats)
    out = norm((TensorImage(x),))
    torch.testing.assert_close(out[0].plain(), normalize(x, *imagenet_stats), atol=1e-6, rtol=0)
    torch.testing.assert_close(norm.decode(out)[0].plain(), x, atol=1e-6, rtol=0)
    torch.testing.assert_close(norm.decode((out[0][1],))[0].plain(), x[1], atol=1e-6, rtol=0) # also one picture

@pytest.mark.parametrize('stats', [imagenet_stats, ([.1, .5, .9], [2., .01, 1.])])
def test_fused_batch_transforms_equal_those_one_by_one(stats):
    x, norm = TensorImage(torch.from_numpy(np.stack([noise(6, 7, i) for i in range(3)]))), Normalize.from_stats(*stats)
    pipe = Pipeline([norm, IntToFloatTensor()])
    fused, single = pipe((x,)), norm(IntToFloatTensor()((x,)))
    assert len(pipe.tfms) == 1
    ref = (x.plain().permute(0, 3, 1, 2)/255 - tensor(stats[0])[:, None, None])/tensor(stats[1])[:, None, None]
    for o in fused[0], single[0]:
        torch.testing.assert_close(o.plain(), ref, atol=1e-5, rtol=1e-6)
        assert o.shape == (3, 3, 6, 7) and isinstance(o, TensorImage)
        assert o.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(pipe.decode(fused)[0].plain(), x.plain().permute(0, 3, 1, 2)/255, atol=1e-5, rtol=0)

def test_transforms_leave_other_values_of_the_batch_alone():
    y = torch.rand(4, 3, 5, 6)
    for t in Normalize.from_stats(*imagenet_stats), IntToFloatTensor(), ToTensor(), Resize(3), RandomResizedCrop(3):
        for split_idx in 0, 1: assert t((y, 'text'), split_idx) == (y, 'text')

class Shift(SampleTransform):
    "Adds `by`; only in the split `split_idx`, if given."
    def __init__(self, by, order, split_idx=None): self.by, self.order, self.split_idx = by, order, split_idx
    def apply(self, x, drawn): return f'{x}{self.by}'
    def decode_one(self, x): return x.removesuffix(self.by)

@pytest.mark.parametrize('split_idx,out', [(0, 'xabct'), (1, 'xabcv')])
def test_transforms_run_in_their_order_in_their_split_and_back_again(split_idx, out):
    tfms = [Shift('c', 9), Shift('t', 50, 0), Shift('a', -1), Shift('v', 50, 1), Shift('b', 9.5 - 1)]
    pipe = Pipeline(tfms, split_idx)
    assert pipe(('x', 'y')) == (out, out.replace('x', 'y')) and pipe.decode((out,)) == ('x',)
    assert pipe.plus([Shift('d', 10)])(('x',)) == (out.replace('c', 'cd'),)

def test_batches_hold_the_pixels_of_the_files(block, folder):
    dls = block(item_tfms=Resize((24, 30), 'squish'), get_y=lambda i: i % 2).dataloaders(range(12), bs=4)
    x,y = dls.valid.one_batch()
    # 4 times smaller than the files, so decoded at reduced scale
    files = [Image.open(folder/f'{i}.jpg') for i in (10, 11)]
    ref = np.stack([np.asarray(im.resize((30, 24), Image.Resampling.BILINEAR)) for im in files])
    assert (x.shape, x.dtype, type(x)) == ((2, 3, 24, 30), torch.float32, TensorImage)
    assert (type(y), y.dtype) == (TensorCategory, torch.int64)
    assert np.abs(x.permute(0, 2, 3, 1).numpy()*255 - ref).mean() < 4
