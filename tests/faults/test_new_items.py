"New items go the way of the training items if they are of the same kind; of another kind, they begin where they fit."
from pathlib import Path
import numpy as np, pandas as pd, pytest, torch
from PIL import Image
from course_lib.core import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.dataloaders import *
from course_lib.vision import *

@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    "Two folders with files of the same names, red and green."
    d = tmp_path_factory.mktemp('new')
    for name,k in ('raw', 0), ('clean', 1):
        (d/name).mkdir()
        colour = np.eye(3, dtype='uint8')[[[k]*8]*8]
        for i in range(8): Image.fromarray(colour*(30*i + 20)).save(d/name/f'{i}.png')
    return d/'raw', d/'clean'

def label(o): return ['even', 'odd'][int(Path(o).stem)%2]

def loaders(items, get_x=None, get_y=label, **kw):
    block = DataBlock((ImageBlock, CategoryBlock), get_x=get_x, get_y=get_y, splitter=IndexSplitter(range(4, 8)), **kw)
    return block.dataloaders(items, bs=4, num_workers=0)

def same(dls, items, **kw):
    "Is the batch of these items that of validation?"
    theirs, ours = dls.valid.one_batch(), dls.test_dl(items, **kw).one_batch()
    return all(torch.equal(a, b) for a,b in zip(ours, theirs))

def kinds_of(frame):
    return {'rows': frame, 'dicts': frame.to_dict('records'), 'tuples': list(frame.itertuples()),
            'series': [frame.iloc[i] for i in range(len(frame))]}

@pytest.mark.parametrize('with_labels', [False, True])
@pytest.mark.parametrize('form', [Path, str])
@pytest.mark.parametrize('new', [Path, str])
def test_paths_that_lead_to_other_paths(folders, form, new, with_labels):
    raw, clean = folders
    get = (lambda p: clean/p.name) if form is Path else (lambda p: clean/p.split('/')[-1])
    dls = loaders([form(raw/f'{i}.png') for i in range(8)], get)
    assert same(dls, [new(raw/f'{i}.png') for i in range(4, 8)], with_labels=with_labels)

@pytest.mark.parametrize('new', [Path, str])
@pytest.mark.parametrize('inside', [False, True])
def test_names_also_where_files_of_these_names_lie(folders, monkeypatch, new, inside):
    raw, clean = folders
    if inside: monkeypatch.chdir(raw)
    dls = loaders([f'{i}.png' for i in range(8)], lambda n: clean/n)
    assert same(dls, [new(f'{i}.png') for i in range(4, 8)])

@pytest.mark.parametrize('kind', ['rows', 'dicts', 'tuples', 'series'])
@pytest.mark.parametrize('new', ['rows', 'dicts', 'tuples', 'series'])
@pytest.mark.parametrize('with_labels', [False, True])
def test_rows(folders, kind, new, with_labels):
    names = [f'{i}.png' for i in range(8)]
    df = pd.DataFrame({'fname': names, 'n': range(8), 'y': list(map(label, names))})
    dls = loaders(kinds_of(df)[kind], ColReader('fname', pref=folders[1]), ColReader('y'))
    assert same(dls, kinds_of(df[4:])[new], with_labels=with_labels)

def test_new_rows_need_no_label(folders):
    df = pd.DataFrame({'fname': [f'{i}.png' for i in range(8)], 'y': [label(f'{i}.png') for i in range(8)]})
    dls = loaders(df, ColReader('fname', pref=folders[1]), ColReader('y'))
    assert same(dls, df[4:][['fname']])

@pytest.mark.parametrize('make', [
    str, Path, lambda f: f.read_bytes(), PILImage.create, Image.open, lambda f: np.array(Image.open(f))])
@pytest.mark.parametrize('rows', [True, False])
def test_pictures_and_files_where_items_are_rows_or_files(folders, make, rows):
    raw, clean = folders
    df = pd.DataFrame({'fname': [f'{i}.png' for i in range(8)]})
    if rows: dls = loaders(df, ColReader('fname', pref=clean), lambda r: label(r['fname']))
    else: dls = loaders([clean/f'{i}.png' for i in range(8)])
    assert same(dls, [make(clean/f'{i}.png') for i in range(4, 8)])

def test_a_table_where_items_are_files(folders):
    dls = loaders(sorted(folders[0].iterdir()), lambda p: folders[1]/p.name)
    df = pd.DataFrame({'fname': ['4.png']})
    for new in df, df.to_dict('records'), [df.iloc[0]]:
        with pytest.raises(TypeError, match=r'such as.*\(file\), but the new item is.*\(row\)'): dls.test_dl(new)

def test_labels_of_files_where_items_are_rows(folders):
    df = pd.DataFrame({'fname': [f'{i}.png' for i in range(8)]})
    dls = loaders(df, ColReader('fname', pref=folders[1]), lambda r: label(r['fname']))
    with pytest.raises(TypeError, match='such as'): dls.test_dl([folders[1]/'4.png'], with_labels=True)

def test_items_of_several_kinds(folders):
    dls = loaders(sorted(folders[0].iterdir()))
    mixed = [folders[0]/'4.png', PILImage.create(folders[0]/'5.png')]
    with pytest.raises(TypeError, match='item 1'): dls.test_dl(mixed)

def test_a_file_that_the_getter_does_not_lead_to(folders):
    dls = loaders(sorted(folders[0].iterdir()), lambda p: folders[1]/p.name)
    with pytest.raises(FileNotFoundError, match='new.png') as e: dls.test_dl(['elsewhere/new.png'])
    assert any('PILImage.create' in n for n in e.value.__notes__)
