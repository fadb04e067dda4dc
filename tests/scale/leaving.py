"A training of several processes, to its end: `leaving.py FOLDER`. What threads each of them then still has."
import atexit, os, sys
from pathlib import Path

def threads(): return [Path(f'/proc/self/task/{t}/comm').read_text().strip() for t in os.listdir('/proc/self/task')]

def write(): (Path(sys.argv[1])/os.environ['RANK']).write_text('\n'.join(threads()))

atexit.register(write) # before the course's own, so it is called after it
from tests.scale.scenarios import *

learn = learner()
with learn.distrib_ctx(): learn.fit(1)
assert any('gloo' in t for t in threads())
