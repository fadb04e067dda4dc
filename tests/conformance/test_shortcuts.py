"Loaders in one line, labels from paths, splits: what fastai 2.8.12 gave for the same folders, tables and seeds."
import inspect
import pandas as pd, pytest
from course_lib.all import *
from course_lib.shortcuts import FileGetter, ImageGetter

ARGUMENTS = dict( # as in fastai, `bs`, `val_bs`, `shuffle` and `device` besides
    from_df='df path valid_pct seed fn_col folder suff label_col label_delim y_block valid_col item_tfms batch_tfms '
            'img_cls',
    from_csv='path csv_fname header delimiter quoting',
    from_folder='path train valid valid_pct seed vocab item_tfms batch_tfms img_cls',
    from_name_func='path fnames label_func', from_name_re='path fnames pat', from_path_re='path fnames pat',
    from_path_func='path fnames label_func valid_pct seed item_tfms batch_tfms img_cls',
    from_lists='path fnames labels valid_pct seed y_block item_tfms batch_tfms img_cls',
    from_dblock='dblock source path bs val_bs shuffle device')

@pytest.mark.parametrize('name', ARGUMENTS)
def test_arguments_stand_in_their_order(name):
    given = list(inspect.signature(getattr(ImageDataLoaders, name)).parameters)
    assert [o for o in given if o != 'kwargs'] == ARGUMENTS[name].split()

@pytest.fixture(scope='module')
def d(tmp_path_factory):
    "Three parts of two classes of five pictures, as in the environment in which the numbers below were made."
    d = tmp_path_factory.mktemp('parts')
    for part in 'train', 'valid', 'test':
        for c in 'ab':
            (d/part/c).mkdir(parents=True)
            for i in range(5): Image.fromarray(np.full((10, 12, 3), i*10, 'uint8')).save(d/part/c/f'{c}_{i}.jpg')
    (d/'valid.txt').write_text('a_1.jpg\nb_2.jpg\n')
    return d

KW = dict(item_tfms=Resize(8), bs=4, num_workers=0, device='cpu')
def sizes(dls): return [len(dl.dataset) for dl in dls.loaders]

# ------------------------------------------------------------------ loaders

def test_from_folder(d):
    dls = ImageDataLoaders.from_folder(d, **KW)
    assert sizes(dls) == [10, 10] and dls.vocab == ['a', 'b'] and dls.path == d
    assert sizes(ImageDataLoaders.from_folder(d, valid='test', **KW)) == [10, 10]
    x, y = dls.one_batch()
    assert x.shape == (4, 3, 8, 8) and type(y) is TensorCategory
    drawn = ImageDataLoaders.from_folder(d, valid_pct=.2, seed=42, **KW)
    assert sizes(drawn) == [24, 6] and drawn.train_ds.splits[1] == RandomSplitter(.2, 42)(range(30))[1]

@pytest.mark.parametrize('made', [
    lambda d, f: ImageDataLoaders.from_name_func(d, f, lambda name: name[0], seed=3, **KW),
    lambda d, f: ImageDataLoaders.from_path_func(d, f, parent_label, seed=3, **KW),
    lambda d, f: ImageDataLoaders.from_name_re(d, f, r'^(.)_\d', seed=3, **KW),
    lambda d, f: ImageDataLoaders.from_path_re(d, f, r'/(.)_\d+.jpg$', seed=3, **KW),
    lambda d, f: ImageDataLoaders.from_lists(d, f, [o.name[0] for o in f], seed=3, **KW),
    lambda d, f: ImageDataLoaders.from_df(pd.DataFrame({'f': f, 'l': [o.name[0] for o in f]}), '/', seed=3, **KW)],
    ids='name_func path_func name_re path_re lists df'.split())
def test_all_ways_give_the_same(d, made):
    files = get_image_files(d)
    dls = made(d, files)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=parent_label, splitter=RandomSplitter(seed=3),
                      item_tfms=Resize(8))
    same = DataLoaders.from_dblock(block, files, bs=4, num_workers=0, device='cpu')
    assert sizes(dls) == [24, 6] and dls.vocab == ['a', 'b'] and dls.bs == 4
    for ours, theirs in zip(dls.valid, same.valid):
        for o,t in zip(ours, theirs): assert torch.equal(o, t)

@pytest.fixture
def df(): return pd.DataFrame({
    'fn': [f'a_{i}.jpg' for i in range(5)], 'l': ['x y', 'y', 'x', '', 'y x'], 'x': [1, 0, 1, 1, 0],
    'y': [0, 0, 1, 1, 1], 'v': [False]*4 + [True], 'n': [.1, .2, .3, .4, .5]})

def test_from_df(d, df):
    kw = dict(folder='train/a', valid_col='v', **KW)
    several = ImageDataLoaders.from_df(df, d, label_delim=' ', **kw)
    assert several.vocab == ['x', 'y'] and sizes(several) == [4, 1]
    assert several.valid.one_batch()[1].tolist() == [[1, 1]]
    encoded = MultiCategoryBlock(encoded=True, vocab=['x', 'y'])
    cols = ImageDataLoaders.from_df(df, d, label_col=['x', 'y'], y_block=encoded, **kw)
    assert cols.vocab == ['x', 'y'] and cols.valid.one_batch()[1].tolist() == [[0, 1]]
    number = ImageDataLoaders.from_df(df, d, label_col='n', y_block=RegressionBlock, **kw)
    assert number.c == 1 and number.valid.one_batch()[1].tolist() == [.5]
    no_ending = df.assign(fn=df.fn.str.removesuffix('.jpg'))
    assert sizes(ImageDataLoaders.from_df(no_ending, d, suff='.jpg', label_col='x', **kw)) == [4, 1]

def test_from_csv(d, df, tmp_path):
    df.to_csv(tmp_path/'labels.csv', index=False)
    df.to_csv(tmp_path/'semi.csv', index=False, sep=';', header=False)
    kw = dict(folder=d/'train/a', label_col=2, **KW)
    assert ImageDataLoaders.from_csv(tmp_path, valid_col='v', **kw).vocab == [0, 1]
    dls = ImageDataLoaders.from_csv(tmp_path, 'semi.csv', header=None, delimiter=';', valid_col=4, **kw)
    assert sizes(dls) == [4, 1] and dls.path == tmp_path

@pytest.mark.parametrize('labels,kind,c', [
    (list('ab')*15, TensorCategory, 2), ([['a'], ['a', 'b']]*15, TensorMultiCategory, 2), ([.5]*30, Tensor, 1),
    ([['a', 'b'], ['a']]*15, TensorMultiCategory, 2), (np.arange(30) % 3, TensorCategory, 3)])
def test_lists_say_their_kind(d, labels, kind, c):
    dls = ImageDataLoaders.from_lists(d, get_image_files(d), labels, seed=3, **KW)
    assert type(dls.one_batch()[1]) is kind and dls.c == c

def test_columns(d):
    source = get_image_files(d), list('ab')*15
    block = DataBlock.from_columns((ImageBlock, CategoryBlock), splitter=RandomSplitter(seed=1), item_tfms=Resize(8))
    dls = block.dataloaders(source, bs=4, num_workers=0, device='cpu')
    assert dls.vocab == ['a', 'b'] and dls.test_dl(source[0][:3]).one_batch()[0].shape == (3, 3, 8, 8)
    found = DataBlock.from_columns((ImageBlock, CategoryBlock), get_items=lambda s: (s, list('ab')*15))
    assert found.datasets(source[0])[0][1] == 0
    three = DataBlock.from_columns((TransformBlock, TransformBlock, CategoryBlock), splitter=IndexSplitter([0]))
    assert three.datasets(([1, 2], [3, 4], ['a', 'a']))[1] == (2, 4, 0)

def test_from_dblock_of_loaders(d):
    block = DataBlock((ImageBlock, CategoryBlock), get_image_files, get_y=parent_label, item_tfms=Resize(8))
    dls = DataLoaders.from_dblock(block, d, path=d, bs=5, val_bs=2, shuffle=False, num_workers=0)
    assert (dls.path, dls.bs, dls.valid.bs, dls.train.shuffle) == (d, 5, 2, False)

# ------------------------------------------------------------------ labels

def test_labels_of_paths():
    assert parent_label('a/b/c.jpg') == parent_label(Path('a/b/c.jpg')) == 'b'
    assert RegexLabeller(r'(\w+)_\d+.jpg$')(Path('q/w/dog_1.jpg')) == 'dog'
    assert RegexLabeller(r'(\w)', match=True)('xyz') == 'x'
    assert using_attr(RegexLabeller(r'(\d)'), 'name')(Path('1/a2.jpg')) == '2'
    import pickle
    assert pickle.loads(pickle.dumps(using_attr(RegexLabeller(r'(\d)'), 'name')))(Path('1/a2.jpg')) == '2'

@pytest.mark.parametrize('get_y', [
    Pipeline([attrgetter('name'), RegexLabeller(r'(.)_\d')]), Pipeline([lambda o: o.name, lambda n: n[0]]),
    Pipeline(parent_label), attrgetter('parent.name'), using_attr(RegexLabeller(r'^(.)'), 'name')])
def test_getters_in_steps(d, get_y):
    block = DataBlock((ImageBlock, CategoryBlock), get_image_files, get_y=get_y, splitter=RandomSplitter(seed=1))
    dsets = block.datasets(d)
    assert dsets.vocab == ['a', 'b']
    assert [dsets.value(i) for i in range(30)] == [('b' in o.name) for o in get_image_files(d)]

def test_steps_of_a_getter_are_named(d):
    pipe = Pipeline([attrgetter('name'), parent_label])
    block = DataBlock((ImageBlock, CategoryBlock), get_image_files, get_y=pipe)
    assert str(block.columns()[1]) == 'attrgetter -> parent_label -> Categorize'
    assert repr(block) == 'DataBlock: PILImage.create | attrgetter -> parent_label -> Categorize'

# ------------------------------------------------------------------ files

def test_files(d):
    assert (len(get_files(d)), len(get_files(d, recurse=False)), len(get_files(d, folders='train'))) == (31, 1, 10)
    assert [o.name for o in get_files(d, '.TXT')] == [o.name for o in get_files(d, ['txt'])] == ['valid.txt']
    assert get_files(d, ['.jpg', '.png']) == get_image_files(d) == get_files(d, {'.jpg'})
    assert ImageGetter('train')(d) == get_image_files(d, folders='train') == FileGetter('train', '.jpg')(d)

def test_links_are_followed_or_not(d, tmp_path):
    try: (tmp_path/'link').symlink_to(d, target_is_directory=True)
    except OSError: pytest.skip('no links here')
    assert (len(get_files(tmp_path)), len(get_files(tmp_path, followlinks=False))) == (31, 0)

def test_a_folder_is_no_file(tmp_path):
    (tmp_path/'odd.jpg').mkdir()
    assert get_files(tmp_path) == get_image_files(tmp_path) == []

# ------------------------------------------------------------------ splits: fastai's for the same seed

TEN = list(range(10))
@pytest.mark.parametrize('splitter,train,valid', [
    (MaskSplitter([False]*8 + [True]*2), [0, 1, 2, 3, 4, 5, 6, 7], [8, 9]),
    (MaskSplitter(np.array([True] + [False]*9)), [1, 2, 3, 4, 5, 6, 7, 8, 9], [0]),
    (MaskSplitter(torch.tensor([True] + [False]*9)), [1, 2, 3, 4, 5, 6, 7, 8, 9], [0]),
    (MaskSplitter(pd.Series([True] + [False]*9, index=range(5, 15))), [1, 2, 3, 4, 5, 6, 7, 8, 9], [0]),
    (EndSplitter(), [0, 1, 2, 3, 4, 5, 6, 7], [8, 9]), (EndSplitter(.3, False), [3, 4, 5, 6, 7, 8, 9], [0, 1, 2]),
    (RandomSubsetSplitter(.5, .2, seed=1), [5, 6, 1, 2, 0], [8, 9])])
def test_splitters(splitter, train, valid): assert splitter(TEN) == (train, valid)

def test_splitter_of_scikit_learn():
    pytest.importorskip('sklearn')
    assert TrainTestSplitter(test_size=.3, random_state=42)(TEN) == ([0, 7, 2, 9, 4, 3, 6], [8, 1, 5])
    assert TrainTestSplitter(test_size=.5, random_state=42, stratify=list('aabb'))(TEN[:4]) == ([2, 1], [3, 0])

def test_splitter_by_a_file_of_names(d):
    files = [Path('x/a_1.jpg'), Path('b_1.jpg'), 'b_2.jpg']
    assert FileSplitter(d/'valid.txt')(files) == ([1], [0, 2])

def test_masks_and_slices_as_splits():
    m = [True, False, True, False]
    n = [not o for o in m]
    for a,b in ((m, n), (np.array(m), np.array(n)), (torch.tensor(m), torch.tensor(n)), (pd.Series(m), ~pd.Series(m)),
                (tuple(m), L(n)), ([0, 2], n)):
        assert Datasets(TEN[:4], [noop], splits=[a, b]).splits == [[0, 2], [1, 3]]
    assert Datasets(TEN[:4], [noop], splits=[slice(0, 2), slice(2, None)]).splits == [[0, 1], [2, 3]]

# ------------------------------------------------------------------ names

def test_names_of_the_star_import():
    names = '''os re sys random time json csv io glob shutil pickle itertools functools operator collections
        warnings math Image array ndarray noop attrgetter itemgetter Counter OrderedDict defaultdict namedtuple
        copy deepcopy SimpleNamespace
        datetime range_of ifnone compose partial Path L pd np plt torch nn F Tensor tensor'''.split()
    scope = {}
    exec('from course_lib.all import *', scope)
    assert [o for o in names if o not in scope] == []
    assert (scope['random'].__name__, scope['time'].__name__, scope['array']) == ('random', 'time', np.array)
    assert (noop(1), noop(), noop(1, 2, 3)) == (1, None, 1)

def test_a_pipeline_that_is_there_takes_one_more(tmp_path):
    "`dls.after_batch.add(t)` counts from the next batch on, in that loader, as in fastai."
    files = [tmp_path/f'{i}.png' for i in range(6)]
    for i,f in enumerate(files): Image.fromarray(np.full((8, 8, 3), 10*i, dtype='uint8')).save(f)
    dls = ImageDataLoaders.from_lists(tmp_path, files, list('aabbab'), bs=2, valid_pct=.4, seed=1)
    before = dls.valid.one_batch()[0]
    class Negative(SampleTransform):
        order = Order.LIGHT
        def apply(self, x, drawn): return -x if isinstance(x, TensorImage) else x
    dls.valid.after_batch.add(Negative())
    assert torch.equal(dls.valid.one_batch()[0], -before)
    assert (dls.train.one_batch()[0] >= 0).all()
