"Interpretation of what cannot be interpreted: a sentence. And what must not be refused."
import re, warnings
import matplotlib, pytest, torch
from course_lib.all import *
matplotlib.use('agg')

def picture(i): return np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype='uint8')

def loaders(y=CategoryBlock, get_y=lambda i: 'abc'[i % 3]):
    block = DataBlock((ImageBlock, y), get_x=picture, get_y=get_y, splitter=IndexSplitter(range(6, 12)))
    return block.dataloaders(range(12), bs=3, device='cpu', num_workers=0)

def net(n=3): return nn.Sequential(nn.Flatten(), nn.Linear(192, n))
def learner(*args, n=3): return Learner(loaders(*args), net(n))

def asked(learn, kind=ClassificationInterpretation, **kw):
    with learn.no_bar(): return kind.from_learner(learn, **kw)

def refused(kind, *parts): return pytest.raises(kind, match='(?s)' + '.*'.join(map(re.escape, parts)))

@pytest.mark.parametrize('k', [0, -1, 7, 100])
def test_how_many(k):
    interp = asked(learner())
    for f in interp.top_losses, interp.plot_top_losses:
        with refused(ValueError, f'k={k}', 'from 1 to 6'): f(k)

@pytest.mark.parametrize('k', ['3', 2.5, True])
def test_how_many_is_a_whole_number(k):
    with refused(TypeError, 'k=', 'whole number'): asked(learner()).top_losses(k)

def test_whole_numbers_of_numpy_will_do():
    assert len(asked(learner()).top_losses(np.int64(2))[0]) == 2

@pytest.mark.parametrize('ranks, text', [([], 'empty'), ([6], 'no item 6'), (range(4, 8), 'no item 6'), ([-7], '-7')])
def test_ranks_that_are_not_there(ranks, text):
    interp = asked(learner())
    for f in interp.plot_top_losses, interp.show_results:
        with refused(ValueError, text): f(ranks)

def test_a_model_from_a_file(tmp_path):
    learn = vision_learner(loaders(), efficientnet_lite0, pretrained=False, path=tmp_path)
    predictor = load_learner(learn.export('m.safetensors'))
    for kind in Interpretation, ClassificationInterpretation:
        with refused(TypeError, 'Learner', 'Predictor', 'Learner(dls, predictor.model)'): kind.from_learner(predictor)
    again = asked(Learner(loaders(), predictor.model)) # what the sentence says to try
    assert torch.allclose(again.preds, asked(learn).preds)

@pytest.mark.parametrize('odd', [None, 'a name', nn.Linear(2, 2)])
def test_no_learner(odd):
    with refused(TypeError, 'A Learner is expected'): Interpretation.from_learner(odd)

def test_no_loss():
    learn = learner()
    learn.loss_func = None
    with refused(ValueError, 'no loss', 'learn.loss_func'): asked(learn)

def test_no_targets():
    learn = learner()
    with refused(ValueError, 'no targets', 'with_labels=True'): asked(learn, dl=learn.dls.test_dl([1, 2]))
    assert len(asked(learn, dl=learn.dls.test_dl([1, 2], with_labels=True)).losses) == 2

@pytest.mark.parametrize('y, get_y, n, what', [(RegressionBlock, lambda i: float(i), 1, 'numbers'),
                                               (PointBlock, lambda i: [i % 8, 3], 2, 'points')])
def test_no_labels(y, get_y, n, what):
    learn = learner(y, get_y, n=n)
    with refused(ValueError, 'label', what, 'Interpretation.from_learner'): asked(learn)
    assert len(asked(learn, Interpretation).losses) == 6

def plain_learner(targets=lambda i: tensor(i % 3), loss=nn.CrossEntropyLoss(), n=3):
    dl = DataLoader([(torch.randn(4), targets(i)) for i in range(8)], 4)
    return Learner(DataLoaders(dl, dl), nn.Linear(4, n), loss)

def test_names_of_the_classes():
    with refused(ValueError, 'no names', '3 of them', 'vocab=[...]'): asked(plain_learner())
    with refused(ValueError, '3 outputs', '2 names'): asked(plain_learner(), vocab=['a', 'b'])
    assert asked(plain_learner(), vocab=['a', 'b', 'c']).vocab == ['a', 'b', 'c']
    assert asked(learner()).vocab == ['a', 'b', 'c']

def test_numbers_without_a_data_block():
    learn = plain_learner(lambda i: torch.rand(3), nn.MSELoss())
    with refused(ValueError, 'numbers'): asked(learn, vocab=['a', 'b', 'c'])

def test_several_labels_without_a_data_block():
    interp = asked(plain_learner(lambda i: (torch.rand(3) > .5).float(), nn.BCEWithLogitsLoss()), vocab=['a', 'b', 'c'])
    assert interp.several

def test_items_that_cannot_be_shown():
    "The numbers are there, the pictures are not: loaders of torch, batches in a list."
    data = [(torch.randn(4), tensor(i % 3)) for i in range(6)]
    dl = torch.utils.data.DataLoader(data, 3)
    learn = Learner(DataLoaders(dl, dl), nn.Linear(4, 3), nn.CrossEntropyLoss())
    interp = asked(learn, Interpretation)
    assert len(interp.top_losses()[0]) == 6
    for f in (lambda: interp.plot_top_losses(2)), (lambda: interp[0]), (lambda: interp.show_results([0])):
        with refused(TypeError, 'DataBlock'): f()
    batches = asked(learner(), Interpretation, dl=[(torch.rand(2, 3, 8, 8), tensor([0, 1]))])
    assert len(batches.losses) == 2
    with refused(TypeError, 'list', 'DataBlock'): batches.plot_top_losses(1)

def test_good_data_need_no_words():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        interp = asked(learner())
        interp.plot_top_losses(6)
        interp.plot_confusion_matrix(normalize=True)
        interp.most_confused()
        learner().summary()

def test_the_learner_is_as_before():
    learn = learner()
    own, training = list(learn.dls.loaders), learn.model.training
    asked(learn).plot_top_losses(2)
    assert all(a is b for a,b in zip(own, learn.dls.loaders)) and learn.model.training == training
    assert not hasattr(learn, 'gather_preds') and learn.opt is None

def test_a_loss_that_does_not_decide():
    learn = Learner(loaders(), net(), lambda out, y: F.cross_entropy(out, y))
    with refused(TypeError, 'decodes'): asked(learn, Interpretation).plot_top_losses(1)

def test_a_class_that_nobody_has_seen():
    "Three names, two in validation, one never said: zeros, and no warning."
    block = DataBlock((ImageBlock, CategoryBlock(vocab=['a', 'b', 'c'])), get_x=picture, get_y=lambda i: 'ab'[i % 2],
                      splitter=IndexSplitter(range(6, 12)))
    learn = Learner(block.dataloaders(range(12), bs=3, device='cpu', num_workers=0), net())
    interp = asked(learn)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        interp.print_classification_report()
        assert interp.confusion_matrix()[2].sum() == 0
