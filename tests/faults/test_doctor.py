"""The doctor: what it finds in files, pictures, getters and splits, and that it changes and raises nothing.

What it says of labels, points and tables is tested in `test_findings.py`."""
import os, random, re, threading, warnings
import numpy as np, pandas as pd, pytest, torch
from PIL import Image
from course_lib.all import *
from course_lib.core import random_state
from course_lib.doctor import Report, each_in_threads, look_at, near_pairs, thumb_of
from course_lib.findings import Finding
from tests.helpers import block_maker

def picture(h=60, w=80, seed=0):
    a = np.random.default_rng(seed).integers(0, 256, (8, 10, 3), dtype='uint8')
    return Image.fromarray(a).resize((w, h), Image.Resampling.BICUBIC)

@pytest.fixture
def folder(tmp_path):
    for i in range(12): picture(seed=i).save(tmp_path/f'{i}.jpg', quality=95)
    return tmp_path

@pytest.fixture
def df():
    return pd.DataFrame(dict(fname=[f'{i}.jpg' for i in range(12)], labels=['a b', 'b', 'a', 'a b', '', 'b']*2,
                             is_valid=[False]*8 + [True]*4))

@pytest.fixture
def block(folder): return block_maker(folder, 16)

def about_pictures(report):
    "What h and w, files and getters are about: findings on the twelve labels stand in other tests."
    kinds = 'picture file folder name ending colour sizes getter split items recipe answers'.split()
    return {f.kind: f for f in report if any(o in f.kind for o in kinds) and f.level > 0
            and not any(o in f.kind for o in ('label', 'class', 'small'))}

# ------------------------------------------------------------------ files

def test_clean_set(block, df):
    report = block().check(df)
    assert about_pictures(report) == {} and report.bad == []
    assert '12 items (8 for training, 4 for validation) and 12 pictures' in str(report)

def jpeg(folder, i): return (folder/f'{i}.jpg').read_bytes()

def spoil_missing(d): (d/'3.jpg').unlink()
def spoil_empty(d): (d/'3.jpg').write_bytes(b'')
def spoil_half(d): (d/'3.jpg').write_bytes(jpeg(d, 3)[:800])
def spoil_end(d): (d/'3.jpg').write_bytes(jpeg(d, 3)[:-2])
def spoil_page(d): (d/'3.jpg').write_bytes(b'<!DOCTYPE html><html>404</html>')
def spoil_zeros(d): (d/'3.jpg').write_bytes(bytes(999))
def spoil_folder(d):
    (d/'3.jpg').unlink()
    (d/'3.jpg').mkdir()
def spoil_link(d):
    (d/'3.jpg').unlink()
    (d/'3.jpg').symlink_to(d/'gone.jpg')
def spoil_bomb(d): Image.new('1', (14000, 14000)).save(d/'3.jpg', 'PNG')

@pytest.mark.parametrize('spoil,kind', [
    (spoil_missing, 'missing file'), (spoil_empty, 'empty file'), (spoil_half, 'damaged picture'),
    (spoil_end, 'damaged picture'), (spoil_page, 'not a picture'), (spoil_zeros, 'not a picture'),
    (spoil_folder, 'folder'), (spoil_link, 'missing file'), (spoil_bomb, 'huge picture')])
def test_picture_that_cannot_be_had(block, df, folder, spoil, kind):
    spoil(folder)
    report = block().check(df)
    f = report.find(kind)
    assert f.items == report.bad == [3] and f.level == 3 and f.bad
    text = str(report)
    assert '3 (3.jpg)' in text and 'skip_bad=True' in text and '11 pictures' in text
    assert verify_images([folder/o for o in df['fname']]) == [folder/'3.jpg']

def test_file_that_may_not_be_read(block, df, folder, monkeypatch):
    read = Path.read_bytes
    def refuse(self):
        if self.name == '3.jpg': raise PermissionError(13, 'Permission denied')
        return read(self)
    monkeypatch.setattr(Path, 'read_bytes', refuse)
    assert block().check(df).find('unreadable file').items == [3]

def test_no_file_name(block, df, folder):
    df['file'] = [str(folder/o) for o in df['fname']]
    df.loc[[2, 9], 'file'] = None
    report = block(get_x=ColReader('file')).check(df)
    assert report.find('no file name').items == report.bad == [2, 9]

def test_all_missing_points_to_the_folder(block, df, folder):
    f = block(get_x=ColReader('fname', pref=folder/'trian')).check(df).find('missing file')
    assert f.items == list(range(12)) and 'trian' in f.cure and 'exists()' in f.cure

@pytest.mark.parametrize('change,kind,level', [
    (lambda f: picture(8, 60, seed=20).save(f), 'tiny picture', 2),
    (lambda f: picture(20, 400, seed=20).save(f), 'long picture', 1),
    (lambda f: picture(seed=3).save(f, 'PNG'), 'other ending', 1),
    (lambda f: picture(seed=3).convert('L').save(f), 'grey and colour', 1),
    (lambda f: Image.new('RGB', (80, 60), 'red').save(f), 'blank picture', 1)])
def test_picture_that_is_odd(block, df, folder, change, kind, level):
    change(folder/'3.jpg')
    report = block().check(df)
    assert set(about_pictures(report)) == {kind} and report.bad == []
    assert report.find(kind).items == [3] and report.find(kind).level == level

def test_picture_with_a_garbled_part(block, df, folder):
    data = bytearray(jpeg(folder, 3))
    data[len(data)//2:len(data)//2+40] = bytes(40)
    (folder/'3.jpg').write_bytes(data)
    assert block().check(df).find('flawed picture').items == [3]
    assert verify_images([folder/'3.jpg']) == [] # it opens

@pytest.mark.parametrize('ending,kind', [('jpeg', 'JPEG'), ('JPG', 'JPEG'), ('png', 'PNG'), ('tif', 'TIFF'),
                                         ('webp', 'WEBP'), ('bmp', 'BMP'), ('gif', 'GIF'), ('', 'PNG')])
def test_endings_that_are_right(folder, df, block, ending, kind):
    picture(seed=3).save(folder/f'new.{ending}', kind)
    df.loc[3, 'fname'] = f'new.{ending}'
    assert block().check(df).find('other ending') is None

@pytest.mark.parametrize('tfms,ok', [((), False), (Resize(16), True), (RandomResizedCrop(16), True)])
def test_sizes(block, df, folder, tfms, ok):
    picture(80, 60, seed=3).save(folder/'3.jpg')
    f = block(item_tfms=tfms).check(df).find('different sizes')
    assert (f is None) == ok and (ok or f.items == [3] and f.level == 3 and 'Resize' in f.cure)

def test_one_size_needs_no_transform(block, df):
    assert about_pictures(block(item_tfms=()).check(df)) == {}

@pytest.mark.parametrize('source', [picture(), np.asarray(picture()), picture().tobytes()[:10], 3, None, {}])
def test_look_at_anything(source): assert look_at(source).fault == '' or look_at(source).thumb is None

# ------------------------------------------------------------------ the same picture twice

def by_name(d, df): df.loc[9, 'fname'] = './3.jpg'
def by_link(d, df):
    (d/'9.jpg').unlink()
    (d/'9.jpg').symlink_to(d/'3.jpg')
def by_hard_link(d, df):
    (d/'9.jpg').unlink()
    os.link(d/'3.jpg', d/'9.jpg')
def by_bytes(d, df): (d/'9.jpg').write_bytes(jpeg(d, 3))
def by_saving(d, df): Image.open(d/'3.jpg').save(d/'9.jpg', quality=40)
def by_size(d, df): picture(240, 320, seed=3).resize((64, 64)).save(d/'9.jpg')
def by_png(d, df):
    Image.open(d/'3.jpg').save(d/'9.png')
    df.loc[9, 'fname'] = '9.png'

@pytest.mark.parametrize('copy,way', [
    (by_name, 'name'), (by_link, 'link'), (by_hard_link, 'link'), (by_bytes, 'bytes'), (by_saving, 'pixels'),
    (by_size, 'pixels'), (by_png, 'pixels')])
def test_same_picture_across_splits(block, df, folder, copy, way):
    picture(240, 320, seed=3).save(folder/'3.jpg', quality=95)
    copy(folder, df)
    report = block().check(df)
    f, = [f for f in report if f.kind.startswith('same picture')]
    assert f.kind == f'same picture across splits, by {way}' and (f.items, f.level, f.bad) == ([3, 9], 3, False)
    assert report.copies == [3] and report.bad == [] # the one in validation stays

@pytest.mark.parametrize('copy,way', [(by_name, 'name'), (by_bytes, 'bytes'), (by_saving, 'pixels')])
def test_same_picture_within_a_split(block, df, folder, copy, way):
    copy(folder, df)
    df['is_valid'] = [i < 2 for i in range(12)]
    report = block().check(df)
    f = report.find('same picture')
    assert f.kind == f'same picture twice, by {way}' and f.items == [3, 9] and f.level < 3 and report.copies == [9]

def test_copies_of_copies(block, df, folder):
    for i in 5, 9: (folder/f'{i}.jpg').write_bytes(jpeg(folder, 3))
    df.loc[11, 'fname'] = '9.jpg'
    report = block().check(df)
    assert report.find('same picture across splits, by bytes').items == [3, 5, 9, 11] and report.copies == [3, 5, 11]

def test_one_row_for_each_label(block, df):
    df['fname'] = [f'{i//2}.jpg' for i in range(12)]
    f = block().check(df).find('one picture, two answers')
    assert f.items == [i for i in range(12) if df['labels'][i//2*2] != df['labels'][i//2*2 + 1]] and 'groupby' in f.cure

def test_pictures_that_are_only_alike():
    "A small thing moved, and other light: not the same picture."
    def scene(at, light=0):
        a = np.full((60, 80, 3), 90 + light, 'uint8')
        a[::2, ::2] = 140
        a[20:35, at:at+15] = 250
        return Image.fromarray(a)
    thumbs = [thumb_of(o, 1, o.size) for o in (scene(10), scene(20), scene(10, 20), scene(10, 21))]
    assert near_pairs(thumbs) == [(2, 3)]

def test_near_pairs_of_many():
    "As all pairs compared one by one, over the borders of blocks."
    rng = np.random.default_rng(0)
    thumbs = rng.integers(60, 190, (600, 16, 16)).astype('uint8')
    twins = {(i, i + 300) for i in range(0, 300, 7)}
    for i,j in twins: thumbs[j] = np.clip(thumbs[i].astype(int) + rng.integers(-2, 3, (16, 16)), 0, 255)
    assert set(near_pairs(thumbs)) == twins

# ------------------------------------------------------------------ getters, splitters, sources

@pytest.mark.parametrize('fail,items', [
    (lambda row: row['lables'], list(range(12))), (lambda row: {0: 1}[row.name % 5], [1, 2, 3, 4, 6, 7, 8, 9, 11]),
    (lambda row: row['labels'].split() if row.name != 4 else 1/0, [4])])
def test_getter_that_fails(block, df, fail, items):
    report = block(get_y=fail).check(df)
    f = report.find('getter fails')
    assert f.items == items and f.level == 3 and f.bad and set(items) <= set(report.bad)

def test_getter_that_fails_in_two_ways(block, df):
    def get_y(row):
        if row.name == 2: raise ValueError(f'row {row.name} has no number')
        if row.name in (5, 7): raise KeyError(f'{row.name}.txt')
        return ['a', 'b']
    found = [(f.items, f.what) for f in block(get_y=get_y).check(df) if f.kind == 'getter fails']
    assert [items for items,_ in found] == [[5, 7], [2]]
    assert '`get_y` fails for 2 items, the first with KeyError: 5.txt' in found[0][1]

def oops(*args): raise RuntimeError('oops')

def test_splitter_that_fails(block, df):
    report = block(splitter=oops).check(df)
    f = report.find('splitter fails')
    assert f.level == 3 and 'RuntimeError: oops' in f.what and '12 pictures' in str(report)

@pytest.mark.parametrize('splits', [([0, 1], [1, 2]), ([0, 99], [1]), ([0], []), ([0.5], [1]), 5, ([0], None)])
def test_splits_that_are_refused(block, df, splits):
    report = block(splitter=lambda items: splits).check(df)
    assert any(f.level == 3 and 'split' in f.kind for f in report)

@pytest.mark.parametrize('source', ['folder', 5, None, [], pd.DataFrame(dict(fname=[]))])
def test_source_that_gives_no_items(block, source):
    report = block().check(source)
    assert report.findings[0].level == 3 and len(report) == 1 and 'no items' in report.findings[0].kind

def test_get_items_that_fails(block):
    assert 'oops' in block(get_items=oops).check('x').find('no items').what

def test_transform_that_fails(block, df):
    f = block(item_tfms=[Resize(16), oops]).check(df).find('recipe fails')
    assert f.level == 3 and 'oops' in f.what and 'summary' in f.cure

def test_files_and_folders(folder):
    (folder/'5.jpg').write_bytes(jpeg(folder, 4))
    report = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=lambda o: 'ab'[int(o.stem) % 2],
                       splitter=RandomSplitter(seed=1), item_tfms=Resize(16)).check(folder)
    f = report.find('same picture')
    files = get_image_files(folder)
    assert {files[i].name for i in f.items} == {'4.jpg', '5.jpg'} and 'enumerate(items)' in f.cure

def test_pictures_in_memory():
    ims = [picture(seed=i) for i in range(6)] + [picture(seed=2)]
    report = DataBlock((ImageBlock, CategoryBlock), get_y=lambda im: 'a', splitter=IndexSplitter([0, 6])).check(ims)
    assert report.find('same picture across splits, by bytes').items == [2, 6]

def test_no_pictures_at_all(block, df):
    words = DataBlock((TransformBlock, MultiCategoryBlock), get_x=ColReader('fname'), splitter=ColSplitter(),
                      get_y=ColReader('labels', label_delim=' '))
    report = words.check(df)
    assert report.bad == [] and 'picture' not in report.looked_at and about_pictures(report) == {}
    numbers = DataBlock((TransformBlock, RegressionBlock), get_x=ColReader('fname'), get_y=lambda row: 1/row.name)
    assert numbers.check(df).find('getter fails').items == [0]

@pytest.mark.parametrize('kind', [list, np.array, torch.tensor])
def test_numbers_of_every_kind(block, df, kind):
    numbers = block(RegressionBlock, get_y=lambda row: kind([row.name/4, 3. - row.name]))
    assert numbers.check(df).bad == [] and numbers.dataloaders(df, bs=2).c == 2
    ragged = block(RegressionBlock, get_y=lambda row: kind([1.]*(2 if row.name == 4 else 1)))
    assert ragged.check(df).bad == [4]
    with pytest.raises(ValueError, match='Item 4 has 2 numbers, but 1 are expected'): ragged.datasets(df)

def test_two_pictures_in_a_sample(block, df, folder):
    spoil_half(folder)
    pairs = DataBlock((ImageBlock, ImageBlock, CategoryBlock), get_x=[ColReader('fname', pref=folder)]*2,
                      get_y=lambda row: 'ab'[row.name % 2], splitter=ColSplitter(), item_tfms=Resize(16))
    assert pairs.check(df).bad == [3]

def test_points(block, df):
    df['x'], df['y'] = range(10, 22), range(20, 32)
    points = block(PointBlock, get_y=ColReader(['x', 'y']))
    assert points.check(df).bad == []
    df.loc[3, 'x'] = np.nan
    assert 3 in points.check(df).bad

# ------------------------------------------------------------------ nothing changes

def everything_in(folder): return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob('*') if p.is_file()}

def flat(state): return repr([o.tolist() if hasattr(o, 'tolist') else o for o in (state[0], *state[1], state[2])])

def test_check_changes_nothing(block, df, folder):
    spoil_half(folder)
    def get_y(row):
        random.random(), np.random.rand(), torch.rand(2)
        return row['labels'].split()
    b = block(get_y=get_y, splitter=RandomSplitter(), batch_tfms=aug_transforms())
    before, table, files = repr(vars(b)), df.copy(), everything_in(folder)
    set_seed(3)
    state = flat(random_state())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always')
        b.check(df)
    assert flat(random_state()) == state and told == []
    assert repr(vars(b)) == before and files == everything_in(folder)
    pd.testing.assert_frame_equal(df, table)
    assert all(getattr(f, 'vocab', None) is None for o in b.blocks for f in o.type_tfms)

def test_check_leaves_no_warnings_behind(block, df):
    "Points outside are still told of, once, by the loaders that are made after it."
    df['x'], df['y'] = 500, 500
    b = block(PointBlock, get_y=ColReader(['x', 'y']))
    b.check(df)
    with pytest.warns(UserWarning, match='outside'): list(b.dataloaders(df, bs=4, num_workers=0, device='cpu').train)

def test_check_is_quiet(block, df, folder, capfd):
    spoil_half(folder)
    block().check(df)
    assert capfd.readouterr() == ('', '')

def test_every_file_is_read_once(block, df, folder, monkeypatch):
    read, seen = Path.read_bytes, []
    def count(self):
        seen.append(self.name)
        return read(self)
    monkeypatch.setattr(Path, 'read_bytes', count)
    block().check(df)
    assert sorted(seen) == sorted(df['fname'])

class Bar:
    "A view that remembers what it was shown."
    def __init__(self, names=()): self.shown, self.stopped = [], 0
    def meter(self, n, total, since, desc, note, unit): self.shown.append((n, total, unit))
    def stop(self): self.stopped += 1

@pytest.mark.parametrize('said,shown', [('', [(32, 70, 'item'), (64, 70, 'item'), (70, 70, 'item')]), ('off', [])])
def test_bar(monkeypatch, said, shown):
    bar = Bar()
    monkeypatch.setattr('course_lib.doctor.make_view', lambda names: bar)
    monkeypatch.setenv('COURSE_PROGRESS', said)
    assert each_in_threads(lambda i: i*i, 70, 'looking', patience=-1) == [i*i for i in range(70)]
    assert bar.shown == shown and bar.stopped == 1

def test_interrupted(block, df, folder):
    "Ctrl-C in the middle: no thread goes on, random numbers go on as before."
    def get_y(row):
        if row.name == 5: raise KeyboardInterrupt
        return ['a']
    set_seed(3)
    state = flat(random_state())
    with pytest.raises(KeyboardInterrupt): block(get_y=get_y).check(df)
    assert flat(random_state()) == state
    assert [t for t in threading.enumerate() if t.name.startswith('DataLoader')] == []

# ------------------------------------------------------------------ skip_bad, verify_images

def test_skip_bad(block, df, folder, capsys):
    spoil_half(folder)
    (folder/'9.jpg').unlink()
    with pytest.raises(FileNotFoundError): block().dataloaders(df)
    capsys.readouterr()
    dls = block().dataloaders(df, bs=2, num_workers=0, skip_bad=True)
    assert capsys.readouterr().out == 'Left out 2 of 12 items (missing file: 1; damaged picture: 1).\n'
    assert list(dls.train_ds.items['fname']) == [f'{i}.jpg' for i in range(8) if i != 3]
    assert list(dls.valid_ds.items['fname']) == ['8.jpg', '10.jpg', '11.jpg']
    assert sum(len(y) for _,y in dls.valid) == 3 and len(list(dls.train)) == 3

def test_skip_bad_keeps_sides(folder, block, df):
    "The items that are left are split as if nothing had been left out."
    b = block(splitter=RandomSplitter(seed=5))
    whole = b.dataloaders(df, bs=2).valid_ds.items['fname']
    (folder/'3.jpg').write_bytes(b'')
    rest = b.dataloaders(df, bs=2, skip_bad=True).valid_ds.items['fname']
    assert list(rest) == [o for o in whole if o != '3.jpg']

def test_skip_bad_draws_the_same_split(block, df):
    b = block(splitter=RandomSplitter())
    def valid(**kw):
        set_seed(7)
        return list(b.dataloaders(df, bs=2, **kw).valid_ds.items['fname'])
    assert valid() == valid(skip_bad=True)

def test_skip_bad_of_good_items_says_nothing(block, df, capsys):
    assert len(block().dataloaders(df, bs=2, skip_bad=True).train_ds) == 8
    assert capsys.readouterr().out == ''

def test_skip_bad_of_files(folder, capsys):
    spoil_page(folder)
    b = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=lambda o: 'ab'[int(o.stem) % 2],
                  splitter=IndexSplitter([0, 1]), item_tfms=Resize(16))
    dls = b.dataloaders(folder, bs=4, skip_bad=True)
    assert len(dls.train_ds) == 9 and len(dls.valid_ds) == 2 and folder/'3.jpg' not in dls.train_ds.items
    assert 'Left out 1 of 12' in capsys.readouterr().out

def test_nothing_left(block, df, folder):
    for f in folder.iterdir(): f.unlink()
    with pytest.raises(ValueError, match='All 12 items are bad .missing file: 12'):
        block().dataloaders(df, skip_bad=True)

def test_verify_images(folder):
    spoil_half(folder)
    files = get_image_files(folder) + [folder/'gone.jpg', str(folder/'gone too.png')]
    found = verify_images(files)
    assert isinstance(found, L) and found == [folder/'3.jpg', folder/'gone.jpg', str(folder/'gone too.png')]
    assert verify_images([]) == []

# ------------------------------------------------------------------ the report

def finding(level, items=(1,), **kw):
    return Finding(**{**dict(kind=f'kind {level}', what=f'What of {level} & `a<b`.', items=list(items), why='Why not.',
                             cure=f'cure({level}) < 3', level=level), **kw})

def test_worst_first():
    found = [finding(1), finding(3, bad=True, items=[5, 2]), finding(2, items=[1, 2]), finding(3, items=range(9))]
    report = Report(found)
    assert [(f.level, len(f.items)) for f in report.findings] == [(3, 9), (3, 2), (2, 2), (1, 1)]
    assert report.bad == [2, 5] and len(report) == 4 and report

def test_first_five_are_named():
    report = Report([finding(2, items=range(7))], 'Looked at 7 items.', {i: f'{i}.jpg' for i in range(5)})
    for text in str(report), report._repr_html_():
        assert '0 (0.jpg), 1 (1.jpg), 2 (2.jpg), 3 (3.jpg), 4 (4.jpg) and 2 more' in re.sub(r'\s+', ' ', text)

def test_nothing_found():
    report = Report([], 'Looked at 7 items.')
    assert not report and report.bad == [] and 'Nothing was found' in str(report)
    assert '<table' not in report._repr_html_()

def test_page_is_safe_and_in_the_colours_of_the_page():
    text = Report([finding(3)], names={1: '<img src=x>.jpg'})._repr_html_()
    assert '<img' not in text
    for o in '&lt;img', '<code>a&lt;b</code>', 'cure(3) &lt; 3': assert o in text
    assert re.findall(r'(?<!-)color:([^;"]+)', text) == ['#fff'] # on the badge

@pytest.mark.parametrize('width', [60, 80, 120])
def test_text_fits_the_terminal(monkeypatch, width):
    monkeypatch.setenv('COLUMNS', str(width))
    report = Report([finding(2, what='word '*60, why='word '*40, items=range(9))])
    assert max(map(len, str(report).splitlines())) <= width
