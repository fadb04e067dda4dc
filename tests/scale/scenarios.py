"What one process does alone, and several do together: each scenario is run by all of them, and gives what it found."
import torch
from course_lib.all import *

N_TRAIN, N_VALID, GLOBAL_BS = 53, 23, 12 # sizes that neither 2 nor 3 divides

class Numbers:
    "Items that draw while they are loaded, as augmented pictures do."
    def __init__(self, n, seed, noise=0.):
        g = torch.Generator().manual_seed(seed)
        self.x, self.noise = torch.randn(n, 6, generator=g), noise
        self.y = (self.x @ torch.randn(6, 4, generator=torch.Generator().manual_seed(9)) > 0).float()
    def __len__(self): return len(self.x)
    def __getitem__(self, i): return self.x[i] + self.noise*torch.randn(6), self.y[i]

def n_ranks(): return max(1, num_distrib())

def loaders(noise=0., drop_last=False, n=N_TRAIN, n_valid=N_VALID, **kwargs):
    bs = GLOBAL_BS//n_ranks()
    train = DataLoader(Numbers(n, 1, noise), bs, shuffle=True, drop_last=drop_last, **kwargs)
    return DataLoaders(train, DataLoader(Numbers(n_valid, 2), bs, **kwargs))

def net(*middle): return nn.Sequential(nn.Linear(6, 8), *middle, nn.ReLU(), nn.Linear(8, 4))

def learner(dls=None, model=None, seed=0, **kwargs):
    set_seed(seed)
    model = model or net()
    kwargs = {'loss_func': BCEWithLogitsLossFlat(), 'metrics': [accuracy_multi, APScoreMulti()], 'lr': 0.1,
              'opt_func': SGD, **kwargs}
    learn = Learner(dls or loaders(), model, **kwargs)
    set_seed(7)
    return learn

def weights(learn): return torch.cat([p.detach().flatten() for p in learn.model.parameters()])

def table(learn): return [list(v) for v in learn.recorder.values]

# ------------------------------------------------------------------ scenarios

def epoch():
    learn = learner()
    with learn.distrib_ctx(): learn.fit(2)
    return dict(weights=weights(learn), table=table(learn), losses=learn.recorder.losses, final=list(learn.validate()))

SCENARIOS = dict(epoch=epoch)

def run(names=SCENARIOS): return {k: SCENARIOS[k]() for k in names}
