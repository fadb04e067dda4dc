"What one process does alone, and several do together: each scenario is run by all of them, and gives what it found."
import io, sys, time, warnings
from contextlib import redirect_stdout
from pathlib import Path
from course_lib.all import *

N_TRAIN, N_VALID, GLOBAL_BS = 53, 23, 12 # sizes that neither 2 nor 3 divides
HERE = {} # the folder for files, the same for all processes

class Numbers:
    "Items that draw while they are loaded, as augmented pictures do."
    def __init__(self, n, seed, noise=0.):
        g = torch.Generator().manual_seed(seed)
        self.x, self.noise = torch.randn(n, 6, generator=g), noise
        self.y = (self.x @ torch.randn(6, 4, generator=torch.Generator().manual_seed(9)) > 0).float()
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return self.x[i] + self.noise*torch.randn(6), self.y[i]

class OneOf(Numbers):
    "The same items with one class each."
    def __getitem__(self, i): return self.x[i], self.y[i, :3].argmax()

def n_ranks(): return max(1, num_distrib())

def bs(): return GLOBAL_BS//n_ranks()

def loaders(n=N_TRAIN, n_valid=N_VALID, noise=0., drop_last=False, kind=Numbers, **kwargs):
    train = DataLoader(kind(n, 1, noise), bs(), shuffle=True, drop_last=drop_last, **kwargs)
    return DataLoaders(train, DataLoader(kind(n_valid, 2), bs(), **kwargs), path=HERE.get('folder', '.'))

def net(*middle): return nn.Sequential(nn.Linear(6, 8), *middle, nn.ReLU(), nn.Linear(8, 4))

def learner(dls=None, middle=(), **kwargs):
    set_seed(0)
    usual = dict(loss_func=BCEWithLogitsLossFlat(), metrics=[accuracy_multi, APScoreMulti()], lr=0.1, opt_func=SGD)
    learn = Learner(dls or loaders(), net(*middle), **{**usual, **kwargs})
    set_seed(7)
    return learn

def weights(learn): return torch.cat([p.detach().flatten() for p in learn.model.state_dict().values()])

def trained(learn, n_epoch=1, fit=None, **kwargs):
    "What a fit leaves behind."
    with learn.distrib_ctx(**kwargs): (fit or Learner.fit)(learn, n_epoch)
    rec = learn.recorder
    return dict(weights=weights(learn), table=[list(v) for v in rec.values], losses=rec.losses)

# ------------------------------------------------------------------ training

def epochs(): return trained(learner(), 2)
def items_that_draw(): return trained(learner(loaders(noise=0.5)))
def whole_batches_only(): return trained(learner(loaders(drop_last=True)))
def less_than_a_batch(): return trained(learner(loaders(n=7, drop_last=bs() <= 7)), 2) # as `from_dsets` has it
def one_item_left(): return trained(learner(loaders(n=25)))
def with_threads(): return trained(learner(loaders(noise=0.5, num_workers=2)))
def one_cycle(): return trained(learner(opt_func=Adam), 2, Learner.fit_one_cycle)
def one_class(): return trained(learner(loaders(kind=OneOf), loss_func=CrossEntropyLossFlat(), metrics=accuracy))
def sums():
    res = trained(learner(loss_func=BCEWithLogitsLossFlat(reduction='sum'), lr=0.001))
    return {k: res[k] for k in ('weights', 'losses')} # the loss of validation is about batches, and they differ
def clipped(): return trained(learner(cbs=GradientClip(0.1)))
def batch_norm(): return trained(learner(middle=[nn.BatchNorm1d(8)]), 2)
def batch_norm_one_left(): return trained(learner(loaders(n=26), middle=[nn.BatchNorm1d(8)]), 2)

def options_of_old():
    "torch has another name for this option now, and says so; not from each process."
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        found = trained(learner(), broadcast_buffers=False)
    return dict(**found, said=[str(w.message) for w in said if issubclass(w.category, FutureWarning)])

def rare_classes_weigh_more():
    loss = CrossEntropyLossFlat(weight=tensor([1., 5., .2, 1.]), ignore_index=1)
    return trained(learner(loaders(kind=OneOf), loss_func=loss, metrics=accuracy))

def added_up():
    n_acc = 2*GLOBAL_BS//n_ranks() # as `bs`, in one process
    with warnings.catch_warnings(record=True): return trained(learner(cbs=GradientAccumulation(n_acc)))

def frozen():
    learn = learner(splitter=lambda m: [params(m[0]), params(m[1:])])
    learn.freeze()
    return trained(learn)

def without_sync_bn():
    "Here the ranks differ from one process; but among themselves they are equal."
    return trained(learner(middle=[nn.BatchNorm1d(8)]), 2, sync_bn=False)

def other_seeds():
    "Each process makes a model of its own: that of rank 0 counts."
    learn = learner()
    if rank_distrib():
        with torch.no_grad(): learn.model[0].weight.add_(1)
    return trained(learn)

def in_bfloat16(): return trained(learner().to_bf16())

def torchs_loaders():
    "Loaders of torch, the training loader with a sampler of its own."
    dls = loaders()
    order = torch.randperm(N_TRAIN, generator=torch.Generator().manual_seed(4)).tolist()
    own = [torch.utils.data.DataLoader(dls[0].dataset, bs(), sampler=order),
           torch.utils.data.DataLoader(dls[1].dataset, bs())]
    return trained(learner(DataLoaders(*own)))

def stops_early():
    learn = learner(cbs=[EarlyStoppingCallback(patience=1), ReduceLROnPlateau(patience=1)], lr=3.)
    return trained(learn, 6)

def finds_a_rate():
    learn = learner()
    before = weights(learn)
    with learn.distrib_ctx(): rate = learn.lr_find(num_it=30, start_lr=1e-4, show_plot=False).valley
    assert torch.equal(before, weights(learn))
    return dict(rate=rate, losses=learn.recorder.losses)

# ------------------------------------------------------------------ answers

class LargestLoss(Metric):
    "A metric of somebody's own that neither adds up nor keeps all."
    name, value = 'largest', 0.
    def reset(self): self.value = 0.
    def accumulate(self, learn): self.value = max(self.value, learn.pred.abs().max().item())

def scores():
    ms = [accuracy_multi, APScoreMulti(), F1ScoreMulti(), rmse, LargestLoss(), AvgLoss()]
    learn = learner(metrics=ms)
    with learn.distrib_ctx(): return dict(valid=list(learn.validate()), train=list(learn.validate(0)))

def predictions():
    learn = learner()
    few = DataLoader(Numbers(2, 3), 1) # fewer than ranks
    with learn.distrib_ctx():
        preds = {k: list(learn.get_preds(ds_idx, with_input=True, with_decoded=True, with_loss=True))
                 for k,ds_idx in (('train', 0), ('valid', 1))}
        return dict(**preds, few=list(learn.get_preds(dl=few)))

def after_each_epoch():
    "A callback that asks for predictions in the middle of a validation."
    fetch = FetchPredsCallback()
    return dict(**trained(learner(cbs=fetch)), preds=list(fetch.preds))

def files():
    learn = learner(cbs=[SaveModelCallback(fname='best', with_opt=True), CSVLogger()])
    res = trained(learn, 2)
    with learn.distrib_ctx():
        learn.save('now')
        with torch.no_grad(): learn.model[0].weight.zero_()
        learn.load('now')
        return dict(**res, loaded=weights(learn), history=learn.csv_logger.read_log().iloc[:, :-1].values)

def what_is_printed():
    out = io.StringIO()
    with redirect_stdout(out): trained(learner(cbs=SaveModelCallback(fname='printed')))
    return dict(lines=[o.split()[0] for o in out.getvalue().splitlines()])

def a_small_net(pretrained=False):
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def _drawn_slowly(tmp):
    time.sleep(0.3)
    (tmp/'a.txt').write_text('a')
    with (HERE['folder']/'drawn.txt').open('a') as f: f.write(f'{rank_distrib()} ')

def fetches():
    "A sample, asked for by all: how often it is made; then anew, also by `rank0_first`."
    folder, n_made = HERE['folder'], []
    register_sample('counted', _drawn_slowly)
    ask = partial(untar_data, 'sample://counted', base=folder/'home')
    def made(*found):
        distrib_barrier()
        n_made.append(len((folder/'drawn.txt').read_text().split()))
        distrib_barrier()
        assert {p.name for p in found} == {'counted'} and all((p/'a.txt').exists() for p in found)
    made(ask())
    made(ask())
    made(ask(force_download=True))
    made(ask(force_download=True), ask(force_download=True))
    made(rank0_first(ask, force_download=True))
    left = [p.name for p in (folder/'home/data').iterdir() if p.suffix not in ('.lock', '.source')]
    return dict(n_made=n_made, left=left)

def exported():
    "`export` by all: who writes, and what a process that reads it says."
    import safetensors.torch as st
    blocks = dict(blocks=(ImageBlock, CategoryBlock), get_y=parent_label, splitter=RandomSplitter(0.3, seed=1))
    files = get_image_files(rank0_first(_drawn, HERE['folder']/'pictures'))
    dls = DataBlock(**blocks, item_tfms=Resize(32)).dataloaders(files, bs=bs(), device='cpu', num_workers=0)
    set_seed(0)
    learn, save, wrote = vision_learner(dls, 'resnet10t', pretrained=False, path=HERE['folder']), st.save_file, []
    st.save_file = lambda *args: (wrote.append(rank_distrib()), save(*args))
    try:
        with learn.distrib_ctx(): file = learn.export('model.safetensors')
    finally: st.save_file = save
    distrib_barrier()
    same = all(map(torch.equal, learn.model.state_dict().values(), load_learner(file).model.state_dict().values()))
    return dict(wrote=wrote, same=same, left=[o.name for o in file.parent.glob('.model*')])

def pictures():
    "With augmentation of items, a body with batch-norm, and all that one asks a learner of pictures."
    folder = rank0_first(_drawn, HERE['folder']/'pictures')
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=RandomSplitter(0.3, seed=1), item_tfms=RandomResizedCrop(32, min_scale=0.5))
    dls = block.dataloaders(folder, bs=bs(), device='cpu', num_workers=1)
    set_seed(0)
    learn = vision_learner(dls, a_small_net, pretrained=False, loss_func=CrossEntropyLossFlat(), metrics=error_rate,
                           ps=0., opt_func=SGD)
    res = trained(learn, 2, partial(Learner.fine_tune, freeze_epochs=1))
    with learn.distrib_ctx():
        learn.show_results(max_n=2)
        preds = learn.get_preds(dl=dls.test_dl(get_image_files(folder)))[0]
        return dict(**res, preds=preds, tta=learn.tta(n=1)[0], one=learn.predict(get_image_files(folder)[3])[2])

def _drawn(folder):
    from PIL import Image
    for k in range(21):
        file = folder/('red' if k % 3 else 'blue')/f'{k}.png'
        if file.exists(): continue
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.RandomState(k).randint(0, 255, (40, 40, 3), dtype='uint8')).save(file)
    return folder

def _message(f):
    try: f()
    except Exception as e: return f'{type(e).__name__}: {e}'

def bad_input():
    "What each process says. One alone has nothing to say of several."
    def fit(learn, **kwargs):
        with learn.distrib_ctx(**kwargs): learn.fit(1)
    def load(learn):
        with learn.distrib_ctx(): learn.load(HERE['folder']/'other.pth')
    rank, file = rank_distrib(), HERE['folder']/'other.pth'
    if rank == 0: torch.save({'other.weight': torch.zeros(3)}, file)
    other_model = learner(middle=[nn.Linear(8, 8 + rank), nn.Linear(8 + rank, 8)])
    renamed = L(Path(f'a/{i + rank*(i == 3)}.jpg') for i in range(30))
    files = DataLoaders(*[DataLoader(Datasets(renamed, [lambda o: torch.zeros(6), lambda o: torch.zeros(4)]), 4)]*2)
    wrongs = dict(few=lambda: fit(learner(loaders(n=1))), number=lambda: fit(learner(loaders(n=50 + rank))),
                  files=lambda: fit(learner(files)), batches=lambda: fit(learner(DataLoaders(
                      DataLoader(Numbers(40, 1), 4 + rank), DataLoader(Numbers(9, 1), 4)))),
                  model=lambda: fit(other_model), checkpoint=lambda: load(learner()),
                  timeout=lambda: fit(learner(), timeout=-1),
                  one_item=lambda: fit(learner(loaders(n=25), middle=[nn.BatchNorm1d(8)])),
                  option=lambda: fit(learner(), no_such_option=1))
    return {k: _message(f) for k,f in wrongs.items()}

def ranks_go_first():
    found = rank0_first(divmod, 7, 2)
    rank0_first(lambda: (HERE['folder']/'first.txt').open('a').write(str(rank_distrib())))
    distrib_barrier()
    return dict(found=list(found), first=(HERE['folder']/'first.txt').read_text()[0])

SCENARIOS = {f.__name__: f for f in (
    epochs, items_that_draw, whole_batches_only, less_than_a_batch, one_item_left, with_threads, one_cycle, one_class,
    rare_classes_weigh_more, sums, clipped, batch_norm, batch_norm_one_left, options_of_old, added_up, frozen,
    other_seeds, in_bfloat16, torchs_loaders, stops_early, finds_a_rate, scores, predictions, after_each_epoch, files,
    without_sync_bn, what_is_printed, ranks_go_first, fetches, exported,
    pictures, bad_input)}

def main(folder, *names):
    "Run scenarios, and keep what they have found in a file of this rank."
    HERE['folder'] = Path(folder)
    found = {}
    for name in names or SCENARIOS:
        try: found[name] = SCENARIOS[name]()
        except Exception as e:
            import traceback
            found[name] = traceback.format_exc()
            if 'gloo' in str(e) or 'RankFailed' in found[name]: break
    torch.save(found, HERE['folder']/f'found_{num_distrib()}_{rank_distrib()}.pt')

if __name__ == '__main__': main(*sys.argv[1:])
