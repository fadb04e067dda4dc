"""What `save` and `export` write is what `load` and `load_learner` bring back.

The same training, the same predictions, elsewhere too."""
import json, subprocess, sys
import numpy as np, pytest, torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from course_lib.all import *
from course_lib.learner import SGD
from course_lib.export import build_model, describe, load_learner, name_activation
from course_lib.losses import BaseLoss, activations

def pictures(n=24, h=60, w=80):
    g = np.random.default_rng(0)
    return [np.asarray(Image.fromarray(g.integers(0, 255, (6, 8, 3), dtype='uint8')).resize((w, h))) for _ in range(n)]

PICS = pictures()
NAMES = ['black', 'grizzly', 'teddy']
TARGETS = dict(
    multicategory=(MultiCategoryBlock, lambda i: [o for k,o in enumerate(NAMES) if (i >> k) & 1]),
    category=(CategoryBlock, lambda i: NAMES[i%3]),
    points=(PointBlock, lambda i: [[3.*i, 2.*i], [5., 8.]]),
    numbers=(RegressionBlock, lambda i: [.1*i, 2., 3.]),
    number=(RegressionBlock, lambda i: .1*i))
SMALL = 'mobilenetv3_small_050'

def loaders(target='multicategory', item_tfms=Resize(64, method='squish'), batch_tfms=None):
    block, y = TARGETS[target]
    block = DataBlock((ImageBlock, block), get_x=lambda i: PICS[i], get_y=y, splitter=IndexSplitter(range(16, 24)),
                      item_tfms=item_tfms, batch_tfms=batch_tfms)
    return block.dataloaders(range(24), bs=8, device='cpu')

def learner(tmp_path, dls=None, arch=SMALL, pretrained=False, **kw):
    set_seed(7)
    learn = vision_learner(dls or loaders(), arch, pretrained=pretrained, path=tmp_path, **kw)
    for m in learn.model.modules(): # as after a training: statistics that matter
        if isinstance(m, nn.BatchNorm2d): m.running_mean.uniform_(-.1, .1); m.running_var.uniform_(.5, 2)
    return learn

def same_predictions(learn, predictor, items):
    assert torch.equal(predictor.get_preds(items, bs=8), learn.get_preds(dl=learn.dls.test_dl(items))[0])
    for item in items[:3]:
        (a, b, c), (d, e, f) = learn.predict(item), predictor.predict(item)
        assert type(a) is type(d) and type(b) is type(e) and b.dtype == e.dtype and b.shape == e.shape
        assert torch.equal(a, d) if isinstance(a, torch.Tensor) else a == d
        assert torch.equal(b, e) and torch.equal(c, f)

# ---- export, load_learner

@pytest.mark.parametrize('target', TARGETS)
def test_every_target(tmp_path, target):
    learn = learner(tmp_path, loaders(target), y_range=(-1, 1) if target == 'points' else None)
    predictor = load_learner(learn.export())
    same_predictions(learn, predictor, PICS[:10])
    assert predictor.vocab == (L(NAMES) if 'category' in target else None)
    assert predictor.thresholds == ([.5]*3 if target == 'multicategory' else None)
    assert predictor.description['target'] == ('numbers' if target == 'number' else target)

def test_points_are_pixels(tmp_path):
    learn = learner(tmp_path, loaders('points', Resize((60, 80), method='squish')), y_range=(-1, 1))
    points, decision, scaled = load_learner(learn.export()).predict(PICS[5])
    assert type(points) is TensorPoint and points.shape == (2, 2)
    torch.testing.assert_close(points.plain(), (scaled.view(2, 2) + 1)*torch.tensor([80., 60.])/2)
    assert torch.equal(points.plain(), learn.predict(PICS[5])[0].plain())

@pytest.mark.parametrize('item,batch', [
    (Resize(64), None), (Resize((48, 80), method='pad', pad_mode='zeros'), None),
    (RandomResizedCrop(64, min_scale=.4, val_xtra=.3), None), (Resize(72), aug_transforms(size=64)),
    (Resize(72), aug_transforms(size=(48, 64), min_scale=.5, pad_mode='border')), (Resize(64), aug_transforms()),
    (Resize(64), [Normalize.from_stats([.1, .2, .3], [.4, .5, .6])])], ids=lambda o: None if o is None else str(o)[:40])
def test_every_way_to_a_size(tmp_path, item, batch):
    learn = learner(tmp_path, loaders(item_tfms=item, batch_tfms=batch))
    same_predictions(learn, load_learner(learn.export()), PICS[:5])

def test_pictures_of_many_sizes_opened_small(tmp_path):
    "Batch transforms that resize let JPEGs be decoded at a reduced size (Shrink), which the predictor must do too."
    files = [tmp_path/f'{k}.jpg' for k in range(6)]
    for f,p in zip(files, PICS): Image.fromarray(p).resize((640, 480)).save(f)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=lambda f: 'ab'[int(f.stem)%2],
                      splitter=IndexSplitter([4, 5]), batch_tfms=aug_transforms(size=64))
    learn = learner(tmp_path, block.dataloaders(files, bs=2, device='cpu'))
    predictor = load_learner(learn.export())
    assert 'Shrink' in [name for name,_ in predictor.description['item']]
    for f in files: assert torch.equal(predictor.predict(f)[2], learn.predict(f)[2])

@pytest.mark.parametrize('arch,kw', [
    (efficientnet_lite0, dict(pretrained=True)), (efficientnet_lite0, {}),
    (resnet18, dict(lin_ftrs=[64, 32], ps=[.1, .2, .3], bn_final=True)),
    (resnet18, dict(cut=6, concat_pool=False)), (SMALL, dict(ps=0., n_out=3)), ('vit_tiny_patch16_224', {}),
    (import_torchvision().models.mobilenet_v3_small, {})], ids=str)
def test_every_origin_of_an_architecture(tmp_path, arch, kw):
    learn = learner(tmp_path, loaders(item_tfms=Resize(224 if 'vit' in str(arch) else 64)), arch, **kw)
    same_predictions(learn, load_learner(learn.export()), PICS[:3])

def test_whatever_opens_a_picture(tmp_path):
    predictor = load_learner(learner(tmp_path).export())
    file = tmp_path/'p.png'
    Image.fromarray(PICS[0]).save(file)
    ways = (PICS[0], file, str(file), file.read_bytes(), Image.open(file), PILImage.create(file),
            torch.from_numpy(PICS[0].copy()))
    probs = [predictor.predict(o)[2] for o in ways]
    assert all(torch.equal(p, probs[0]) for p in probs)
    assert predictor.predict_batch(L(file, file)).shape == (2, 3)

@pytest.mark.parametrize('loss,act', [
    (nn.BCEWithLogitsLoss(), torch.sigmoid), (BCEWithLogitsLossFlat(thresh=.3), torch.sigmoid),
    (MSELossFlat(), lambda x: x)], ids=str)
def test_the_activation_of_the_loss(tmp_path, loss, act):
    learn = learner(tmp_path, loss_func=loss)
    predictor = load_learner(learn.export())
    assert predictor.thresholds == [getattr(loss, 'thresh', .5)]*3
    x = learn.dls.test_dl(PICS[:1]).one_batch()[0].plain()
    with torch.no_grad(): torch.testing.assert_close(predictor.predict(PICS[0])[2], act(learn.model(x))[0])

def test_thresholds(tmp_path):
    learn = learner(tmp_path)
    predictor = load_learner(learn.export('here.safetensors', thresholds=[.1, .9, .5]))
    assert predictor.thresholds == predictor.description['thresholds'] == [.1, .9, .5]
    names, decision, probs = predictor.predict(PICS[1])
    assert decision.tolist() == [float(p) > t for p,t in zip(probs, [.1, .9, .5])]
    assert names == [n for n,d in zip(NAMES, decision) if d]
    predictor.thresholds = 0
    assert predictor.predict(PICS[1])[0] == NAMES and predictor.thresholds == [0.]*3
    predictor.thresholds = torch.ones(3)
    assert predictor.predict(PICS[1])[0] == []
    assert load_learner(learn.export(thresholds=.25)).thresholds == [.25]*3

def test_names_that_json_must_keep(tmp_path):
    def data(get_y): return DataBlock((ImageBlock, CategoryBlock), get_x=lambda i: PICS[i], get_y=get_y,
        splitter=IndexSplitter([20, 21, 22]), item_tfms=Resize(64)).dataloaders(range(24), bs=8, device='cpu')
    learn = learner(tmp_path, data(lambda i: ['Bär "é"', 'a\nb', '熊'][i%3]))
    assert load_learner(learn.export()).vocab == sorted(['Bär "é"', 'a\nb', '熊'])
    learn = learner(tmp_path, data(lambda i: np.int64(i%3)))
    predictor = load_learner(learn.export())
    assert predictor.vocab == [0, 1, 2] and predictor.predict(PICS[0])[0] == learn.predict(PICS[0])[0]

def test_the_file_is_data(tmp_path):
    learn = learner(tmp_path)
    file = learn.export('sub/model.safetensors')
    assert file == tmp_path/'sub'/'model.safetensors' and list(file.parent.iterdir()) == [file]
    with safe_open(file, 'pt') as f: meta, keys = f.metadata(), set(f.keys())
    d = json.loads(meta['course_lib'])
    assert keys == set(learn.model.state_dict())
    assert d['arch'] == ['timm', SMALL] and d['format'] == 1 and d['library'].startswith('course_lib ')
    assert d['vocab'] == NAMES and d['activation'] == 'sigmoid'
    assert dict(d['item'])['Resize'] == dict(size=[64, 64], method='squish', pad_mode='reflection')

def test_a_trained_learner_goes_on_after_export(tmp_path):
    learn = learner(tmp_path, pretrained=True, arch=efficientnet_lite0, metrics=accuracy_multi)
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-2)
    before, rng = {k: v.clone() for k,v in learn.model.state_dict().items()}, torch.get_rng_state()
    predictor = load_learner(learn.export())
    assert all(torch.equal(v, before[k]) for k,v in learn.model.state_dict().items())
    assert torch.equal(rng, torch.get_rng_state())
    same_predictions(learn, predictor, PICS[:3])
    assert dict(predictor.description['batch'])['Normalize']['mean'] == pytest.approx([127/255]*3)
    with learn.no_logging(), learn.no_bar(): learn.fit(1, 1e-2)
    assert not torch.equal(predictor.get_preds(PICS[:2]), learn.get_preds(dl=learn.dls.test_dl(PICS[:2]))[0])

PROGRAM = """
import json, sys
from course_lib.export import load_learner
load_learner(sys.argv[1]) # what has to be imported is imported now
seen = []
sys.addaudithook(lambda event, args: seen.append((event, str(args[0]) if args else '')))
p = load_learner(sys.argv[1])
seen, told = [], seen
names, decision, probs = p.predict(sys.argv[2])
print(json.dumps([list(names), decision.tolist(), probs.tolist(), told]))
"""

def test_in_a_new_process_without_code_or_network(tmp_path):
    learn = learner(tmp_path, pretrained=True, arch=efficientnet_lite0)
    file, picture = learn.export(), tmp_path/'p.png'
    Image.fromarray(PICS[2]).save(picture)
    out = subprocess.run([sys.executable, '-c', PROGRAM, file, picture], capture_output=True, text=True, check=True,
                         cwd=tmp_path).stdout
    names, decision, probs, events = json.loads(out)
    a, b, c = learn.predict(picture)
    assert (names, decision, probs) == (list(a), b.tolist(), c.tolist())
    forbidden = {'pickle.find_class', 'exec', 'compile', 'socket.connect', 'socket.getaddrinfo', 'subprocess.Popen',
                 'os.system', 'urllib.Request'}
    assert not {e for e,_ in events} & forbidden
    opened = {Path(f).name for e,f in events if e == 'open'}
    assert opened <= {file.name}, 'no pretrained weights are read'

def test_on_the_meta_device(tmp_path):
    "No numbers there, but every weight and every input must go where it is told."
    predictor = load_learner(learner(tmp_path).export(), device='meta')
    assert predictor.device.type == 'meta' and all(t.is_meta for t in predictor.model.state_dict().values())
    x, = predictor.dls.test_dl(PICS[:2], bs=2).one_batch()
    assert x.is_meta and predictor.model(x.plain()).shape == (2, 3) and 'meta' in repr(predictor)

ELSEWHERE = 'cuda' if torch.cuda.is_available() else 'mps' if torch.backends.mps.is_available() else None

@pytest.mark.skipif(ELSEWHERE is None, reason='there is no device but the CPU')
def test_on_another_device(tmp_path):
    learn = learner(tmp_path)
    there = load_learner(learn.export(), device=ELSEWHERE)
    here = learn.get_preds(dl=learn.dls.test_dl(PICS))[0]
    torch.testing.assert_close(there.get_preds(PICS), here, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(there.to('cpu').get_preds(PICS, bs=8), learn.get_preds(dl=learn.dls.test_dl(PICS))[0])
    back = load_learner(learner(tmp_path, loaders().to(ELSEWHERE)).export())
    assert back.device.type == 'cpu' and back.predict(PICS[0])[2].device.type == 'cpu'

def test_says_what_it_is(tmp_path):
    several, points = (load_learner(learner(tmp_path, loaders(t)).export()) for t in ('multicategory', 'points'))
    assert repr(several) == f'Predictor: multicategory of black, grizzly, teddy; {SMALL} on cpu'
    assert repr(points) == f'Predictor: points; {SMALL} on cpu'

# ---- what is known by itself, and what was known before

def resized(item, batch=None, **kw):
    return lambda path: learner(path, loaders(item_tfms=item, batch_tfms=batch), **kw)

def opened_small(path):
    files = [path/f'{k}.jpg' for k in range(6)]
    for f,p in zip(files, PICS): Image.fromarray(p).resize((640, 480)).save(f)
    block = DataBlock((ImageBlock, CategoryBlock), get_y=lambda f: 'ab'[int(f.stem)%2],
                      splitter=IndexSplitter([4, 5]), batch_tfms=aug_transforms(size=64))
    return learner(path, block.dataloaders(files, bs=2, device='cpu'))

HOW = { # the learners whose files version 0.1 described as in exported_0.1.json
    'several labels': lambda path: learner(path, loaders()),
    'one label': lambda path: learner(path, loaders('category')),
    'points': lambda path: learner(path, loaders('points', Resize((60, 80), method='squish')), y_range=(-1, 1)),
    'a number': lambda path: learner(path, loaders('number')),
    'random crop': resized(RandomResizedCrop(64, min_scale=.4, val_xtra=.3)),
    'padded': resized(Resize((48, 80), method='pad', pad_mode='zeros')),
    'augmented and cropped': resized(Resize(72), aug_transforms(size=(48, 64), min_scale=.5, pad_mode='border')),
    'normalised': resized(Resize(64), [Normalize.from_stats([.1, .2, .3], [.4, .5, .6])]),
    'its own head': resized(Resize(64), arch=resnet18, lin_ftrs=[64, 32], ps=[.1, .2, .3], bn_final=True),
    'opened small': opened_small}
BEFORE = json.loads((Path(__file__).parent/'exported_0.1.json').read_text())

@pytest.mark.parametrize('name', BEFORE)
def test_files_of_version_0_1(tmp_path, name):
    "They are read, and answer as the learner does; files of today say the same."
    d, learn = BEFORE[name], HOW[name](tmp_path)
    thresholds = d.get('thresholds')
    assert dict(describe(learn, thresholds), library=d['library']) == d
    weights = {k: v.contiguous() for k,v in learn.model.state_dict().items()}
    save_file(weights, tmp_path/'old.safetensors', {'format': 'pt', 'course_lib': json.dumps(d)})
    predictor = load_learner(tmp_path/'old.safetensors')
    assert predictor.description == d and predictor.thresholds == thresholds
    item = tmp_path/'1.jpg' if name == 'opened small' else PICS[1]
    assert torch.equal(predictor.predict(item)[2], learn.predict(item)[2])

def test_every_loss_of_the_course_has_a_known_activation():
    for loss in BaseLoss.__subclasses__(): assert name_activation(loss(), 3) in activations

def test_a_new_activation_needs_no_word_in_export(tmp_path, monkeypatch):
    class Wave(BCEWithLogitsLossFlat):
        def activation(self, x): return torch.cos(x)
    monkeypatch.setitem(activations, 'wave', torch.cos) # the line beside a new loss
    learn = learner(tmp_path, loss_func=Wave())
    predictor = load_learner(learn.export())
    assert predictor.description['activation'] == 'wave'
    same_predictions(learn, predictor, PICS[:2])

def test_a_new_transform_needs_no_word_in_export(tmp_path, monkeypatch):
    monkeypatch.setitem(SampleTransform.known, 'Dim', None) # to be forgotten after the test
    class Dim(SampleTransform):
        order, saved, __module__ = Order.LIGHT, ('by',), 'course_lib.somewhere'
        def __init__(self, by=2.): self.by = by
        def apply(self, x, drawn): return x/self.by if isinstance(x, TensorImage) else x
    learn = learner(tmp_path, loaders(batch_tfms=[Dim(3.)]))
    predictor = load_learner(learn.export())
    assert ['Dim', dict(by=3.)] in predictor.description['batch']
    same_predictions(learn, predictor, PICS[:3])

def test_a_model_built_again_disturbs_no_draw(tmp_path):
    d, before = BEFORE['one label'], torch.get_rng_state()
    build_model(d)
    assert torch.equal(torch.get_rng_state(), before)

# ---- save, load

def small(path, opt_func=Adam, **kw):
    set_seed(3)
    x = torch.randn(64, 5)
    dl = DataLoader(list(zip(x, (x[:, :2] > 0).float())), bs=8, shuffle=True)
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    return Learner(DataLoaders(dl, dl), model, nn.BCEWithLogitsLoss(), opt_func, path=path, **kw)

def fit(learn, seed, n=2, **kw):
    set_seed(seed)
    with learn.no_logging(), learn.no_bar(): learn.fit(n, 0.01, **kw)

def states(learn):
    return [*learn.model.state_dict().values(), *(t for s in learn.opt.state.values() for t in s.values())]
def equal(a, b): return len(states(a)) == len(states(b)) and all(torch.equal(p, q) for p,q in zip(states(a), states(b)))

@pytest.mark.parametrize('opt', [Adam, partial(SGD, mom=.9), partial(torch.optim.RMSprop, momentum=.5)],
                         ids=['Adam', 'SGD', 'RMSprop'])
@pytest.mark.parametrize('wd_bn_bias', [False, True])
def test_goes_on_as_without_the_interruption(tmp_path, opt, wd_bn_bias):
    whole = small(tmp_path, opt, wd_bn_bias=wd_bn_bias)
    fit(whole, 1)
    file = whole.save('half way')
    assert file == tmp_path/'models'/'half way.pth' and list(file.parent.iterdir()) == [file]
    again = small(tmp_path, opt, wd_bn_bias=wd_bn_bias).load('half way')
    for learn in whole, again: fit(learn, 2)
    assert equal(whole, again)
    alone = small(tmp_path, opt, wd_bn_bias=wd_bn_bias).load('half way', with_opt=False)
    fit(alone, 2)
    assert not equal(whole, alone)

def test_goes_on_with_groups_half_frozen(tmp_path):
    split = lambda m: [list(m[0].parameters()), list(m[1:].parameters())]
    whole = small(tmp_path, splitter=split)
    whole.freeze()
    fit(whole, 1)
    whole.save('frozen')
    again = small(tmp_path, splitter=split)
    again.freeze()
    again.load('frozen')
    for learn in whole, again:
        set_seed(2)
        with learn.no_logging(), learn.no_bar(): learn.fit_one_cycle(2, slice(1e-3, 1e-2))
    assert equal(whole, again)

def test_rates_from_numpy_can_be_read_again(tmp_path):
    learn = small(tmp_path)
    with learn.no_logging(), learn.no_bar(): learn.fit(1, lr=np.float64(.01), wd=np.float64(.1))
    learn.save('numpy')
    assert small(tmp_path).load('numpy').opt.param_groups[0]['lr'] == .01

def test_names_of_files(tmp_path):
    learn = small(tmp_path)
    assert learn.save('a') == learn.save('a.pth') == learn.save(Path('a')) == tmp_path/'models'/'a.pth'
    deep = tmp_path/'deep'/'er'
    assert learn.save(deep/'b') == deep/'b.pth' and learn.load(deep/'b', with_opt=False) is learn
    assert learn.save('epoch1.5').name == 'epoch1.5.pth'
    with pytest.warns(UserWarning, match='no state of an optimiser'): learn.load('a')

def test_the_file_is_that_of_torch(tmp_path):
    "Plain weights of torch can be loaded, and ours by torch."
    learn = small(tmp_path)
    fit(learn, 1)
    state = torch.load(learn.save('a'), weights_only=True)
    assert set(state) == {'model', 'opt'} and set(state['model']) == set(learn.model.state_dict())
    assert set(torch.load(learn.save('b', with_opt=False), weights_only=True)) == set(learn.model.state_dict())
    torch.save(nn.Sequential(nn.Linear(5, 8)).state_dict(), tmp_path/'models'/'part.pth')
    other = small(tmp_path).load('part', with_opt=False, strict=False)
    assert torch.equal(other.model[0].weight, torch.load(tmp_path/'models'/'part.pth')['0.weight'])
