"""Real faces in real photographs, in the layout of BIWI: loaded, split by person, trained for half a minute, shown.

Skipped where they are not."""
from pathlib import Path
import numpy as np, pytest, torch
from course_lib.core import *
from course_lib.datasets import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.vision import *
from course_lib.augment import *
from course_lib.losses import *
from course_lib.learner import *
from course_lib.schedules import *
from course_lib.transfer import *
from course_lib.regression import *

HEADS = Path(__file__).resolve().parents[2].parent/'shared'/'data'/'heads'
pytestmark = pytest.mark.skipif(not HEADS.is_dir(), reason='the folder ../shared/data/heads is not here')

def early_layers(m): return [m.conv_stem, m.bn1, *m.blocks[:5]]
def person(o): return o.parent.name

def test_heads(capsys):
    files = sorted(get_image_files(HEADS))
    assert len(files) == 320 and len({person(f) for f in files}) == 8
    for f in files[::40]:
        (x, y, z), cal = np.genfromtxt(img2pose(f), skip_header=3), np.genfromtxt(f.parent/'rgb.cal', skip_footer=6)
        np.testing.assert_allclose(get_ctr(f), [x*cal[0][0]/z + cal[0][2], y*cal[1][1]/z + cal[1][2]], rtol=1e-4)
    new = person(files[0])
    block = DataBlock((ImageBlock, PointBlock), get_items=lambda _: files, get_y=get_ctr,
                      splitter=FuncSplitter(lambda o: person(o) == new),
                      batch_tfms=aug_transforms(size=(120, 160), max_rotate=5., max_warp=.1))
    set_seed(42)
    dls = block.dataloaders(HEADS, bs=16, device='cpu')
    assert {person(f) for f in dls.valid_ds.items} == {new} and new not in {person(f) for f in dls.train_ds.items}
    x,y = dls.one_batch()
    assert x.shape == (16, 3, 120, 160) and y.shape == (16, 1, 2) and dls.c == 2
    assert points_outside(dls.valid) == (0, 40)
    learn = vision_learner(dls, efficientnet_lite0, cut=early_layers, custom_head=point_head(112), init=None,
                           metrics=pixel_error)
    with learn.no_bar(), learn.no_logging(): learn.fine_tune(5, 5e-3, lr_mult=2)
    error = learn.validate()[1]
    targs = learn.get_preds()[1]
    blind = float(pixel_error(torch.zeros(len(targs), 2), targs))
    with capsys.disabled():
        print(f'\nreal heads: {error:.1f} pixels of 640x480 off on a person left out; always the middle: {blind:.1f}')
    assert error < blind/4
    import matplotlib; matplotlib.use('agg')
    import matplotlib.pyplot as plt
    for show, n in (learn.show_results, 8), (dls.show_batch, 4):
        show(max_n=4)
        axes = plt.gcf().axes
        assert len(axes) == n and all(ax.images and ax.collections for ax in axes) # a picture and its point
        plt.close('all')
    point, decision, scaled = learn.predict(files[0])
    assert point.shape == (1, 2) and abs(point - get_ctr(files[0])).max() < 60 # in pixels of the photo, 640x480
