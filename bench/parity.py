"""course_lib's numbers beside fastai's own, in one process: PASS or FAIL for each line, exit status 1 after a FAIL.

`parity.py metrics head` runs only these groups. Pictures are made in memory, so there is no JPEG between the two (course_lib decodes those at reduced scale).
"""
import random, sys
from types import SimpleNamespace
import numpy as np, pandas as pd, torch
from torch import nn
from common import load

fa, cl = load('fastai'), load('course_lib')
failed = []

def check(name, ok, detail=''):
    print(f"{'PASS' if ok else 'FAIL'}  {name}{f' ({detail})' if detail else ''}", flush=True)
    if not ok: failed.append(name)

def close(name, a, b, atol=1e-6, rtol=1e-5):
    a, b = [np.asarray(o.detach().as_subclass(torch.Tensor) if isinstance(o, torch.Tensor) else o, dtype='float64') for o in (a, b)]
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
            random.seed(i); x = ours(cl.PILImage.create(a), split_idx=split)
            random.seed(i); y = theirs(fa.PILImage.create(a), split_idx=split)
            x, y = np.asarray(x).astype(int), np.asarray(y).astype(int)
            if x.shape != y.shape: return check(name, False, f'sizes {x.shape[:2]} and {y.shape[:2]}')
            worst = max(worst, np.abs(x-y).max())
    check(name, worst == 0, f'largest difference {worst} of 255')

def crops():
    "RandomResizedCrop and Resize"
    boxes = []
    for kw in dict(min_scale=0.35), {}, dict(min_scale=0.9), dict(ratio=(1, 1)), dict(max_scale=0.5):
        ours, theirs = cl.RandomResizedCrop(128, **kw), fa.RandomResizedCrop(128, **kw)
        for i in range(1000):
            r = random.Random(i)
            size = r.randint(10, 700), r.randint(10, 700) # some are so long that all ten tries fail
            random.seed(i); theirs.before_call(fa.PILImage.create(np.zeros((size[1], size[0], 3), 'uint8')), 0)
            (left, top), (w, h) = theirs.tl, theirs.cp_size
            boxes.append(tuple(ours.box(size, random.Random(i))) == (left, top, left+w, top+h))
    check('boxes from the same random numbers', all(boxes), f'{sum(boxes)} of {len(boxes)} equal')
    for size in 128, (96, 160):
        same_pixels(f'RandomResizedCrop({size}), training', cl.RandomResizedCrop(size, min_scale=0.35), fa.RandomResizedCrop(size, min_scale=0.35), [0])
        same_pixels(f'RandomResizedCrop({size}), validation', cl.RandomResizedCrop(size, min_scale=0.35), fa.RandomResizedCrop(size, min_scale=0.35), [1])
        for method in 'squish', 'crop': same_pixels(f'Resize({size}, {method!r})', cl.Resize(size, method), fa.Resize(size, method))
        for pad in 'zeros', 'border', 'reflection':
            same_pixels(f"Resize({size}, 'pad', {pad!r})", cl.Resize(size, 'pad', pad), fa.Resize(size, 'pad', pad))

def normalising():
    "From bytes to normalised floats"
    a = np.stack([p[:40, :40] for p in pictures()])
    stats = cl.imagenet_stats
    check('imagenet_stats', stats == fa.imagenet_stats)
    ours = cl.Pipeline([cl.IntToFloatTensor(), cl.Normalize.from_stats(*stats)])((cl.TensorImage(torch.from_numpy(a)),))[0]
    theirs = fa.Pipeline([fa.IntToFloatTensor(), fa.Normalize.from_stats(*stats, cuda=False)])((fa.TensorImage(torch.from_numpy(a).permute(0, 3, 1, 2)),))[0]
    close('IntToFloatTensor, then Normalize', ours, theirs)

# ---- data

def data():
    "Splits, vocabulary, targets"
    same = [tuple(map(list, cl.RandomSplitter(p, seed=s)(range(n)))) == tuple(map(list, fa.RandomSplitter(p, seed=s)(range(n))))
            for p in (.2, .33) for s in (0, 42) for n in (5, 100, 5011)]
    check('RandomSplitter', all(same), f'{sum(same)} of {len(same)} equal')
    r = random.Random(0)
    df = pd.DataFrame({'labels': [' '.join(r.sample('cat dog car person boat'.split(), r.randint(1, 3))) for _ in range(60)]})
    df['is_valid'] = df.index % 4 == 0
    def dsets(lib): return lib.DataBlock(blocks=(lib.TransformBlock, lib.MultiCategoryBlock), get_x=lambda r: r['labels'],
                                         get_y=lambda r: r['labels'].split(), splitter=lib.ColSplitter()).datasets(df)
    ours, theirs = dsets(cl), dsets(fa)
    check('vocab', list(ours.vocab) == list(theirs.vocab))
    for part in 'train', 'valid':
        x, y = getattr(ours, part), getattr(theirs, part)
        check(f'one-hot targets, {part}', len(x) == len(y) and all(torch.equal(x[i][1].as_subclass(torch.Tensor), y[i][1].as_subclass(torch.Tensor)) for i in range(len(x))))
    batch = [(torch.arange(6).float(), i) for i in range(4)]
    close('collate', cl.collate(batch)[0], fa.fa_collate(batch)[0])

# ---- losses and metrics

def losses():
    "Losses"
    torch.manual_seed(0)
    x, t, c = torch.randn(16, 6)*3, (torch.rand(16, 6) > .7).float(), torch.randint(6, (16,))
    for name,args,y in ('BCEWithLogitsLossFlat', {}, t), ('BCEWithLogitsLossFlat', dict(pos_weight=torch.full((6,), 3.)), t), ('BCEWithLogitsLossFlat', dict(thresh=.2), t), \
                       ('CrossEntropyLossFlat', {}, c), ('CrossEntropyLossFlat', dict(label_smoothing=.1), c), ('MSELossFlat', {}, t):
        ours, theirs, said = getattr(cl, name)(**args), getattr(fa, name)(**args), f"{name}({', '.join(args)})"
        if 'pos_weight' not in args: close(said, ours(x, y), theirs(x, y)) # fastai flattens, so that a weight for each class does not fit it
        for what in 'activation', 'decodes':
            if hasattr(theirs, what): close(f'{said}.{what}', getattr(ours, what)(x).float(), getattr(theirs, what)(x).float())

def metrics():
    "Metrics"
    torch.manual_seed(0)
    x, t = torch.randn(200, 8)*2, (torch.rand(200, 8) > .8).float()
    t[t.sum(1) == 0, 0] = 1 # an item without a class counts 0 in 'samples' there, and is left out here, as ap_multi says
    for thresh in .2, .5: close(f'accuracy_multi, thresh={thresh}', cl.accuracy_multi(x, t, thresh), fa.accuracy_multi(x, t, thresh))
    close('accuracy_multi, sigmoid=False', cl.accuracy_multi(x.sigmoid(), t, sigmoid=False), fa.accuracy_multi(x.sigmoid(), t, sigmoid=False))
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
    model = nn.Sequential(nn.Linear(5, 8, bias=False), nn.Sequential(nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8)), nn.Linear(8, 3))
    return lib.Learner(small_dls(lib), model, loss_func=nn.BCEWithLogitsLoss(), splitter=lambda m: [list(c.parameters()) for c in m],
                       metrics=metrics, **kwargs)

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

def training():
    "Schedules and training"
    for call in (('fit', 2, 1e-2), ('fit', 1, slice(1e-4, 1e-2)), ('fit', 1, slice(1e-2)), ('fit_one_cycle', 3, 1e-2), ('fit_one_cycle', 2, slice(1e-4, 1e-2)), ('fine_tune', 2), ('fine_tune', 3, 1e-2)):
        (ours, seen), (theirs, seen_there) = train(cl, *call), train(fa, *call)
        name = f"{call[0]}({', '.join(map(str, call[1:]))})"
        close(f'{name}: learning rate and momentum, each step and group', seen, seen_there, atol=1e-9)
        close(f'{name}: weights after it', nn.utils.parameters_to_vector(ours.model.parameters()), nn.utils.parameters_to_vector(theirs.model.parameters()), atol=2e-5)
        close(f'{name}: smoothed losses', np.array(ours.recorder.losses[-5:]), np.array([float(o) for o in theirs.recorder.losses[-5:]]), atol=1e-5)
        close(f'{name}: validation loss and metric', np.array(ours.recorder.values[-1][1:]), np.array(theirs.recorder.values[-1][1:]), atol=1e-5)
    ours, theirs = small_learner(cl, cl.accuracy_multi), small_learner(fa, fa.accuracy_multi)
    with theirs.no_bar(): close('validate, last batch short', np.array(ours.validate()), np.array(theirs.validate()))
    ours.loss_func, theirs.loss_func = cl.BCEWithLogitsLossFlat(), fa.BCEWithLogitsLossFlat()
    with theirs.no_bar(): a, b = ours.get_preds(with_decoded=True), theirs.get_preds(with_decoded=True)
    for i,what in enumerate(('predictions', 'targets', 'decisions')): close(f'get_preds: {what}', a[i].float(), b[i].float())

# ---- models

def leaves(m):
    "The layers in order, each as name, shapes, dropout; a pooling of two kinds is one layer."
    if type(m).__name__ == 'AdaptiveConcatPool2d': return ['AdaptiveConcatPool2d']
    inner = list(m._modules.values()) # `children()` leaves out a second use of one layer, and fastai uses one ReLU twice
    if inner: return [o for c in inner for o in leaves(c)]
    return [(type(m).__name__, [tuple(p.shape) for p in m.parameters()], getattr(m, 'p', None), getattr(m, 'eps', None), getattr(m, 'momentum', None))]

def head():
    "Head"
    for kw in {}, dict(lin_ftrs=[64, 32]), dict(ps=.2), dict(ps=0.), dict(concat_pool=False), dict(pool=False), dict(bn_final=True), dict(y_range=(-1, 1)):
        ours, theirs = cl.create_head(24, 7, **kw), fa.create_head(24, 7, **kw)
        said = f"create_head({', '.join(f'{k}={v}' for k,v in kw.items())})"
        a, b = leaves(ours), leaves(theirs)
        check(f'{said}: layers', a == b, '' if a == b else f'{[x for x in a if x not in b]} but {[x for x in b if x not in a]}')
        close(f'{said}: first batch-norm bias', *[next(m for m in h.modules() if isinstance(m, nn.BatchNorm1d)).bias for h in (ours, theirs)])
        ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values())))
        x = torch.randn(4, 24, 3, 3) if kw.get('pool', True) else torch.randn(4, 24)
        close(f'{said}: outputs', ours.eval()(x), theirs.eval()(x))

def models():
    "vision_learner, resnet18 from random weights"
    ours, theirs = [lib.vision_learner(small_dls(lib), lib.resnet18 if lib is cl else fa.models.resnet18, n_out=3, pretrained=False,
                                       loss_func=nn.BCEWithLogitsLoss()) for lib in (cl, fa)]
    for learn in ours, theirs: learn.create_opt()
    def shapes(groups): return [sorted(tuple(p.shape) for p in g) for g in groups]
    check('groups of parameters', shapes(ours.param_lists) == shapes(theirs.opt.param_lists), f'{[len(g) for g in ours.param_lists]} and {[len(g) for g in theirs.opt.param_lists]}')
    check('shapes of the state dict', [v.shape for v in ours.model.state_dict().values()] == [v.shape for v in theirs.model.state_dict().values()])
    ours.model.load_state_dict(dict(zip(ours.model.state_dict(), theirs.model.state_dict().values())))
    x = torch.randn(2, 3, 64, 64)
    close('outputs', ours.model.eval()(x), theirs.model.eval()(x), atol=1e-4)
    for method in 'freeze', 'unfreeze':
        for learn in ours, theirs: getattr(learn, method)()
        check(f'{method}: what trains', [p.requires_grad for p in ours.model.parameters()] == [p.requires_grad for p in theirs.model.parameters()])
    bare = {id(p) for g in ours.opt.param_groups if not g['decay'] for p in g['params']}
    decayed = [s.get('do_wd', True) for p,pg,s,h in theirs.opt.all_params()]
    check('without weight decay', [id(p) not in bare for p in ours.model.parameters()] == decayed)

for f in crops, normalising, data, losses, metrics, training, head, models:
    if len(sys.argv) == 1 or f.__name__ in sys.argv[1:]: group(f)
print(f'\n{len(failed)} failed' + ''.join(f'\n  {o}' for o in failed))
sys.exit(bool(failed))
