"The keywords of `dataloaders`, attributes of loaders, three-part datasets, printed forms: as fastai 2.8.12 gave them."
import contextlib, inspect, io
import pandas as pd, pytest
from course_lib.all import *

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    d = tmp_path_factory.mktemp('pictures')
    for i in range(30): Image.fromarray(np.full((10, 12, 3), i*8, 'uint8')).save(d/f'{"ab"[i%2]}_{i:02}.png')
    return get_image_files(d)

def name(f): return f.name[0]
def block(**kw):
    settings = dict(get_y=name, splitter=RandomSplitter(seed=1), item_tfms=Resize(8))
    return DataBlock((ImageBlock, CategoryBlock), **{**settings, **kw})
def made(files, **kw): return block().dataloaders(files, **{**dict(bs=4, num_workers=0, device='cpu'), **kw})

def told(dls):
    "Lengths, batch sizes, samples, shuffled, short batch dropped: each for training and for validation."
    return [(len(dl), dl.bs, dl.n, dl.shuffle, dl.drop_last) for dl in dls.loaders]

# ------------------------------------------------------------------ keywords of dataloaders

VALID = 2, 4, 6, False, False
@pytest.mark.parametrize('kw,train,valid', [
    (dict(), (6, 4, 24, True, True), VALID), (dict(shuffle=False), (6, 4, 24, False, False), VALID),
    (dict(drop_last=False), (6, 4, 24, True, False), VALID), (dict(pin_memory=True), (6, 4, 24, True, True), VALID),
    (dict(persistent_workers=False), (6, 4, 24, True, True), VALID), (dict(n=8), (2, 4, 8, True, True), VALID),
    (dict(timeout=3), (6, 4, 24, True, True), VALID), (dict(shuffle_train=False), (6, 4, 24, False, False), VALID),
    (dict(val_shuffle=True), (6, 4, 24, True, True), (2, 4, 6, True, False)),
    (dict(val_bs=2), (6, 4, 24, True, True), (3, 2, 6, False, False)),
    (dict(val_num_workers=1), (6, 4, 24, True, True), VALID), (dict(before_batch=noop), (6, 4, 24, True, True), VALID),
    (dict(dl_kwargs=[dict(bs=2), dict(bs=3)]), (12, 2, 24, True, True), (2, 3, 6, False, False))],
    ids=lambda o: str(o) if isinstance(o, dict) else '')
def test_keywords(files, kw, train, valid):
    dls = made(files, **kw)
    assert told(dls) == [train, valid]
    assert dls.one_batch()[0].shape[0] == dls.bs

def test_transforms_that_are_given_replace_those_of_the_recipe(files):
    b = block()
    dls = b.dataloaders(files, bs=4, num_workers=0, device='cpu', item_tfms=Resize(6),
                        batch_tfms=Normalize.from_stats(*imagenet_stats))
    x, _ = dls.one_batch()
    assert x.shape == (4, 3, 6, 6) and x.min() < 0
    assert b.dataloaders(files, bs=4, num_workers=0).one_batch()[0].shape == (4, 3, 8, 8) # the recipe is as it was

def test_keywords_in_one_line(files):
    dls = ImageDataLoaders.from_name_func('.', files, lambda n: n[0], seed=1, item_tfms=Resize(8), bs=4, val_bs=3,
                                          shuffle=False, drop_last=True, pin_memory=True, num_workers=0, device='cpu')
    assert told(dls) == [(6, 4, 24, False, True), (2, 3, 6, False, False)]

# ------------------------------------------------------------------ Datasets.dataloaders

def dsets(n=6, cols=2): return Datasets(range(1, n+1), [noop]*cols, splits=[range(n-2), range(n-2, n)])

def test_arguments_of_datasets_dataloaders():
    given = list(inspect.signature(Datasets.dataloaders).parameters)
    assert given == '''self bs shuffle_train shuffle val_shuffle n path dl_type dl_kwargs device drop_last val_bs
        kwargs'''.split()

def test_dataloaders_of_datasets():
    assert told(dsets().dataloaders(bs=2, num_workers=0)) == [(2, 2, 4, True, True), (1, 2, 2, False, False)]
    few = dsets().dataloaders(bs=2, num_workers=0, n=2, shuffle=False, device='cpu')
    assert [[v.tolist() for v in b] for b in few.train] == [[[1, 2], [1, 2]]] and few.valid.n == 2

def test_functions_of_datasets_dataloaders():
    kw = dict(bs=2, num_workers=0, shuffle=False, device='cpu')
    x, y = dsets().dataloaders(after_item=lambda o: o, after_batch=[lambda v: v+1], **kw).one_batch()
    assert (x.tolist(), y.tolist()) == ([2, 3], [2, 3])
    dls = dsets().dataloaders(before_batch=lambda b: [(x+1, y) for x,y in b], **kw)
    x, y = dls.one_batch()
    assert (x.tolist(), y.tolist(), len(dls.before_batch)) == ([2, 3], [1, 2], 1)

def test_transforms_are_for_their_split():
    class Twice(SampleTransform):
        split_idx = 0
        def apply(self, x, drawn): return x*2
    for tfms in [Twice()], Pipeline([Twice()]):
        dls = dsets().dataloaders(bs=2, num_workers=0, shuffle=False, device='cpu', after_batch=tfms)
        assert dls.train.one_batch()[0].tolist() == [2, 4] and dls.valid.one_batch()[0].tolist() == [5, 6]

def test_own_type_of_loader():
    class Mine(DataLoader): pass
    assert all(type(dl) is Mine for dl in dsets().dataloaders(bs=2, dl_type=Mine, num_workers=0).loaders)

# ------------------------------------------------------------------ attributes

def test_attributes(files):
    dls = made(files)
    assert list(dls.items) == list(dls.train.items) == list(dls.train_ds.items) and len(dls.valid.items) == 6
    assert (dls.valid.vocab, dls.train.c, dls.train.n_inp, dls.valid.split_idx) == (['a', 'b'], 2, 1, 1)
    assert dls.dataset is dls.train_ds and dls.n == 24 and [len(o) for o in dls.splits] == [24, 6]
    assert dls.after_item is dls.train.after_item and dls.after_batch is dls.train.after_batch
    assert list(dls.before_batch) == [] and not hasattr(dls, 'nonsense')
    assert dls.new(bs=2).bs == 2 and not dls.new(shuffle=False).shuffle and dls.valid.new(bs=3, shuffle=True).shuffle

def test_setters(files):
    dls, other = made(files), made(files)
    dls.c, dls.n_inp, dls.vocab = 7, 2, ['x', 'y']
    assert (dls.c, dls.n_inp, dls.vocab, other.c, other.n_inp) == (7, 2, ['x', 'y'], 2, 1)
    dls.train, new = dls.valid, other.new(bs=3)
    dls.valid = new
    assert dls[0] is dls.train is not dls.valid is new and dls.valid_ds is new.dataset

def test_an_attribute_that_is_not_there():
    dls = dsets().dataloaders(bs=2, num_workers=0)
    with pytest.raises(AttributeError, match='vocabulary'): dls.train.vocab
    assert not hasattr(dls, 'vocab') and not hasattr(DataLoaders(DataLoader([1, 2])), 'items')

# ------------------------------------------------------------------ new items

def test_functions_left_out_for_new_items(files):
    dls = made(files)
    pictures = [PILImage.create(f) for f in files[:3]]
    x = dls.test_dl(files[:3]).one_batch()[0]
    for items, rm in ((files[:3], 0), (files[:3], 1), (pictures, 2), (pictures, [2]), (pictures, None)):
        assert torch.equal(dls.test_dl(items, rm_type_tfms=rm).one_batch()[0], x)
    dl = dls.test_dl(files[:3], shuffle=True, bs=2, num_workers=0)
    assert dl.shuffle and dl.bs == 2 and len(dls.test_dl(files, with_labels=True).one_batch()) == 2

def test_getter_left_out_for_new_rows(files):
    df = pd.DataFrame({'f': [o.name for o in files], 'l': [name(o) for o in files]})
    b = block(get_x=ColReader('f', pref=files[0].parent), get_y=ColReader('l'))
    dls = b.dataloaders(df, bs=4, num_workers=0, device='cpu')
    here, there = dls.test_dl(df[:3]), dls.test_dl(files[:3], rm_type_tfms=1)
    assert torch.equal(here.one_batch()[0], there.one_batch()[0])

def test_new_items_of_a_plain_dataset():
    dls = DataLoaders.from_dsets([(1, 2)]*4, [(3, 4)]*2, bs=2)
    assert [v.tolist() for v in dls.test_dl([(5, 6), (7, 8)]).one_batch()] == [[5, 7], [6, 8]]

def test_a_prediction_with_its_input(files):
    dls = made(files)
    learn = Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), metrics=accuracy)
    plain_answer, seen = learn.predict(files[0]), learn.predict(files[0], with_input=True)
    assert len(seen) == 4 and type(seen[0]) is TensorImage and seen[0].shape[-2:] == (8, 8)
    assert seen[1] == plain_answer[0] and torch.equal(seen[3], plain_answer[2])
    assert learn.predict(PILImage.create(files[0]), rm_type_tfms=2)[0] == plain_answer[0]

# ------------------------------------------------------------------ three parts

def test_three_parts():
    ds = dsets(cols=3)
    assert ds.n_inp == 2 and Datasets([1, 2], [noop]*3, n_inp=1).n_inp == 1
    dls = ds.dataloaders(bs=2, num_workers=0, device='cpu')
    assert dls.n_inp == 2 and len(dls.one_batch()) == 3 and len(dls.test_dl([8, 9]).one_batch()) == 2
    assert DataLoaders.from_dsets([(1, 2, 3)]*4, bs=2).n_inp == 2
    blocks = (TransformBlock, TransformBlock, CategoryBlock)
    b = DataBlock(blocks, n_inp=1, get_x=noop, get_y=[str, lambda o: 'even' if o % 2 == 0 else 'odd'])
    assert b.datasets([1, 2, 3, 4, 5])[1] == (2, '2', 0) and b.n_inp == 1

@pytest.mark.parametrize('kw', [
    dict(get_x=[noop]), dict(get_x=noop), dict(get_x=[noop]*3), dict(get_y=[noop]*2), dict(n_inp=1, get_y=noop)])
def test_getters_are_as_many_as_the_parts(kw): # in fastai, too
    with pytest.raises(ValueError, match='getter'): DataBlock((TransformBlock,)*3, **kw)

# ------------------------------------------------------------------ points

def test_points_of_a_picture_of_another_size():
    photo = PILImage.create(np.zeros((40, 60, 3), 'uint8'))
    def scaled(p): return PointScaler()((photo, p))[1].tolist()
    assert scaled(TensorPoint.create([30, 20])) == [[0, 0]]
    assert scaled(TensorPoint.create([15, 10], img_size=(30, 20))) == [[0, 0]]
    assert scaled(TensorPoint.create([30, 20], img_size=(120, 80))) == [[-.5, -.5]]
    assert TensorPoint.create([1, 2], img_size=(3, 4)).img_size == (3, 4)
    twice = TensorPoint.create(TensorPoint.create([15, 10], img_size=(30, 20))) # as `PointBlock` does
    assert scaled(twice) == [[0, 0]]

def test_points_with_their_size_in_a_recipe(files):
    def get_y(f): return TensorPoint.create([3, 2.5], img_size=(6, 5))
    dls = DataBlock((ImageBlock, PointBlock), get_y=get_y, item_tfms=Resize(8, 'squish')).dataloaders(
        files, bs=4, num_workers=0, device='cpu')
    assert dls.one_batch()[1].abs().max() == 0 # the middle of a picture of 12 by 10

# ------------------------------------------------------------------ printed forms

def printed(f):
    with contextlib.redirect_stdout(io.StringIO()) as out: f()
    return out.getvalue()

def test_several_categories_are_shown():
    assert printed(MultiCategory(['a', 'b']).show) == 'a;b\n'
    assert printed(lambda: MultiCategory(['a', 'b']).show(sep=', ')) == 'a, b\n'
    assert printed(Category('a').show) == 'a\n'

def test_lists_are_displayed_with_their_length():
    from IPython.lib.pretty import pretty
    assert pretty(L(1, 2, 3)) == '(#3) [1,2,3]' and pretty(L(range(12))) == '(#12) [0,1,2,3,4,5,6,7,8,9...]'
    assert pretty((L(1), L())) == '((#1) [1], (#0) [])' and str(L(1, 2)) == repr(L(1, 2)) == '[1, 2]'

@pytest.mark.parametrize('made,shape,dtype', [
    (lambda: tensor(1, 2), (2,), 'int64'),
    (lambda: tensor([1, 2]), (2,), 'int64'),
    (lambda: tensor(1.5), (), 'float32'),
    (lambda: tensor((1, 2), (3, 4)), (2, 2), 'int64'),
    (lambda: tensor(np.array([1., 2])), (2,), 'float32'),
    (lambda: tensor(np.arange(3)), (3,), 'int64'),
    (lambda: tensor(pd.Series([1, 2], index=[5, 6])), (2,), 'int64'),
    (lambda: tensor(pd.DataFrame({'a': [1, 2]})), (2, 1), 'int64'),
    (lambda: tensor(range(3)), (3,), 'int64'),
    (lambda: tensor(Image.new('RGB', (5, 4))), (4, 5, 3), 'uint8'),
    (lambda: tensor(Image.new('L', (5, 4))), (4, 5), 'uint8'),
    (lambda: tensor(PILImage.create(np.zeros((4, 5, 3), 'uint8'))), (4, 5, 3), 'uint8'),
    (lambda: tensor(True), (), 'bool'),
    (lambda: tensor(np.float64(2)), (), 'float32'),
    (lambda: tensor([]), (0,), 'float32'),
    (lambda: tensor(L(1, 2)), (2,), 'int64'),
    (lambda: tensor(torch.zeros(2, dtype=torch.float64)), (2,), 'float32'),
    (lambda: tensor([torch.tensor(1), torch.tensor(2)]), (2,), 'int64'),
    (lambda: tensor([1, 2], dtype=torch.float64), (2,), 'float64'),
    (lambda: tensor(1, 2, dtype=torch.float16), (2,), 'float16'),
    (lambda: tensor(np.ones(2), dtype=torch.float64), (2,), 'float64'),
    (lambda: tensor(5, device='cpu'), (), 'int64'),
    (lambda: tensor(data=[1.]), (1,), 'float32')])
def test_tensor(made, shape, dtype):
    t = made()
    assert type(t) is Tensor and (tuple(t.shape), str(t.dtype)) == (shape, f'torch.{dtype}')

def test_tensor_keeps_what_it_is():
    t = torch.tensor([1., 2])
    assert tensor(t) is t
    assert tensor(1., 2, requires_grad=True).is_leaf and tensor(np.ones(2), requires_grad=True).is_leaf
    a = np.zeros(2, 'float32')
    tensor(a)[0] = 1
    assert a[0] == 0
    for bad in ['a'], [[1], [1, 2]], 'a', {1, 2}, (o for o in (1, 2)):
        with pytest.raises((TypeError, ValueError)): tensor(bad)

def test_numpys_doubles_are_not_made_smaller_in_a_batch():
    assert DataLoader([np.float64(1), np.float64(2)], bs=2).one_batch().dtype == torch.float64 # PyTorch's rule

# ------------------------------------------------------------------ what differed in silence

def test_functions_for_all_loaders():
    for fs in [lambda v: v+1], lambda v: v+1:
        dls = DataLoaders.from_dsets([1, 2], [3], after_batch=fs, bs=2, shuffle=False)
        assert len(dls) == 2 and dls.train.one_batch().tolist() == [2, 3] and dls.valid.one_batch().tolist() == [4]

def test_a_function_among_batch_transforms_has_colours_first(files):
    shapes = []
    def look(x:TensorImage):
        shapes.append(tuple(x.shape))
        return x
    made(files, batch_tfms=look).one_batch()
    assert shapes == [(4, 3, 8, 8)]

def test_labels_of_neither_split_do_not_matter(files):
    b = block(get_y=lambda f: 'c' if f == files[0] else name(f), splitter=lambda o: ([1, 2, 20], [4, 25]))
    assert b.datasets(files).vocab == ['a', 'b']
