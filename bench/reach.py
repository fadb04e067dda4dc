"""What a training reaches: the projects of chapters 10 and 12 by course_lib and by fastai, with several seeds each.

Both get the same pictures, model, trained weights and settings; loaders, augmentation, loop and optimiser are each
library's own. Twenty labels: mAP on the 200 validation pictures of PASCAL_SAMPLE. Heads: how many pixels off on the
frames of person 13 of BIWI_SAMPLE. How fast the machine is does not matter here.
"""
import statistics
from functools import partial
from common import BOTH, Report, arguments, sides

def is_person_13(file): return file.parent.name == '13'
def early_layers(model): return [model.conv_stem, model.bn1, *model.blocks[:5]]

def learner(lib, block, source, bs, n_out, split=None, **kwargs):
    "The chapters' model, made by the course for either library."
    from course_lib.transfer import body_head_split, create_vision_model, efficientnet_lite0
    dls = block.dataloaders(source, bs=bs, device='cpu')
    cuda = {'cuda': False} if lib.__name__.startswith('fastai') else {}
    dls.add_tfms([lib.Normalize.from_stats([127/255]*3, [128/255]*3, **cuda)], 'after_batch')
    parts = {k: kwargs.pop(k) for k in ('cut', 'custom_head', 'init') if k in kwargs}
    model = create_vision_model(efficientnet_lite0, n_out, **parts)
    return lib.Learner(dls, model, splitter=partial(body_head_split, at=split), **kwargs)

def twenty_labels(lib):
    from course_lib.datasets import URLs, untar_data
    path = untar_data(URLs.PASCAL_SAMPLE)
    block = lib.DataBlock(blocks=(lib.ImageBlock, lib.MultiCategoryBlock), splitter=lib.ColSplitter('is_valid'),
                          get_x=lib.ColReader('fname', pref=path/'train'),
                          get_y=lib.ColReader('labels', label_delim=' '),
                          item_tfms=lib.RandomResizedCrop(128, min_scale=0.35))
    learn = learner(lib, block, lib.pd.read_csv(path/'train.csv'), 32, 20, split=6, metrics=lib.APScoreMulti())
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(7, base_lr=1e-2, lr_mult=5)
    return learn

def middle_of_a_head(lib):
    from course_lib.datasets import URLs, untar_data
    from course_lib.regression import get_ctr, pixel_error, point_head
    def error(pred, targ): return pixel_error(pred.as_subclass(lib.Tensor), targ.as_subclass(lib.Tensor))
    def centre(file): return lib.tensor(get_ctr(file).tolist())
    block = lib.DataBlock(blocks=(lib.ImageBlock, lib.PointBlock), get_items=lib.get_image_files, get_y=centre,
                          splitter=lib.FuncSplitter(is_person_13), batch_tfms=lib.aug_transforms(size=(120, 160)))
    learn = learner(lib, block, untar_data(URLs.BIWI_SAMPLE), 16, 2, cut=early_layers, custom_head=point_head(112),
                    init=None, metrics=error)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(4, 5e-3, lr_mult=2)
    return learn

def make(lib):
    import course_lib.samples # noqa: F401 (makes the drawn data sets known)
    def trained(project, seed):
        lib.set_seed(seed)
        learn = {'labels': twenty_labels, 'heads': middle_of_a_head}[project](lib)
        with learn.no_bar(): return float(learn.validate()[1])
    return trained

def in_short(values): return f'{statistics.mean(values):.3g} ({min(values):.3g} to {max(values):.3g})'

def main():
    a = arguments(__doc__, seeds=3, threads=0)
    report = Report('reach', f'the drawn scenes and heads; {a.seeds} seeds: mean (from, to).')
    what = dict(labels='mAP, twenty labels', heads='pixels off, the middle of a head')
    with sides(make, a.threads, BOTH) as both:
        for project,name in what.items():
            said = {k: in_short([s.turn(project=project, seed=r)[2] for r in range(a.seeds)]) for k,s in both.items()}
            report.note(name, said['course_lib'], said['fastai'])
    report.save()

if __name__ == '__main__': main()
