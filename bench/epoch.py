"""Seconds for one epoch (training and validation) of course_lib's Learner beside fastai's, on the CPU.

All train the same timm model, built from the same seed, whole (nothing frozen), with the same batch size, photos,
recipe, loss and metric, each with its library's defaults for everything else: workers, optimiser, memory format.
Plain torch has as many workers as there are cores. Then course_lib in bfloat16 beside fastai in float32, where the CPU
has instructions for it: fastai's `to_bf16` does nothing on a CPU.
"""
from common import ALL, Report, arguments, cpu_info, in_threads, photo_loaders, sides

def make(lib, photos, n, bs, arch):
    import timm
    dls = photo_loaders(lib, photos, n, valid=range(0, n, 5), bs=bs)
    def learner():
        lib.set_seed(42)
        model = timm.create_model(arch, num_classes=dls.c)
        return lib.Learner(dls, model, loss_func=lib.BCEWithLogitsLossFlat(), metrics=lib.accuracy_multi)
    made = {}
    def one_epoch(precision='fp32'):
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
    turns = [(k, 'fp32') for k in ALL] + ([('course_lib', 'bf16')] if has_bf16() else [])
    wall, cpu = {t: [] for t in turns}, {t: [] for t in turns}
    with sides(make, a.threads, ALL, photos=a.photos, n=a.n, bs=a.bs, arch=a.arch) as ready:
        for r in range(a.rounds + 1):
            for t in turns[::-1] if r % 2 else turns:
                w, c, _ = ready[t[0]].turn(precision=t[1])
                if r: # round 0 warms up
                    wall[t].append(w)
                    cpu[t].append(c)
    for precision,target in ('fp32', 0.35), ('bf16', 0.25):
        if ('course_lib', precision) not in wall: continue
        what = 'epoch' if precision == 'fp32' else 'epoch, bf16 beside fp32'
        for said,values,goal in (what, wall, target), (f'{what}, CPU time', cpu, None):
            others = {k: values[k, 'fp32'] for k in ALL}
            report.add(said, {**others, 'course_lib': values['course_lib', precision]}, 's', goal)
    report.save()

if __name__ == '__main__': main()
