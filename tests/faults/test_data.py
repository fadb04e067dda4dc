"""Bad input to the data chapters: one clear error, as early as it can be known.

It names the row or file, and a remedy."""
import _thread, io, re, signal, threading, time
from contextlib import contextmanager
import numpy as np, pandas as pd, pytest, torch
from PIL import Image
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.datasets import get_image_files
from course_lib.vision import *
from course_lib.augment import *
from tests.helpers import block_maker

def picture(h=40, w=60, seed=0):
    "A smooth random picture."
    a = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype='uint8')
    return Image.fromarray(a).resize((w, h), Image.Resampling.BICUBIC)

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('pictures')
    for i in range(10): picture(40+i, seed=i).save(path/f'{i}.jpg')
    return path

@pytest.fixture
def df():
    return pd.DataFrame(dict(fname=[f'{i}.jpg' for i in range(10)], is_valid=[False]*7 + [True]*3,
                             labels=['a b', 'b', 'a', 'c a', 'b c', 'a', 'b', 'c', 'a', 'b c']))

@pytest.fixture
def block(folder): return block_maker(folder, 32)

@contextmanager
def refused(exc, *says):
    "The body must raise `exc`, and its message and notes must hold all of `says`, texts or patterns."
    with pytest.raises(exc) as info: yield
    text = '\n'.join([str(info.value), *getattr(info.value, '__notes__', [])])
    for s in says:
        if not isinstance(s, re.Pattern): s = re.compile(re.escape(s) + (r'\b' if s[-1:].isdigit() else ''), re.I)
        assert s.search(text), f'{s.pattern!r} is missing in: {type(info.value).__name__}: {text}'

def place(i): return re.compile(rf"(item|position)s? {re.escape(i)}(?![\w.])", re.I)

def workers(): return [t for t in threading.enumerate() if t.name.startswith('DataLoader')]

# Columns and files: found when the datasets are built

@pytest.mark.parametrize('name,bad', [
    ('splitter', ColSplitter('valid')), ('get_x', ColReader('valid')), ('get_y', ColReader('valid', label_delim=' ')),
    ('get_x', lambda r: r['valid']), ('get_y', lambda r: r['valid'].split()),
    ('splitter', FuncSplitter(lambda r: r['valid']))])
def test_missing_column_is_named(block, df, name, bad):
    with refused(KeyError, 'valid'): block(**{name: bad}).datasets(df)

@pytest.mark.parametrize('bad', [ColReader('valid'), lambda r: r['valid'], lambda r: r.valid])
def test_missing_column_shows_the_row_and_what_it_holds(block, df, bad):
    with refused((KeyError, AttributeError), 'valid', 'item 0', "'fname': '0.jpg'"): block(get_y=bad).datasets(df)

def test_missing_column_lists_those_that_are_there(block, df):
    with refused(KeyError, 'fname', 'labels'): block(splitter=ColSplitter('valid')).datasets(df)
    with refused(KeyError, 'fname', 'labels'): block(get_x=ColReader('valid')).datasets(df)

def test_missing_key_of_a_dict_is_named(df):
    with refused(KeyError, 'valid'): ColReader('valid')(dict(fname='0.jpg'))

@pytest.mark.parametrize('name,exc,says', [
    ('nowhere.jpg', FileNotFoundError, 'nowhere.jpg'), ('', OSError, 'folder'), (None, (OSError, ValueError), 'nan')])
def test_missing_file_is_found_at_build(block, df, name, exc, says):
    df.loc[4, 'fname'] = name
    with refused(exc, 'item 4', says): block().datasets(df)

def test_empty_file_is_found_at_build(block, df, folder, tmp_path):
    (tmp_path/'0.jpg').touch()
    get_x = lambda r: (tmp_path if r['fname'] == '0.jpg' else folder)/r['fname']
    with refused(OSError, 'item 0', str(tmp_path/'0.jpg'), 'empty'): block(get_x=get_x).datasets(df)

@pytest.mark.parametrize('source,says', [
    (Path('pictures'), 'get_items'), (Path('table.csv'), 'read_csv'), ('table.csv', 'read_csv'), (None, 'DataFrame'),
    (5, 'DataFrame')])
def test_source_that_holds_no_items_is_refused(block, source, says):
    with refused(TypeError, says, str(source)): block().datasets(source)

def test_no_items_at_all(block, df):
    with refused(ValueError, 'no items'): block().datasets(df[:0])
    with refused(ValueError, 'no items'): block(get_items=lambda o: [], splitter=RandomSplitter()).datasets(df)

def test_new_items_to_predict_are_checked(block, df, folder):
    dls = block().dataloaders(df, bs=4)
    with refused(FileNotFoundError, 'item 1', 'nowhere.jpg'): dls.test_dl([folder/'1.jpg', folder/'nowhere.jpg'])
    with refused(ValueError, 'no items'): dls.test_dl([])

# Damaged pictures: found when they are decoded, or before

def encoded(fmt, **kwargs):
    out = io.BytesIO()
    picture(160, 240).save(out, fmt, **kwargs)
    return out.getvalue()

@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize('fmt', ['JPEG', 'PNG'])
@pytest.mark.parametrize('tfm', [Resize(32), RandomResizedCrop(32), None])
def test_cut_short_picture_names_file_and_item(block, df, folder, tmp_path, fmt, num_workers, tfm):
    data = encoded(fmt)
    (tmp_path/'2.jpg').write_bytes(data[:len(data)//2])
    get_x = lambda r: (tmp_path if r['fname'] == '2.jpg' else folder)/r['fname']
    dls = block(get_x=get_x, item_tfms=tfm).dataloaders(df, bs=1, num_workers=num_workers)
    with refused(OSError, 'item 2', str(tmp_path/'2.jpg')): list(dls.train.new(shuffle=False))
    assert not workers()

@pytest.mark.filterwarnings('ignore::UserWarning') # Pillow's, on TIFF
@pytest.mark.parametrize('settings', [
    ('JPEG',), ('JPEG', 'progressive'), ('PNG',), ('GIF',), ('BMP',), ('WEBP',), ('TIFF',)], ids='-'.join)
def test_picture_cut_anywhere_names_the_file(tmp_path, settings):
    fmt, *flags = settings
    data, file = encoded(fmt, **dict.fromkeys(flags, True)), tmp_path/'short'
    for n in sorted({0, 1, 4, 20, 60, 150, 300, 600} | set(np.linspace(0, len(data)*.98, 20).astype(int).tolist())):
        file.write_bytes(data[:n])
        with refused(OSError, str(file)): np.asarray(PILImage.create(file))
        with refused(OSError, str(file)): Resize(32)(PILImage.create(file), split_idx=1)

@pytest.mark.parametrize('content', [
    b'not a picture', b'<html>404</html>', b'\xff\xd8', b'\x89PNG\r\n\x1a\n', bytes(1000)])
def test_file_that_is_no_picture_is_named(block, df, folder, tmp_path, content):
    (tmp_path/'8.jpg').write_bytes(content)
    get_x = lambda r: (tmp_path if r['fname'] == '8.jpg' else folder)/r['fname']
    dls = block(get_x=get_x).dataloaders(df, bs=2)
    with refused(OSError, 'item 1', str(tmp_path/'8.jpg')): list(dls.valid)

@pytest.mark.parametrize('bad', [
    None, 3.5, ['0.jpg'], pd.Series(dict(a=1)), np.zeros((4, 4, 3)), torch.zeros(3, 8, 8)],
    ids=lambda o: type(o).__name__)
def test_picture_made_of_something_else(bad):
    with refused(TypeError): PILImage.create(bad)

def test_summary_names_the_step_that_fails(block, df, capsys):
    with refused(ValueError, 'summary', 'collecting'): block(item_tfms=None).summary(df)
    assert 'FAILED' in capsys.readouterr().out

# Labels

def test_label_unseen_in_training_names_the_items(block, df):
    df.loc[[7, 9], 'labels'] = ['emu', 'a emu']
    with refused(ValueError, "'emu'", '7', '9', 'training', 'vocab='): block().datasets(df)

def test_label_outside_of_a_given_vocab_names_the_items(block, df):
    with refused(ValueError, "'c'", '3', '4', '7', '9'): block(MultiCategoryBlock(vocab=['a', 'b'])).datasets(df)

@pytest.mark.parametrize('vocab', [['a', 'b', 'c', 'a'], 'abc'])
def test_vocab_that_is_no_list_of_different_names(vocab):
    with refused((ValueError, TypeError), 'vocab'): MultiCategoryBlock(vocab=vocab)

@pytest.mark.parametrize('row', [1, 8]) # in training; in validation
@pytest.mark.parametrize('label,kind,says', [
    ('a b', MultiCategoryBlock, 'list'), (3, MultiCategoryBlock, 'list'), ([['a']], MultiCategoryBlock, "['a']"),
    (None, CategoryBlock, 'missing'), (float('nan'), CategoryBlock, 'missing'), ('', CategoryBlock, 'missing'),
    (['a', 'b'], CategoryBlock, 'MultiCategoryBlock')])
def test_labels_of_the_wrong_kind_name_the_item(block, df, row, label, kind, says):
    right = ['a'] if kind is MultiCategoryBlock else 'a'
    get_y = lambda r: label if r['fname'] == f'{row}.jpg' else right
    with refused((ValueError, TypeError), f'item {row}', says): block(kind, get_y=get_y).datasets(df)

def test_labels_of_several_types_are_refused_or_sorted(block, df):
    get_y = lambda r: [1 if o == 'c' else o for o in r['labels'].split()]
    try: assert len(block(get_y=get_y).datasets(df).vocab) == 3
    except (TypeError, ValueError) as e: assert '1' in str(e) and 'a' in str(e)

@pytest.mark.parametrize('missing', [None, float('nan'), '', ' ', pd.NA])
def test_missing_labels_mean_none_of_the_classes(block, df, missing):
    df['labels'] = df['labels'].astype(object)
    df.loc[1, 'labels'] = df.loc[8, 'labels'] = missing
    dsets = block().datasets(df)
    assert dsets.vocab == ['a', 'b', 'c']
    assert not dsets.train[1][1].any() and not dsets.valid[1][1].any()
    assert dsets.decode(dsets.valid[1])[1] == []

def test_two_spaces_between_labels_make_no_class(block, df):
    df.loc[0, 'labels'] = ' a  b '
    assert block().datasets(df).vocab == ['a', 'b', 'c']

def test_missing_labels_split_by_hand_name_the_item(block, df):
    df.loc[5, 'labels'] = None
    with refused(AttributeError, 'item 5', "'5.jpg'"): block(get_y=lambda r: r['labels'].split(' ')).datasets(df)

@pytest.mark.parametrize('value', [float('nan'), 7., 'x'])
def test_encoded_labels_are_checked_at_build(block, df, value):
    y = MultiCategoryBlock(encoded=True, vocab=['p', 'q'])
    with refused((ValueError, TypeError), 'item 3'):
        block(y, get_y=lambda r: [1, value if r['fname'] == '3.jpg' else 0]).datasets(df)
    with refused(ValueError, 'item 0', '2'): block(y, get_y=lambda r: [0, 1, 0]).datasets(df)

@pytest.mark.parametrize('value', [float('nan'), float('inf'), 'x', [1., 2.], None])
def test_numbers_to_predict_are_checked_at_build(block, df, value):
    with refused((ValueError, TypeError), 'item 8'):
        block(RegressionBlock, get_y=lambda r: value if r['fname'] == '8.jpg' else 1.).datasets(df)

# Splits

@pytest.mark.parametrize('splitter', [
    lambda df: ([], []), IndexSplitter([]), IndexSplitter(range(10)),
    FuncSplitter(lambda r: False), FuncSplitter(lambda r: True), ColSplitter('labels', on='none such'),
    lambda df: ([], range(10)), lambda df: (range(10), [])])
def test_empty_split(block, df, splitter):
    with refused(ValueError, 'split is empty'): block(splitter=splitter).datasets(df)

@pytest.mark.parametrize('value,which', [(True, 'training'), (False, 'validation')])
def test_empty_split_of_a_column_says_which(block, df, value, which):
    with refused(ValueError, f'{which} split is empty'): block().datasets(df.assign(is_valid=value))

def test_empty_split_by_folder(folder):
    files = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=lambda p: p.name,
                      splitter=GrandparentSplitter())
    with refused(ValueError, 'empty'): files.datasets(folder)

@pytest.mark.parametrize('pct', [0, 20, -.2, 1.])
def test_random_split_of_an_impossible_size(pct):
    with refused(ValueError, f'valid_pct={pct}'): RandomSplitter(pct)

NO_BOOLS = dict(text=['True', 'False']*5, float=[np.nan] + [0., 1., 1.]*3,
                boolean=pd.array([None] + [True, False, False]*3, dtype='boolean'))

@pytest.mark.parametrize('values', NO_BOOLS.values(), ids=list(NO_BOOLS))
def test_split_column_that_is_not_true_or_false(block, df, values):
    with refused(ValueError, 'is_valid', 'on='): block().datasets(df.assign(is_valid=values))

def test_duplicated_index_is_right_with_a_column(block, df):
    df.index = [0, 0, 1, 1, 2, 2, 3, 4, 4, 5]
    dsets = block().datasets(df)
    assert list(dsets.valid.items['fname']) == ['7.jpg', '8.jpg', '9.jpg']
    assert [block().datasets(df).valid[i][0].shape for i in range(3)] == [(47, 60), (48, 60), (49, 60)]

def by_index(df): return df.index[~df['is_valid']].tolist(), df.index[df['is_valid']].tolist()

@pytest.mark.parametrize('index,item', [
    ([0, 0, 1, 1, 2, 2, 3, 4, 4, 5], '0'), # twice in one split
    ([0, 1, 2, 3, 4, 5, 6, 0, 1, 2], '0'), # two tables, concatenated
    ([10*i for i in range(10)], '10')])    # filtered
def test_splitter_that_returns_index_labels(block, df, index, item):
    with refused((ValueError, IndexError, TypeError), place(item), 'ColSplitter'):
        block(splitter=by_index).datasets(df.set_index(pd.Index(index)))

@pytest.mark.parametrize('index,label', [
    ([f'{i}.jpg' for i in range(10)], "'0.jpg'"), ([i + .5 for i in range(10)], '0.5')])
def test_index_labels_that_are_no_numbers(block, df, index, label):
    with refused(TypeError, label, 'positions', 'ColSplitter'):
        block(splitter=by_index).datasets(df.set_index(pd.Index(index)))

@pytest.mark.parametrize('split,says', [
    (([0, 1, 2], [2, 3]), place('2')), (([0, 1, 1], [2, 3]), place('1')),
    (([0, 10], [1]), place('10')), (([0, -1], [1]), place('-1')),
    (None, 'split'), ([0, 1], 'split'), ('ab', 'split')], ids=str)
def test_splits_that_are_no_two_lists_of_different_positions(block, df, split, says):
    with refused((ValueError, IndexError, TypeError), says): block(splitter=lambda o: split).datasets(df)

def test_mask_in_place_of_positions(block, df):
    with refused((ValueError, TypeError), 'mask'): block(splitter=IndexSplitter(df['is_valid'])).datasets(df)
    dsets = block(splitter=lambda d: (~d.is_valid, d.is_valid)).datasets(df) # two masks are as clear as positions
    assert [i in dsets.splits[1] for i in range(len(df))] == df['is_valid'].tolist()
    with refused(ValueError, 'mask', str(len(df))): block(splitter=lambda d: (~d.is_valid, [True, False])).datasets(df)

@pytest.mark.parametrize('splitter', [RandomSplitter, ColSplitter, IndexSplitter])
def test_splitter_without_its_parentheses(block, df, splitter):
    with refused((TypeError, ValueError), 'splitter', '()'): block(splitter=splitter).datasets(df)

def test_column_splitter_on_files(block):
    with refused(TypeError, 'DataFrame'): block(splitter=ColSplitter()).datasets(['a', 'b'])

# Settings

@pytest.mark.parametrize('make', [
    lambda: Resize(0), lambda: Resize(-3), lambda: Resize('32'), lambda: Resize((1, 2, 3)),
    lambda: Resize(32, 'squash'), lambda: Resize(32, pad_mode='none'),
    lambda: RandomResizedCrop(0), lambda: RandomResizedCrop(32, min_scale=0),
    lambda: RandomResizedCrop(32, min_scale=.5, max_scale=.2),
    lambda: RandomResizedCrop(32, ratio=(4/3, 3/4)), lambda: Normalize([.5]*3, [0, 1, 1]),
    lambda: DataLoader([1], bs=0),
    lambda: DataLoader([1], num_workers=-1), lambda: DataBlock((ImageBlock, MultiCategoryBlock), getters=[None]),
    lambda: MultiCategoryBlock(encoded=True), lambda: DataLoaders()])
def test_impossible_setting_is_refused_at_once(make):
    with refused((ValueError, TypeError)): make()

def test_unknown_setting_of_a_loader(block, df):
    with refused(TypeError, 'shufle'): block().dataloaders(df, shufle=True)

# Batches

@pytest.mark.parametrize('num_workers', [0, 2])
def test_different_sizes_in_a_batch(block, df, num_workers):
    with refused(ValueError, '[40, 60, 3]', '[41, 60, 3]', 'Resize'):
        block(item_tfms=None).dataloaders(df, bs=4, num_workers=num_workers).train.new(shuffle=False).one_batch()

def test_error_in_a_batch_names_its_items():
    data = [torch.zeros(3)]*8 + [torch.zeros(4)] + [torch.zeros(3)]*3
    with refused(ValueError, '6, 7, 8'): list(DataLoader(data, bs=3))

@pytest.mark.parametrize('dataset', [(i for i in range(3)), 5, None, iter([])], ids=lambda o: type(o).__name__)
def test_dataset_without_length_or_items(dataset):
    with refused(TypeError, 'len', type(dataset).__name__): DataLoader(dataset)

@pytest.mark.parametrize('n,bs,says', [(0, 4, 'no'), (3, 4, 'bs=4')])
def test_no_batch(n, bs, says):
    with refused(ValueError, says): DataLoader(list(range(n)), bs=bs, drop_last=True).one_batch()

@pytest.mark.parametrize('samples', [
    [None, None], [(1, 2), (1,)], [object(), object()], [1, 'a'], [torch.zeros(2), 3], [dict(a=1), dict(b=1)]], ids=str)
def test_samples_that_make_no_batch(samples):
    with refused(Exception, 'items 0, 1'): DataLoader(samples, bs=2).one_batch()

def test_validation_that_is_not_there():
    with refused(AttributeError, 'valid'): DataLoaders.from_dsets(range(8), bs=2).valid
    with refused(AttributeError, 'splits'): Datasets(range(8)).valid

# Threads

class Items:
    "A slow dataset that does `event()` at item `at`."
    def __init__(self, event=None, at=21, n=40): self.event, self.at, self.n = event, at, n
    def __len__(self): return self.n
    def __getitem__(self, i):
        time.sleep(.001*(i % 3))
        if i == self.at and self.event: self.event()
        return i

def fail(e):
    def raise_it(): raise e
    return raise_it

@pytest.mark.parametrize('num_workers', [0, 1, 2, 8])
@pytest.mark.parametrize('error', [
    ValueError('x'), IndexError('x'), OSError(5, 'x'), type('Own', (Exception,), {})('x')],
    ids=lambda e: type(e).__name__)
def test_error_in_loading_keeps_its_type_and_names_the_item(num_workers, error):
    seen = []
    with refused(type(error), 'x', 'item 21'):
        for b in DataLoader(Items(fail(error)), bs=4, num_workers=num_workers): seen += b.tolist()
    assert seen == list(range(20)) # all whole batches before it, in order
    assert not workers()

def test_loop_left_early_leaves_no_thread():
    dl = DataLoader(Items(), bs=4, num_workers=4)
    for _ in dl: break
    assert not workers()
    with pytest.raises(ZeroDivisionError) as kept: # a traceback that is kept, as a notebook does
        for _ in dl: 1/0
    assert not workers() and kept.value

def test_closed_generator_leaves_no_thread():
    batches = iter(DataLoader(Items(), bs=4, num_workers=4))
    next(batches)
    assert workers()
    batches.close()
    assert not workers()

def test_loader_runs_ahead_by_few_batches_only():
    loaded = []
    class Counted(Items):
        def __getitem__(self, i): loaded.append(i); return super().__getitem__(i)
    batches = iter(DataLoader(Counted(n=1000), bs=4, num_workers=2))
    next(batches)
    time.sleep(.2) # the caller is busy
    assert len(loaded) <= 16
    batches.close()
    assert len(loaded) <= 16

@pytest.mark.parametrize('num_workers', [0, 2])
def test_interrupt_stops_the_loop_and_the_loader_works_again(num_workers):
    before = signal.signal(signal.SIGINT, signal.default_int_handler) # a job in the background ignores it
    items = Items(_thread.interrupt_main)
    dl = DataLoader(items, bs=4, num_workers=num_workers)
    with pytest.raises(KeyboardInterrupt):
        for b in dl: time.sleep(.002)
    signal.signal(signal.SIGINT, before)
    assert not workers()
    items.event = None
    assert torch.cat(list(dl)).tolist() == list(range(40))
