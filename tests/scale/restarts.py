"A training that rank 1 does not survive, the first time: `restarts.py FOLDER [killed]`. `torchrun` starts it again."
import os, signal, sys
from tests.scale.scenarios import *

HERE['folder'] = Path(sys.argv[1])

class Killed(Numbers):
    "In the second epoch of the first attempt, rank 1 is killed."
    def __getitem__(self, i):
        HERE['n'] = HERE.get('n', 0) + 1
        first_time = os.environ.get('TORCHELASTIC_RESTART_COUNT') == '0' and 'killed' in sys.argv
        if first_time and rank_distrib() == 1 and HERE['n'] == 60: os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(i)

set_seed(3)
learn = learner(loaders(kind=Killed, noise=0.1))
with learn.distrib_ctx(): learn.fit_one_cycle(3, 0.1, checkpoint=HERE['folder']/'so_far.ckpt')
if rank_distrib() == 0: torch.save([weights(learn), [list(v) for v in learn.recorder.values]], HERE['folder']/'end.pt')
