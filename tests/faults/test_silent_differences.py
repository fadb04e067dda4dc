"""Eight places where the same code once meant something else here than in fastai, with no word said.

Each now gives fastai's value, raises, or (where it differs on purpose) says so. Chapter 17 has those of the last kind.
"""
import warnings
import pytest
from course_lib.all import *

LOGITS = torch.tensor([[2., -1., .3], [-.5, 1.5, 1.], [-.2, -.4, -1.]])
TARGETS = torch.tensor([[1., 0, 1], [0, 1, 1], [0, 0, 0]])

class Same(nn.Module):
    "Gives what it is given, and has something to train."
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
    def forward(self, x): return self.scale*x

def learner(loss):
    dl = DataLoader(list(zip(LOGITS, TARGETS)), bs=2)
    return Learner(DataLoaders(dl, dl, device='cpu'), Same(), loss_func=loss)

def same(o): return o
def double(o): return o*2

# 1: a plain loss

@pytest.mark.parametrize('loss', [nn.BCEWithLogitsLoss(), BCEWithLogitsLossFlat(),
                                  F.binary_cross_entropy_with_logits, partial(F.binary_cross_entropy_with_logits)])
def test_predictions_are_probabilities_with_any_spelling_of_the_loss(loss):
    torch.testing.assert_close(learner(loss).get_preds()[0], LOGITS.sigmoid())

@pytest.mark.parametrize('loss', [nn.BCEWithLogitsLoss(), BCEWithLogitsLossFlat()])
def test_probabilities_taken_for_logits_are_noticed(loss):
    preds, targs = learner(loss).get_preds()
    with pytest.warns(UserWarning, match='sigmoid=False'): accuracy_multi(preds, targs)
    with warnings.catch_warnings(action='error'):
        assert accuracy_multi(preds, targs, sigmoid=False) == 1 == accuracy_multi(LOGITS, TARGETS)

# 2: a list of functions after the batch

@pytest.mark.parametrize('fs', [double, [double], (double,), [double, same]])
def test_functions_after_the_batch_run_in_both_loaders(fs):
    dls = DataLoaders.from_dsets([1, 2, 3], [4, 5], bs=3, shuffle=False, after_batch=fs)
    assert [dl.one_batch().tolist() for dl in dls] == [[2, 4, 6], [8, 10]]

@pytest.mark.parametrize('fs', [double, [double], [same, double]])
def test_functions_after_the_item_run_in_both_loaders(fs):
    dls = DataLoaders.from_dsets([1, 2, 3], [4, 5], bs=3, shuffle=False, after_item=fs)
    assert [dl.one_batch().tolist() for dl in dls] == [[2, 4, 6], [8, 10]]

# 3: a plain function among the batch transforms

@pytest.mark.parametrize('more', [[], [Normalize.from_stats(*imagenet_stats)], aug_transforms()])
def test_a_plain_function_gets_the_batch_as_fastai_has_it(tmp_path, more):
    PILImage.create(np.zeros((8, 10, 3), 'uint8')).save(tmp_path/'a.png')
    seen = []
    def look(x):
        if x.ndim == 4: seen.append((x.dtype, tuple(x.shape)))
        return x
    block = DataBlock((ImageBlock, CategoryBlock), get_x=lambda o: tmp_path/'a.png', get_y=str,
                      splitter=IndexSplitter([2, 3]), batch_tfms=[look, *more])
    block.dataloaders([0, 1, 0, 1], bs=2).one_batch()
    assert seen and {*seen} == {(torch.uint8, (2, 3, 8, 10))}

# 4: more functions than blocks

@pytest.mark.parametrize('kw', [dict(get_y=[same, same]), dict(get_x=[same, same]), dict(getters=[same]*3),
                                dict(get_x=[same, same], get_y=same)])
def test_a_function_too_many_is_refused(kw):
    with pytest.raises(ValueError, match='getters for'): DataBlock((TransformBlock, CategoryBlock), **kw)

# 5: a vocab that is given

@pytest.mark.parametrize('block', [CategoryBlock, MultiCategoryBlock])
def test_a_vocab_that_is_given_keeps_its_order_and_its_docstring_says_so(block):
    names = ['dog', 'bird', 'cat']
    get_y = same if block is CategoryBlock else lambda o: [o]
    dsets = DataBlock((TransformBlock, block(vocab=names)), get_y=get_y, splitter=IndexSplitter([0])).datasets(names)
    assert list(dsets.vocab) == names
    assert 'keeps its order' in CategoryBlock.__doc__

# 6: points without a picture

def test_points_alone_are_flipped_as_with_a_picture():
    p, im = TensorPoint(torch.tensor([[[.5, .25], [-1., 1.]]])), TensorImage(torch.zeros(1, 3, 6, 6))
    alone, beside = Flip(p=1.)((p,))[0], Flip(p=1.)((im, p))[1]
    assert alone.tolist() == beside.tolist() == [[[-.5, .25], [1., 1.]]] and Flip(p=1.)(p).tolist() == alone.tolist()

def test_points_alone_are_warped():
    p = TensorPoint(torch.tensor([[[.5, .25]]]))
    assert Warp(p=1.)(p).tolist() != p.tolist()

def test_points_alone_are_not_turned_without_a_word():
    "How far a turn takes a point depends on the shape of the picture."
    with pytest.raises(ValueError, match='no picture'): Rotate(p=1.)(TensorPoint(torch.tensor([[[.5, .25]]])))

# 7: three parts

def test_of_three_parts_two_are_inputs():
    dsets = Datasets([1, 2, 3], [[same]]*3, splits=[[0, 1], [2]])
    assert dsets.n_inp == 2
    block = DataBlock((TransformBlock,)*3, getters=[same]*3, splitter=IndexSplitter([2]))
    assert block.datasets([1, 2, 3]).n_inp == 2 and block.dataloaders([1, 2, 3], bs=2).n_inp == 2

@pytest.mark.parametrize('n', [1, 2])
def test_the_number_of_inputs_can_be_given(n):
    assert Datasets([1, 2, 3], [[same]]*3, splits=[[0, 1], [2]], n_inp=n).n_inp == n
    block = DataBlock((TransformBlock,)*3, getters=[same]*3, splitter=IndexSplitter([2]), n_inp=n)
    assert block.dataloaders([1, 2, 3], bs=2).n_inp == n

# 8: items that nobody uses

@pytest.mark.parametrize('y, label', [(CategoryBlock, same), (MultiCategoryBlock, lambda o: [o])])
def test_labels_in_neither_part_are_nobodys_business(y, label):
    block = DataBlock((TransformBlock, y), get_y=label, splitter=lambda o: ([0, 1], [2]))
    dsets = block.datasets(['a', 'b', 'a', 'never seen'])
    assert list(dsets.vocab) == ['a', 'b'] and (len(dsets.train), len(dsets.valid)) == (2, 1)

def test_a_folder_of_test_pictures_does_not_break_the_build(tmp_path):
    for name in 'train/a/1 train/b/2 valid/a/3 test/unknown/4'.split():
        f = tmp_path/f'{name}.png'
        f.parent.mkdir(parents=True)
        PILImage.create(np.zeros((8, 8, 3), 'uint8')).save(f)
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=lambda o: o.parent.name,
                      splitter=GrandparentSplitter())
    assert list(block.dataloaders(tmp_path, bs=1).vocab) == ['a', 'b']
