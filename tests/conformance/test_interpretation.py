"""Which items are the worst, and what is taken for what: against torch, scikit-learn, and cases counted by hand."""
import contextlib, io
import matplotlib, numpy as np, pytest, torch
from sklearn.metrics import classification_report, confusion_matrix
from course_lib.all import *
from course_lib.interpretation import confusions, taken_for
matplotlib.use('agg')

NAMES = ['bird', 'cat', 'dog']

def picture(i): return np.random.default_rng(i).integers(0, 256, (20, 30, 3), dtype='uint8')
def one(i): return NAMES[i % 3]
def several(i): return [o for k,o in enumerate(NAMES) if (i + 1 >> k) & 1]

def loaders(y=CategoryBlock, get_y=one, n=22, n_valid=10, **kw):
    block = DataBlock((ImageBlock, y), get_x=picture, get_y=get_y, splitter=IndexSplitter(range(n-n_valid, n)), **kw)
    return block.dataloaders(range(n), bs=4, device='cpu', num_workers=0)

def net(n=3, size=(20, 30)):
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(3*size[0]*size[1], n))

def learner(*args, model=None, **kw): return Learner(loaders(*args, **kw), model or net())

def asked(kind, learn, *args, **kw):
    with learn.no_bar(): return kind.from_learner(learn, *args, **kw)

@pytest.fixture
def interp(): return asked(ClassificationInterpretation, learner())

def test_losses_are_those_of_each_item(interp):
    learn = interp.learn
    x = torch.cat([b[0].plain() for b in learn.dls.valid])
    with torch.no_grad(): out = learn.model(x)
    want = F.cross_entropy(out, interp.targs, reduction='none')
    torch.testing.assert_close(interp.losses, want)
    losses, idxs = interp.top_losses(3)
    assert losses.tolist() == sorted(want.tolist(), reverse=True)[:3]
    torch.testing.assert_close(want[idxs], losses)

def test_top_losses(interp):
    "All if `k` is left out; the smallest first; the items that the data were made of."
    assert len(interp.top_losses()[0]) == 10
    losses, idxs, items = interp.top_losses(2, largest=False, items=True)
    assert losses[0] == interp.losses.min() and items == [12 + i for i in idxs.tolist()]

def test_items_of_a_table_are_rows():
    df = pd.DataFrame(dict(i=range(8), y=list('abababab'), is_valid=[i > 3 for i in range(8)]))
    block = DataBlock((ImageBlock, CategoryBlock), get_x=lambda r: picture(r['i']), get_y=ColReader('y'),
                      splitter=ColSplitter())
    dls = block.dataloaders(df, bs=2, device='cpu', num_workers=0)
    interp = asked(Interpretation, Learner(dls, net(2)))
    _, idxs, rows = interp.top_losses(2, items=True)
    assert rows['i'].tolist() == (idxs + 4).tolist()

def test_one_item_again(interp):
    "As in fastai: inputs, predictions, targets, decisions, losses."
    x, preds, targs, decoded, losses = interp[[4, 0]]
    test = torch.cat([b[0] for b in interp.learn.dls.valid])[[4, 0]]
    torch.testing.assert_close(x.plain(), test.plain())
    for got, all_ in ((preds, interp.preds), (targs, interp.targs), (decoded, interp.decoded), (losses, interp.losses)):
        assert torch.equal(got, all_[[4, 0]])

def test_pictures_are_not_kept(interp):
    kept = sum(t.numel() for t in vars(interp).values() if isinstance(t, Tensor))
    assert kept <= 10*(3 + 1 + 1 + 1)

@pytest.mark.parametrize('ds_idx, n', [(0, 12), (1, 10)])
def test_either_loader_whole_and_in_order(ds_idx, n):
    "The training loader is shuffled, and leaves out a short batch; here it does not."
    learn = learner()
    interp = asked(ClassificationInterpretation, learn, ds_idx)
    assert interp.targs.tolist() == [i % 3 for i in (range(12) if ds_idx == 0 else range(12, 22))]

def test_another_loader_and_another_activation():
    learn = learner()
    dl = learn.dls.test_dl([3, 4, 5, 6], with_labels=True)
    interp = asked(Interpretation, learn, dl=dl, act=lambda x: x*2)
    with torch.no_grad(): out = torch.cat([learn.model(x.plain()) for x, _ in dl])
    torch.testing.assert_close(interp.preds, out*2)

# ---- what is taken for what

def test_confusion_matrix_is_scikit_learns(interp):
    cm = interp.confusion_matrix()
    assert isinstance(cm, np.ndarray) and cm.dtype == np.int64
    np.testing.assert_array_equal(cm, confusion_matrix(interp.targs, interp.decoded, labels=[0, 1, 2]))

def test_as_in_fastai():
    "What fastai 2.8 says of six items of three classes, where the model says the third of all."
    dls = loaders(n=12, n_valid=6)
    model = net()
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(tensor([0., 0, 2]))
    interp = asked(ClassificationInterpretation, Learner(dls, model))
    assert interp.confusion_matrix().tolist() == [[0, 0, 2], [0, 0, 2], [0, 0, 2]]
    assert interp.most_confused() == [('bird', 'dog', 2), ('cat', 'dog', 2)]
    assert interp.most_confused(3) == [] and interp.most_confused(min_val=2) == interp.most_confused()

HAND = [ # targets, decisions, {(missed, claimed): how often}
    ([[1, 1, 0]], [[0, 1, 1]], {(0, 2): 1}),
    ([[1, 0, 0]], [[0, 1, 1]], {(0, 1): 1, (0, 2): 1}),
    ([[1, 1, 0]], [[0, 0, 1]], {(0, 2): 1, (1, 2): 1}),
    ([[0, 1, 0]], [[0, 0, 0]], {}),                      # a miss alone
    ([[0, 0, 0]], [[1, 0, 0]], {}),                      # a claim alone
    ([[1, 1, 1]], [[1, 1, 1]], {}),
    ([[1, 0, 0], [1, 0, 1]], [[0, 1, 0], [0, 1, 1]], {(0, 1): 2})]

@pytest.mark.parametrize('targs, decided, want', HAND)
@pytest.mark.parametrize('dtype', [torch.float32, torch.int64, torch.bool])
def test_misses_and_claims_by_hand(targs, decided, want, dtype):
    m = taken_for(tensor(targs).to(dtype), tensor(decided).to(dtype))
    assert {(int(i), int(j)): int(m[i, j]) for i,j in m.nonzero()} == want

@pytest.mark.parametrize('seed', range(3))
def test_one_label_each_is_the_confusion_matrix_off_the_diagonal(seed):
    g = torch.Generator().manual_seed(seed)
    t, d = torch.randint(5, (2, 60), generator=g)
    want = confusion_matrix(t, d, labels=range(5))
    np.testing.assert_array_equal(confusions(t, d, 5), want)
    np.fill_diagonal(want, 0)
    np.testing.assert_array_equal(taken_for(F.one_hot(t, 5), F.one_hot(d, 5)), want)

def test_several_labels_of_a_learner():
    interp = asked(ClassificationInterpretation, learner(MultiCategoryBlock, several))
    t, d = interp.targs.bool().numpy(), interp.decoded.bool().numpy()
    def both(i, j): return int((t[:, i] & ~d[:, i] & d[:, j] & ~t[:, j]).sum())
    want = [(NAMES[i], NAMES[j], both(i, j)) for i in range(3) for j in range(3)]
    assert set(interp.most_confused()) == {o for o in want if o[2]}
    assert [n for *_, n in interp.most_confused()] == sorted((n for *_, n in interp.most_confused()), reverse=True)
    assert interp.confusion_matrix().diagonal().sum() == 0

def test_a_threshold_of_the_loss_counts():
    learn = learner(MultiCategoryBlock, several)
    learn.loss_func = BCEWithLogitsLossFlat(thresh=.9)
    interp = asked(ClassificationInterpretation, learn)
    assert torch.equal(interp.decoded, interp.preds > .9)

# ---- the report

def reported(interp):
    with contextlib.redirect_stdout(io.StringIO()) as text: interp.print_classification_report()
    return text.getvalue()

def by_sklearn(interp):
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return classification_report(interp.targs.numpy(), interp.decoded.numpy(), labels=range(len(interp.vocab)),
                                     target_names=[str(o) for o in interp.vocab], zero_division=0)

@pytest.mark.parametrize('kind', [(CategoryBlock, one), (MultiCategoryBlock, several),
                                  (CategoryBlock, lambda i: f'a name that is long, {i % 3}'),
                                  (CategoryBlock, lambda i: i % 3)])
def test_report_is_scikit_learns(kind):
    interp = asked(ClassificationInterpretation, learner(*kind))
    assert reported(interp).strip('\n') == by_sklearn(interp).strip('\n')

@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('share', [0., .3, 1.])
def test_averages_are_scikit_learns_on_degenerate_answers(seed, share):
    from sklearn.metrics import precision_recall_fscore_support as prf
    interp = asked(ClassificationInterpretation, learner(MultiCategoryBlock, several))
    g = torch.Generator().manual_seed(seed)
    interp.targs = (torch.rand(10, 3, generator=g) < .4).float()
    interp.decoded = torch.rand(10, 3, generator=g) < share
    for name,row in interp.averages().items():
        want = prf(interp.targs, interp.decoded, average=name.split()[0], zero_division=0)[:3]
        np.testing.assert_allclose(row, want, atol=1e-12)

# ---- drawn

def drawn(f, *args, **kw):
    plt.close('all')
    f(*args, **kw)
    return plt.gcf()

def test_titles_are_fastais(interp):
    fig = drawn(interp.plot_top_losses, 3)
    losses, idxs = interp.top_losses(3)
    want = [f'{NAMES[interp.decoded[i]]}/{NAMES[interp.targs[i]]} / {l:.2f} / {interp.preds[i].max():.2f}'
            for l,i in zip(losses.tolist(), idxs.tolist())]
    assert [ax.get_title() for ax in fig.axes if ax.get_title()] == want
    assert fig._suptitle.get_text() == 'Prediction/Actual/Loss/Probability'

def test_a_list_of_ranks(interp):
    all_ = [ax.get_title() for ax in drawn(interp.plot_top_losses, 4).axes]
    assert [ax.get_title() for ax in drawn(interp.plot_top_losses, range(2, 4)).axes] == all_[2:]

def test_several_labels_say_both():
    interp = asked(ClassificationInterpretation, learner(MultiCategoryBlock, several))
    fig = drawn(interp.plot_top_losses, 2, nrows=1)
    i = interp.top_losses(1)[1].item()
    actual, said, loss = fig.axes[0].get_title().split('\n')
    assert actual == '; '.join(several(12 + i)) and float(loss) == pytest.approx(interp.losses.max().item(), abs=.006)
    assert said == ('; '.join(n for n,yes in zip(NAMES, interp.decoded[i]) if yes) or '(none)')

def test_numbers_are_shown_side_by_side():
    learn = learner(RegressionBlock, lambda i: [i, -i], model=net(2))
    fig = drawn(asked(Interpretation, learn).plot_top_losses, 2)
    assert len([ax for ax in fig.axes if ax.images]) == 4

def test_show_results_of_some(interp):
    fig = drawn(interp.show_results, [5, 1])
    assert [ax.get_title().split('\n')[0] for ax in fig.axes[:2]] == [one(12 + 5), one(12 + 1)]

@pytest.mark.parametrize('normalize', [False, True])
def test_plot_confusion_matrix(interp, normalize):
    ax = drawn(interp.plot_confusion_matrix, normalize=normalize).axes[0]
    cm = interp.confusion_matrix()
    want = cm/cm.sum(1, keepdims=True) if normalize else cm
    np.testing.assert_allclose(ax.images[0].get_array(), want)
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ('Confusion matrix', 'Predicted', 'Actual')
    assert [t.get_text() for t in ax.get_yticklabels()] == NAMES
    assert [t.get_text() for t in ax.texts] == [f'{v:.{2*normalize}f}' for v in want.flatten()]

def test_of_several_labels_only_what_happened_is_written():
    interp = asked(ClassificationInterpretation, learner(MultiCategoryBlock, several))
    ax = drawn(interp.plot_confusion_matrix, figsize=(3, 3), plot_txt=True).axes[0]
    assert [t.get_text() for t in ax.texts] == [str(v) for v in interp.confusion_matrix().flatten() if v]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ('What is taken for what', 'falsely claimed', 'missed')
    assert not drawn(interp.plot_confusion_matrix, plot_txt=False).axes[0].texts

def test_a_class_without_items_is_no_division_by_zero():
    interp = asked(ClassificationInterpretation, learner())
    interp.targs = interp.targs.clamp(max=1)
    np.testing.assert_allclose(drawn(interp.plot_confusion_matrix, normalize=True).axes[0].images[0].get_array()[2], 0)

# ---- points, in the photo

SIZES = [(64, 48), (48, 64), (50, 50)]

def photo(i):
    w, h = SIZES[i % 3]
    return np.full((h, w, 3), 10*i, 'uint8')

def place(i): return [SIZES[i % 3][0]/2 + 6, SIZES[i % 3][1]/2 - 8]

def point_learner(**kw):
    block = DataBlock((ImageBlock, PointBlock), get_x=photo, get_y=place, splitter=IndexSplitter(range(3, 9)), **kw)
    model = net(2, (32, 32))
    for p in model.parameters(): nn.init.zeros_(p) # always the middle
    return Learner(block.dataloaders(range(9), bs=4, device='cpu', num_workers=0), model)

@pytest.mark.parametrize('method', ['squish', 'pad', 'crop'])
def test_how_far_off_in_pixels_of_the_photo(method):
    "The middle of a cut is the middle of the photo, and every target is 6 and 8 pixels from it."
    interp = asked(Interpretation, point_learner(item_tfms=Resize(32, method)))
    atol = 1e-3 if method == 'squish' else .6 # cuts begin at whole pixels
    torch.testing.assert_close(interp.pixels_off(), torch.full((6,), 10.), atol=atol, rtol=0)

def test_points_are_drawn_in_the_photo():
    interp = asked(Interpretation, point_learner(item_tfms=Resize(32, 'squish')))
    fig = drawn(interp.plot_top_losses, 6, nrows=1)
    for ax, i in zip(fig.axes, interp.top_losses()[1].tolist()):
        assert ax.get_title() == '10 pixels off'
        assert ax.images[0].get_array().shape[:2] == SIZES[(3 + i) % 3][::-1]
        red, blue = [c.get_offsets()[0] + .5 for c in ax.collections]
        np.testing.assert_allclose(red, place(3 + i), atol=1e-3)
        np.testing.assert_allclose(blue, np.array(SIZES[(3 + i) % 3])/2, atol=1e-3)
    ax = drawn(interp.plot_top_losses, 1, around=12).axes[0]
    assert np.ptp(ax.get_xlim()) == pytest.approx(24) and ax.get_ylim()[0] > ax.get_ylim()[1]

# ---- other data

def test_loaders_of_torch_are_judged_by_their_numbers():
    data = [(torch.randn(4), tensor(i % 3)) for i in range(9)]
    dl = torch.utils.data.DataLoader(data, 3)
    learn = Learner(DataLoaders(dl, dl), nn.Linear(4, 3), nn.CrossEntropyLoss())
    interp = asked(ClassificationInterpretation, learn, vocab=NAMES)
    want = confusion_matrix(interp.targs, interp.decoded, labels=range(3))
    np.testing.assert_array_equal(interp.confusion_matrix(), want)
    assert len(interp.top_losses(4)[0]) == 4

def test_two_targets_have_losses_and_can_be_shown():
    block = DataBlock((ImageBlock, CategoryBlock, CategoryBlock), get_x=picture, get_y=[one, one], n_inp=1,
                      splitter=IndexSplitter(range(8, 12)))
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = net(), net()
        def forward(self, x): return self.a(x), self.b(x)
    class Both(CrossEntropyLossFlat):
        def __call__(self, out, a, b): return sum(CrossEntropyLossFlat.__call__(self, o, y) for o,y in zip(out, (a, b)))
        def activation(self, out): return tuple(o.softmax(1) for o in out)
        def decodes(self, out): return tuple(o.argmax(1) for o in out)
    dls = block.dataloaders(range(12), bs=2, device='cpu', num_workers=0)
    interp = asked(Interpretation, Learner(dls, Two(), Both()))
    assert interp.losses.shape == (4,)
    drawn(interp.plot_top_losses, 2)
