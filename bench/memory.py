"""Peak memory of a training in MB: a fresh process for each, which imports, builds the loaders and trains two epochs.

It is what the process itself held at most (`ru_maxrss`). fastai's and torch's workers are processes beside it, whose
memory is not counted here; course_lib's are threads, whose is. On Linux course_lib asks for large pages of memory
(`THP_MEM_ALLOC_ENABLE`): a second row is without.
"""
import os, sys
from common import ALL, Report, Side, arguments
from epoch import make

def peak():
    "Of this process, in MB."
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(2**20 if sys.platform == 'darwin' else 1024)

def trained(lib, **settings):
    one_epoch = make(lib, **settings)
    def measure():
        for _ in range(2): one_epoch()
        return peak()
    return measure

def megabytes(library, settings, **env):
    "The peak of one process, which has `env` in its environment."
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
    def each(**env): return [megabytes('course_lib', settings, **env) for _ in range(a.rounds)]
    others = {k: [megabytes(k, settings) for _ in range(a.rounds)] for k in ALL if k != 'course_lib'}
    report.add('peak memory', {'course_lib': each(), **others}, 'MB', 0.9)
    report.add('peak memory, without large pages', {'course_lib': each(THP_MEM_ALLOC_ENABLE='0'), **others}, 'MB')
    report.save()

if __name__ == '__main__': main()
