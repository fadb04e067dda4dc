"A training of several processes in which rank 1, or a file, makes trouble: `troubles.py KIND FOLDER`."
import os, signal, sys, time
from tests.scale.scenarios import *

kind, HERE['folder'] = sys.argv[1], Path(sys.argv[2])

class Troubled(Numbers):
    "At some items of the second epoch something happens in rank 1."
    def __getitem__(self, i):
        HERE['n'] = HERE.get('n', 0) + 1
        if rank_distrib() == 1 and HERE['n'] == 40: self.happen()
        return super().__getitem__(i)

    def happen(self):
        if kind == 'raises': raise FileNotFoundError('no such picture')
        if kind == 'is_killed': os.kill(os.getpid(), signal.SIGKILL)
        if kind == 'hangs': time.sleep(1000)

class AtEnd(Callback):
    "Saves after each epoch, which on a full disk cannot be done."
    def after_epoch(self): self.learn.save('each')

set_seed(rank_distrib()) # nobody may rely on equal seeds
learn = learner(loaders(kind=Troubled), cbs=[AtEnd()] if kind == 'full_disk' else None)
with learn.distrib_ctx(timeout=4 if kind == 'hangs' else None): learn.fit(3)
print('It is over.')
