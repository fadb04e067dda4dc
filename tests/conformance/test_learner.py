"The learner against hand-written loops, closed forms and PyTorch's own."
import math, os, re, signal, subprocess, sys, threading
import pytest, torch
import torch.nn.functional as F
from fastcore.test import test_close as close
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.losses import *
from course_lib.metrics import *
from course_lib.groups import bn_bias_params
from course_lib.precision import *
from course_lib.learner import *
from course_lib.schedules import *
from course_lib import learner as learner_module

def toy_dls(n=100, n_valid=21, bs=8, n_in=5, n_out=3, **kw):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n + n_valid, n_in, generator=g)
    y = (x @ torch.randn(n_in, n_out, generator=g) > 0).float()
    ds = list(zip(x, y))
    return DataLoaders.from_dsets(ds[:n], ds[n:], bs=bs, device='cpu', **kw)

def net(n_in=5, n_out=3): return nn.Sequential(nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, n_out))

def quiet(learn, method='fit', *args, **kw):
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kw)
    return learn

def make(dls=None, model=net, loss_func=F.binary_cross_entropy_with_logits, **kw):
    set_seed(0)
    return Learner(dls or toy_dls(), model if isinstance(model, nn.Module) else model(), loss_func, **kw)

# ---- the loop

@pytest.mark.parametrize('wd', [0., 0.1])
def test_equals_hand_loop_bit_for_bit(wd):
    dls = toy_dls()
    learn = make(dls, wd_bn_bias=True)
    set_seed(3); quiet(learn, 'fit', 3, 1e-2, wd=wd)
    set_seed(0); model = net()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.99), eps=1e-5, weight_decay=wd, fused=True)
    set_seed(3)
    for _ in range(3):
        model.train()
        for x,y in dls.train:
            F.binary_cross_entropy_with_logits(model(x), y).backward()
            opt.step(); opt.zero_grad()
        for _ in dls.valid: pass # it draws from the generator too
    for a,b in zip(learn.model.state_dict().values(), model.state_dict().values()): assert torch.equal(a, b)

def test_equals_hand_loop_in_double_precision():
    "Against PyTorch's plain loop over parameters: only rounding may differ."
    dls = toy_dls()
    dls.train.after_batch = dls.valid.after_batch = lambda b: tuple(o.double() for o in b)
    learn = make(dls, lambda: net().double(), wd=0.)
    set_seed(3); quiet(learn, 'fit', 1, 1e-2)
    set_seed(0); model = net().double().train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.99), eps=1e-5, weight_decay=0,
                            foreach=False, fused=False)
    set_seed(3)
    for x,y in dls.train:
        F.binary_cross_entropy_with_logits(model(x), y).backward()
        opt.step(); opt.zero_grad()
    for a,b in zip(learn.model.parameters(), model.parameters()): close(a.detach(), b.detach(), eps=1e-10)

def test_smoothed_losses_are_debiased_running_means():
    raw = []
    class Keep(Callback):
        def after_loss(self):
            if self.training: raw.append(self.loss.item())
    learn = quiet(make(cbs=Keep()), 'fit', 2)
    val, expected = 0., []
    for k,l in enumerate(raw, 1):
        val = l + 0.98*(val - l)
        expected.append(val/(1 - 0.98**k))
    close(learn.recorder.losses, expected, eps=1e-5)
    assert len(raw) == 2*len(learn.dls.train) and learn.recorder.iters == [12, 24]
    assert learn.recorder.values[-1][0] == learn.recorder.losses[-1]

def test_events_come_in_order():
    seen = []
    def note(name): return lambda self: seen.append(name)
    Spy = type('Spy', (Callback,), {e: note(e) for e in learner_module.event_names})
    dls = toy_dls(n=16, n_valid=8)
    learn = make(dls, cbs=Spy())
    assert seen == ['after_create']
    seen.clear(); quiet(learn, 'fit', 1)
    batch = ['before_batch', 'after_pred', 'after_loss']
    step = ['before_backward', 'after_backward', 'before_step', 'after_step']
    assert seen == ['before_fit', 'before_epoch', 'before_train', *((batch + step + ['after_batch'])*2), 'after_train',
                    'before_validate', *batch, 'after_batch', 'after_validate', 'after_epoch', 'after_fit']

CANCELS = [('step', 'before_step', CancelStepException), ('backward', 'before_backward', CancelBackwardException),
           ('batch', 'after_pred', CancelBatchException), ('train', 'after_loss', CancelTrainException),
           ('validate', 'before_batch', CancelValidException),
           ('epoch', 'before_train', CancelEpochException), ('fit', 'after_loss', CancelFitException)]

@pytest.mark.parametrize('part,event,exc', CANCELS)
def test_cancelling(part, event, exc):
    """Each exception ends the part it names.

    `after_cancel_` and `after_` of that part still come, and the fit ends in order."""
    seen = []
    def raise_it(self):
        if part == 'fit' or self.training == (part != 'validate'): raise exc
    body = {event: raise_it, f'after_cancel_{part}': lambda self: seen.append('cancelled'),
            f'after_{part}': lambda self: seen.append('after'),
            'after_fit': (lambda self: seen.append('after')) if part == 'fit' else (lambda self: seen.append('end'))}
    learn = make(cbs=type('Stop', (Callback,), body)())
    before = {k: v.clone() for k,v in learn.model.named_parameters()}
    with learn.removed_cbs(Recorder), learn.removed_cbs([ProgressCallback, TerminateOnNaNCallback]): learn.fit(1)
    assert seen[:2] == ['cancelled', 'after']
    if part in ('step', 'batch', 'train', 'epoch', 'fit'):
        assert all(torch.equal(v, before[k]) for k,v in learn.model.named_parameters())
    assert not learn.model.training

def test_callback_sees_and_changes_the_learner():
    class Zero(Callback):
        def before_batch(self): self.learn.xb = tuple(torch.zeros_like(x) for x in self.xb)
        def after_pred(self): assert (self.pred == self.pred[0]).all()
    quiet(make(model=nn.Linear(5, 3), cbs=Zero()), 'fit', 1)

def test_run_train_and_run_valid():
    class Count(Callback):
        n = 0
        def before_batch(self): self.n += 1
    class Train(Count): run_valid = False
    class Valid(Count): run_train = False
    a, b = Train(), Valid()
    quiet(make(cbs=[a, b]), 'fit', 2)
    assert (a.n, b.n) == (24, 6)

def test_callbacks_of_a_fit_are_gone_afterwards():
    class Once(Callback): pass
    learn = quiet(make(), 'fit', 1, cbs=[Once, ParamScheduler({})])
    assert [type(c) for c in learn.cbs] == [Recorder, ProgressCallback, TerminateOnNaNCallback]
    assert not hasattr(learn, 'once') and not hasattr(learn, 'param_scheduler')

def test_error_in_callback_names_it():
    class Clumsy(Callback):
        def after_loss(self): raise RuntimeError('oh')
    with pytest.raises(RuntimeError) as e: quiet(make(cbs=Clumsy()), 'fit', 1)
    assert 'Clumsy' in e.value.__notes__[0] and 'after_loss' in e.value.__notes__[0]

def test_misspelt_event():
    with pytest.raises(TypeError, match='after_epoch'): type('Slip', (Callback,), {'after_epcoh': lambda self: None})

def test_callback_name_may_not_hide_an_attribute():
    class Model(Callback): pass
    with pytest.raises(ValueError, match="'model'"): make(cbs=Model())

def test_plain_tensors_reach_model_loss_and_metrics():
    class Typed(TensorBase): pass
    kinds = set()
    class M(nn.Module):
        def __init__(self): super().__init__(); self.l = nn.Linear(5, 3)
        def forward(self, x): kinds.add(type(x)); return self.l(x)
    def loss(p, t): kinds.update({type(p), type(t)}); return F.binary_cross_entropy_with_logits(p, t)
    def metric(p, t): kinds.update({type(p), type(t)}); return (p - t).abs().mean()
    dls = toy_dls()
    dls.train.after_batch = dls.valid.after_batch = lambda b: tuple(Typed(o) for o in b)
    quiet(make(dls, M(), loss, metrics=metric), 'fit', 1)
    assert kinds == {torch.Tensor}

def test_torch_data_loaders_work():
    ds = torch.utils.data.TensorDataset(torch.randn(40, 5), torch.rand(40, 3).round())
    loaders = [torch.utils.data.DataLoader(ds, 16, shuffle=s, drop_last=s) for s in (True, False)]
    learn = make(DataLoaders(*loaders))
    learn.device = torch.device('cpu')
    quiet(learn, 'fit', 1)
    assert torch.equal(learn.get_preds(ds_idx=0)[1], ds.tensors[1])

# ---- no waiting for the device

class Syncs(TorchDispatchMode):
    "Counts the operations that make a program wait for its device."
    def __init__(self): super().__init__(); self.n = 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        aten = torch.ops.aten
        self.n += func in (aten._local_scalar_dense.default, aten.is_nonzero.default, aten.equal.default)
        return func(*args, **(kwargs or {}))

def test_no_host_synchronisation_per_batch():
    "Twice as many batches in an epoch must not mean more reads from the device."
    counts = []
    for n in (160, 320):
        learn = make(toy_dls(n=n, n_valid=n), metrics=[accuracy_multi])
        learn.progress.every = 1e6
        with learn.no_bar(), learn.no_logging(), Syncs() as s: learn.fit(1)
        counts.append(s.n)
    assert counts[0] == counts[1] < 30, counts

def test_the_counter_of_synchronisations_counts():
    class Rude(Callback):
        def after_batch(self): self.loss.item()
    learn = make(toy_dls(n=160), cbs=Rude())
    with learn.no_bar(), learn.no_logging(), Syncs() as s: learn.fit(1)
    assert s.n >= 20

# ---- the optimiser

def test_decoupled_weight_decay_and_who_is_spared():
    learn = make(wd=0.1)
    learn.create_opt()
    learn.set_hyper('wd', 0.1); learn.set_hyper('lr', 0.5)
    before = {k: p.detach().clone() for k,p in learn.model.named_parameters()}
    for p in learn.model.parameters(): p.grad = torch.zeros_like(p)
    learn.opt.step()
    for k,p in learn.model.named_parameters():
        spared = k.endswith('bias') or k.startswith('1.')
        close(p.detach(), before[k]*(1 if spared else 0.95), eps=1e-6)

def test_wd_bn_bias_decays_all():
    learn = make(wd_bn_bias=True)
    learn.create_opt()
    assert all(g['decay'] for g in learn.opt.param_groups)

def test_bn_bias_params():
    inner = nn.Sequential(nn.Linear(4, 4, bias=False), nn.LayerNorm(4))
    m = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), inner, nn.GroupNorm(2, 4))
    names = {id(p): k for k,p in m.named_parameters()}
    norms = ['1.weight', '1.bias', '2.1.weight', '2.1.bias', '3.weight', '3.bias']
    assert [names[id(p)] for p in bn_bias_params(m)] == ['0.bias', *norms]
    assert [names[id(p)] for p in bn_bias_params(m, with_bias=False)] == norms

def three_groups(m): return [list(c.parameters()) for c in (m[0], m[1], m[3])]

@pytest.mark.parametrize('lr,expected', [
    (1e-3, [1e-3]*3), (slice(1e-3), [1e-4, 1e-4, 1e-3]), (slice(1e-5, 1e-3), [1e-5, 1e-4, 1e-3]),
    ([1., 2., 3.], [1., 2., 3.])])
def test_discriminative_rates(lr, expected):
    learn = make(splitter=three_groups)
    seen = []
    class Watch(Callback):
        def before_step(self): seen.append({g['group']: g['lr'] for g in self.opt.param_groups})
    quiet(learn, 'fit', 1, lr, cbs=Watch())
    assert all(list(s.values()) == pytest.approx(expected) for s in seen) and len(seen) == 12

@pytest.mark.parametrize('lr', [[1e-3, 1e-2], slice(None, None)])
def test_wrong_rates(lr):
    with pytest.raises(ValueError): quiet(make(splitter=three_groups), 'fit', 1, lr)

def test_freezing():
    learn = make(splitter=three_groups)
    def trains(): return [[p.requires_grad for p in g] for g in learn.param_lists]
    learn.freeze();      assert trains() == [[False]*2, [True]*2, [True]*2]      # the middle one is a batch-norm
    learn.freeze_to(1);  assert trains() == [[False]*2, [True]*2, [True]*2]
    learn.unfreeze();    assert trains() == [[True]*2]*3
    learn.train_bn = False
    learn.freeze();      assert trains() == [[False]*2, [False]*2, [True]*2]
    with pytest.raises(ValueError, match='3 group'): learn.freeze_to(3)

def test_frozen_parameters_do_not_move_and_unfreezing_forgets_averages():
    learn = make(splitter=three_groups, train_bn=False, wd=0.5)
    learn.freeze()
    before = [p.detach().clone() for p in learn.model[0].parameters()]
    quiet(learn, 'fit', 1, 1e-2)
    for p,b in zip(learn.model[0].parameters(), before): assert torch.equal(p, b)
    assert len(learn.opt.state) == 2
    learn.unfreeze()
    assert len(learn.opt.state) == 0

@pytest.mark.parametrize('opt_func', [
    SGD, partial(SGD, mom=0.9), torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop,
    partial(torch.optim.Adam, amsgrad=True)])
def test_other_optimisers(opt_func):
    learn = make(opt_func=opt_func)
    a = learn.validate()[0]
    quiet(learn, 'fit_one_cycle', 2, 1e-2)
    assert learn.validate()[0] < a

# ---- schedules

def cos(a, b, p): return a + (b-a)*(1 - math.cos(math.pi*p))/2

def one_cycle(n, lr, div=25., div_final=1e5, pct=0.25, moms=(0.95, 0.85, 0.95)):
    "The formula of the design, written down anew."
    lrs, ms = [], []
    for k in range(n):
        p = k/n
        if p < pct: lrs.append(cos(lr/div, lr, p/pct)); ms.append(cos(moms[0], moms[1], p/pct))
        else: lrs.append(cos(lr, lr/div_final, (p-pct)/(1-pct))); ms.append(cos(moms[1], moms[2], (p-pct)/(1-pct)))
    return lrs, ms

@pytest.mark.parametrize('kw', [
    {}, dict(div=10., div_final=100., pct_start=0.4, moms=(0.9, 0.8, 0.7)), dict(pct_start=0.99)])
def test_one_cycle_whole_list(kw):
    learn = quiet(make(), 'fit_one_cycle', 3, 0.01, **kw)
    settings = dict(div=25., div_final=1e5, pct_start=0.25, moms=(0.95, 0.85, 0.95)) | kw
    lrs, moms = one_cycle(36, 0.01, *settings.values())
    assert learn.recorder.lrs == pytest.approx(lrs, rel=1e-9)
    assert learn.recorder.moms == pytest.approx(moms, rel=1e-9)

def test_one_cycle_equals_pytorch():
    learn = quiet(make(), 'fit_one_cycle', 3, 0.01)
    n = 36
    opt = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], betas=(0.95, 0.99))
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 0.01, total_steps=n+1, pct_start=(0.25*n+1)/(n+1),
                                                div_factor=25, final_div_factor=1e5/25)
    lrs = []
    for _ in range(n): lrs.append(opt.param_groups[0]['lr']); opt.step(); sched.step()
    assert learn.recorder.lrs == pytest.approx(lrs, rel=1e-6)

def test_one_cycle_of_groups():
    seen = []
    class Watch(Callback):
        def before_step(self):
            def rate(i): return next(g['lr'] for g in self.opt.param_groups if g['group'] == i)
            seen.append([rate(i) for i in range(3)])
    quiet(make(splitter=three_groups), 'fit_one_cycle', 2, slice(1e-4, 1e-2), cbs=Watch())
    for i,lr in enumerate((1e-4, 1e-3, 1e-2)):
        assert [s[i] for s in seen] == pytest.approx(one_cycle(24, lr)[0], rel=1e-9)

def test_schedule_is_taken_back():
    learn = quiet(make(), 'fit_one_cycle', 1, 0.01)
    assert {g['betas'] for g in learn.opt.param_groups} == {(0.9, 0.99)}
    quiet(learn, 'fit', 1)
    assert set(learn.recorder.moms) == {0.9} and set(learn.recorder.lrs) == {1e-3}

def test_combine_scheds_checks():
    with pytest.raises(ValueError, match='sum to 1'): combine_scheds([0.5, 0.4], [SchedCos(0, 1)]*2)
    with pytest.raises(ValueError, match='negative'): combine_scheds([1.5, -0.5], [SchedCos(0, 1)]*2)
    f = combine_scheds([0., 0.5, 0.5], [SchedCos(9, 9), SchedCos(0, 1), SchedCos(1, 0)])
    assert [f(0), f(0.25), f(0.5), f(1)] == pytest.approx([0, 0.5, 1, 0])

# ---- validate and get_preds

def all_of(ds): return torch.stack([x for x,_ in ds]), torch.stack([y for _,y in ds])

def test_validate_weighs_a_short_last_batch():
    learn = make(metrics=[accuracy_multi, lambda p,t: (p-t).square().mean(), APScoreMulti()])
    assert len(learn.dls.valid) == 3 and learn.dls.valid.n == 21 # the last batch has 5
    loss, acc, sq, ap = learn.validate()
    x, y = all_of(learn.dls.valid.dataset)
    with torch.no_grad(): out = learn.model.eval()(x)
    close(loss, F.binary_cross_entropy_with_logits(out, y), eps=1e-6)
    close(acc, ((out > 0) == (y > 0)).float().mean(), eps=1e-6)
    close(sq, F.mse_loss(out, y), eps=1e-6)
    from sklearn.metrics import average_precision_score
    close(ap, average_precision_score(y.numpy(), out.numpy()), eps=1e-6)
    unweighted = sum(F.binary_cross_entropy_with_logits(out[i:i+8], y[i:i+8]).item() for i in (0, 8, 16))/3
    assert abs(unweighted - loss) > 1e-4

def test_validate_other_loader():
    learn = make()
    x, y = all_of(learn.dls.valid.dataset[:9])
    with torch.no_grad(): expected = F.binary_cross_entropy_with_logits(learn.model(x), y)
    close(learn.validate(dl=DataLoader(learn.dls.valid.dataset[:9], bs=4))[0], expected, eps=1e-6)

def test_metrics_can_be_replaced():
    learn = make(metrics=accuracy_multi)
    learn.metrics = partial(accuracy_multi, thresh=0.1)
    x, y = all_of(learn.dls.valid.dataset)
    close(learn.validate()[1], ((learn.model(x).sigmoid() > 0.1) == (y > 0)).float().mean(), eps=1e-6)
    assert learn.recorder.metric_names == ['epoch', 'train_loss', 'valid_loss', 'accuracy_multi', 'time']
    learn.recorder.add_time = False
    assert learn.recorder.metric_names[-1] == 'accuracy_multi'

@pytest.mark.parametrize('k', [0, 1])
def test_get_preds_in_order(k):
    learn = make(toy_dls(n=99))
    assert learn.dls.train.shuffle and learn.dls.train.drop_last
    inp, preds, targs, dec, losses = learn.get_preds(ds_idx=k, with_input=True, with_decoded=True, with_loss=True)
    x, y = all_of(learn.dls[k].dataset)
    with torch.no_grad(): out = learn.model(x)
    assert torch.equal(inp, x) and torch.equal(targs, y)
    close(preds, out.sigmoid(), eps=1e-6)
    assert torch.equal(dec, preds > 0.5)
    close(losses, F.binary_cross_entropy_with_logits(out, y, reduction='none').mean(1), eps=1e-6)

def softmax(o): return o.softmax(1)
def same(o): return o

LOSSES = [(nn.BCEWithLogitsLoss(), torch.sigmoid, 'multi'),
          (F.binary_cross_entropy_with_logits, torch.sigmoid, 'multi'),
          (binary_cross_entropy, torch.sigmoid, 'multi'), (BCEWithLogitsLossFlat(thresh=0.2), torch.sigmoid, 'multi'),
          (nn.CrossEntropyLoss(), softmax, 'one'), (F.cross_entropy, softmax, 'one'),
          (CrossEntropyLossFlat(), softmax, 'one'), (nn.MSELoss(), same, 'multi'), (MSELossFlat(), same, 'multi')]

@pytest.mark.parametrize('loss,act,kind', LOSSES, ids=[str(l[0])[:45] for l in LOSSES])
def test_get_preds_activates(loss, act, kind):
    dls = toy_dls()
    if kind == 'one': dls.train.after_batch = dls.valid.after_batch = lambda b: (b[0], b[1].argmax(1))
    learn = quiet(make(dls, loss_func=loss), 'fit', 1)
    preds, _, dec = learn.get_preds(with_decoded=True)
    with torch.no_grad(): out = learn.model(all_of(dls.valid.dataset)[0])
    close(preds, act(out), eps=1e-6)
    assert torch.equal(learn.get_preds(act=lambda o: o)[0], out)
    if kind == 'one': assert torch.equal(dec, out.argmax(1))
    elif isinstance(loss, BCEWithLogitsLossFlat): assert torch.equal(dec, out.sigmoid() > 0.2)

def test_get_preds_without_targets():
    learn = make()
    dl = DataLoader([(x,) for x,_ in learn.dls.valid.dataset], bs=8)
    preds, targs, losses = learn.get_preds(dl=dl, with_loss=True)
    assert targs is None and losses is None
    close(preds, learn.get_preds()[0])
    with pytest.raises(ValueError, match='target'): learn.validate(dl=dl)

def test_get_preds_leaves_the_recorder_alone():
    learn = quiet(make(metrics=accuracy_multi), 'fit', 1)
    before, values = learn.recorder, [list(v) for v in learn.recorder.values]
    learn.get_preds()
    assert learn.recorder is before and learn.recorder.values == values and len(learn.recorder.losses) == 12

def test_no_gradients_and_evaluation_mode():
    class Look(Callback):
        def after_pred(self): assert not self.training and not self.model.training and not self.pred.requires_grad
    learn = make()
    learn.validate(cbs=Look())
    assert not learn.get_preds()[0].requires_grad

# ---- a block's data: predict, show_results

@pytest.fixture
def block_learner():
    import course_lib.vision as v
    g = np.random.default_rng(0)
    pics = [g.integers(0, 255, (16, 16, 3), dtype='uint8') for _ in range(40)]
    labels = [['a', 'b'][:i%3] for i in range(40)]
    block = DataBlock((v.ImageBlock, MultiCategoryBlock), get_x=lambda i: pics[i], get_y=lambda i: labels[i],
                      splitter=IndexSplitter(range(30, 40)))
    dls = block.dataloaders(range(40), bs=8, device='cpu')
    set_seed(0)
    return Learner(dls, nn.Sequential(nn.Flatten(), nn.Linear(3*16*16, 2)))

def test_predict(block_learner):
    learn = block_learner
    preds, _ = learn.get_preds()
    for k in range(3):
        names, decision, probs = learn.predict(30 + k)
        close(probs, preds[k], eps=1e-6)
        assert list(names) == [n for n,p in zip('ab', preds[k]) if p > 0.5]
        assert decision.tolist() == (preds[k] > 0.5).tolist()

def test_show_results(block_learner):
    import matplotlib.pyplot as plt
    block_learner.show_results(max_n=4, shuffle=False)
    titles = [ax.get_title() for ax in plt.gcf().axes]
    plt.close('all')
    assert [t.split('\n')[0] for t in titles] == ['(none)', 'a', 'a; b', '(none)']
    dec = block_learner.get_preds(with_decoded=True)[2]
    decided = ['; '.join(n for n,d in zip('ab', r) if d) or '(none)' for r in dec[:4]]
    assert [t.split('\n')[1] for t in titles] == decided

def test_predict_needs_a_block():
    with pytest.raises(TypeError, match='DataBlock'): make().predict(torch.zeros(5))

# ---- ends

class Interrupt(Callback):
    def __init__(self, epoch, it, training=True): self.at = (epoch, it, training)
    def before_batch(self):
        if (self.epoch, self.iter, self.training) == self.at: raise KeyboardInterrupt

@pytest.mark.parametrize('at,n_losses,n_rows', [((0, 0, True), 0, 0), ((1, 5, True), 17, 1), ((1, 1, False), 24, 1)])
def test_keyboard_interrupt(at, n_losses, n_rows, capsys):
    class After(Callback):
        order, done = -1, False
        def after_fit(self): self.done = True
    after = After()
    learn = quiet(make(cbs=after), 'fit_one_cycle', 4, 0.01, cbs=Interrupt(*at))
    out = capsys.readouterr().out.strip().split('\n')
    epoch, batch, training = at
    kind = 'training' if training else 'validation'
    assert len(out) == 1 and f'epoch {epoch+1} of 4, at {kind} batch {batch+1}.' in out[0]
    assert learn.interrupted and after.done and not learn.model.training
    assert len(learn.recorder.losses) == n_losses and len(learn.recorder.values) == n_rows
    assert {g['betas'] for g in learn.opt.param_groups} == {(0.9, 0.99)}
    assert all(p.grad is None for p in learn.model.parameters())
    assert [type(c).__name__ for c in learn.cbs] == ['After', 'Recorder', 'ProgressCallback', 'TerminateOnNaNCallback']
    quiet(learn, 'fit', 1)
    assert not learn.interrupted and len(learn.recorder.losses) == 12 and learn.validate()[0] < 1

def test_interrupt_during_get_preds_goes_through():
    learn = make()
    class Stop(Callback):
        def before_batch(self): raise KeyboardInterrupt
    learn.add_cb(Stop())
    with pytest.raises(KeyboardInterrupt): learn.get_preds()
    learn.remove_cb(Stop)
    assert len(learn.get_preds()[0]) == 21 and hasattr(learn, 'recorder')

def test_error_in_the_middle_leaves_a_usable_learner():
    dls = toy_dls()
    calls = []
    def loss(p, t):
        calls.append(1)
        if len(calls) == 5: raise RuntimeError('a bad batch')
        return F.binary_cross_entropy_with_logits(p, t)
    learn = make(dls, loss_func=loss)
    with pytest.raises(RuntimeError, match='a bad batch'): quiet(learn, 'fit_one_cycle', 1, 0.01)
    assert len(learn.cbs) == 3 and not learn.model.training
    assert {g['betas'] for g in learn.opt.param_groups} == {(0.9, 0.99)}
    quiet(learn, 'fit', 1)

def test_no_loader_thread_is_left_behind():
    learn = make(toy_dls(num_workers=3))
    class Stop(Callback):
        def before_batch(self):
            if self.iter == 2: raise RuntimeError
    try: quiet(learn, 'fit', 1, cbs=Stop())
    except RuntimeError as e: kept = e # noqa: F841  as a notebook keeps the last traceback
    assert not [t for t in threading.enumerate() if t.name.startswith('DataLoader')]

def test_nan_is_reported_once(capsys):
    learn = quiet(make(opt_func=torch.optim.SGD, model=nn.Linear(5, 3), loss_func=F.mse_loss), 'fit', 10, 100.)
    out = capsys.readouterr().out
    assert out.count('learning rate') == 2 and 'lower' in out # once the rate it had, once the advice
    assert len(learn.recorder.values) < 10
    assert not math.isfinite(learn.recorder.values[-1][0])

# ---- mistakes

def test_wrong_number_of_outputs():
    dls = toy_dls()
    with pytest.raises(ValueError, match=r'\(8, 4\).*\(8, 3\)'):
        quiet(make(dls, lambda: net(n_out=4), BCEWithLogitsLossFlat()), 'fit', 1)

def test_empty_loaders():
    ds = toy_dls().train.dataset
    full, none = DataLoader(ds, bs=8), DataLoader(ds[:5], bs=8, drop_last=True)
    with pytest.raises(ValueError, match='training loader has no batches: 5 samples, bs=8'):
        make(DataLoaders(none, full)).fit(1)
    with pytest.raises(ValueError, match='validation loader has no batches'):
        make(DataLoaders(full, none)).fit(1)
    with pytest.raises(ValueError, match='validation loader'): make(DataLoaders(full, none)).validate()
    with pytest.raises(ValueError, match='no validation loader'): make(DataLoaders(full)).fit(1)

def test_loss_that_cannot_be_found():
    with pytest.raises(ValueError, match='loss_func='): Learner(toy_dls(), net())
    class Bare: device, path = torch.device('cpu'), '.'
    with pytest.raises(ValueError, match='loss_func='): Learner(Bare(), net())

@pytest.mark.parametrize('bad', ['accuracy', 3, AccumMetric])
def test_metric_that_is_none(bad):
    with pytest.raises(TypeError): make(metrics=bad)

@pytest.mark.parametrize('n', [1e-3, -1, '3'])
def test_number_of_epochs(n):
    with pytest.raises(ValueError, match='n_epoch'): make().fit(n)

def test_nothing_to_train():
    with pytest.raises(ValueError, match='nothing to train'): make(model=nn.Sequential(nn.ReLU())).fit(1)

# ---- precision

def test_bf16():
    a, b = make(), make()
    b.to_bf16()
    seen = set()
    class Look(Callback):
        def before_batch(self): self.hook = self.model[0].register_forward_hook(lambda m,i,o: seen.add(o.dtype))
        def after_batch(self): self.hook.remove()
        def after_loss(self): assert self.pred.dtype == self.loss_grad.dtype == torch.float32
    quiet(a, 'fit', 1, 1e-3); set_seed(0); quiet(b, 'fit', 1, 1e-3, cbs=Look())
    assert seen == {torch.bfloat16} and {p.dtype for p in b.model.parameters()} == {torch.float32}
    assert 0 < (a.get_preds()[0] - b.get_preds()[0]).abs().max() < 0.05
    assert not torch.is_autocast_enabled('cpu')
    close(b.to_fp32().get_preds()[0], b.model(all_of(b.dls.valid.dataset)[0]).sigmoid().detach(), eps=1e-6)

@pytest.mark.skipif(torch.cuda.is_available(), reason='float16 is real there')
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_a_model_that_answers_in_16_bits_goes_on_in_32(dtype):
    "Whoever converts inside the model needs no `to_bf16`: predictions, loss and metrics are of float32."
    class Coarse(nn.Sequential):
        def forward(self, x): return super().forward(x).to(dtype)
    class Look(Callback):
        def after_loss(self): seen.update({self.pred.dtype, self.loss.dtype})
    seen, learn = set(), make(model=Coarse(net()), cbs=Look(), metrics=accuracy_multi)
    quiet(learn, 'fit', 1)
    preds, _ = learn.get_preds(act=lambda o: o)
    assert seen == {torch.float32} and preds.dtype == torch.float32
    with torch.no_grad(): coarse = torch.cat([learn.model(x) for x,_ in learn.dls.valid])
    assert coarse.dtype == dtype and torch.equal(preds, coarse.float())

def test_fp16_on_cpu_warns_and_uses_bf16():
    learn = make()
    with pytest.warns(UserWarning, match='bfloat16') as w: learn.to_fp16()
    assert len(w) == 1 and learn.mixed_precision.dtype == torch.bfloat16 and not hasattr(learn, 'loss_scaler')
    quiet(learn, 'fit', 1)

@pytest.mark.parametrize('groups, calls', [(1, {torch.bfloat16}), (2, {torch.bfloat16}), (4, {torch.float32})])
def test_bf16_leaves_depthwise_convolutions_in_float32(groups, calls):
    seen = set()
    conv, x = nn.Conv2d(4, 4, 3, padding=1, groups=groups), torch.randn(2, 4, 5, 5)
    class Listen(torch.overrides.TorchFunctionMode): # entered first, so it hears what is really computed
        def __torch_function__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if func is torch.conv2d: seen.add(out.dtype)
            return out
    with Listen(), half_precision(x.device): y = conv(x)
    assert seen == calls and y.dtype == torch.bfloat16 and not torch.is_autocast_enabled('cpu')
    y.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
    plain = conv(x)
    assert 0 < (y - plain).abs().max() < 0.02
    if groups == 4: assert torch.equal(y, plain.bfloat16())

def in_half(learn):
    "Does a model that is called by hand compute in half precision?"
    return bool(learn.model._forward_hooks or learn.model._forward_pre_hooks or torch.is_autocast_enabled('cpu'))

@pytest.mark.parametrize('event, exc', [('before_batch', CancelBatchException), ('before_batch', CancelFitException),
                                        ('after_pred', CancelTrainException), ('after_loss', CancelTrainException),
                                        ('before_batch', KeyboardInterrupt), ('after_pred', ValueError)])
def test_half_precision_ends_with_the_loop(event, exc):
    def leave(self):
        if self.iter == 2 and self.training: raise exc
    learn = make(cbs=type('Leave', (Callback,), {event: leave, 'order': 5})()).to_bf16()
    try: quiet(learn, 'fit', 2)
    except ValueError: pass
    assert not in_half(learn)

def test_half_precision_ends_when_the_model_fails():
    class Broken(nn.Module):
        def __init__(self): super().__init__(); self.l = nn.Linear(5, 3)
        def forward(self, x): raise RuntimeError('broken')
    learn = make(model=Broken()).to_bf16()
    for f in (lambda: quiet(learn, 'fit', 1)), learn.get_preds:
        with pytest.raises(RuntimeError, match='broken'): f()
        assert not in_half(learn)

def test_a_callback_sees_float32_and_the_loop_only():
    seen = []
    class Look(Callback):
        order = -1
        def before_batch(self): seen.append(torch.is_autocast_enabled('cpu'))
        def after_pred(self): seen.append(self.pred.dtype)
    quiet(make(cbs=Look()).to_bf16(), 'fit', 1)
    assert set(seen) == {False, torch.float32}

def test_precision_can_be_changed_again_and_again():
    learn = make()
    for _ in range(2): learn.to_bf16()
    assert len(learn.cbs) == 4
    assert learn.to_fp32() is learn and len(learn.cbs) == 3

def test_a_scaled_loss_gives_the_same_weights():
    a, b = make(), make(cbs=LossScaler('cpu'))
    for learn in a, b: set_seed(1); quiet(learn, 'fit', 2, 1e-2)
    for p,q in zip(a.model.parameters(), b.model.parameters()): assert torch.equal(p, q)

def test_a_scaler_leaves_out_a_step_that_overflows():
    class Overflow(Callback):
        def after_backward(self):
            if self.iter == 0: next(self.model.parameters()).grad[0, 0] = math.inf
    learn = make(cbs=[LossScaler('cpu'), Overflow()])
    scale = learn.loss_scaler.scaler.get_scale()
    quiet(learn, 'fit', 1)
    assert learn.loss_scaler.scaler.get_scale() == scale/2
    assert all(torch.isfinite(p).all() for p in learn.model.parameters())

def test_clipping_sees_gradients_as_they_are():
    lengths = []
    class Watch(Callback):
        def before_step(self): lengths.append(nn.utils.get_total_norm([p.grad for p in self.model.parameters()]).item())
    for cbs in [], [LossScaler('cpu')]: set_seed(1); quiet(make(cbs=[Watch(), *cbs]), 'fit', 1)
    assert lengths[:len(lengths)//2] == pytest.approx(lengths[len(lengths)//2:])

@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_fp16_on_cuda():
    dls = toy_dls().cuda()
    learn = make(dls).to_fp16()
    a = learn.validate()[0]
    quiet(learn, 'fit', 5, 1e-2)
    assert learn.validate()[0] < a and {p.dtype for p in learn.model.parameters()} == {torch.float32}

def test_channels_last_for_convolutions_only():
    learn = make(model=nn.Sequential(nn.Unflatten(1, (5, 1, 1)), nn.Conv2d(5, 3, 3, padding=1), nn.Flatten()))
    assert learn.model[1].weight.is_contiguous(memory_format=torch.channels_last)

# ---- what it prints

def test_text_table(capsys):
    learn = make(metrics=accuracy_multi)
    learn.recorder.add_time = False
    learn.fit(2)
    out, err = capsys.readouterr()
    lines = out.strip('\n').split('\n')
    assert err == '' and len(lines) == 3 and len({len(l) for l in lines}) == 1
    assert lines[0].split() == ['epoch', 'train_loss', 'valid_loss', 'accuracy_multi']
    for k,(line,row) in enumerate(zip(lines[1:], learn.recorder.values)):
        assert [float(v) for v in line.split()] == pytest.approx([k, *row], abs=1e-6)

@pytest.mark.parametrize('block', ['no_bar', 'no_logging'])
def test_silence_of_a_learner_that_shows_nothing_anyway(capsys, block):
    "As in all processes but one of several; as in fastai."
    learn = make().remove_cb(ProgressCallback)
    with getattr(learn, block)() as inner: inner.fit(1)
    assert inner is learn and capsys.readouterr() == ('', '') and not hasattr(learn, 'progress')

def test_silence(capsys):
    learn = quiet(make(), 'fit', 1)
    learn.validate(); learn.get_preds()
    assert capsys.readouterr() == ('', '')

SCRIPT = '''
import sys, time, torch
sys.path.insert(0, {tests!r})
from test_learner import *
class Slow(Callback):
    def after_batch(self): time.sleep(0.02)
make(cbs=Slow()).fit({n}, 1e-2)
print('done', flush=True)
'''

def in_terminal(n, interrupt_after=None):
    "What a script's fit writes to a terminal."
    import pty, termios
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    script = SCRIPT.format(tests=os.path.dirname(__file__), n=n)
    p = subprocess.Popen([sys.executable, '-c', script], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    out = b''
    while True:
        try: chunk = os.read(master, 4096)
        except OSError: break
        if not chunk: break
        out += chunk
        if interrupt_after and interrupt_after in out and p.poll() is None:
            p.send_signal(signal.SIGINT)
            interrupt_after = None
    assert p.wait(60) == 0, out.decode()
    os.close(master)
    return out.decode()

def on_screen(out):
    "The lines that stay on the screen."
    lines = []
    for line in out.split('\n'):
        screen = ''
        for part in line.rstrip('\r').split('\r'): screen = part + screen[len(part):]
        lines.append(re.sub(r'\x1b\[[A-Z]', '', screen).rstrip())
    return [l for l in lines if l]

@pytest.mark.skipif(sys.platform == 'win32', reason='needs a Unix terminal')
def test_terminal_bar_vanishes():
    out = in_terminal(2)
    assert 'epoch 1/2 train' in out and 'loss' in out
    lines = on_screen(out)
    assert len(lines) == 4 and lines[0].split()[0] == 'epoch' and lines[-1] == 'done', lines

@pytest.mark.skipif(sys.platform == 'win32', reason='needs a Unix terminal')
def test_ctrl_c_in_a_terminal():
    lines = on_screen(in_terminal(500, interrupt_after=b'epoch 2/500 train'))
    assert lines[-1] == 'done' and lines[-2].startswith('Stopped by you in epoch 2 of 500'), lines

def test_notebook_table(tmp_path):
    "In a kernel: one output, the final table, as HTML and as text."
    nbformat, nbclient = pytest.importorskip('nbformat'), pytest.importorskip('nbclient')
    cell = SCRIPT.format(tests=os.path.dirname(__file__), n=2).replace("print('done', flush=True)", '')
    code = cell, 'learn = quiet(make(), "fit", 1); learn.get_preds();'
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(o) for o in code])
    there = {'metadata': {'path': str(tmp_path)}}
    nbclient.NotebookClient(nb, timeout=120, kernel_name='python3', resources=there).execute()
    outputs = nb.cells[0].outputs
    assert len(outputs) == 1 and nb.cells[1].outputs == []
    html, text = outputs[0].data['text/html'], outputs[0].data['text/plain']
    assert html.count('<tr>') == 3 and '<pre>' not in html and len(text.split('\n')) == 3
