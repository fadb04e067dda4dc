"What is said to a loader: one clear meaning, the same everywhere, or a refusal in words."
import numpy as np
import pytest
import torch
from PIL import Image
from course_lib.all import *
from tests.faults.test_data import refused

LETTERS = list(enumerate('abcdefghijk')) # 11 samples

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    d = tmp_path_factory.mktemp('pictures')
    for i in range(14): Image.new('RGB', (20, 14), (15*i, 99, 0)).save(d/f'{i:02}.png')
    return sorted(d.iterdir())

def block(**kwargs):
    settings = dict(blocks=(ImageBlock, RegressionBlock), get_y=lambda f: float(f.stem),
                    splitter=IndexSplitter([11, 12, 13]), item_tfms=Resize(8))
    return DataBlock(**{**settings, **kwargs})

def of_block(files, **kwargs): return block().dataloaders(files, **{'num_workers': 0, **kwargs})
def of_dsets(files, **kwargs): return DataLoaders.from_dsets(LETTERS, LETTERS[:3], **kwargs)
def of_loader(files, **kwargs): return DataLoaders(DataLoader(LETTERS, **kwargs), DataLoader(LETTERS[:3], **kwargs))
def of_test(files, **kwargs): return DataLoaders(of_block(files).test_dl(files[:11], **kwargs))
def of_new(files, **kwargs): return DataLoaders(DataLoader(LETTERS, bs=2).new(**kwargs))

WAYS = dict(block=of_block, dsets=of_dsets, loader=of_loader, test=of_test, new=of_new)
each_way = pytest.mark.parametrize('way', WAYS.values(), ids=WAYS)

def says(dls): return [(dl.bs, bool(dl.shuffle), bool(dl.drop_last), len(dl)) for dl in dls.loaders]

# ------------------------------------------------------------------ batch_size and bs

@each_way
def test_batch_size_and_bs_mean_the_same(files, way):
    assert says(way(files, bs=4)) == says(way(files, batch_size=4)) == says(way(files, bs=4, batch_size=4))
    assert says(way(files, bs=np.int64(4))) == says(way(files, bs=4))
    with refused(ValueError, 'bs=4', 'batch_size=8'): way(files, bs=4, batch_size=8)

@pytest.mark.parametrize('name', ['bs', 'batch_size', 'val_bs'])
@pytest.mark.parametrize('bs', [0, -1, 4., '4', True, [4]])
def test_odd_batch_sizes(files, name, bs):
    ways = [of_block] if name == 'val_bs' else WAYS.values()
    for way in ways:
        if not (way is of_dsets and isinstance(bs, list)):
            with refused(ValueError, f'bs={bs!r}', 'whole number'): way(files, **{name: bs})

@each_way
@pytest.mark.parametrize('n', [-1, 2., '2', True])
def test_odd_numbers_of_threads(files, way, n):
    with refused(ValueError, f'num_workers={n!r}'): way(files, num_workers=n)

@each_way
def test_numpys_numbers_are_numbers(files, way): way(files, num_workers=np.int64(1), bs=np.int32(2)).train.one_batch()

# ------------------------------------------------------------------ shuffle and drop_last

def test_a_recipe_shuffles_and_drops_in_training_only(files):
    on, off = (True, True, 2), (False, False, 3) # (shuffled, dropped, batches) of 11 items in fours
    def train(**kw): return says(of_block(files, bs=4, **kw))[0][1:]
    assert train() == train(shuffle=True) == on
    assert train(shuffle=False) == off # as in fastai, `drop_last` follows
    assert train(drop_last=False) == (True, False, 3)
    assert train(shuffle=False, drop_last=True) == (False, True, 2)
    for kw in dict(shuffle=True), dict(drop_last=True), dict(shuffle=True, drop_last=True, bs=2):
        assert says(of_block(files, **{'bs': 4, **kw}))[1][1:3] == (False, False)

def test_a_training_set_smaller_than_a_batch(files):
    assert says(of_block(files))[0] == (64, True, False, 1)
    assert says(of_block(files, drop_last=True))[0] == (64, True, True, 0)
    assert says(of_dsets(files))[0] == (64, True, False, 1)

def test_one_value_for_all_loaders_or_one_for_each():
    def given(**kw): return [o[1:3] for o in says(of_dsets(None, bs=2, **kw))]
    assert given() == given(shuffle=[None, None]) == [(True, True), (False, False)]
    assert given(shuffle=False) == [(False, True), (False, False)]
    assert given(shuffle=True, drop_last=False) == [(True, False), (True, False)]
    assert given(shuffle=(False, True), drop_last=[False, True]) == [(False, False), (True, True)]
    for kw in dict(bs=(2, 3)), dict(batch_size=[2, 3]): assert [o[0] for o in says(of_dsets(None, **kw))] == [2, 3]
    for kw in dict(shuffle=[True]), dict(drop_last=(True, False, False)), dict(bs=[2]), dict(num_workers=[0, 0, 0]):
        with refused(ValueError, list(kw)[0], 'for 2 loaders'): of_dsets(None, **kw)

def test_new_items_in_another_order(files):
    dls = of_block(files, bs=4)
    shuffled = dls.test_dl(files, with_labels=True, shuffle=True, drop_last=True)
    assert (shuffled.shuffle, shuffled.drop_last, len(shuffled)) == (True, True, 3)
    set_seed(1)
    seen = [float(v) for _,y in shuffled for v in y]
    assert len(set(seen)) == 12 and seen != sorted(seen)
    assert says(DataLoaders(dls.test_dl(files))) == [(4, False, False, 4)]

@each_way
@pytest.mark.parametrize('v', ['False', 'no', 2, torch.tensor([True, False])])
def test_neither_true_nor_false(files, way, v):
    for name in 'shuffle', 'drop_last':
        with refused(TypeError, name, 'True or False'): way(files, **{name: v})

def test_a_list_where_one_value_is_meant(files):
    for way in of_block, of_loader, of_test, of_new:
        with refused(TypeError, 'shuffle', 'from_dsets'): way(files, shuffle=[True, False])

# ------------------------------------------------------------------ settings that nobody knows

@each_way
@pytest.mark.parametrize('name', ['pin_memry', 'shuffle_train', 'val_shuffle', 'num_worker', 'sampler', 'n'])
def test_unknown_settings_are_named_with_those_that_exist(files, way, name):
    if way is of_block and name in ('shuffle_train', 'val_shuffle', 'n'): pytest.skip('a recipe knows them')
    with refused(TypeError, name, 'drop_last', 'num_workers'): way(files, **{name: 1})

@each_way
@pytest.mark.parametrize('name', ['pin_memory', 'persistent_workers', 'timeout'])
def test_settings_of_worker_processes_do_nothing(files, way, name): way(files, **{name: 1})

def test_what_a_recipe_makes_itself(files):
    for name, cure in dict(after_item='item_tfms', after_batch='batch_tfms', watch='blocks', dataset='source').items():
        with refused(TypeError, name, cure): of_block(files, **{name: len})

# ------------------------------------------------------------------ transforms in a list

def plus_one(x: torch.Tensor): return x + 1
def ten_times(x: torch.Tensor): return x*10

def test_a_list_of_transforms_is_for_every_loader():
    numbers = [(torch.ones(2), torch.zeros(1))]*6
    for given in [plus_one, ten_times], (plus_one, ten_times), L(plus_one, ten_times):
        for name in 'after_item', 'after_batch':
            dls = DataLoaders.from_dsets(numbers, numbers, numbers, bs=2, **{name: given})
            for dl in dls.loaders: assert all((x == 20).all() and (y == 10).all() for x,y in dl)
    dls = DataLoaders.from_dsets(numbers, numbers, bs=2, after_batch=[plus_one])
    for dl in dls.loaders: assert dl.one_batch()[0][0, 0] == 2

class Counts(SampleTransform):
    "Adds 1 in training, 2 in validation."
    def draw(self, sample, train): return 1 if train else 2
    def apply(self, x, drawn): return x + drawn
class InTraining(SampleTransform):
    split_idx = 0
    def apply(self, x, drawn): return x + 100

FORMS = dict(one=Counts(), list=[Counts()], cls=[Counts], pipeline=Pipeline([Counts()]))

@pytest.mark.parametrize('given', FORMS.values(), ids=FORMS)
def test_transforms_know_the_split_of_their_loader(given):
    zeros = [(torch.zeros(1), torch.zeros(1))]*4
    for name in 'after_item', 'after_batch':
        dls = DataLoaders.from_dsets(zeros, zeros, bs=2, **{name: given})
        assert [float(dl.one_batch()[0][0]) for dl in dls.loaders] == [1, 2]
        assert float(dls.as_valid(0).one_batch()[0][0]) == 2

def test_a_single_loader_asks_its_dataset_for_the_split():
    dsets = Datasets([0., 0., 0., 0.], [torch.tensor, torch.tensor], splits=[[0, 1], [2, 3]])
    for ds, n in (dsets.train, 1), (dsets.valid, 2):
        assert float(DataLoader(ds, after_batch=[Counts()]).one_batch()[0][0]) == n

def test_transforms_of_training_only():
    zeros = [(torch.zeros(1), torch.zeros(1))]*4
    dls = DataLoaders.from_dsets(zeros, zeros, bs=2, after_batch=[InTraining(), Counts()])
    assert [float(dl.one_batch()[0][0]) for dl in (*dls.loaders, dls.as_valid(0))] == [101, 2, 2]

def test_what_is_no_transform():
    for bad in 'Normalize', 3, torch.ones(2):
        for name in 'after_item', 'after_batch':
            with refused(TypeError, name, 'function'): DataLoader(LETTERS, **{name: bad})
            with refused(TypeError, name, 'function'): of_dsets(None, **{name: bad})

# ------------------------------------------------------------------ how many inputs

THREE = [(torch.ones(2)*i, torch.ones(2), torch.ones(1)) for i in range(6)]

def test_all_parts_but_the_last_are_inputs():
    for ds, n in (THREE, 2), ([o[:2] for o in THREE], 1), ([o[:1] for o in THREE], 1), ([o[0] for o in THREE], 1):
        assert DataLoaders.from_dsets(ds, ds, bs=2).n_inp == n
    assert DataLoaders(torch.utils.data.DataLoader(THREE), torch.utils.data.DataLoader(THREE)).n_inp == 2
    dicts = [dict(a=o[0], b=o[1], y=o[2]) for o in THREE]
    def triple(d): return d['a'], d['b'], d['y']
    for name in 'after_item', 'after_batch': # what the model gets is what counts
        assert DataLoaders.from_dsets(dicts, dicts, bs=2, **{name: triple}).n_inp == 2
    dsets = Datasets(THREE, [lambda o: o[0], lambda o: o[1], lambda o: o[2]], splits=[range(4), range(4, 6)], n_inp=1)
    assert DataLoaders.from_dsets(dsets.train, dsets.valid, bs=2).n_inp == 1

def test_a_model_of_two_inputs_on_a_plain_list():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(4, 1)
        def forward(self, a, b): return self.line(torch.cat([a, b], 1))
    learn = Learner(DataLoaders.from_dsets(THREE, THREE, bs=2, device='cpu'), Two(), loss_func=nn.MSELoss())
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    assert learn.get_preds()[0].shape == (6, 1)

def test_to_look_for_inputs_changes_no_draw():
    class Draws:
        def __len__(self): return 4
        def __getitem__(self, i): return torch.rand(1), torch.rand(1)
    set_seed(1)
    expected = torch.rand(2)
    dls = DataLoaders.from_dsets(Draws(), Draws(), bs=2)
    set_seed(1)
    assert dls.n_inp == 1 and torch.equal(torch.rand(2), expected)

# ------------------------------------------------------------------ what a dataset gives

TABLES = dict(series=pd.Series([10, 20, 30], index=[2, 0, 1]), frame=pd.DataFrame(dict(a=[1, 2])))

@pytest.mark.parametrize('ds', TABLES.values(), ids=TABLES)
def test_a_table_goes_by_labels_and_is_no_dataset(ds):
    with refused(TypeError, 'positions', 'Datasets(frame', 'to_list'): DataLoader(ds)
    with refused(TypeError, 'positions'): DataLoaders.from_dsets(ds, ds)
    assert len(Datasets(ds)) == len(ds)

ODD = {'NoneType where sample 0, item 0, has a number': [(1, 2), (1, 2), (1, None)],
       'str where': [(1, 2), (1, 2), (1, 'two')],
       'a number where sample 0, item 0, has Tensor': [torch.ones(2), torch.ones(2), 3],
       'list where sample 0, item 0, has ndarray': [np.ones(2), np.ones(2), [1, 2]],
       'a number where sample 0, item 0, has a tuple or list': [(1, 2), (1, 2), 3],
       'a tuple or list where sample 0, item 0, has a dict': [dict(a=1), dict(a=2), [1]]}

@pytest.mark.parametrize('text', ODD)
def test_an_odd_sample_is_named(text):
    with refused(Exception, 'sample 2, item 2', text): DataLoader(ODD[text], bs=3).one_batch()

# ------------------------------------------------------------------ lengths

def test_empty_datasets():
    with refused(ValueError, 'training dataset is empty'): DataLoaders.from_dsets([], LETTERS)
    with refused(ValueError, 'validation dataset is empty'): DataLoaders.from_dsets(LETTERS, [])
    with refused(TypeError, 'generator'): DataLoaders.from_dsets(iter(LETTERS), LETTERS)
    assert list(DataLoader([])) == []

def test_a_dataset_that_grows():
    ds = list(range(5))
    dl = DataLoader(ds, bs=2)
    first = [b.tolist() for b in dl]
    ds += [5, 6]
    assert (first, [b.tolist() for b in dl], len(dl)) == ([[0, 1], [2, 3], [4]], [[0, 1], [2, 3], [4, 5], [6]], 4)

# ------------------------------------------------------------------ the training items as in validation

def seen(dl): return [int(v) for b in dl for v in b[1]]

def test_every_training_item_once_as_in_validation(files):
    b = block(item_tfms=RandomResizedCrop(8, min_scale=.2), batch_tfms=aug_transforms())
    dls = b.dataloaders(files, bs=4, num_workers=2)
    dl, twin = dls.as_valid(0), dls.test_dl(files[:11], with_labels=True)
    assert seen(dl) == list(range(11)) and len(seen(dls.train)) == 8
    for _ in range(2):
        for (x, y), (x1, y1) in zip(dl, twin, strict=True): assert torch.equal(x, x1) and torch.equal(y, y1)
    assert seen(dls.as_valid(1)) == seen(dls.valid)

def test_as_valid_of_a_third_split_and_of_a_single_loader(files):
    def thirds(items): return list(range(8)), [8, 9], [10, 11, 12]
    dls = block(splitter=thirds).dataloaders(files, bs=4, num_workers=0)
    assert [seen(dls.as_valid(k)) for k in range(3)] == [list(range(8)), [8, 9], [10, 11, 12]]
    one = DataLoaders(block(item_tfms=RandomResizedCrop(8)).dataloaders(files, num_workers=0, bs=11).train)
    assert torch.equal(one.as_valid(0).one_batch()[0], one.as_valid(0).one_batch()[0])

def test_as_valid_of_plain_loaders():
    def shout(s): return s[0], ord(s[1].upper())
    dls = DataLoaders(DataLoader(LETTERS, bs=4, shuffle=True, drop_last=True, after_item=shout), DataLoader(LETTERS))
    assert seen(dls.as_valid(0)) == [ord(c) for c in 'ABCDEFGHIJK'] and dls.as_valid(0).bs == 4
    foreign = torch.utils.data.DataLoader(LETTERS, shuffle=True)
    assert DataLoaders(foreign, foreign).as_valid(0) is foreign

# ------------------------------------------------------------------ nothing is carried over

def test_nothing_reaches_the_next_loaders(files):
    b = block(batch_tfms=[])
    first = b.dataloaders(files, bs=4, num_workers=0)
    before = repr(first.train.after_batch)
    first.add_tfms(Normalize.from_stats(*imagenet_stats))
    first.train.drop_last, first.valid.bs = False, 1
    second = b.dataloaders(files, bs=4, num_workers=0)
    assert repr(second.train.after_batch) == before != repr(first.train.after_batch)
    assert says(second) == [(4, True, True, 2), (4, False, False, 1)]
