"""Seconds for `from course_lib.all import *` and for `from fastai.vision.all import *`, each in a fresh process.

The clock runs inside the process, round the import alone. torch, which both need, is part of it; the guard that lets
torchvision load beside a torch without CUDA needs torch first, so the second pair of figures leaves torch out.
"""
import os, subprocess, sys
from common import HERE, Report, arguments

LINES = {'course_lib': 'from course_lib.all import *', 'fastai': 'from fastai.vision.all import *'}
CODE = '''
import time, warnings; warnings.filterwarnings('ignore')
start = time.perf_counter()
import torch
torch_done = time.perf_counter()
import common; common.guard_torchvision()
guarded = time.perf_counter()
{}
print(time.perf_counter()-guarded + torch_done-start, time.perf_counter()-guarded)
'''

def seconds(line):
    env = {**os.environ, 'PYTHONPATH': str(HERE.parent)}
    command = [sys.executable, '-c', CODE.format(line)]
    out = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, check=True)
    return [float(o) for o in out.stdout.split()[-2:]]

def main():
    a = arguments(__doc__, rounds=9)
    report = Report('imports', f'{a.rounds} rounds, a fresh process each time, files in the cache of the disk.')
    times = {k: [] for k in LINES}
    for r in range(a.rounds + 1):
        for k in sorted(LINES, reverse=r % 2):
            t = seconds(LINES[k])
            if r: times[k].append(t) # round 0 fills the disk cache and writes the byte code
    for j,(what,target) in enumerate([('import', 0.4), ('import, without torch itself', None)]):
        report.add(what, {k: [t[j] for t in times[k]] for k in LINES}, 's', target)
    report.save()

if __name__ == '__main__': main()
