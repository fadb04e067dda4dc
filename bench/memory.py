"""Peak memory of a training in MB: a fresh process for each, which imports, builds the loaders and trains two epochs.

It is what the process itself held at most (`ru_maxrss`), and what it holds when the training is over. The workers of
fastai and of plain torch are processes beside it, whose memory is not counted here; course_lib's are threads, whose is.
On Linux course_lib keeps freed memory for the next batch (room `memory`); a third row is without.
"""
import os, sys
from common import ALL, Report, Side, arguments
from epoch import make

AS_IT_IS = dict(GLIBC_TUNABLES='glibc.malloc.perturb=0') # a choice of the user's, that changes nothing by itself

def peak():
    "Of this process, in MB."
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(2**20 if sys.platform == 'darwin' else 1024)

def held():
    "By this process now, in MB."
    import psutil
    return psutil.Process().memory_info().rss/2**20

def trained(lib, **settings):
    one_epoch = make(lib, **settings)
    def measure():
        for _ in range(2): one_epoch()
        return peak(), held()
    return measure

def megabytes(library, settings, **env):
    "Peak, and what is held after it, of one process, which has `env` in its environment."
    before = {k: os.environ.get(k) for k in env}
    os.environ.update(env)
    side = Side(trained, library, 0, **settings)
    for k,v in before.items():
        if v is None: del os.environ[k]
    try: return side.turn()[2]
    finally: side.end()

def main():
    a = arguments(__doc__, n=160, bs=32, rounds=2, arch='tf_efficientnet_lite0')
    report = Report('memory', f'{a.photos.name}, {a.arch}, {a.n} photos at 128 px, bs={a.bs}; {a.rounds} rounds.')
    settings = dict(photos=a.photos, n=a.n, bs=a.bs, arch=a.arch)
    found = {k: [megabytes(k, settings) for _ in range(a.rounds)] for k in ALL}
    plainly = [megabytes('course_lib', settings, **AS_IT_IS) for _ in range(a.rounds)]
    peaks, afterwards = [{k: [v[i] for v in found[k]] for k in ALL} for i in range(2)]
    report.add('peak memory', peaks, 'MB', 0.9)
    report.add('memory after training', afterwards, 'MB')
    report.add('peak memory, nothing freed is kept', {**peaks, 'course_lib': [v[0] for v in plainly]}, 'MB')
    report.save()

if __name__ == '__main__': main()
