"""A small copy of a drawn sample, with every kind of trouble planted in it: `check` finds all, and invents none.

Each plant takes rows that no other takes, and says which items it has spoiled. So two things can be asked: is each
trouble found at its items, and is nothing likely wrong said of the other rows?"""
import os, shutil
import numpy as np, pandas as pd, pytest
from PIL import Image
from course_lib.all import (URLs, CategoryBlock, ColReader, DataBlock, ImageBlock, MultiCategoryBlock, PointBlock,
                            RegressionBlock, Resize, get_ctr, get_image_files, untar_data)

KEPT = {'person', 'car', 'chair', 'sofa', 'motorbike', 'horse'}

def some_rows():
    "Rows of the sample whose labels are all among six common ones: 110 for training, 24 for validation."
    df = pd.read_csv(untar_data(URLs.PASCAL_SAMPLE)/'train.csv')
    df = df[[set(o.split()) <= KEPT for o in df.labels]]
    df = pd.concat([df[~df.is_valid][:110], df[df.is_valid][:24]])
    return df.assign(labels=df.labels.str.replace(' ', ','), part=np.where(df.is_valid, 'valid', 'train'),
                     photo_id=range(len(df))).to_dict('records')

class Copy:
    "Rows of a table and a folder of their pictures. What is taken for a plant, or added, is remembered as touched."
    def __init__(self, folder):
        self.folder, self.rows, self.touched, self.columns = folder, some_rows(), set(), []
        for row in self.rows: shutil.copy(untar_data(URLs.PASCAL_SAMPLE)/'train'/row['fname'], folder)

    def take(self, part='train', n=1):
        "Positions of `n` rows that nobody has taken; one without the list."
        free = [i for i,r in enumerate(self.rows) if r['part'] == part and i not in self.touched][:n]
        self.touched.update(free)
        return free if n > 1 else free[0]

    def add(self, i, **changed):
        "A new row, like row `i`."
        self.rows.append({**self.rows[i], **changed})
        self.touched.add(len(self.rows) - 1)
        return len(self.rows) - 1

    def relabel(self, text, part='train'):
        i = self.take(part)
        self.rows[i]['labels'] = text
        return i

    def file(self, i): return self.folder/self.rows[i]['fname']
    def redraw(self, change):
        "Take a row, and put a changed picture in place of its own."
        i = self.take()
        with Image.open(self.file(i)) as im: change(im.convert('RGB')).save(self.file(i), 'JPEG', quality=95)
        return [i]

    def table(self):
        df = pd.DataFrame(self.rows)
        df.columns = self.columns or df.columns
        return df

def parts(df):
    "A splitter that leaves rows out."
    return [np.flatnonzero(df['part'] == o).tolist() for o in ('train', 'valid')]

def names(row):
    "The labels of a row. `ColReader` mends or refuses some of what is planted here."
    return [] if pd.isna(row['labels']) else row['labels'].split(',')

def block(folder, **kw):
    return DataBlock(**{**dict(blocks=(ImageBlock, MultiCategoryBlock), splitter=parts, item_tfms=Resize(32),
        get_x=ColReader('fname', pref=folder), get_y=names), **kw})

# ------------------------------------------------------------------ what is planted

PLANTS = []

def plant(
    kind,     # Of the finding that must tell of it
    about='', # Text that it must contain
    level=1,  # At least
    bad=False # Must `report.bad` hold the items?
):
    def keep(f):
        PLANTS.append((kind, about, level, bad, f))
        return f
    return keep

# Files

@plant('missing file', level=3, bad=True)
def file_that_is_not_there(c):
    i = c.take()
    c.file(i).unlink()
    return [i]

@plant('empty file', level=3, bad=True)
def file_of_no_bytes(c):
    i = c.take()
    c.file(i).write_bytes(b'')
    return [i]

@plant('damaged picture', level=3, bad=True)
def file_cut_in_half(c):
    i = c.take()
    data = c.file(i).read_bytes()
    c.file(i).write_bytes(data[:len(data)//2])
    return [i]

@plant('not a picture', level=3, bad=True)
def file_of_text(c):
    i = c.take()
    c.file(i).write_text('<html>404 not found</html>'*20)
    return [i]

@plant('folder', level=3, bad=True)
def folder_in_place_of_a_file(c):
    i = c.take()
    c.file(i).unlink()
    c.file(i).mkdir()
    return [i]

@plant('other ending')
def png_called_jpg(c):
    i = c.take()
    with Image.open(c.file(i)) as im: im.load()
    im.save(c.file(i), 'PNG')
    return [i]

@plant('tiny picture', level=2)
def picture_of_eight_pixels(c): return c.redraw(lambda im: im.resize((8, 6)))

@plant('blank picture')
def picture_of_one_colour(c): return c.redraw(lambda im: Image.new('RGB', im.size, (90, 120, 60)))

@plant('long picture')
def picture_as_a_ribbon(c): return c.redraw(lambda im: im.resize((600, 40)))

@plant('grey and colour')
def picture_without_colour(c): return c.redraw(lambda im: im.convert('L'))

# The same picture twice

def again(c, part, make):
    "A second file of a picture, and a row for it in `part`."
    i = c.take()
    name = f'again_{len(c.rows)}.jpg'
    make(c.file(i), c.folder/name)
    return [i, c.add(i, fname=name, part=part)]

def saved_again(old, new):
    with Image.open(old) as im: im.save(new, quality=80)

for _part, _where, _level in ('train', 'twice', 1), ('valid', 'across splits', 3):
    @plant(f'same picture {_where}, by name', level=_level)
    def same_name(c, part=_part):
        i = c.take()
        return [i, c.add(i, part=part, photo_id=1000 + i)] # else the row would be a doubled one
    @plant(f'same picture {_where}, by link', level=_level)
    def same_file(c, part=_part): return again(c, part, lambda old, new: os.symlink(old, new))
    @plant(f'same picture {_where}, by bytes', level=_level)
    def same_bytes(c, part=_part): return again(c, part, shutil.copy)
    @plant(f'same picture {_where}, by pixels', level=_level)
    def same_pixels(c, part=_part): return again(c, part, saved_again)

@plant('one picture, two answers', level=2)
def one_row_for_each_label(c):
    i = c.take()
    c.rows[i]['labels'] = 'car'
    return [i, c.add(i, labels='horse')]

# Splits

@plant('in neither split')
def row_in_neither_split(c):
    i = c.take()
    c.rows[i]['part'] = 'spare'
    return [i]

@plant('odd value in is_valid', level=2)
def split_column_with_a_word(c):
    i = c.take()
    c.rows[i]['is_valid'] = 'no'
    return [i]

# Labels

@plant('maybe lost by read_csv', 'labels')
def label_lost_by_read_csv(c): return [c.relabel(None)]

@plant('label of nothing', "'nan'", level=2)
def label_nan_as_text(c): return [c.relabel('nan')]

@plant('nearly equal labels', 'a blank', level=2)
def label_with_a_blank(c): return [c.relabel('sofa, car'), c.relabel('horse ')]

@plant('nearly equal labels', 'capital letters', level=2)
def label_with_a_capital(c): return [c.relabel('Person')]

@plant('nearly equal labels', 'accent is stored', level=2)
def label_with_accents_of_two_kinds(c):
    for _ in range(2): c.relabel('caf\u00e9')
    return [c.relabel('cafe\u0301')]

@plant('nearly equal labels', 'between words', level=2)
def label_with_a_hyphen(c):
    for _ in range(2): c.relabel('street lamp')
    return [c.relabel('street-lamp')]

@plant('misspelt label', 'preson')
def label_misspelt(c): return [c.relabel('preson')]

@plant('label in validation only', 'camel', level=3, bad=True)
def label_in_validation_only(c): return [c.relabel('camel', 'valid')]

@plant('label in training only')
def label_in_training_only(c): return [c.relabel('zebra')]

@plant('rare label')
def label_with_three_examples(c): return [c.relabel('okapi') for _ in range(3)] + [c.relabel('okapi', 'valid')]

@plant('label with $', '5$ note')
def label_with_a_dollar(c): return [c.relabel('5$ note')]

@plant('list as text', level=3)
def label_list_as_text(c): return [c.relabel("['person', 'car']")]

@plant('several labels in one', "';'", level=2)
def label_of_two(c): return [c.relabel('person;car')]

@plant('label twice in an item')
def label_twice(c): return [c.relabel('car,car')]

@plant('very long label')
def label_of_a_sentence(c): return [c.relabel('there is a horse beside a sofa and somebody sits on the chair')]

# Tables

@plant('doubled row', level=2)
def row_twice(c): return [c.add(c.take())]

@plant('number made float', 'photo_id')
def id_missing(c):
    i = c.take()
    c.rows[i]['photo_id'] = None
    return [i]

@plant('doubled column', 'labels.1', level=2)
def column_twice(c):
    for r in c.rows: r['labels.1'] = r['labels']
    return []

NAMES = [f'{f.__name__}{" across" if "across" in kind else ""}' for kind,*_,f in PLANTS]

# ------------------------------------------------------------------ what is found

@pytest.fixture(scope='module')
def planted(tmp_path_factory):
    "The copy, where each plant was made, and the report."
    folder = tmp_path_factory.mktemp('planted')
    c = Copy(folder)
    at = [f(c) for *_,f in PLANTS]
    return c, at, block(folder).check(c.table())

@pytest.fixture(scope='module')
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clean')
    c = Copy(folder)
    return block(folder), c.table()

def test_there_are_thirty_and_more(): assert len(PLANTS) == len(set(NAMES)) >= 30

@pytest.mark.parametrize('k', range(len(PLANTS)), ids=NAMES)
def test_each_is_found(planted, k):
    (kind, about, level, bad, _), (_, at, report) = PLANTS[k], planted
    found = [f for f in report if f.kind == kind and set(at[k]) <= set(f.items) and about in f.what]
    assert found, [(f.kind, f.items, f.what) for f in report if f.kind == kind or set(at[k]) & set(f.items)]
    assert found[0].level >= level and found[0].why and found[0].cure
    assert not bad or set(at[k]) <= set(report.bad)

def test_nothing_is_said_of_the_other_rows(planted):
    "That a row is likely wrong. That a class is rare may be worth a look at any row."
    c, _, report = planted
    assert [(f.kind, i) for f in report if f.level > 1 for i in set(f.items) - c.touched] == []

def test_a_clean_copy_has_none(clean):
    dblock, df = clean
    report = dblock.check(df)
    assert [(f.kind, f.what) for f in report if f.level > 1] == [] and report.bad == []
    assert {f.kind for f in report} <= {'score of saying nothing', 'same picture twice, by pixels'}

def test_each_finding_is_in_the_printed_report(planted):
    text, html = repr(planted[2]), planted[2]._repr_html_()
    assert all(f.cure in text for f in planted[2]) and html.count('<tr') > len(planted[2])

def test_worst_comes_first(planted):
    levels = [f.level for f in planted[2]]
    assert levels == sorted(levels, reverse=True) and levels[0] == 3

def test_a_report_changes_nothing(planted):
    c, _, report = planted
    df, files = c.table(), {p: p.lstat().st_mtime_ns for p in c.folder.iterdir()}
    again = block(c.folder).check(df)
    assert [(f.kind, f.items) for f in again] == [(f.kind, f.items) for f in report]
    pd.testing.assert_frame_equal(df, c.table())
    assert {p: p.lstat().st_mtime_ns for p in c.folder.iterdir()} == files

@pytest.mark.filterwarnings('ignore:Some labels are nearly equal')
def test_one_trains_on_the_rest(planted, capsys):
    c, _, report = planted
    dls = block(c.folder).dataloaders(c.table(), bs=8, num_workers=0, device='cpu', skip_bad=True)
    assert f'{len(report.bad)} of {len(c.rows)}' in capsys.readouterr().out
    used = sum(r['part'] != 'spare' for i,r in enumerate(c.rows) if i not in report.bad)
    assert len(dls.train_ds) + len(dls.valid_ds) == used
    assert sum(len(x) for x,_ in dls.valid) == len(dls.valid_ds)

# ------------------------------------------------------------------ whole sets that are wrong

@pytest.mark.parametrize('change,kind,level', [
    (lambda df: df.assign(part=['valid']*3 + ['train']*(len(df) - 3)), 'small validation', 1),
    (lambda df: df.assign(part='train'), 'empty split', 3),
    (lambda df: df.assign(part=['train']*20 + ['valid']*(len(df) - 20)), 'small training', 1),
    (lambda df: df.assign(labels=['rare'] + ['person']*(len(df) - 1)), 'imbalance', 1),
    (lambda df: df.assign(labels='thing,' + df.labels), 'label always there', 2),
    (lambda df: df.assign(labels=df.fname), 'labels hardly repeat', 1),
    (lambda df: df.iloc[::-1], 'index is no position', 1)],
    ids=lambda o: o if isinstance(o, str) else '')
def test_whole_tables(clean, change, kind, level):
    dblock, df = clean
    found = dblock.check(change(df)).find(kind)
    assert found is not None and found.level == level

def test_pictures_without_one_size(clean):
    dblock, df = clean
    found = dblock.new(item_tfms=[]).check(df).find('different sizes')
    assert found.level == 3 and 'Resize' in found.cure

def test_empty_cells_of_more_than_half(clean):
    dblock, df = clean
    other = block(dblock.getters[0].pref, get_y=ColReader('labels', label_delim=','))
    assert other.check(df.assign(labels=df.labels.where(df.index < 40))).find('maybe lost by read_csv').level == 2

def test_a_given_vocab(clean):
    dblock, df = clean
    y = MultiCategoryBlock(vocab=['cow', *sorted(KEPT - {'sofa'})])
    report = block(dblock.getters[0].pref, blocks=(ImageBlock, y)).check(df)
    assert "'cow'" in report.find('label never there').what
    with_sofa = [i for i,o in enumerate(df.labels) if 'sofa' in o]
    assert report.find('label not in the vocab').items == with_sofa == report.bad

def test_one_label_that_is_missing(clean):
    dblock, df = clean
    df = df.assign(labels=[None if i in (3, 120) else o.split(',')[0] for i,o in enumerate(df.labels)])
    report = block(dblock.getters[0].pref, blocks=(ImageBlock, CategoryBlock), get_y=ColReader('labels')).check(df)
    assert report.find('missing label').items == report.bad == [3, 120]

def test_a_label_whose_only_training_item_is_bad(clean, capsys):
    "Without that item only validation has the label, so the validation items are left out too."
    dblock, df = clean
    changed = {0: ('gone.jpg', 'camel'), 120: (df.fname[120], 'camel')}
    for i,(fname, labels) in changed.items(): df = df.assign(fname=df.fname.where(df.index != i, fname),
                                                             labels=df.labels.where(df.index != i, labels))
    report = dblock.check(df)
    assert report.find('label in validation only').items == [120] and report.bad == [0, 120]
    assert 'Without the bad items' in report.find('label in validation only').what
    dls = dblock.dataloaders(df, bs=8, num_workers=0, device='cpu', skip_bad=True)
    assert '2 of 134' in capsys.readouterr().out and len(dls.train_ds) + len(dls.valid_ds) == 132

@pytest.mark.parametrize('change,kind', [
    (lambda v, i: v*2 - 1, 'neither 0 nor 1'), (lambda v, i: v*.9, 'neither 0 nor 1'),
    (lambda v, i: v if i else v*np.nan, 'missing target')], ids=['minus one', 'soft', 'nan'])
def test_encoded_targets(clean, change, kind):
    dblock, df = clean
    coded = df.labels.str.get_dummies(',').to_numpy(dtype=float)
    df = df.assign(coded=[change(v, i) for i,v in enumerate(coded)])
    y = MultiCategoryBlock(encoded=True, vocab=sorted(KEPT))
    other = DataBlock((ImageBlock, y), get_x=dblock.getters[0], get_y=ColReader('coded'), splitter=parts,
                      item_tfms=Resize(32))
    found = other.check(df).find(kind)
    assert found.level == 3 and found.bad and found.items == ([0] if kind == 'missing target' else list(range(len(df))))
    good = other.check(df.assign(coded=list(coded)))
    assert [f.kind for f in good if f.level > 1] == []

@pytest.fixture(scope='module')
def heads():
    "A table of 40 frames of two people of the sample, with points and a number."
    root = untar_data(URLs.BIWI_SAMPLE)
    files = [f for person in ('01', '02') for f in sorted(get_image_files(root/person))]
    points = [np.asarray(get_ctr(f), dtype=float)[None] for f in files]
    return pd.DataFrame(dict(fname=[str(f) for f in files], points=points, part=['train']*25 + ['valid']*15,
                             angle=[p.sum()/10 for p in points]))

def faces(df, y=PointBlock, col='points', **kw):
    return DataBlock((ImageBlock, y), get_x=ColReader('fname'), get_y=ColReader(col), splitter=parts).check(df, **kw)

def at(df, **changed):
    "The table with other points at some items."
    points = list(df.points)
    for k,p in changed.items(): points[int(k[1:])] = np.array(p, dtype=float) if isinstance(p, list) else p
    return df.assign(points=points)

@pytest.mark.parametrize('changed,kind,items', [
    (dict(_3=[[700, 100]], _9=[[20, -4]]), 'point outside', [3, 9]),
    (dict(_4=[[0, 0]]), 'point at (0, 0)', [4]),
    (dict(_5=[[.4, .6]]), 'share for pixels', [5]),
    (dict(_6=[[np.nan, 3]]), 'missing point', [6]),
    (dict(_6=np.nan), 'missing point', [6]),
    (dict(_7=[[100, 90], [120, 99]]), 'another number of points', [7])], ids=lambda o: o if isinstance(o, str) else '')
def test_points(heads, changed, kind, items):
    report = faces(at(heads, **changed))
    assert report.find(kind).items == items
    assert {i for f in report if f.level > 1 for i in f.items} <= set(items)

@pytest.mark.parametrize('change,kind', [
    (lambda p: p/[640, 480], 'share for pixels'), (lambda p: p*0 + [[300, 200]], 'points all alike'),
    (lambda p: p[:, ::-1] + [[0, 150]], 'x and y swapped')], ids=['shares', 'alike', 'swapped'])
def test_all_points(heads, change, kind):
    assert faces(heads.assign(points=[change(p) for p in heads.points])).find(kind).level == 3

def test_numbers(heads):
    assert faces(heads, RegressionBlock, 'angle', y_range=(0, 30)).find('outside y_range').level == 3
    assert faces(heads.assign(angle=7.), RegressionBlock, 'angle').find('always the same number').level == 2
    wild = faces(heads.assign(angle=[*heads.angle[:-1], -999]), RegressionBlock, 'angle')
    assert wild.find('wild number').items == [39]
    missing = faces(heads.assign(angle=[*heads.angle[:-1], np.nan]), RegressionBlock, 'angle')
    assert missing.find('missing target').items == missing.bad == [39]

def test_clean_heads_have_none(heads):
    for report in faces(heads), faces(heads, RegressionBlock, 'angle', y_range=(0, 200)):
        assert [(f.kind, f.what) for f in report if f.level > 1] == []
