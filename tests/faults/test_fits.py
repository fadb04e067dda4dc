"""Loaders and weights of another normalisation or vocabulary, and models whose end does not fit the loss.

Brought to fit, refused, or pointed out once; and silence where nothing is wrong."""
import re, warnings
from contextlib import contextmanager
import pytest, torch
from torch import nn
from course_lib.all import *
from course_lib.fits import stats_of, trained_stats, trained_targets

PICS = [np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype='uint8') for i in range(12)]
NAMES = ['bird', 'cat', 'dog']
A, B = Normalize.from_stats([.5]*3, [.25]*3), Normalize.from_stats([.4]*3, [.3]*3)

def several(i, names=NAMES): return [o for k,o in enumerate(names) if (i + 1 >> k) & 1]
def one(i, names=NAMES): return names[i % len(names)]

def loaders(y=MultiCategoryBlock, get_y=several, norm=None, n=12, **kw):
    block = DataBlock((ImageBlock, y), get_x=lambda i: PICS[i], get_y=get_y, splitter=IndexSplitter(range(n-4, n)),
                      batch_tfms=norm and [norm])
    return block.dataloaders(range(n), bs=4, device='cpu', num_workers=0, **kw)

def ordered(names, encoded=False):
    if not encoded: return loaders(MultiCategoryBlock(vocab=names), lambda i: several(i))
    return loaders(MultiCategoryBlock(encoded=True, vocab=names), lambda i: [float(o in several(i)) for o in names])

def net(n=3, *end):
    torch.manual_seed(0)
    body = nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return nn.Sequential(*body, nn.Linear(16, n), *end)

def small(pretrained=False):
    "A network of the usual build that is made at once."
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 9))

def learner(dls=None, model=None, **kw): return Learner(dls or loaders(), model or net(), **kw)

def fit(learn, n=1):
    with learn.no_bar(), learn.no_logging(): learn.fit(n, 1e-3)
    return learn

@contextmanager
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield

@contextmanager
def said(*parts, times=1):
    "The block must warn `times` times, and all of `parts` must be said."
    with warnings.catch_warnings(record=True) as ws:
        warnings.simplefilter('always')
        yield
    texts = [str(w.message) for w in ws]
    assert len(texts) == times, texts
    for p in parts: assert p in ' '.join(texts), (p, texts)

def refused(*parts):
    "Must raise a `ValueError` that says all of `parts`, in this order."
    return pytest.raises(ValueError, match='(?s)' + '.*'.join(map(re.escape, parts)))

def preds(learn, **kw): return learn.get_preds(**kw)[0]
def close(a, b, eps=1e-5): assert (a - b).abs().max() < eps

# ------------------------------------------------------------------ normalisation

@pytest.fixture
def normed(): return fit(learner(loaders(norm=A)))

def test_missing_normalisation_is_added_to_a_copy(normed):
    ref, raw = preds(normed), loaders()
    with silent():
        close(preds(normed, dl=raw.valid), ref)
        close(preds(normed, dl=raw.test_dl(range(8, 12))), ref)
        assert normed.validate(dl=raw.valid) == normed.validate()
        normed.show_results(dl=raw.valid, max_n=1)
    assert stats_of(raw.valid) == []

def test_dls_that_are_given_later(normed):
    ref, raw = preds(normed), loaders()
    with silent():
        normed.dls = raw
        close(preds(normed), ref)
        close(normed.predict(8)[2], ref[0])
        fit(normed)
    assert stats_of(raw.train) == stats_of(raw.valid) == [] and normed.dls is not raw
    assert [len(stats_of(dl)) for dl in normed.dls.loaders] == [1, 1]

def test_dls_that_fit_stay_the_same_object(normed):
    same = loaders(norm=A)
    normed.dls = same
    assert normed.dls is same

def test_the_model_takes_its_normalisation_along(normed):
    ref = preds(normed)
    for model in normed.model, deepcopy(normed.model), nn.Sequential(normed.model, nn.Identity()):
        with silent(): close(preds(Learner(loaders(), model)), ref)

def test_only_one_loader_is_normalised():
    dls = DataLoaders(loaders(norm=A).train, loaders().valid)
    learn = learner(dls)
    assert [len(stats_of(dl)) for dl in learn.dls.loaders] == [1, 1] and stats_of(dls.valid) == []

@pytest.mark.parametrize('how', ['dl', 'dls', 'fit'])
def test_other_statistics_are_pointed_out_once(normed, how):
    other = loaders(norm=B)
    def use():
        if how == 'dl': normed.validate(dl=other.valid); preds(normed, dl=other.valid)
        if how == 'dls': normed.dls = other; preds(normed)
        if how == 'fit': normed.dls.loaders = other.loaders; fit(normed, 2)
    with said('0.4', '0.5', 'Normalize'): use()
    with silent():
        if how != 'fit': use()
    if how == 'fit': assert trained_stats(normed.model) == stats_of(other.train) # it has learnt with these

def test_normalised_twice_is_pointed_out(normed):
    normed.dls.add_tfms([A])
    with said('and again with'): preds(normed)

def test_trained_without_and_asked_with():
    learn = fit(learner())
    with said('not normalised'): preds(learn, dl=loaders(norm=A).valid)

def test_before_a_training_nothing_is_expected():
    learn = learner()
    with silent():
        learn.dls.add_tfms([A])
        fit(learn)
    assert trained_stats(learn.model) == stats_of(learn.dls.train)

def test_loaders_of_others():
    "They do not say whether they normalise, but their numbers may."
    learn = fit(learner(loaders(norm=A)))
    x, y = torch.rand(8, 3, 20, 20), torch.zeros(8, 3)
    theirs = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 4)
    with said('from 0 to 1', 'test_dl'): preds(learn, dl=theirs); preds(learn, dl=theirs)
    right = torch.utils.data.DataLoader(torch.utils.data.TensorDataset((x - .5)/.25, y), 4)
    with silent(): preds(fit(learner(loaders(norm=A))), dl=right)

@pytest.mark.slow
def test_pretrained_body():
    dls, early = loaders(), loaders().test_dl(range(8, 12))
    learn = vision_learner(dls, efficientnet_lite0)
    ref, other = preds(learn), loaders()
    with silent():
        close(preds(learn, dl=early), ref, 1e-4)
        close(preds(Learner(other, learn.model)), ref, 1e-4)
        assert vision_learner(dls, efficientnet_lite0).dls is dls and len(stats_of(dls.train)) == 1
    assert stats_of(other.valid) == []

def test_lr_find_leaves_no_knowledge():
    learn = learner(loaders(norm=A))
    with learn.no_bar(): learn.lr_find(num_it=12, show_plot=False)
    assert trained_stats(learn.model) is None and trained_targets(learn.model) == []

# ------------------------------------------------------------------ vocabulary

TURNED, LIONS, MORE = NAMES[::-1], ['lion', 'bear', 'wolf'], [*NAMES, 'emu']

@pytest.mark.parametrize('trained', [False, True])
@pytest.mark.parametrize('names,says', [(LIONS, "'bird'"), (MORE, "4 here")])
def test_other_names_are_refused(trained, names, says):
    learn, other = learner(), loaders(MultiCategoryBlock(vocab=names), lambda i: [])
    if trained: fit(learn)
    before = learn.dls
    for use in (lambda: setattr(learn, 'dls', other), lambda: learn.validate(dl=other.valid),
                lambda: learn.get_preds(dl=other.valid), lambda: learn.show_results(dl=other.valid)):
        with refused('classes', says, 'vocab='): use()
    assert learn.dls is before
    with silent(): learn.get_preds(dl=other.test_dl([1, 2])) # there are no targets

def test_names_in_another_order_get_the_models_numbers():
    learn, other = fit(learner()), ordered(TURNED)
    ref, (label, *_) = learn.validate(), learn.predict(8)
    with said('numbers', 'bird'):
        assert learn.validate(dl=other.valid)[0] == pytest.approx(ref[0], abs=1e-6)
        learn.dls = other
        assert learn.validate()[0] == pytest.approx(ref[0], abs=1e-6)
        assert learn.predict(8)[0] == label and learn.dls.vocab == NAMES
    assert other.vocab == TURNED # the user's own

def test_some_of_the_names():
    learn = fit(learner(loaders(CategoryBlock, one)))
    fewer = loaders(CategoryBlock, lambda i: one(i, NAMES[1:]))
    assert fewer.vocab == NAMES[1:]
    with said('numbers'): _, targs = learn.get_preds(dl=fewer.valid)
    assert targs.tolist() == [1, 2, 1, 2]

def test_encoded_names_are_not_renumbered():
    learn = learner(ordered(NAMES, encoded=True))
    with refused("'bird'", "'dog'", 'another order'): learn.dls = ordered(TURNED, encoded=True)
    with silent(): learn.dls = ordered(NAMES) # the same names, from words

def test_numbers_in_the_place_of_names():
    learn = learner()
    numbers = loaders(RegressionBlock, lambda i: [1., 2., 3.])
    with refused('numbers here'): learn.dls = numbers
    with refused('numbers for the model'): learner(numbers).dls = loaders()

def test_a_trained_model_in_another_learner():
    model = fit(learner()).model
    with refused("'bird'"): Learner(loaders(MultiCategoryBlock(vocab=LIONS), lambda i: []), model)
    model[-1] = nn.Linear(16, 3) # a new last layer knows no names
    with silent(): Learner(loaders(MultiCategoryBlock(vocab=LIONS), lambda i: []), model)

def test_an_untrained_model_belongs_to_nobody():
    model = net()
    learner(loaders(), model)
    with silent(): Learner(loaders(MultiCategoryBlock(vocab=LIONS), lambda i: []), model)

def test_another_model():
    lions = loaders(MultiCategoryBlock(vocab=LIONS), lambda i: [LIONS[i % 3]])
    learn, other = learner(), fit(learner(lions))
    before = learn.model
    with refused("'lion'"): learn.model = other.model
    assert learn.model is before
    learn.model = new = net(3)
    assert learn.model is new

def test_several_targets():
    def make(names):
        block = DataBlock((ImageBlock, CategoryBlock(vocab=names), RegressionBlock), get_x=lambda i: PICS[i],
                          get_y=[lambda i: names[0], float], n_inp=1, splitter=IndexSplitter(range(8, 12)))
        return block.dataloaders(range(12), bs=4, device='cpu', num_workers=0)
    learn = learner(make(NAMES), loss_func=lambda p, a, b: p.mean())
    with silent(): learn.dls = make(NAMES)
    with refused("'bird'", "'lion'"): learn.dls = make(LIONS)

def test_data_without_names_stay_silent():
    ds = [(torch.randn(3, 20, 20), torch.rand(3)) for _ in range(8)]
    plain = DataLoaders.from_dsets(ds, ds, bs=4, device='cpu')
    with silent():
        learn = fit(learner(plain, loss_func=nn.MSELoss()))
        learn.dls = DataLoaders.from_dsets(ds, ds, bs=2, device='cpu')
        learn.validate(dl=torch.utils.data.DataLoader(ds, 4))
        learn.get_preds()

# ------------------------------------------------------------------ files

def test_a_file_carries_what_its_weights_expect(tmp_path):
    fit(learner(loaders(norm=A), path=tmp_path)).save('m')
    ref = preds(learner(loaders(norm=A), path=tmp_path).load('m'))
    with silent():
        raw = loaders()
        learn = learner(raw, path=tmp_path).load('m')
        close(preds(learn), ref)
    assert stats_of(raw.valid) == []
    with said('0.4', '0.5'): learner(loaders(norm=B), path=tmp_path).load('m')

@pytest.mark.parametrize('with_opt', [False, True])
def test_names_in_a_file(tmp_path, with_opt):
    fit(learner(path=tmp_path)).save('m', with_opt=with_opt)
    for names in TURNED, LIONS:
        learn = learner(loaders(MultiCategoryBlock(vocab=names), lambda i: []), path=tmp_path)
        before = deepcopy(learn.model.state_dict())
        with refused('m.pth', "'bird' in the file", repr(names[0])): learn.load('m', with_opt=with_opt)
        assert all(torch.equal(v, before[k]) for k,v in learn.model.state_dict().items())
    with said("'bird' in the file"): learn.load('m', with_opt=with_opt, strict=False)
    assert not torch.equal(learn.model[-1].weight, before['4.weight'])

def test_a_body_alone_has_no_names(tmp_path):
    file = fit(learner(path=tmp_path)).save('m', with_opt=False)
    weights = torch.load(file, weights_only=True)
    for k in [k for k in weights if k.startswith('4.')]: del weights[k]
    torch.save(weights, file)
    with silent():
        lions = loaders(MultiCategoryBlock(vocab=LIONS), lambda i: [])
        learner(lions, path=tmp_path).load('m', with_opt=False, strict=False)

def test_a_file_is_still_a_state_dict(tmp_path):
    learn = fit(learner(loaders(norm=A), path=tmp_path))
    weights = torch.load(learn.save('m', with_opt=False), weights_only=True)
    assert list(weights) == list(learn.model.state_dict())
    assert all(isinstance(v, torch.Tensor) for v in weights.values())
    net().load_state_dict(weights)
    both = torch.load(learn.save('both'), weights_only=True)
    assert set(both) == {'model', 'opt'}

def test_a_file_without_a_note(tmp_path):
    learn = learner(path=tmp_path)
    (tmp_path/'models').mkdir()
    torch.save(net().state_dict(), tmp_path/'models'/'old.pth')
    torch.save(dict(net().state_dict()), tmp_path/'models'/'plain.pth')
    with silent():
        for name in 'old', 'plain': learn.load(name, with_opt=False)

def test_names_that_are_no_texts(tmp_path):
    def by_number(i): return np.int64(i % 3)
    fit(learner(loaders(CategoryBlock, by_number), path=tmp_path)).save('m')
    with silent(): learner(loaders(CategoryBlock, lambda i: i % 3), path=tmp_path).load('m')
    with refused('m.pth'): learner(loaders(CategoryBlock, lambda i: i % 3 + 1), path=tmp_path).load('m')

def test_export_after_other_loaders(tmp_path):
    learn = vision_learner(loaders(norm=A), 'mobilenetv3_small_050', pretrained=False, path=tmp_path)
    ref = preds(fit(learn))
    learn.dls = loaders()
    close(load_learner(learn.export()).get_preds(PICS[8:]), ref)
    learn.dls.loaders = loaders(norm=B).loaders
    with said('0.4'), refused('0.4', '0.5', 'export again'): learn.export()

# ------------------------------------------------------------------ as many outputs as classes

@pytest.mark.parametrize('y,get_y', [(MultiCategoryBlock, several), (CategoryBlock, one)])
def test_another_number_of_outputs(y, get_y):
    learn = learner(loaders(y, get_y), net(4))
    for use in learn.validate, learn.get_preds, lambda: learn.predict(1), lambda: fit(learn):
        with refused('4 outputs', '3 classes', 'bird'): use()

@pytest.mark.parametrize('y,get_y,what', [(MultiCategoryBlock, several, '3 classes'), (CategoryBlock, one, '3 classes'),
                                          (RegressionBlock, lambda i: [1., 2., 3.], '3 numbers')])
def test_n_out_that_cannot_be(y, get_y, what):
    with refused('n_out=5', what): vision_learner(loaders(y, get_y), small, pretrained=False, n_out=5)
    with silent(): vision_learner(loaders(y, get_y), small, pretrained=False, n_out=3)

def test_other_outputs_may_be_meant():
    "A loss of one's own may want any number; a yes-or-no loss one output for two classes."
    with silent():
        preds(learner(None, net(7), loss_func=lambda p, y: p.mean()))
        vision_learner(loaders(), small, pretrained=False, n_out=5, loss_func=lambda p, y: p.mean())

# ------------------------------------------------------------------ squeezed outputs

class Hidden(nn.Module):
    "A model that does not tell by its layers what it does last."
    def __init__(self, last): super().__init__(); self.net, self.last = net(), last
    def forward(self, x): return self.last(self.net(x))

@pytest.mark.parametrize('end', [nn.Sigmoid(), nn.Softmax(-1), nn.Tanh(), nn.ReLU(), SigmoidRange(0, 1),
                                 nn.Sequential(nn.Identity(), nn.Sigmoid())], ids=lambda o: type(o).__name__)
@pytest.mark.parametrize('loss', [nn.BCEWithLogitsLoss(), BCEWithLogitsLossFlat()], ids=['torch', 'ours'])
def test_squeezed_twice_is_said_at_once(end, loss):
    with said('sigmoid inside', 'nn.BCELoss()'): preds(fit(learner(None, net(3, end), loss_func=loss)))

@pytest.mark.parametrize('end', [nn.Softmax(-1), nn.Sigmoid()])
def test_squeezed_before_a_softmax(end):
    with said('softmax inside', 'NLLLoss'): fit(learner(loaders(CategoryBlock, one), net(3, end)))

@pytest.mark.parametrize('last', [torch.sigmoid, lambda x: x.sigmoid().view(-1, 3), lambda x: sigmoid_range(x, 0, 1),
                                  lambda x: x.softmax(-1)], ids=['sigmoid', 'reshaped', 'range', 'softmax'])
@pytest.mark.parametrize('use', [fit, preds])
def test_a_hidden_sigmoid_is_found(last, use):
    learn = learner(None, Hidden(last))
    with said('has a sigmoid inside'): use(learn); use(learn)

def test_no_false_alarm():
    "Outputs that happen to lie between 0 and 1; a loss of probabilities; a wide range; a log-softmax."
    learn = learner()
    learn.model[-1].weight.data.zero_()
    learn.model[-1].bias.data.copy_(torch.tensor([.2, .5, .7]))
    with silent():
        preds(learn)
        fit(learn)
        fit(learner(None, net(3, nn.Sigmoid()), loss_func=lambda p, y: F.binary_cross_entropy(p, y)))
        fit(learner(None, net(3, SigmoidRange(-8, 8))))
        fit(learner(loaders(CategoryBlock, one), net(3, nn.LogSoftmax(-1))))

# ------------------------------------------------------------------ y_range

def point(i): return [10 + i/2, 8.]

@pytest.mark.parametrize('y,get_y,y_range,says', [
    (RegressionBlock, lambda i: 10. + i, (-1, 1), '10 to 17'),
    (RegressionBlock, lambda i: 10. + i, (0, 15), '10 to 17'),
    (PointBlock, point, (0, 224), '-1..1'), (PointBlock, point, (0, 1), '-1..1'),
    (PointBlock, point, (-224, 224), '-1..1'),
    (MultiCategoryBlock, several, (0, 1), 'sigmoid inside'), (CategoryBlock, one, (-1, 1), 'softmax inside')])
def test_y_range_that_cannot_be(y, get_y, y_range, says):
    with said(says, 'y_range'): vision_learner(loaders(y, get_y), small, pretrained=False, y_range=y_range)

@pytest.mark.parametrize('y,get_y,y_range', [
    (RegressionBlock, lambda i: 10. + i, (9, 22)), (PointBlock, point, (-1, 1)), (PointBlock, point, (-1.2, 1.2)),
    (MultiCategoryBlock, several, None)])
def test_y_range_that_can(y, get_y, y_range):
    with silent(): vision_learner(loaders(y, get_y), small, pretrained=False, y_range=y_range)

def test_targets_beyond_any_last_layer():
    with said('10 to 17', 'Sigmoid'): learner(loaders(RegressionBlock, lambda i: 10. + i), net(1, nn.Sigmoid()))

# ------------------------------------------------------------------ NaN

def test_spoilt_weights():
    learn = learner()
    learn.model[-1].weight.data[1] = math.nan
    with refused('NaN', '4.weight'): learn.predict(1)
    with said('4 of 4', '4.weight', 'learning rate'): preds(learn); preds(learn)

def test_a_spoilt_input():
    learn, ds = learner(), [(torch.full((3, 20, 20), math.nan if i == 1 else 0.), torch.zeros(3)) for i in range(4)]
    with said('1 of 4', 'weights are fine'): preds(learn, dl=DataLoader(ds, 4))
