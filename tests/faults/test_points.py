"""Points that are not what they seem: refused or noticed with their item, and nothing said of good ones."""
import warnings
import numpy as np, pandas as pd, pytest, torch
from PIL import Image
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.vision import *
from course_lib.augment import *

W, H = 96, 64

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp('photos')
    for i in range(9): Image.fromarray(np.full((H, W, 3), 20*i, 'uint8')).save(path/f'{i}.png')
    return sorted(path.ls())

def block(get_y, y=PointBlock, splitter=None, **kwargs):
    settings = dict(item_tfms=Resize(32, 'squish'), splitter=splitter or IndexSplitter([6, 7, 8]))
    return DataBlock((ImageBlock, y), get_y=lambda f: get_y(int(f.stem)), **{**settings, **kwargs})

def loaders(files, get_y, y=PointBlock, **kwargs):
    return block(get_y, y, **kwargs).dataloaders(files, bs=3, num_workers=0, device='cpu')

def said(f):
    "What `f` returns, and the warnings on the way."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        out = f()
    return out, [str(w.message) for w in caught]

# What is a point

table = pd.DataFrame(dict(name=list('abc'), x=[10, 11, 12], y=[8., 9., 10.]))
row = table.iloc[0]
good = {"row[['x','y']]": row[['x', 'y']], 'its values': row[['x', 'y']].values, 'numbers of numpy': [row.x, row.y],
        'nullable': table[['x', 'y']].astype({'x': 'Int64'}).iloc[0], 'frame': table[['x', 'y']].iloc[:1],
        'tensors': [tensor(10), tensor(8.)], 'a tensor a point': [tensor([10., 8.])], 'L': L(10, 8), 'tuple': (10, 8),
        'L of lists': L([[10, 8]]), 'array': np.array([10, 8], 'uint8'), 'half': torch.tensor([10, 8.]).half(),
        'objects': np.array([[10, 8.]], dtype=object), 'needs grad': torch.tensor([10., 8.], requires_grad=True)}

@pytest.mark.parametrize('name', good)
def test_a_point_in_any_form(name): assert TensorPoint.create(good[name]).tolist() == [[10., 8.]]

bad = {'complex': [1+2j, 3], 'complex objects': np.array([1+2j, 3], dtype=object), 'texts': ['10', '8'],
       'text objects': np.array(['10', '8'], dtype=object), 'array of texts': np.array(['10', '8']), 'None': [None, 3],
       'nan': [float('nan'), 3], 'NA': pd.array([pd.NA, 3], dtype='Int64'), 'inf': [float('inf'), 3], 'bytes': b'10',
       'truth': [True, False], 'dict': dict(x=1, y=2), 'dates': np.array(['2020-01-01']*2, dtype='datetime64[D]'),
       'ragged': [[1, 2], [3]], 'four in a row': [1, 2, 3, 4], 'none at all': [], 'a number': 3}

@pytest.mark.parametrize('name', bad)
def test_what_is_no_point_is_refused_with_its_item(files, name):
    with pytest.raises(ValueError, match='two') as e: loaders(files, lambda i: bad[name] if i == 4 else [3, 4])
    assert any('item 4' in note for note in e.value.__notes__)

# What is a point, but hardly in pixels

odd = {'shares': (lambda i: [i/9, .5], 'width'), 'from -1 to 1': (lambda i: [[i/9, .5], [-.3, -1]], 'first pixel'),
       'absent': (lambda i: [0, 0] if i%3 == 1 else [10 + i, 20], '3 of 9'),
       'one of two absent': (lambda i: [[50, 30], [0, 0] if i > 6 else [10 + i, 20]], 'item 7')}

@pytest.mark.parametrize('name', odd)
def test_points_that_are_hardly_pixels_are_noticed_when_built(files, name):
    get_y, says = odd[name]
    _, told = said(lambda: loaders(files, get_y, PointBlock(pairs=[])))
    assert len(told) == 1 and says in told[0]

fine = {'pixels': lambda i: [10 + i, 20.5], 'all in the corner': lambda i: [0, 0], 'whole and tiny': lambda i: [1, i%2],
        'boxes on the edges': lambda i: [[0, i%2*7], [30 + i, 40]], 'one place': lambda i: [48, 32],
        'one in the corner': lambda i: [i, 2*i]}

@pytest.mark.parametrize('name', fine)
def test_of_good_points_nothing_is_said(files, name):
    def all_of_it():
        dls = loaders(files, fine[name], PointBlock(pairs=[]), batch_tfms=Flip())
        for dl in dls.loaders: list(dl)
    assert said(all_of_it)[1] == []

# Points outside

def outside(i): return [200, 30] if i%3 == 0 else [20, 30]

def test_points_outside_are_told_once_for_each_loaders(files):
    recipe = block(outside, splitter=lambda items: ([0, 1, 2], [3, 4, 5], [6, 7, 8]))
    for _ in range(2): # nothing that the first loaders saw keeps the second silent
        dls = recipe.dataloaders(files, bs=3, num_workers=0, device='cpu')
        _, told = said(partial(lambda dls: [list(dl) for dl in dls.loaders for epoch in range(2)], dls))
        assert len(told) == 3
        assert all('1 of 3' in o and what in o for o,what in zip(told, ('training', 'validation', 'split 2')))

def test_a_loader_of_new_items_tells_no_second_time(files):
    dls = loaders(files, outside)
    assert len(said(lambda: list(dls.valid))[1]) == 1
    assert said(lambda: list(dls.test_dl(files, with_labels=True)))[1] == []

# Left and right

def eyes(i): return [[20, 30], [70, 30], [48, 50]]
paired_block = partial(PointBlock, pairs=[(0, 1)])

@pytest.mark.parametrize('tfms', [
    [Flip(1.)], [Flip(1.), Rotate(20., 1.)], [Flip(1., size=48), Rotate(20., 1., size=32)],
    [Dihedral(1., draw=1)], aug_transforms(max_warp=.1), aug_transforms(size=40)], ids=str)
def test_the_left_eye_is_number_0_also_in_a_mirror(files, tfms):
    set_seed(0)
    dls = loaders(files, eyes, paired_block, batch_tfms=tfms)
    for _ in range(8):
        p = dls.one_batch()[1].plain()
        assert (p[:, 0, 0] < p[:, 1, 0]).all()

def test_the_third_point_and_unmirrored_pictures_keep_their_numbers(files):
    tfm = loaders(files, eyes, paired_block, batch_tfms=Flip(draw=1., p=1.)) # a factor of 1 mirrors nothing
    plain = loaders(files, eyes, paired_block)
    torch.testing.assert_close(tfm.one_batch()[1].plain(), plain.one_batch()[1].plain())
    p = loaders(files, eyes, paired_block, batch_tfms=Flip(1.)).one_batch()[1].plain()[0]
    torch.testing.assert_close(p, tensor([[1-140/96, -4/64], [1-40/96, -4/64], [0., 36/64]]))

def test_two_flips_are_none(files):
    dls = loaders(files, eyes, paired_block, batch_tfms=[Flip(1.), Flip(1.)])
    torch.testing.assert_close(dls.one_batch()[1].plain(), dls.valid.one_batch()[1].plain())

@pytest.mark.parametrize('quarter', range(8))
def test_dihedral_changes_places_in_its_mirrored_half(quarter):
    p = paired([(0, 1)])(tensor([[[-.5, 0.], [.5, .2]]]))
    x = TensorImage(torch.rand(1, 3, 8, 8))
    moved, same = [Dihedral(1., draw=quarter)((x, q))[1].plain() for q in (p, TensorPoint(p.plain()))]
    mirrored = dihedral_mat(1, (8, 8), 1., draw=quarter)[0, :2, :2].det() < 0
    torch.testing.assert_close(moved, same.flip(1) if mirrored else same)

def test_pairs_named_at_the_flip():
    p = TensorPoint(tensor([[[-.5, 0.], [.5, .2]]]))
    assert Flip(1., pairs=[(0, 1)])(p).tolist() == [[[-.5, tensor(.2).item()], [.5, 0.]]]
    both = Pipeline([Flip(1., pairs=[(0, 1)]), Zoom(p=0.), Dihedral(0.)])
    assert len(both.tfms) == 1
    moved = both((TensorImage(torch.rand(1, 3, 8, 8)), p))[1].plain()
    torch.testing.assert_close(moved, p.plain().flip(1)*tensor([-1, 1]))

@pytest.mark.parametrize('tfms', [
    Flip(1.), aug_transforms(), [Rotate(), Dihedral()], aug_transforms(flip_vert=True)], ids=str)
def test_several_points_in_a_mirror_without_a_word_of_pairs(files, tfms):
    _, told = said(lambda: list(loaders(files, eyes, batch_tfms=tfms).train))
    assert len(told) == 1 and 'PointBlock(pairs=' in told[0] and 'do_flip=False' in told[0]

@pytest.mark.parametrize('get_y,y,tfms', [
    (eyes, PointBlock, aug_transforms(do_flip=False)), (eyes, PointBlock, Rotate()), (eyes, PointBlock, None),
    (eyes, paired_block, aug_transforms()), (eyes, partial(PointBlock, pairs=[]), aug_transforms()),
    (eyes, PointBlock, Flip(pairs=[(0, 1)])), (lambda i: [48, 32], PointBlock, aug_transforms())])
def test_who_need_not_be_told(files, get_y, y, tfms):
    assert said(lambda: loaders(files, get_y, y, batch_tfms=tfms))[1] == []

@pytest.mark.parametrize('pairs,says', [([(0, 3)], '0 to 2'), ([(0, -1)], 'no point -1'), ([(0, 0)], 'twice'),
    ([(0, 1), (1, 2)], 'twice'), ((0, 1), 'list of two'), ([(0, 1, 2)], 'list of two'), ([('a', 'b')], 'list of two')])
def test_wrong_pairs_are_refused_when_built(files, pairs, says):
    with pytest.raises(ValueError, match=says): loaders(files, eyes, PointBlock(pairs=pairs))

@pytest.mark.parametrize('numbers,flip,told', [
    ([10., 40.], True, 1), ([10, 40, 60, 50], True, 1), (np.array([10., 40.]), True, 1), ([10., 40.], False, 0),
    (33., True, 0), ([33.], True, 0), ([12., -20.], True, 0), ([10., 20., 30.], True, 0), ([.2, .8], True, 0),
    ([3, 5], True, 0)])
def test_places_as_mere_numbers_in_a_mirror(files, numbers, flip, told):
    tfms = aug_transforms(do_flip=flip)
    assert len(said(lambda: loaders(files, lambda i: numbers, RegressionBlock, batch_tfms=tfms).one_batch())[1]) == told

# Points without their pictures

def test_points_alone_are_moved_as_with_their_picture():
    p, x = TensorPoint(torch.rand(4, 3, 2)*2 - 1), TensorImage(torch.rand(4, 3, 8, 12))
    for tfm in (Flip(1.), Zoom(draw=1.5, p=1., draw_x=.3, draw_y=.8), Warp(p=1., draw_x=.1, draw_y=.15)):
        torch.testing.assert_close(tfm(p).plain(), tfm((x, p))[1].plain())
        assert not torch.equal(tfm(p), p)
        assert torch.equal(tfm(p, split_idx=1), p)

@pytest.mark.parametrize('tfm', [Rotate(p=1.), Dihedral(p=1.), aug_transforms(size=8, min_scale=.5)[0]], ids=str)
def test_a_turn_needs_the_shape(tfm):
    with pytest.raises(ValueError, match='shape'): tfm(TensorPoint(torch.rand(4, 3, 2)))

def test_points_of_one_picture_are_no_batch():
    with pytest.raises(ValueError, match=r'\[None\]'): Flip(1.)(TensorPoint(torch.rand(4, 2)))

@pytest.mark.parametrize('tfm', [Resize(32), Resize(32, 'pad'), RandomResizedCrop(32)], ids=str)
def test_a_cut_needs_the_picture(tfm):
    for split in (0, 1):
        with pytest.raises(ValueError, match='ImageBlock'): tfm(TensorPoint(torch.rand(4, 2)), split_idx=split)
