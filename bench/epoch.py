"""Seconds for one epoch (training and validation) of course_lib's Learner beside fastai's, on the CPU.

Both train the same timm model, built from the same seed, whole (nothing frozen), with the same batch size, photos,
recipe, loss and metric, each with its library's defaults for everything else: workers, optimiser, memory format.
Then course_lib in bfloat16 beside fastai in float32, where the CPU has instructions for it: fastai's `to_bf16`
does nothing on a CPU.
"""
from common import Report, arguments, cpu_info, in_threads, labels_of, recipe, sides, table_of

def make(lib, photos, n, bs, arch):
    import timm
    df = table_of(photos, n)
    vocab = sorted({label for _,row in df.iterrows() for label in labels_of(row)})
    dls = recipe(lib, photos, vocab, valid=range(0, n, 5)).dataloaders(df, bs=bs, device='cpu')
    def learner():
        lib.set_seed(42)
        model = timm.create_model(arch, num_classes=len(dls.vocab))
        return lib.Learner(dls, model, loss_func=lib.BCEWithLogitsLossFlat(), metrics=lib.accuracy_multi)
    made = {}
    def one_epoch(precision):
        if precision not in made: made[precision] = learner().to_bf16() if precision == 'bf16' else learner()
        learn = made[precision]
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-3)
        return n
    return one_epoch

def has_bf16(): return bool({'avx512_bf16', 'amx_bf16'} & {*cpu_info('flags').split()})

def main():
    a = arguments(__doc__, n=320, bs=32, rounds=5, arch='tf_efficientnet_lite0', threads=0)
    report = Report('epoch', f'{a.photos.name}, {a.arch}, {a.n} photos at 128 px, bs={a.bs}{in_threads(a)}; '
                             f'{a.rounds} rounds.')
    turns = [('course_lib', 'fp32'), ('fastai', 'fp32')] + ([('course_lib', 'bf16')] if has_bf16() else [])
    wall, cpu = {t: [] for t in turns}, {t: [] for t in turns}
    with sides(make, a.threads, photos=a.photos, n=a.n, bs=a.bs, arch=a.arch) as both:
        for r in range(a.rounds + 1):
            for t in turns[::-1] if r % 2 else turns:
                w, c, _ = both[t[0]].turn(precision=t[1])
                if r: # round 0 warms up
                    wall[t].append(w)
                    cpu[t].append(c)
    fastai = 'fastai', 'fp32'
    for t,target in (('course_lib', 'fp32'), 0.6), (('course_lib', 'bf16'), 0.45):
        if t not in wall: continue
        what = 'epoch' if t[1] == 'fp32' else 'epoch, bf16 beside fp32'
        report.add(what, wall[t], wall[fastai], 's', target)
        report.add(f'{what}, CPU time', cpu[t], cpu[fastai], 's')
    report.save()

if __name__ == '__main__': main()
