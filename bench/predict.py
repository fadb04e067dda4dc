"""Milliseconds for `learn.predict(file)`: one photo at a time, each another one, the model untrained."""
from common import Report, arguments, in_threads, in_turns, photo_loaders, sides, table_of

def make(lib, photos, n, arch):
    import timm
    lib.set_seed(42)
    dls = photo_loaders(lib, photos, n, bs=32)
    learn = lib.Learner(dls, timm.create_model(arch, num_classes=dls.c), loss_func=lib.BCEWithLogitsLossFlat())
    files = [photos/'train'/name for name in table_of(photos, n)['fname']]
    def answers(k):
        with learn.no_bar(), learn.no_logging():
            for f in files[:k]: assert len(learn.predict(f)) == 3
        return k
    return answers

def main():
    a = arguments(__doc__, n=50, rounds=7, arch='tf_efficientnet_lite0', threads=0)
    report = Report('predict', f'{a.photos.name}, {a.arch}, {a.n} photos a turn{in_threads(a)}; {a.rounds} rounds.')
    with sides(make, a.threads, photos=a.photos, n=a.n, arch=a.arch) as both:
        wall, cpu = [{k: [] for k in both} for _ in range(2)]
        for r in range(a.rounds + 1):
            for k,side in in_turns(both, r):
                w, c, n = side.turn(k=a.n)
                if r: # round 0 warms up
                    wall[k].append(1000*w/n)
                    cpu[k].append(1000*c/n)
    report.add('predict', wall, 'ms', 0.5)
    report.add('predict, CPU time', cpu, 'ms')
    report.save()

if __name__ == '__main__': main()
