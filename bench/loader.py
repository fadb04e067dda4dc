"""Images per second: the training loader of course_lib beside fastai's, same photos, same recipe, equal workers.

Workers are threads in course_lib and processes in fastai. Each turn goes once through the training set, with the
workers' start and end; nothing is trained.
"""
from common import Report, arguments, in_threads, recipe, sides, table_of

def make(lib, photos, n, bs):
    df, block = table_of(photos, n), recipe(lib, photos)

    def one_pass(workers):
        seen = 0
        for x,y in block_of(workers).train:
            assert x.shape[1:] == (3, 128, 128) and x.is_floating_point()
            seen += len(x)
        return seen

    made = {}
    def block_of(workers):
        if workers not in made: made[workers] = block.dataloaders(df, bs=bs, num_workers=workers, device='cpu')
        return made[workers]

    for workers in 0, 1, 2: block_of(workers) # building is not timed
    return one_pass

def main():
    a = arguments(__doc__, n=768, bs=64, rounds=7, threads=0)
    report = Report('loader', f'{a.photos.name}, {a.n} images a turn, RandomResizedCrop(128, min_scale=0.35), '
                              f'Normalize, bs={a.bs}{in_threads(a)}; {a.rounds} rounds.')
    with sides(make, a.threads, photos=a.photos, n=a.n, bs=a.bs) as both:
        speed = {w: {k: [] for k in both} for w in (0, 1, 2)}
        cost = {w: {k: [] for k in both} for w in (0, 1, 2)}
        for r in range(a.rounds + 1):
            for w in speed:
                for k,side in sorted(both.items(), reverse=r % 2):
                    wall, cpu, n = side.turn(workers=w)
                    if r: # round 0 warms up
                        speed[w][k].append(n/wall)
                        cost[w][k].append(1000*cpu/n)
    workers = {0: '0 workers', 1: '1 worker', 2: '2 workers'}
    for w,what in workers.items(): report.add(f'loader, {what}', *speed[w].values(), 'images/s', 2.5, at_most=False)
    for w,what in workers.items(): report.add(f'loader, {what}, CPU time', *cost[w].values(), 'ms/image')
    report.save()

if __name__ == '__main__': main()
