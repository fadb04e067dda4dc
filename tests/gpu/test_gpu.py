"What only a graphics card does: copies to it, half precision, its memory layout, compiled models, NCCL."
import gc, subprocess, sys
import pytest
from course_lib.all import *
from course_lib.core import map_tensors, random_state, set_random_state, to_cpu, to_device
from tests.helpers import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')]
DEVICE = 'cuda'

@pytest.fixture(autouse=True)
def exact():
    "Products of matrices in float32 are rounded to fewer bits by default on some cards: not here."
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision('highest')
    yield
    torch.backends.cudnn.allow_tf32 = before[0]
    torch.set_float32_matmul_precision(before[1])

def pictures(n=48, size=24):
    "Pictures, each with a bright half, and the names of the halves."
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 120, (n, size, size, 3), dtype='uint8'), [['left'], ['right'], ['left', 'right'], []]
    for i in range(n):
        if 'left' in y[i % 4]: x[i, :, :size//2] += 120
        if 'right' in y[i % 4]: x[i, :, size//2:] += 120
    return x, [y[i % 4] for i in range(n)]

def loaders(device=None, **kwargs):
    x, y = pictures()
    block = DataBlock((ImageBlock, MultiCategoryBlock), get_x=lambda i: x[i], get_y=lambda i: y[i],
                      splitter=IndexSplitter(range(0, 48, 3)), batch_tfms=Normalize.from_stats(*imagenet_stats))
    return block.dataloaders(range(48), **{'bs': 8, 'num_workers': 2, 'device': device, **kwargs})

def net(norm=nn.BatchNorm2d): return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), norm(8), nn.ReLU(),
                                                  nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(16, 2))

def make(device=DEVICE, model=net, **kwargs):
    set_seed(0)
    return Learner(loaders(device), model(), metrics=accuracy_multi, **kwargs)

def fit(learn, n=2, lr=1e-2):
    set_seed(1)
    with learn.no_bar(), learn.no_logging(): learn.fit(n, lr)
    return learn

def weights(learn): return {k: v.float().cpu() for k,v in learn.model.state_dict().items()}
def same(a, b, eps): return all(torch.allclose(v, b[k], atol=eps) for k,v in a.items())

# ---- where things are

def test_without_a_word_all_is_on_the_card():
    dls = loaders()
    learn = Learner(dls, net())
    assert {o.device.type for o in dls.one_batch()} == {DEVICE} == {p.device.type for p in learn.model.parameters()}

def test_batches_are_those_of_the_cpu():
    for there,here in zip(loaders(DEVICE).valid, loaders('cpu').valid):
        for a,b in zip(to_cpu(there), here): assert torch.allclose(a.plain(), b.plain(), atol=1e-5)

def test_predictions_come_back_to_the_cpu_in_order():
    learn = fit(make())
    preds, targs = learn.get_preds()
    assert preds.device.type == targs.device.type == 'cpu'
    assert torch.equal(targs, torch.cat([o[1].plain().cpu() for o in learn.dls.valid]))
    assert learn.predict(pictures()[0][0])[2].device.type == 'cpu'

# ---- copies

@pytest.mark.parametrize('nested', [lambda t: t, lambda t: (t, [t + 1]), lambda t: {'x': t}])
def test_a_pinned_batch_that_is_copied_meanwhile_arrives_whole(nested):
    batch = torch.randn(64, 3, 128, 128).pin_memory()
    there = to_device(nested(batch), DEVICE, non_blocking=True)
    busy = torch.randn(2000, 2000, device=DEVICE) @ torch.randn(2000, 2000, device=DEVICE)
    torch.cuda.synchronize()
    assert busy.isfinite().all()
    back, sent = [], []
    map_tensors(back.append, to_cpu(there)), map_tensors(sent.append, nested(batch))
    assert len(back) == len(sent) and all(torch.equal(a, b) for a,b in zip(back, sent))

def test_memory_that_a_batch_came_from_may_be_used_again():
    "What is not pinned is copied at once, also where `non_blocking` is asked for: loaders reuse the memory."
    batch = torch.ones(2**22)
    there = to_device(batch, DEVICE, non_blocking=True)
    batch.zero_()
    assert there.sum().item() == 2**22

# ---- training

def test_a_training_is_that_of_the_cpu():
    opt = partial(SGD, mom=0.9)
    a, b = fit(make(opt_func=opt)), fit(make('cpu', opt_func=opt))
    assert same(weights(a), weights(b), 1e-3)
    assert list(a.validate()) == pytest.approx(list(b.validate()), abs=1e-3)

def test_the_same_seed_gives_the_same_weights():
    set_seed(1, reproducible=True)
    try: assert same(weights(fit(make())), weights(fit(make())), 0)
    finally: torch.backends.cudnn.deterministic = False

def test_random_state_holds_the_cards_too():
    torch.rand(1, device=DEVICE)
    state = random_state()
    a = torch.rand(5, device=DEVICE)
    set_random_state(state)
    assert torch.equal(a, torch.rand(5, device=DEVICE))

def test_what_a_fit_has_held_is_free_afterwards():
    fit(make())
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    for _ in range(3): fit(make())
    gc.collect()
    assert torch.cuda.memory_allocated() <= before + 2**20

# ---- half precision

@pytest.mark.parametrize('how, dtype', [('to_fp16', torch.float16), ('to_bf16', torch.bfloat16)])
def test_half_precision_learns_and_keeps_weights_in_float32(how, dtype):
    seen = set()
    class Look(Callback):
        def before_batch(self): self.hook = self.model[0].register_forward_hook(lambda m, i, o: seen.add(o.dtype))
        def after_batch(self): self.hook.remove()
        def after_loss(self): assert self.pred.dtype == self.loss_grad.dtype == torch.float32
    learn = make(cbs=Look())
    before = learn.validate()[0]
    seen.clear() # so far it was in float32
    fit(getattr(learn, how)(), 4)
    assert learn.validate()[0] < before and seen == {dtype}
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32}
    assert abs(learn.validate()[0] - learn.to_fp32().validate()[0]) < 0.02

def test_a_step_that_overflows_is_left_out_and_the_scale_halved():
    learn = make().to_fp16()
    class TooMuch(Callback):
        order = 1001 # after the scaler
        def before_backward(self): self.learn.loss_grad = self.loss_grad*float('inf')
    scale = learn.loss_scaler.scaler.get_scale()
    before = weights(learn)
    with learn.added_cbs(TooMuch()): fit(learn, 1)
    trained = [k for k,_ in learn.model.named_parameters()]
    assert all(torch.equal(before[k], weights(learn)[k]) for k in trained)
    assert learn.loss_scaler.scaler.get_scale() < scale

# ---- memory layout, compiled models

def test_convolutions_compute_in_channels_last():
    def is_last(t): return t.is_contiguous(memory_format=torch.channels_last)
    learn, seen = make(), []
    learn.model[0].register_forward_hook(lambda m, i, o: seen.append(is_last(o)))
    fit(learn, 1)
    assert seen and all(seen) and is_last(learn.model[0].weight)

def test_a_compiled_model_trains_to_the_same_weights():
    "Compiled in place, so that its weights keep their names."
    a, b = make(opt_func=SGD), make(opt_func=SGD)
    b.model.compile()
    fit(a), fit(b)
    assert list(weights(a)) == list(weights(b)) and same(weights(a), weights(b), 1e-3)

# ---- several cards

SCRIPT = '''
import sys; sys.path.insert(0, {root!r})
from tests.gpu.test_gpu import *
set_seed(0)
learn = Learner(loaders(bs=32//num_distrib()), net(nn.Identity), opt_func=SGD, path={folder!r})
set_seed(1)
with learn.no_bar(), learn.no_logging(), learn.distrib_ctx():
    learn.fit(2, 1e-2)
    learn.save(f'on_{{num_distrib()}}', with_opt=False)
'''

def trained(tmp_path, n):
    "The weights after a training on `n` cards."
    script = tmp_path/'train.py'
    script.write_text(SCRIPT.format(root=str(ROOT), folder=str(tmp_path)))
    command = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={n}', str(script)]
    run = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    saved = torch.load(tmp_path/'models'/f'on_{n}.pth', map_location='cpu')
    return saved.get('model', saved)

def test_a_training_on_all_cards_is_that_on_one(tmp_path):
    "By NCCL. With a single card this still goes through a group of one."
    n = torch.cuda.device_count()
    one, all_cards = trained(tmp_path, 1), trained(tmp_path, n)
    for k,v in one.items():
        if torch.is_tensor(v): assert torch.allclose(v, all_cards[k], atol=1e-4), k
