"""Images per second: the training loader of course_lib beside fastai's and torch's own, same photos, equal workers.

Workers are threads in course_lib and processes in the others. Each turn goes once through the training set, with the
workers' start and end; nothing is trained.
"""
from common import ALL, Report, arguments, in_threads, in_turns, photo_loaders, sides

WORKERS = {0: '0 workers', 1: '1 worker', 2: '2 workers'}

def make(lib, photos, n, bs):
    made = {w: photo_loaders(lib, photos, n, bs=bs, num_workers=w) for w in WORKERS} # building is not timed

    def one_pass(workers):
        seen = 0
        for x,y in made[workers].train:
            assert x.shape[1:] == (3, 128, 128) and x.is_floating_point()
            seen += len(x)
        return seen
    return one_pass

def measure(report, what, unit_goal, ready, workers, rounds):
    "A row for the speed with each number of workers, and one for the CPU time of an image."
    speed, cost = [{w: {k: [] for k in ready} for w in workers} for _ in range(2)]
    for r in range(rounds + 1):
        for w in workers:
            for k,side in in_turns(ready, r):
                wall, cpu, n = side.turn(workers=w)
                if r: # round 0 warms up
                    speed[w][k].append(n/wall)
                    cost[w][k].append(1000*cpu/n)
    for w in workers: report.add(f'{what}, {WORKERS[w]}', speed[w], 'images/s', unit_goal, at_most=False)
    for w in workers: report.add(f'{what}, {WORKERS[w]}, CPU time', cost[w], 'ms/image')

def main():
    a = arguments(__doc__, n=768, bs=64, rounds=7, threads=0)
    report = Report('loader', f'{a.photos.name}, {a.n} images a turn, RandomResizedCrop(128, min_scale=0.35), '
                              f'Normalize, bs={a.bs}{in_threads(a)}; {a.rounds} rounds.')
    with sides(make, a.threads, ALL, photos=a.photos, n=a.n, bs=a.bs) as ready:
        measure(report, 'loader', 3, ready, WORKERS, a.rounds)
    report.save()

if __name__ == '__main__': main()
