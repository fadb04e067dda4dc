"Test-time augmentation: the numbers of fastai's rule, by hand; nothing that is left behind; points that may not move."
import warnings
import pytest, torch
from course_lib.all import *
from course_lib.tta import may_move

def picture(i): return np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype='uint8')

def loaders(*batch_tfms, y=CategoryBlock, get_y=lambda i: 'ab'[i % 2], **kw):
    block = DataBlock((ImageBlock, y), get_x=picture, get_y=get_y, splitter=IndexSplitter(range(5, 12)),
                      batch_tfms=list(batch_tfms), **kw)
    return block.dataloaders(range(12), bs=3, device='cpu', num_workers=0)

def net(n=2):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, n))

def learner(*args, n=2, **kw): return Learner(loaders(*args, **kw), net(n))

def asked(learn, **kw):
    with learn.no_bar(): return learn.tta(**kw)

def both_ways(learn):
    "The plain probabilities, and those of the mirrored pictures."
    x = torch.cat([b[0].plain() for b in learn.dls.valid])
    with torch.no_grad(): return [learn.model(o).softmax(1) for o in (x, x.flip(-1))]

# Rule of fastai 2.8: the mean of the augmented predictions, then `lerp(augmented, plain, beta)`; with `use_max` the
# largest of all; with `beta=None` both.

@pytest.mark.parametrize('beta', [0., .25, 1.])
def test_rule(beta):
    learn = learner(Flip(p=1.))
    plain, mirrored = both_ways(learn)
    preds, targs = asked(learn, n=2, beta=beta)
    torch.testing.assert_close(preds, torch.lerp(mirrored, plain, beta))
    assert targs.tolist() == [i % 2 for i in range(5, 12)]

def test_a_quarter_and_four_times_are_usual():
    learn = learner(Flip(p=1.))
    plain, mirrored = both_ways(learn)
    torch.testing.assert_close(asked(learn)[0], .75*mirrored + .25*plain)

def test_largest():
    learn = learner(Flip(p=1.))
    torch.testing.assert_close(asked(learn, n=2, use_max=True)[0], torch.maximum(*both_ways(learn)))

def test_both():
    learn = learner(Flip(p=1.))
    plain, mirrored = both_ways(learn)
    (aug, preds), _ = asked(learn, n=2, beta=None)
    torch.testing.assert_close(aug, mirrored)
    torch.testing.assert_close(preds, plain)

def test_by_chance_each_time_anew():
    "With a coin for each picture, the mean of many lies between both, and comes close to half and half."
    learn = learner(Flip())
    plain, mirrored = both_ways(learn)
    set_seed(0)
    aug = asked(learn, n=200, beta=None)[0][0]
    torch.testing.assert_close(aug, (plain + mirrored)/2, atol=.06, rtol=0)

def test_new_items_without_targets():
    learn = learner(Flip(p=1.))
    preds, targs = asked(learn, dl=learn.dls.test_dl([5, 6, 7]))
    torch.testing.assert_close(preds, asked(learn)[0][:3])
    assert targs is None

def test_training_set_whole_and_in_order():
    learn = learner(Flip(p=1.))
    preds, targs = asked(learn, ds_idx=0)
    assert targs.tolist() == [i % 2 for i in range(5)] and len(preds) == 5

def test_other_transforms():
    "They take the place of those that move and light; tensors and normalisation stay."
    learn = learner(Brightness(p=1.), Normalize.from_stats([.5]*3, [.2]*3))
    plain, mirrored = both_ways(learn)
    torch.testing.assert_close(asked(learn, batch_tfms=Flip(p=1.), beta=0.)[0], mirrored)

def test_other_transforms_of_samples():
    learn = learner(Flip(p=1.), item_tfms=Resize(8, 'squish'))
    want = asked(learn, beta=None)[0]
    got = asked(learn, item_tfms=CropPad(8), beta=None)[0]
    for a,b in zip(got, want): torch.testing.assert_close(a, b)

def test_random_crops_of_training():
    learn = learner(item_tfms=RandomResizedCrop(8, min_scale=.2))
    set_seed(3)
    aug, preds = asked(learn, n=1, beta=None)[0]
    with learn.no_bar(): torch.testing.assert_close(preds, learn.get_preds()[0])
    assert (aug - preds).abs().max() > 1e-3

def test_several_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = net(), net(3)
        def forward(self, x): return self.a(x), self.b(x)
    class Loss:
        def __call__(self, out, y): return F.cross_entropy(out[0], y)
        def activation(self, out): return tuple(o.softmax(1) for o in out)
    learn = Learner(loaders(Flip(p=1.)), Two(), Loss())
    a, b = asked(learn, n=2)[0]
    assert a.shape == (7, 2) and b.shape == (7, 3)

# ---- no trace

def state(learn):
    return [(repr(dl), repr(dl.after_item), repr(dl.after_batch), dl.shuffle, dl.drop_last) for dl in learn.dls.loaders]

def test_loaders_stay_as_they_were():
    learn = learner(Flip(p=1.))
    before, own = state(learn), list(learn.dls.loaders)
    asked(learn)
    assert state(learn) == before and all(a is b for a,b in zip(own, learn.dls.loaders))
    assert [cb.name for cb in learn.cbs] == [cb.name for cb in learner().cbs]

def test_also_after_an_error():
    learn = learner(Flip(p=1.))
    before = state(learn)
    class Breaks(Callback):
        def after_pred(self): raise KeyError('here')
    with learn.no_bar(), pytest.raises(KeyError), learn.added_cbs(Breaks()): learn.tta()
    assert state(learn) == before and not learn.model.training
    assert len(asked(learn)[0]) == 7

# ---- points

def points(*tfms, **kw): return learner(*tfms, y=PointBlock, get_y=lambda i: [i % 8, 4], **kw)

@pytest.mark.parametrize('tfm', [Flip(), Dihedral(), Rotate(), Zoom(), Warp(), aug_transforms()])
@pytest.mark.parametrize('labels', [True, False])
def test_points_that_would_move_are_refused(tfm, labels):
    learn = points(*L(tfm))
    with pytest.raises(ValueError, match='different places'):
        asked(learn, dl=learn.dls.test_dl(range(5, 9), with_labels=labels))

@pytest.mark.parametrize('cut', [RandomResizedCrop(8, min_scale=.3), Resize(8, 'crop'), Resize(8, 'pad')])
def test_a_cut_by_chance_moves_points(cut):
    with pytest.raises(ValueError, match='different places'): asked(points(item_tfms=cut))

@pytest.mark.parametrize('kw', [dict(), dict(item_tfms=Resize(8, 'squish')), dict(item_tfms=CropPad(8))])
def test_light_moves_nothing(kw):
    learn = points(Brightness(p=1., draw=.6), Contrast(p=1., draw=.8), **kw)
    assert asked(learn)[0].shape == (7, 2)

def test_points_in_a_mirror_are_refused_where_a_function_moves_them():
    "No transform of ours: found by the targets, which are not those of the plain pass."
    class Mine(SampleTransform):
        order, split_idx = 30, 0
        def apply(self, x, drawn): return -x if isinstance(x, TensorPoint) else x.flip(-1)
    with pytest.raises(ValueError, match='different places'): asked(points(Mine()))

def test_which_transforms_move():
    moving = [Flip(), Zoom(), RandomResizedCrop(8), Resize(8)]
    still = [Brightness(), Normalize.from_stats([.5]*3, [.2]*3), Resize(8, 'squish'), CropPad(4), RandomErasing()]
    assert [may_move(t) for t in moving + still] == [True]*4 + [False]*5

# ---- said once

def test_nothing_by_chance_is_pointed_out():
    with pytest.warns(UserWarning, match='all the same'): asked(learner())

def test_and_else_nothing_is_said():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        asked(learner(Flip(p=1.)))

@pytest.mark.parametrize('kw, text', [(dict(n=0), 'n=0'), (dict(n=1.5), 'n=1.5'), (dict(beta=2), 'beta=2'),
                                      (dict(beta='x'), "beta='x'"), (dict(ds_idx=5), '5')])
def test_bad_arguments(kw, text):
    with pytest.raises((ValueError, IndexError), match=text): asked(learner(Flip(p=1.)), **kw)

def test_loaders_of_torch_do_not_know_how_training_is():
    dl = torch.utils.data.DataLoader([(torch.randn(4), tensor(0))]*4, 2)
    with pytest.raises(TypeError, match='DataBlock'):
        asked(Learner(DataLoaders(dl, dl), nn.Linear(4, 2), nn.CrossEntropyLoss()))
