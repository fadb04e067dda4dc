"""course_lib's numbers beside fastai's own, in one process: PASS or FAIL for each line, exit status 1 after a FAIL.

`parity.py metrics head` runs only these groups. `parity.py record` checks nothing: it writes what fastai gives for the
table of small things, which the tests compare with what the course gives (`tests/conformance/small_things.toml`).

Pictures are made in memory, so there is no JPEG between the two
(course_lib decodes those at reduced scale).
"""
import random, sys
from importlib.metadata import version
from types import SimpleNamespace
import numpy as np, pandas as pd, torch
from torch import nn
from common import load
from tests.conformance import small_things

fa = load('fastai')
fa.defaults.cpus = 0 # where the table asks for no worker process there shall be none
if sys.argv[1:] == ['record']:
    print(f'{small_things.record(fa)} small things recorded, with fastai {version("fastai")}')
    sys.exit()
cl = load('course_lib')
failed = []

def check(name, ok, detail=''):
    print(f"{'PASS' if ok else 'FAIL'}  {name}{f' ({detail})' if detail else ''}", flush=True)
    if not ok: failed.append(name)

def plain(o):
    "A tensor of either library as an ordinary one; what is no tensor as it is."
    return o.detach().as_subclass(torch.Tensor) if isinstance(o, torch.Tensor) else o

def close(name, a, b, atol=1e-6, rtol=1e-5):
    a, b = [np.asarray(plain(o), dtype='float64') for o in (a, b)]
    if a.shape != b.shape: return check(name, False, f'shapes {a.shape} and {b.shape}')
    check(name, np.allclose(a, b, rtol, atol, equal_nan=True), f'largest difference {np.abs(a-b).max():.1e}')

def group(f):
    "A group of checks; an error in one is a FAIL, and the others still run."
    print(f'\n{f.__doc__}')
    try: f()
    except Exception as e: check(f.__name__, False, f'{type(e).__name__}: {e}')

# ---- pictures

def pictures(n=12):
    rng = np.random.default_rng(0)
    for _ in range(n):
        h, w = rng.integers(40, 520, 2)
        yy, xx = np.mgrid[:h, :w]
        waves = [128 + 90*np.sin(xx/rng.uniform(3, 40) + yy/rng.uniform(3, 40)) for _ in range(3)]
        yield (np.stack(waves, -1) + rng.normal(0, 12, (h, w, 3))).clip(0, 255).astype('uint8')

def same_pixels(name, ours, theirs, splits=(0, 1)):
    "Both transforms, with the same random state, on the same pictures."
    worst = 0
    for i,a in enumerate(pictures()):
        for split in splits:
            both = []
            for lib,tfm in (cl, ours), (fa, theirs):
                random.seed(i)
                both.append(np.asarray(tfm(lib.PILImage.create(a), split_idx=split)).astype(int))
            x, y = both
            if x.shape != y.shape: return check(name, False, f'sizes {x.shape[:2]} and {y.shape[:2]}')
            worst = max(worst, np.abs(x-y).max())
    check(name, worst == 0, f'largest difference {worst} of 255')

def their_box(crop, size, seed):
    "What fastai's RandomResizedCrop cuts from a picture of `size` (width, height): left, top, right, bottom."
    random.seed(seed)
    crop.before_call(fa.PILImage.create(np.zeros((size[1], size[0], 3), 'uint8')), 0)
    (left, top), (w, h) = crop.tl, crop.cp_size
    return left, top, left+w, top+h

def boxes():
    "The same boxes from the same random numbers? One answer for each."
    for kw in dict(min_scale=0.35), {}, dict(min_scale=0.9), dict(ratio=(1, 1)), dict(max_scale=0.5):
        ours, theirs = cl.RandomResizedCrop(128, **kw), fa.RandomResizedCrop(128, **kw)
        for i in range(1000):
            r = random.Random(i)
            size = r.randint(10, 700), r.randint(10, 700) # some are so long that all ten tries fail
            yield tuple(ours.box(size, random.Random(i))) == their_box(theirs, size, i)

def crops():
    "RandomResizedCrop and Resize"
    equal = list(boxes())
    check('boxes from the same random numbers', all(equal), f'{sum(equal)} of {len(equal)} equal')
    for size in 128, (96, 160):
        ours, theirs = [lib.RandomResizedCrop(size, min_scale=0.35) for lib in (cl, fa)]
        for split,where in enumerate(('training', 'validation')):
            same_pixels(f'RandomResizedCrop({size}), {where}', ours, theirs, [split])
        for method in 'squish', 'crop':
            same_pixels(f'Resize({size}, {method!r})', cl.Resize(size, method), fa.Resize(size, method))
        for pad in 'zeros', 'border', 'reflection':
            same_pixels(f"Resize({size}, 'pad', {pad!r})", cl.Resize(size, 'pad', pad), fa.Resize(size, 'pad', pad))

def normalising():
    "From bytes to normalised floats"
    a = np.stack([p[:40, :40] for p in pictures()])
    stats = cl.imagenet_stats
    check('imagenet_stats', stats == fa.imagenet_stats)
    x = torch.from_numpy(a)
    ours = cl.Pipeline([cl.IntToFloatTensor(), cl.Normalize.from_stats(*stats)])
    theirs = fa.Pipeline([fa.IntToFloatTensor(), fa.Normalize.from_stats(*stats, cuda=False)])
    ours, theirs = ours((cl.TensorImage(x),))[0], theirs((fa.TensorImage(x.permute(0, 3, 1, 2)),))[0]
    close('IntToFloatTensor, then Normalize', ours, theirs)

# ---- data

def data():
    "Splits, vocabulary, targets"
    def split(lib, p, seed, n): return [list(o) for o in lib.RandomSplitter(p, seed=seed)(range(n))]
    cases = [(p, seed, n) for p in (.2, .33) for seed in (0, 42) for n in (5, 100, 5011)]
    same = [split(cl, *o) == split(fa, *o) for o in cases]
    check('RandomSplitter', all(same), f'{sum(same)} of {len(same)} equal')
    r = random.Random(0)
    names = 'cat dog car person boat'.split()
    df = pd.DataFrame({'labels': [' '.join(r.sample(names, r.randint(1, 3))) for _ in range(60)]})
    df['is_valid'] = df.index % 4 == 0
    def dsets(lib):
        block = lib.DataBlock(blocks=(lib.TransformBlock, lib.MultiCategoryBlock), get_x=lambda r: r['labels'],
                              get_y=lambda r: r['labels'].split(), splitter=lib.ColSplitter())
        return block.datasets(df)
    ours, theirs = dsets(cl), dsets(fa)
    check('vocab', list(ours.vocab) == list(theirs.vocab))
    for part in 'train', 'valid':
        x, y = getattr(ours, part), getattr(theirs, part)
        same = len(x) == len(y) and all(torch.equal(plain(x[i][1]), plain(y[i][1])) for i in range(len(x)))
        check(f'one-hot targets, {part}', same)
    batch = [(torch.arange(6).float(), i) for i in range(4)]
    close('collate', cl.collate(batch)[0], fa.fa_collate(batch)[0])

# ---- losses and metrics

def losses():
    "Losses"
    torch.manual_seed(0)
    x, t, c = torch.randn(16, 6)*3, (torch.rand(16, 6) > .7).float(), torch.randint(6, (16,))
    cases = [('BCEWithLogitsLossFlat', {}, t), ('BCEWithLogitsLossFlat', dict(pos_weight=torch.full((6,), 3.)), t),
             ('BCEWithLogitsLossFlat', dict(thresh=.2), t), ('CrossEntropyLossFlat', {}, c),
             ('CrossEntropyLossFlat', dict(label_smoothing=.1), c), ('MSELossFlat', {}, t)]
    for name,args,y in cases:
        ours, theirs, said = getattr(cl, name)(**args), getattr(fa, name)(**args), f"{name}({', '.join(args)})"
        # fastai flattens, so that a weight for each class does not fit it
        if 'pos_weight' not in args: close(said, ours(x, y), theirs(x, y))
        for what in 'activation', 'decodes':
            if not hasattr(theirs, what): continue
            close(f'{said}.{what}', getattr(ours, what)(x).float(), getattr(theirs, what)(x).float())

def metrics():
    "Metrics"
    torch.manual_seed(0)
    x, t = torch.randn(200, 8)*2, (torch.rand(200, 8) > .8).float()
    # an item without a class counts 0 in 'samples' there, and is left out here, as ap_multi says
    t[t.sum(1) == 0, 0] = 1
    for thresh in .2, .5:
        ours, theirs = [lib.accuracy_multi(x, t, thresh) for lib in (cl, fa)]
        close(f'accuracy_multi, thresh={thresh}', ours, theirs)
    ours, theirs = [lib.accuracy_multi(x.sigmoid(), t, sigmoid=False) for lib in (cl, fa)]
    close('accuracy_multi, sigmoid=False', ours, theirs)
    c = torch.randint(8, (200,))
    for name in 'accuracy', 'error_rate': close(name, getattr(cl, name)(x, c), getattr(fa, name)(x, c))
    close('mse', cl.mse(x, t), fa.mse(x, t))
    close('rmse', float(cl.rmse(x, t)), float(fa.rmse(x, t)))
    for name in 'F1ScoreMulti', 'APScoreMulti':
        for average in 'macro', 'micro', 'weighted', 'samples':
            ours, theirs = [getattr(lib, name)(average=average) for lib in (cl, fa)]
            for m in ours, theirs: m.reset()
            for i in range(0, 200, 64): # as an epoch does it, batch by batch
                ours.accumulate(x[i:i+64], t[i:i+64])
                theirs.accumulate(SimpleNamespace(pred=x[i:i+64], y=t[i:i+64], to_detach=fa.to_detach))
            close(f'{name}, {average}', float(ours.value), float(theirs.value))

# ---- training

def small_dls(lib, n=50, bs=8):
    g = torch.Generator().manual_seed(1)
    ds = [(torch.randn(5, generator=g), (torch.rand(3, generator=g) > .5).float()) for _ in range(n)]
    return lib.DataLoaders(lib.DataLoader(ds, bs=bs), lib.DataLoader(ds[:21], bs=bs), device='cpu')

def small_learner(lib, metrics=None, **kwargs):
    torch.manual_seed(0)
    middle = nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8))
    model = nn.Sequential(nn.Linear(5, 8, bias=False), middle, nn.Linear(8, 3))
    return lib.Learner(small_dls(lib), model, loss_func=nn.BCEWithLogitsLoss(), metrics=metrics,
                       splitter=lambda m: [list(c.parameters()) for c in m], **kwargs)

def hypers(learn):
    "What the optimiser uses for each group: [(lr, momentum), ...]"
    if hasattr(learn.opt, 'hypers'): return [(h['lr'], h['mom']) for h in learn.opt.hypers]
    return list({g['group']: (g['lr'], g['betas'][0]) for g in learn.opt.param_groups}.values())

def train(lib, method, *args, **kwargs):
    seen = []
    class Watch(lib.Callback):
        def before_step(self): seen.append(hypers(self.learn))
    learn = small_learner(lib, metrics=lib.accuracy_multi, cbs=Watch())
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kwargs)
    return learn, np.array(seen)

CALLS = [('fit', 2, 1e-2), ('fit', 1, slice(1e-4, 1e-2)), ('fit', 1, slice(1e-2)), ('fit_one_cycle', 3, 1e-2),
         ('fit_one_cycle', 2, slice(1e-4, 1e-2)), ('fine_tune', 2), ('fine_tune', 3, 1e-2)]

def weights(learn): return nn.utils.parameters_to_vector(learn.model.parameters())
def last_losses(learn): return np.array([float(o) for o in learn.recorder.losses[-5:]])
def last_values(learn): return np.array(learn.recorder.values[-1][1:])

def training():
    "Schedules and training"
    for call in CALLS:
        (ours, seen), (theirs, seen_there) = train(cl, *call), train(fa, *call)
        name = f"{call[0]}({', '.join(map(str, call[1:]))})"
        close(f'{name}: learning rate and momentum, each step and group', seen, seen_there, atol=1e-9)
        close(f'{name}: weights after it', weights(ours), weights(theirs), atol=2e-5)
        close(f'{name}: smoothed losses', last_losses(ours), last_losses(theirs), atol=1e-5)
        close(f'{name}: validation loss and metric', last_values(ours), last_values(theirs), atol=1e-5)
    ours, theirs = small_learner(cl, cl.accuracy_multi), small_learner(fa, fa.accuracy_multi)
    with theirs.no_bar(): close('validate, last batch short', np.array(ours.validate()), np.array(theirs.validate()))
    ours.loss_func, theirs.loss_func = cl.BCEWithLogitsLossFlat(), fa.BCEWithLogitsLossFlat()
    with theirs.no_bar(): a, b = ours.get_preds(with_decoded=True), theirs.get_preds(with_decoded=True)
    for i,what in enumerate(('predictions', 'targets', 'decisions')):
        close(f'get_preds: {what}', a[i].float(), b[i].float())

# ---- models

def leaves(m):
    "The layers in order, each as name, shapes, dropout; a pooling of two kinds is one layer."
    if type(m).__name__ == 'AdaptiveConcatPool2d': return ['AdaptiveConcatPool2d']
    # `children()` leaves out a second use of one layer, and fastai uses one ReLU twice
    inner = list(m._modules.values())
    if inner: return [o for c in inner for o in leaves(c)]
    shapes, settings = [tuple(p.shape) for p in m.parameters()], [getattr(m, o, None) for o in ('p', 'eps', 'momentum')]
    return [(type(m).__name__, shapes, *settings)]

HEADS = [{}, dict(lin_ftrs=[64, 32]), dict(ps=.2), dict(ps=0.), dict(concat_pool=False), dict(pool=False),
         dict(bn_final=True), dict(y_range=(-1, 1))]

def first_bias(head): return next(m for m in head.modules() if isinstance(m, nn.BatchNorm1d)).bias
def with_state_of(model, other):
    "`model` with the weights of `other`, in the order in which they are."
    model.load_state_dict(dict(zip(model.state_dict(), other.state_dict().values())))
    return model

def head():
    "Head"
    for kw in HEADS:
        ours, theirs = cl.create_head(24, 7, **kw), fa.create_head(24, 7, **kw)
        said = f"create_head({', '.join(f'{k}={v}' for k,v in kw.items())})"
        a, b = leaves(ours), leaves(theirs)
        detail = '' if a == b else f'{[x for x in a if x not in b]} but {[x for x in b if x not in a]}'
        check(f'{said}: layers', a == b, detail)
        close(f'{said}: first batch-norm bias', first_bias(ours), first_bias(theirs))
        x = torch.randn(4, 24, 3, 3) if kw.get('pool', True) else torch.randn(4, 24)
        close(f'{said}: outputs', with_state_of(ours, theirs).eval()(x), theirs.eval()(x))

def models():
    "vision_learner, resnet18 from random weights"
    settings = dict(n_out=3, pretrained=False, loss_func=nn.BCEWithLogitsLoss())
    ours = cl.vision_learner(small_dls(cl), cl.resnet18, **settings)
    theirs = fa.vision_learner(small_dls(fa), fa.models.resnet18, **settings)
    for learn in ours, theirs: learn.create_opt()
    groups, groups_there = ours.param_lists, theirs.opt.param_lists
    def shapes(groups): return [sorted(tuple(p.shape) for p in g) for g in groups]
    check('groups of parameters', shapes(groups) == shapes(groups_there),
          f'{[len(g) for g in groups]} and {[len(g) for g in groups_there]}')
    state, state_there = [[v.shape for v in learn.model.state_dict().values()] for learn in (ours, theirs)]
    check('shapes of the state dict', state == state_there)
    with_state_of(ours.model, theirs.model)
    x = torch.randn(2, 3, 64, 64)
    close('outputs', ours.model.eval()(x), theirs.model.eval()(x), atol=1e-4)
    for method in 'freeze', 'unfreeze':
        for learn in ours, theirs: getattr(learn, method)()
        trains, trains_there = [[p.requires_grad for p in learn.model.parameters()] for learn in (ours, theirs)]
        check(f'{method}: what trains', trains == trains_there)
    bare = {id(p) for g in ours.opt.param_groups if not g['decay'] for p in g['params']}
    decayed = [s.get('do_wd', True) for p,pg,s,h in theirs.opt.all_params()]
    check('without weight decay', [id(p) not in bare for p in ours.model.parameters()] == decayed)

# ---- small things

def small():
    "The table of small things: is the record what fastai gives?"
    kept = small_things.recorded()
    now = {name: small_things.run(code, fa) for name,code in small_things.things()}
    other = [name for name in now if name not in kept or not small_things.same(kept[name], now[name])]
    check('recorded as it is', not other and len(kept) == len(now), ', '.join([f'{len(now)} things', *other]))

for f in crops, normalising, data, losses, metrics, training, head, models, small:
    if len(sys.argv) == 1 or f.__name__ in sys.argv[1:]: group(f)
print(f'\n{len(failed)} failed' + ''.join(f'\n  {o}' for o in failed))
sys.exit(bool(failed))
