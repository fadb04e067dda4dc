"""Images per second, and an epoch, with points: 640x480 JPEG to augmented 240x320, as the book does it for BIWI.

`aug_transforms(size=(240, 320))` and Normalize, no item transforms. Plain torch brings the picture to size first and
maps it twice, by torchvision's transforms for key points, which is the nearest that it has. The epoch trains a timm
model whole.
"""
from common import ALL, Report, arguments, in_threads, in_turns, point_loaders, sides
from loader import measure

WORKERS = 0, 2

def make(lib, heads, n, n_train, bs, arch):
    import timm
    made = {w: point_loaders(lib, heads, n, bs=bs, num_workers=w) for w in WORKERS}

    def one_pass(workers):
        seen = 0
        for x,y in made[workers].train:
            assert x.shape[1:] == (3, 240, 320) and x.is_floating_point() and y.shape[1:] == (1, 2)
            seen += len(x)
        return seen

    def learner():
        lib.set_seed(42)
        dls = point_loaders(lib, heads, n_train, range(0, n_train, 5), bs=bs)
        return lib.Learner(dls, timm.create_model(arch, num_classes=2), loss_func=lib.MSELossFlat(), metrics=lib.mse)

    learn = learner()
    def one_epoch():
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
        return n_train

    return lambda what, **kw: one_epoch() if what == 'epoch' else one_pass(**kw)

class Passes:
    "A side whose turns are passes."
    def __init__(self, side): self.side = side
    def turn(self, **task): return self.side.turn(what='pass', **task)

def main():
    a = arguments(__doc__, n=320, train=80, bs=32, rounds=5, epochs=3, arch='tf_efficientnet_lite0', threads=0)
    report = Report('points', f'{a.heads.name}, {a.n} images a turn, 640x480 to augmented 240x320, bs={a.bs}'
                              f'{in_threads(a)}, {a.rounds} rounds; '
                              f'epoch: {a.arch}, {a.train} photos, {a.epochs} rounds.')
    settings = dict(heads=a.heads, n=a.n, n_train=a.train, bs=a.bs, arch=a.arch)
    with sides(make, a.threads, ALL, **settings) as ready:
        measure(report, 'points loader', 2.5, {k: Passes(s) for k,s in ready.items()}, WORKERS, a.rounds)
        wall = {k: [] for k in ready}
        for r in range(a.epochs + 1):
            for k,side in in_turns(ready, r):
                seconds, _, _ = side.turn(what='epoch')
                if r: wall[k].append(seconds) # round 0 warms up
    report.add('points epoch', wall, 's', 0.35)
    report.save()

if __name__ == '__main__': main()
