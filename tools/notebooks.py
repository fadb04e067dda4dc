"""Run every notebook, as `nbdev_test` does; an error in one fails the run. Argument: one notebook, to run only that.

The short ones run side by side, each on one core. Those that train for minutes come after them, one at a time on
all cores, so that they take as long as their text says.
"""
import os, sys
from nbdev.test import nbdev_test

TRAINING = r'^(09|10|12|15)_'

def run(n_workers, threads, **which):
    os.environ['OMP_NUM_THREADS'] = str(threads) # read by torch when a worker imports it: not before
    nbdev_test(n_workers=n_workers, timing=True, do_print=True, **which)

if __name__ == '__main__':
    os.environ.setdefault('MPLBACKEND', 'agg')
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    if sys.argv[1:]: run(0, cores, path=sys.argv[1])
    else:
        run(cores, 1, skip_file_re=rf'^[_.]|{TRAINING}')
        run(1, cores, file_re=TRAINING)
