"""The exercises of chapters 09, 10 and 15, without the training that stands before them.

Each solution passes its check; likely mistakes do not, and hear what they mean."""
import re
import pytest, torch
import torch.nn.functional as F
from PIL import Image
from fastcore.basics import noop
from fastcore.test import test_close as close, test_eq as eq
from course_lib.all import *
from course_lib.bear_page import NotAPicture, Verdict, open_picture
from course_lib.exercises import exercise, judge_exercise, test_each as each
from tests.helpers import NBS, cells

def known(nb, needed=(), **more):
    "The names of a chapter after the checks and solutions of its exercises, and the cells that define one of `needed`."
    scope = {**globals(), 'exercise': exercise, 'test_close': close, 'test_eq': eq, **more}
    for c in cells(NBS/nb):
        if c.is_code and ('@exercise(' in c.text or any(f'{o}(' in c.text.split('\n\n')[0] for o in needed)):
            exec(c.text, scope)
        for solution in re.findall(r'<summary>Solution</summary>.*?```py\n(.*?)```', c.text, re.DOTALL):
            if not c.is_code: exec(solution, scope)
    return scope

def says(n, answer):
    "Nothing if the answer passes, else what the check says."
    card = judge_exercise(n, answer)
    return None if card.passed else card.text()

def small_learner(*args, cbs=(), **kwargs):
    "A body and a head with batch-norms, in place of a network that takes seconds."
    data = [(torch.rand(3, 5, 5), torch.rand(1)) for _ in range(20)]
    body = nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4))
    head = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return Learner(DataLoaders.from_dsets(data, data[:4], bs=4, device='cpu'), nn.Sequential(body, head),
                   nn.MSELoss(), cbs=cbs)

@pytest.fixture(scope='module')
def nine():
    needed = ['class Rates', 'def toy_learner', 'def trace', 'def head_with', 'class FourBatches',
              'named_modules', 'def what_moves']
    return known('09_transfer.ipynb', needed, report=lambda make_head: None, learn=small_learner(),
                 vision_learner=small_learner, dls=None)

@pytest.fixture(scope='module')
def ten():
    g = torch.Generator().manual_seed(0)
    targs = (torch.rand(200, 20, generator=g) < 0.1).float()
    preds = (torch.rand(200, 20, generator=g) + targs)/2
    return known('10_multilabel.ipynb', preds=preds, targs=targs, preds_192=preds**2,
                 mAP=APScoreMulti(sigmoid=False))

def test_convolution(nine):
    assert says('09.1', nine['convolve']) is None
    def torch_with(**kw): return lambda x, w: F.conv2d(x[None, None], w[None, None], **kw)[0, 0]
    assert says('09.1', torch_with()) is None
    assert 'turn the window' in says('09.1', lambda x, w: torch_with()(x, w.flip(0, 1)))
    assert 'sticks out' in says('09.1', lambda x, w: x)
    assert '[5, 7] places' in says('09.1', torch_with(padding=1))

def test_exchangeable(nine):
    assert says('09.2', nine['exchangeable']) is None
    def shapes(w): return [v.shape for v in w.values()]
    assert 'count shapes' in says('09.2', lambda w: sum(shapes(w).count(o) > 1 for o in set(shapes(w))))
    assert 'first tensor' in says('09.2', lambda w: len(w) - len(set(shapes(w))))
    assert 'not the shape' in says('09.2', lambda w: 6)

def test_where_to_cut(nine):
    assert says('09.3', nine['finer']) is None
    def up_to(k): return lambda m: [m.conv_stem, m.bn1, *m.blocks[:k]]
    assert '4 by 4' in says('09.3', up_to(6)) and '16 by 16' in says('09.3', up_to(3))
    assert '80 features' in says('09.3', up_to(4))
    assert 'has been lost' in says('09.3', lambda m: [m.conv_stem, *m.blocks[:5]])

def test_range_of_pixels(nine):
    assert says('09.4', nine['extremes']) is None
    assert says('09.4', (-2.12, 2.64)) is None
    assert 'used to' in says('09.4', (-0.99, 1.0)) and 'red' in says('09.4', (-2.12, 2.25))
    assert 'smaller one first' in says('09.4', (2.64, -2.12))

def test_votes(nine):
    assert says('09.5', nine['votes']) is None
    assert 'You count' in says('09.5', lambda found, t: t[found].sum(1))
    assert 'nearest neighbour only' in says('09.5', lambda found, t: t[found[:, 0]])
    assert 'not [2, 3]' in says('09.5', lambda found, t: t[found].mean(0))

def test_numbers_of_a_head(nine):
    assert says('09.7', 269824) is None
    assert 'maximum and the mean' in says('09.7', 2*512 + 512*256 + 2*256 + 256*20)
    assert 'Batch-norm' in says('09.7', 1024*256 + 256*20)
    assert 'counted, not trained' in says('09.7', 269824 + 2*1280)

def test_size_of_what_comes_out(nine):
    assert says('09.8', nine['smaller']) is None
    assert 'variance' in says('09.8', 1024) and 'one layer' in says('09.8', 2**0.5) and 'above 1' in says('09.8', 1/32)

def test_groups(nine):
    assert says('09.9', nine['each_child']) is None
    def split(*parts): return lambda m: [params(o) for o in parts[0](m)]
    assert 'empty' in says('09.9', split(lambda m: [*m[0], m[1]]))
    assert 'body and head' in says('09.9', split(lambda m: [*m]))
    assert 'head is one group' in says('09.9', split(lambda m: [m[0][0], m[0][2], *m[1]]))
    assert 'head last' in says('09.9', split(lambda m: [m[1], m[0][0], m[0][2]]))

def test_a_body_frozen_for_good(nine):
    assert says('09.10', nine['before_train']) is None
    assert 'still move' in says('09.10', lambda self: None)
    assert 'stand still' in says('09.10', lambda self: self.model.eval())
    assert 'does not train' in says('09.10', lambda self: (self.model[0].eval(), self.model[1].requires_grad_(False)))

def test_learning_curve(nine):
    set_seed(0)
    rows = torch.randn(600, 64)
    targs = (rows @ torch.randn(64, 20)/8 + torch.randn(600, 20) > 1).float()
    def least_squares(head, x, y): return lambda asked: asked @ torch.linalg.lstsq(x, y).solution # quick, for a test
    nine.update(stored=dict(known=rows[:400], asked=rows[400:]), train_targs=targs[:400], valid_targs=targs[400:],
                train_head=least_squares)
    nine['on_stored'] = nine['curve']([400])[0]
    assert says('09.12', nine['curve']) is None
    assert 'first n rows' in says('09.12', lambda sizes: nine['curve']([400]*len(sizes)))
    assert 'One number for each' in says('09.12', lambda sizes: nine['curve']([50])*2)

def parts(first=0.99, halved=2, mult=True, div=5, freeze=True):
    "`fine_tune`, or one with a mistake."
    def tune(learn, epochs, base_lr=2e-3, freeze_epochs=1, lr_mult=100):
        if freeze: learn.freeze()
        learn.fit_one_cycle(freeze_epochs, slice(base_lr), pct_start=first)
        learn.unfreeze()
        top = base_lr/halved
        learn.fit_one_cycle(epochs, slice(top/lr_mult, top) if mult else top, pct_start=0.3, div=div)
    return tune

@pytest.mark.parametrize('mistake, said', [
    (dict(first=0.25), 'pct_start'), (dict(halved=1), 'highest rate'), (dict(mult=False), 'lr_mult'),
    (dict(div=25), 'div'), (dict(freeze=False), 'head alone')])
def test_fine_tune_from_parts(nine, mistake, said):
    assert says('09.11', nine['tune']) is None
    assert said in says('09.11', parts(**mistake))

def test_best_constant(ten):
    assert says('10.1', ten['best_constant']) is None
    assert 'can be had' in says('10.1', lambda t: torch.zeros(t.shape[1]))
    assert 'not a probability' in says('10.1', lambda t: t.mean(0))

def test_swing(ten):
    assert says('10.2', ten['swing']) is None
    def changes(p, y, rows, how=lambda a, b: abs(a - b)):
        def score(keep): return APScoreMulti(sigmoid=False)(p[keep, None], y[keep, None]).item()
        all_of_them = torch.arange(len(y))
        return [how(score(all_of_them != i), score(all_of_them >= 0)) for i in all_of_them[rows]]
    assert 'Leave out only' in says('10.2', lambda p, y: max(changes(p, y, y >= 0)))
    assert 'mean of the changes' in says('10.2', lambda p, y: np.mean(changes(p, y, y == 1)))
    assert 'may fall' in says('10.2', lambda p, y: max(changes(p, y, y == 1, lambda a, b: a - b)))
    assert 'Up or down' in says('10.2', lambda p, y: min(changes(p, y, y == 1, lambda a, b: a - b)))

def test_two_looks(ten):
    assert says('10.5', ten['two_looks']) is None
    def both(k, before=torch.sigmoid, after=noop):
        return lambda model, x: after((before(model(x)) + before(model(x.flip(k))))/2)
    assert 'stands on its head' in says('10.5', both(2))
    assert 'raw outputs' in says('10.5', both(3, before=noop))
    assert 'First probabilities' in says('10.5', both(3, before=noop, after=torch.sigmoid))
    assert 'sum' in says('10.5', both(3, after=lambda o: 2*o))

def test_mistakes_in_a_picture(ten):
    assert says('10.7', ten['mistakes']) is None
    assert 'right ones' in says('10.7', (19.04, 18.54)) and 'share' in says('10.7', (0.048, 0.073))
    assert 'silence on the drawings' in says('10.7', (0.96, 1.66))

def test_even_threshold(ten):
    assert says('10.3', ten['even_threshold']) is None
    assert 'Go higher' in says('10.3', lambda p, t: 0.01) and 'Go lower' in says('10.3', lambda p, t: 0.99)

def test_most_alike(ten):
    assert says('10.4', ten['most_alike']) is None
    assert 'First the class that is there' in says('10.4', lambda p, t: (1, 0))
    assert 'like itself' in says('10.4', lambda p, t: (1, 1))

@pytest.fixture(scope='module')
def fifteen():
    g = torch.Generator().manual_seed(0)
    truth = torch.rand(60, 3, generator=g) < 0.4
    made_up = Verdict(dict(black=.9, grizzly=.6, teddy=.2), dict(black=.5, grizzly=.5, teddy=.5))
    return known('15_bears.ipynb', test_each=each, bears=['black', 'grizzly', 'teddy'], made_up=made_up,
                 truth=truth, taught=(torch.rand(60, 3, generator=g) + truth)/2, choose=torch.arange(60) % 2 == 0,
                 ts=torch.arange(1, 100)/100)

def test_five_of_five(fifteen):
    assert says('15.1', fifteen['chance']) is None
    assert 'the other' in says('15.1', 1/32) and 'single picture' in says('15.1', 0.5) and 'between' in says('15.1', 5)

def test_files_that_are_taken(fifteen, tmp_path):
    assert says('15.4', fifteen['taken']) is None
    assert 'the large photograph' in says('15.4', (True, False, False, False))
    drawn = PILImage.create(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype='uint8'))
    drawn.save(tmp_path/'bear.png')
    (tmp_path/'bear.png').rename(tmp_path/'bear.txt')
    (tmp_path/'bear.jpg').write_text('Dear bear, ...')
    Image.new('1', (9000, 6000), 1).save(tmp_path/'large.jpg')
    Image.new('1', (8000, 8000), 1).save(tmp_path/'white.png')
    def is_taken(name):
        try: return bool(open_picture(tmp_path/name))
        except NotAPicture: return False
    assert tuple(map(is_taken, ('bear.txt', 'bear.jpg', 'large.jpg', 'white.png'))) == fifteen['taken']

def test_a_class_of_none(fifteen):
    assert says('15.2', fifteen['can']) is None
    assert 'two kinds' in says('15.2', (True, True, False)) and '3 answers' in says('15.2', True)

def test_thresholds_of_their_own(fifteen):
    assert says('15.3', fifteen['own_thresholds']) is None
    assert 'Three numbers' in says('15.3', lambda preds, truth: [.5])
    assert 'For black' in says('15.3', lambda preds, truth: [.99]*3)
    assert 'For teddy' in says('15.3', lambda preds, truth: [*fifteen['own_thresholds'](preds, truth)[:2], .01])

def test_threshold_for_so_many_bears(fifteen):
    right = fifteen['threshold_for']
    assert says('15.5', right) is None
    assert says('15.5', lambda verdict, k: 0.5) and says('15.5', lambda verdict, k: right(verdict, k) + .05)
