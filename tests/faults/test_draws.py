"What a user's own code draws while an item is loaded: repeatable with any number of threads, and in nobody's way."
import pickle, random, subprocess, sys, time
from functools import partial
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from course_lib.all import *
from course_lib.draws import own_draws

def shuffled(shuffle, a):
    shuffle(a)
    return a

PYTHON = dict(random=lambda: random.random(), uniform=lambda: random.uniform(2, 3), gauss=lambda: random.gauss(0, 1),
    randint=lambda: random.randint(0, 10**6), choice=lambda: random.choice(range(10**6)),
    choices=lambda: random.choices(range(99), k=5), sample=lambda: random.sample(range(99), 5),
    shuffle=lambda: shuffled(random.shuffle, list(range(30))), bits=lambda: random.getrandbits(40),
    bytes=lambda: list(random.randbytes(8)), normal=lambda: random.normalvariate(0, 1),
    beta=lambda: random.betavariate(1, 2), triangular=lambda: random.triangular())
NUMPY = dict(rand=lambda: np.random.rand(3), randn=lambda: np.random.randn(2), randint=lambda: np.random.randint(10**6),
    normal=lambda: np.random.normal(0, 1, 2), uniform=lambda: np.random.uniform(0, 1),
    beta=lambda: np.random.beta(1, 2),
    choice=lambda: np.random.choice(99, 4), permutation=lambda: np.random.permutation(20),
    shuffle=lambda: shuffled(np.random.shuffle, np.arange(30)), random=lambda: np.random.random(2),
    sample=lambda: np.random.sample(2), ranf=lambda: np.random.ranf(), bytes=lambda: list(np.random.bytes(6)),
    rng=lambda: np.random.default_rng().random(2), twice=lambda: [np.random.default_rng().random() for _ in range(2)],
    many=lambda: np.random.multivariate_normal([0, 0], np.eye(2)), binomial=lambda: np.random.binomial(10**6, .5),
    frame=lambda: pd.DataFrame(dict(a=range(99))).sample(3)['a'].to_numpy().copy())
ones = torch.ones(30)
TORCH = dict(rand=lambda: torch.rand(3), randn=lambda: torch.randn((2,)), randint=lambda: torch.randint(0, 10**6, (2,)),
    randperm=lambda: torch.randperm(30), normal=lambda: torch.normal(0., 1., (2,)), mean=lambda: torch.normal(ones, .1),
    bernoulli=lambda: torch.bernoulli(ones/2), multinomial=lambda: torch.multinomial(ones, 5),
    like=lambda: torch.rand_like(ones),
    poisson=lambda: torch.poisson(ones*50), uniform_=lambda: torch.empty(1).uniform_(-1, 1).item(),
    normal_=lambda: torch.empty(2).normal_(), random_=lambda: torch.empty(2).random_(0, 10**6),
    exponential_=lambda: torch.empty(2).exponential_(), method=lambda: (ones/2).bernoulli(),
    new=lambda: ones.new(2).uniform_(),
    out=lambda: torch.rand(2, out=torch.empty(2)), double=lambda: torch.rand(2, dtype=torch.float64, device='cpu'),
    typed=lambda: TensorImage(torch.zeros(3, 4)).normal_(), dropout=lambda: F.dropout(ones),
    layer=lambda: nn.Dropout(.5)(ones),
    dropout2d=lambda: nn.Dropout2d()(torch.ones(1, 30, 2, 2)), gumbel=lambda: F.gumbel_softmax(ones),
    beta=lambda: torch.distributions.Beta(1., 2.).sample(), gamma=lambda: torch.distributions.Gamma(1., 2.).sample(),
    category=lambda: torch.distributions.Categorical(ones).sample((4,)),
    init=lambda: nn.init.trunc_normal_(torch.empty(3)),
    layers=lambda: nn.Linear(3, 2).weight.detach(), fan=lambda: nn.init.kaiming_uniform_(torch.empty(3, 3)))

def v2(name, *args, **kwargs):
    "A transform of torchvision, used on a picture of floats."
    import_torchvision()
    from torchvision.transforms import v2
    return lambda: getattr(v2, name)(*args, **kwargs)(torch.linspace(0, 1, 3*12*16).view(3, 12, 16))
VISION = dict(flip=v2('RandomHorizontalFlip'), jitter=v2('ColorJitter', .5, .5), turn=v2('RandomRotation', 90),
    crop=v2('RandomResizedCrop', 8), noise=v2('GaussianNoise'), erase=v2('RandomErasing', p=.9),
    cut=v2('RandomCrop', 8),
    elastic=v2('ElasticTransform', sigma=.8), affine=v2('RandomAffine', 30, (.1, .1)),
    perspective=v2('RandomPerspective'))
LIBRARIES = dict(random=PYTHON, numpy=NUMPY, torch=TORCH, v2=VISION)
DRAWS = {f'{library}-{k}': draw for library,draws in LIBRARIES.items() for k,draw in draws.items()}

class Drawing:
    "A dataset of 8 items that draw, the first of them slowly."
    def __init__(self, draw, pause=.0005): self.draw, self.pause = draw, pause
    def __len__(self): return 8
    def __getitem__(self, i):
        time.sleep(self.pause*(4 - i % 4))
        return torch.stack([torch.as_tensor(np.asarray(self.draw())).double().flatten() for _ in range(2)])

def drawn(draw, num_workers, seed=3):
    set_seed(seed)
    dl = DataLoader(Drawing(draw, .0005 if num_workers else 0), bs=4, num_workers=num_workers, shuffle=True)
    return torch.cat(list(dl))

@pytest.mark.parametrize('draw', DRAWS.values(), ids=DRAWS)
def test_draws_are_the_same_for_any_number_of_threads(draw):
    alone = drawn(draw, 0)
    assert torch.equal(drawn(draw, 3), alone)
    assert len(alone.flatten(1).unique(dim=0)) > 2 # items do not all get the same
    assert not torch.equal(alone, drawn(draw, 0, seed=4))

@pytest.mark.parametrize('draw', DRAWS.values(), ids=DRAWS)
def test_draws_of_an_item_disturb_nobody(draw):
    def after(load):
        set_seed(3)
        if load:
            with own_draws(8): draw(), draw()
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(1), torch.randn(1)
    assert after(True) == after(False)

# ------------------------------------------------------------------ wherever it is drawn

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    d = tmp_path_factory.mktemp('pictures')
    for i in range(12): Image.new('RGB', (20, 14), (20*i, 99, 0)).save(d/f'{i:02}.png')
    return sorted(d.iterdir())

def anything():
    time.sleep(.001*random.random())
    return random.random() + np.random.rand() + torch.rand(()).item()
def lighter(x: PILImage): return PILImage.create((np.asarray(x)*anything()/3).astype('uint8'))

PLACES = dict(item_tfms=dict(item_tfms=[lighter, Resize(8)]), get_y=dict(get_y=lambda f: anything()),
              get_x=dict(get_x=lambda f: (np.asarray(Image.open(f))*anything()/3).astype('uint8')),
              random_crop=dict(item_tfms=[RandomResizedCrop(8), lighter], batch_tfms=aug_transforms()))

@pytest.mark.parametrize('kw', PLACES.values(), ids=PLACES)
def test_draws_in_each_function_of_a_data_block(files, kw):
    settings = dict(blocks=(ImageBlock, RegressionBlock), get_y=lambda f: 1., splitter=IndexSplitter([0]),
                    item_tfms=Resize(8))
    def epochs(n):
        set_seed(1)
        dls = DataBlock(**{**settings, **kw}).dataloaders(files, bs=4, num_workers=n)
        set_seed(1)
        return [torch.cat([plain(o).flatten() for b in dls.train for o in b]) for _ in range(2)]
    alone = epochs(0)
    assert not torch.equal(*alone) # each epoch draws anew
    for n in 1, 4: assert all(map(torch.equal, epochs(n), alone))

def test_training_with_dropout_is_not_disturbed_by_what_items_draw():
    x, y = torch.randn(24, 4), torch.randn(24, 1)
    class Noisy:
        def __len__(self): return 24
        def __getitem__(self, i):
            time.sleep(.0003*(i % 3))
            random.random(), np.random.rand(), torch.rand(5)
            return x[i], y[i]
    def final(ds, n):
        set_seed(2)
        model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(.5), nn.Linear(8, 1))
        dls = DataLoaders.from_dsets(ds, ds, bs=6, num_workers=n, device='cpu')
        learn = Learner(dls, model, loss_func=nn.MSELoss())
        with learn.no_bar(), learn.no_logging(): learn.fit(2, .1)
        return list(learn.recorder.final)
    quiet = final(list(zip(x, y)), 0)
    for n in 0, 1, 3: assert final(Noisy(), n) == quiet

def test_an_item_that_is_loaded_by_another_loader():
    def inner(i): return i + random.random()
    def outer(num_workers):
        def several(): return torch.cat(list(DataLoader(range(3), bs=2, after_item=inner)))
        ds = Drawing(lambda: [random.random(), *several(), random.random()])
        set_seed(1)
        return torch.cat(list(DataLoader(ds, bs=4, num_workers=num_workers)))
    assert torch.equal(outer(0), outer(3))

# ------------------------------------------------------------------ seeds and states, set inside an item

SEEDS = dict(random=lambda: random.seed(5), numpy=lambda: np.random.seed(5), torch=lambda: torch.manual_seed(5),
             module=lambda: torch.random.manual_seed(5), all=lambda: set_seed(5),
             chance=lambda: (random.seed(), torch.seed()))

def some(): return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(()).item()]

@pytest.mark.parametrize('seed', SEEDS.values(), ids=SEEDS)
def test_a_seed_inside_an_item_is_about_that_item(seed):
    set_seed(3)
    expected = some()
    set_seed(3)
    with own_draws(8): seed()
    assert some() == expected

def test_a_seed_inside_an_item_gives_what_it_gives_outside():
    set_seed(5)
    expected = some()
    for s in 8, 9:
        with own_draws(s):
            set_seed(5)
            assert some() == expected

def test_a_state_that_is_kept_and_put_back_inside_an_item():
    from course_lib.core import random_state, set_random_state
    set_seed(3)
    expected = some()
    set_seed(3)
    with own_draws(8):
        some()
        state = random_state()
        first = some()
        with torch.random.fork_rng(): torch.rand(9)
        set_random_state(state)
        assert some() == first
    assert some() == expected

# ------------------------------------------------------------------ what stays as it is

def test_generators_of_ones_own_stay():
    def mine(): return random.Random(3).random(), np.random.default_rng(3).random(), np.random.RandomState(3).rand(), \
        torch.rand(1, generator=torch.Generator().manual_seed(3)).item()
    outside = mine()
    with own_draws(8): assert mine() == outside

def test_item_rng_keeps_its_numbers():
    with own_draws(2**62 + 5):
        twin = random.Random(2**62 + 5)
        assert [item_rng().random(), item_rng().randint(0, 99)] == [twin.random(), twin.randint(0, 99)]
        assert random.random() == twin.random()
    assert item_rng() is random

def test_the_three_generators_of_an_item_do_not_agree():
    with own_draws(2**40 + 5): a = [random.random(), np.random.rand(), torch.rand((), dtype=torch.float64).item()]
    with own_draws(2**40 + 5): b = [random.getrandbits(32), np.random.randint(2**32), torch.randint(2**32, ()).item()]
    assert len({round(o, 3) for o in a}) == len(set(b)) == 3

def test_nothing_is_left_after_an_error():
    def broken(i): return random.random() + 1/(i - 5)
    for n in 0, 2:
        with pytest.raises(ZeroDivisionError): list(DataLoader(range(8), bs=4, after_item=broken, num_workers=n))
    assert item_rng() is random and _get_current_function_mode_stack() == []

def test_functions_keep_their_name_and_can_be_pickled():
    assert [f.__name__ for f in (np.random.rand, torch.manual_seed)] == ['rand', 'manual_seed']
    assert 'Random values' in np.random.rand.__doc__
    for f in np.random.rand, np.random.seed, np.random.default_rng, torch.manual_seed, partial(np.random.normal, 0):
        assert repr(pickle.loads(pickle.dumps(f))) == repr(f)
    assert 0 <= pickle.loads(pickle.dumps(random.random))() < 1

def test_outside_of_loaders_the_numbers_are_those_of_a_program_without_the_course():
    def numbers(r, n): return (r.random(), r.gauss(0, 1), r.gauss(0, 1), r.sample(range(99), 9), r.choices('abc', k=9),
                               r.betavariate(1, 2), r.getrandbits(70), n.randn(3).tolist(), n.choice(9, 3).tolist())
    set_seed(3)
    assert numbers(random, np.random) == numbers(random.Random(3), np.random.RandomState(3))
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(3)))

def test_functions_taken_before_the_course_was_imported():
    code = ("from random import uniform, randint, choice, shuffle, gauss, sample\n"
            "from course_lib.draws import own_draws\n"
            "def some(): return uniform(0, 1), randint(0, 10**6), choice(range(9)), gauss(0, 1), sample(range(99), 3)\n"
            "with own_draws(1): a = some()\n"
            "some()\n"
            "with own_draws(1): assert some() == a")
    subprocess.run([sys.executable, '-c', code], check=True)
