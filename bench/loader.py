"""Images per second: the training loader of course_lib beside fastai's, same photos, same recipe, equal workers.

Workers are threads in course_lib and processes in fastai. Each turn goes once through the training set, with the
workers' start and end; nothing is trained.
"""
from common import Report, arguments, in_threads, labels_of, sides, table_of

def make(lib, photos, n, bs):
    df = table_of(photos, n)
    block = lib.DataBlock(blocks=(lib.ImageBlock, lib.MultiCategoryBlock), splitter=lib.IndexSplitter([0]),
                          get_x=lib.ColReader('fname', pref=photos/'train'), get_y=labels_of,
                          item_tfms=lib.RandomResizedCrop(128, min_scale=0.35), batch_tfms=lib.Normalize.from_stats(*lib.imagenet_stats))

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
    report = Report('loader', f'{a.photos.name}, {a.n} images a turn, RandomResizedCrop(128, min_scale=0.35), Normalize, bs={a.bs}{in_threads(a)}; {a.rounds} rounds.')
    with sides(make, a.threads, photos=a.photos, n=a.n, bs=a.bs) as both:
        speed = {w: {k: [] for k in both} for w in (0, 1, 2)}
        cost = {w: {k: [] for k in both} for w in (0, 1, 2)}
        for r in range(a.rounds + 1):
            for w in speed:
                for k,side in sorted(both.items(), reverse=r % 2):
                    wall, cpu, n = side.turn(workers=w)
                    if r: speed[w][k].append(n/wall); cost[w][k].append(1000*cpu/n) # round 0 warms up
    for w in speed:
        c, f = speed[w].values()
        report.add(f'loader, {w} worker{"s"*(w != 1)}', c, f, 'images/s', [x/y for x,y in zip(c, f)], 2.5, at_most=False)
    for w in cost:
        c, f = cost[w].values()
        report.add(f'loader, {w} worker{"s"*(w != 1)}, CPU time', c, f, 'ms/image', [x/y for x,y in zip(c, f)], None, at_most=True)
    report.save()

if __name__ == '__main__': main()
