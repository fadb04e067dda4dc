"What a loader promises (chapter 02): loaders that keep it pass, and each that breaks a promise is told which one."
import math, random
from functools import partial
import pytest, torch
from course_lib.dataloaders import DataLoader, collate
from torch.utils.data import DataLoader as TorchLoader
from tests.helpers import NBS, code

@pytest.fixture(scope='module')
def chapter():
    "The names of chapter 02, up to `keeps_promises`."
    scope = {}
    for c in code(NBS/'02_dataloaders.ipynb'):
        if not any(o in c.text for o in ('#| code-fold', '#| default_exp', "\ncheck('")): exec(c.text, scope)
        if 'def keeps_promises' in c.text: return scope

@pytest.fixture
def keeps_promises(chapter): return chapter['keeps_promises']

class Loader:
    "One that keeps all promises, in methods that can be broken one at a time."
    def __init__(self, dataset, bs, shuffle=False, drop_last=False):
        self.dataset, self.bs, self.shuffle, self.drop_last = dataset, bs, shuffle, drop_last
    def __len__(self): return len(self.dataset)//self.bs if self.drop_last else math.ceil(len(self.dataset)/self.bs)
    def order(self):
        n = len(self.dataset)
        return torch.randperm(n).tolist() if self.shuffle else list(range(n))
    def collate(self, samples): return collate(samples)
    def __iter__(self):
        order = self.order()
        for k in range(len(self)): yield self.collate([self.dataset[i] for i in order[k*self.bs:(k+1)*self.bs]])

def test_who_keeps_them_passes(keeps_promises):
    for one in Loader, DataLoader, partial(DataLoader, num_workers=3), TorchLoader: keeps_promises(one)

class NoTranspose(Loader):
    def collate(self, samples): return tuple(zip(*samples))
class Flat(Loader):
    def collate(self, samples): return [torch.tensor(c) if isinstance(c[0], int) else c for c in zip(*samples)]
class Backwards(Loader):
    def order(self): return super().order()[::-1]
class ForgetsTheRest(Loader):
    def __len__(self): return len(self.dataset)//self.bs
class KeepsTheRest(Loader):
    def __len__(self): return math.ceil(len(self.dataset)/self.bs)
class DropsAlways(Loader):
    def __len__(self): return math.ceil(len(self.dataset)/self.bs) - self.drop_last
class CountsSamples(Loader):
    def __iter__(self):
        for k in range(Loader.__len__(self)):
            yield collate([self.dataset[i] for i in self.order()[k*self.bs:(k+1)*self.bs]])
    def __len__(self): return len(self.dataset)
class OnceOnly(Loader):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.it = super().__iter__()
    def __iter__(self): return self.it
class OneState(Loader):
    k = 0
    def __iter__(self): self.k = 0; return self
    def __next__(self):
        idxs = range(len(self.dataset))[self.k:self.k + self.bs]
        self.k += self.bs
        if len(idxs) < (self.bs if self.drop_last else 1): raise StopIteration
        return collate([self.dataset[i] for i in idxs])
class NeverShuffles(Loader):
    def order(self): return list(range(len(self.dataset)))
class ShufflesOnce(Loader):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.once = super().order()
    def order(self): return self.once
class WithReplacement(Loader):
    def order(self):
        n = len(self.dataset)
        return torch.randint(n, (n,)).tolist() if self.shuffle else super().order()
class ShufflesApart(Loader):
    def collate(self, samples):
        x,y,*rest = collate(samples)
        return x, (y[::-1] if self.shuffle else y), *rest
class OwnChance(Loader):
    def order(self):
        order = list(range(len(self.dataset)))
        if self.shuffle: random.SystemRandom().shuffle(order)
        return order
class OneSeed(Loader):
    def order(self):
        g = torch.Generator().manual_seed(self.epoch)
        return torch.randperm(len(self.dataset), generator=g).tolist() if self.shuffle else super().order()
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.epoch = 0
    def __iter__(self):
        self.epoch += 1
        return super().__iter__()

@pytest.mark.parametrize('wrong, says', [
    (NoTranspose, 'one tensor'), (Flat, 'a tuple of columns'), (Backwards, 'in order'),
    (ForgetsTheRest, 'each sample once'), (KeepsTheRest, 'the last two are left out'), (DropsAlways, 'nothing to drop'),
    (CountsSamples, 'but len says'), (OnceOnly, 'a second `for` loop'), (OneState, 'two loops at the same time'),
    (NeverShuffles, 'nothing is shuffled'), (ShufflesOnce, 'order of the first'), (WithReplacement, 'not each sample'),
    (ShufflesApart, 'shuffled apart'), (OwnChance, 'the same seed'), (OneSeed, 'another seed')],
    ids=lambda o: getattr(o, '__name__', None))
def test_who_breaks_one_is_told_which(keeps_promises, wrong, says):
    with pytest.raises(AssertionError, match=says): keeps_promises(wrong)
