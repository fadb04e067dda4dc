"""The drawn bears: folders, table and splits as promised, the labels true.

The same bytes from the same seed, whole or not at all."""
import hashlib
import numpy as np, pandas as pd, pytest
from PIL import Image
from course_lib import samples
from course_lib.all import *
from course_lib.drawings.pen import Dice, Drawing, paint, placer
from course_lib.drawings.scenes import scene_and_truth
from course_lib.drawings.bears import BEARS, BEAR_POSES, TEDDY_POSES, compose_bears
from course_lib.samples import bears_plan, draw_bear_set

def table(path): return pd.read_csv(path/'labels.csv', keep_default_na=False)

def digests(path):
    files = [f for f in path.rglob('*') if f.is_file()]
    return {f.relative_to(path).as_posix(): hashlib.md5(f.read_bytes()).hexdigest() for f in files}

@pytest.fixture(scope='module')
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp('bears')/'a'
    draw_bear_set(path, n=6, n_two=6, n_none=6)
    return path

def test_plan():
    plan = pd.DataFrame(bears_plan(), columns=['fname', 'labels', 'is_valid', 'beside', 'size'])
    folder = plan.fname.str.split('/').str[0]
    counts = dict(black=130, grizzly=130, teddy=130, none=110, two=90)
    assert folder.value_counts().to_dict() == counts and plan.fname.is_unique
    assert (plan.groupby(folder).is_valid.mean() == .2).all()
    assert all(o == ([f] if f in BEARS else []) for o,f in zip(plan.labels, folder) if f != 'two')
    pairs = plan[folder == 'two'].assign(pair=lambda d: d.labels.map(tuple))
    assert pairs.groupby('pair').is_valid.agg(['size', 'sum']).values.tolist() == [[30, 6]]*3
    assert pairs.labels.map(lambda o: o == sorted(o)).all()
    for o in 'beside', 'size': # drawn alike for training and validation
        counts = pd.crosstab(plan.is_valid, plan[o].astype(str), normalize='index')
        often = counts.loc[False] > .05
        assert abs(counts.loc[True, often] - counts.loc[False][often]).max() < .12
    assert set(plan['size']) == {(400, 300), (300, 400)}
    assert bears_plan() == bears_plan() != bears_plan(seed=1)

def test_files(small):
    df = table(small)
    assert list(df.columns) == ['fname', 'labels', 'is_valid'] and len(df) == 30 and df.is_valid.dtype == bool
    assert sorted(df.fname) == sorted(f.relative_to(small).as_posix() for f in small.rglob('*.jpg'))
    for name, labels in zip(df.fname, df.labels):
        im = Image.open(small/name)
        assert (im.format, im.mode, sorted(im.size)) == ('JPEG', 'RGB', [300, 400])
        assert set(labels.split()) <= set(BEARS)
        kind = name.split('/')[0]
        assert labels == kind if kind in BEARS else len(labels.split()) == dict(two=2, none=0)[kind]

def test_labels_are_what_was_drawn():
    for name, bears, _, others, size in bears_plan()[5::47]:
        im, truth = scene_and_truth([*bears, *others], Dice(f'bears/42/{name}'), size, compose_bears)
        assert {o for t in truth for o in t['labels']} == {*bears, *others} and im.size == size[::-1]
        if truth: assert min(t['visible'] for t in truth) > .4 and min(t['area'] for t in truth) > .004

def test_same_seed_same_bytes(small, tmp_path):
    draw_bear_set(tmp_path/'b', n=6, n_two=6, n_none=6, n_workers=1)
    assert digests(tmp_path/'b') == digests(small)
    draw_bear_set(tmp_path/'c', n=6, n_two=6, n_none=6, seed=1)
    a, c = digests(small), digests(tmp_path/'c')
    assert [k for k in a if a[k] == c[k]] == ['labels.csv']

@pytest.mark.parametrize('kind', BEARS)
def test_colour_alone_does_not_decide(kind):
    "There are brown and dark toys, as there are brown and dark animals; and no toy's colour is all there is."
    def fur(seed):
        d = Drawing(Dice(f'{kind}/{seed}'))
        BEARS[kind](d)
        im = Image.new('RGB', (300, 300))
        x0, y0, x1, y1 = d.box()
        s = 280/max(x1-x0, y1-y0)
        mask, (x, y) = paint(im, d, placer(10 - s*x0, 10 + s*y1, s))
        seen = np.asarray(im.crop((x, y, x+mask.width, y+mask.height)))
        return np.median(seen[np.asarray(mask) > 0], 0)
    furs = np.array([fur(k) for k in range(60)])
    dark, brown = furs.max(1) < 85, (furs[:, 0] > furs[:, 2]*1.4) & (furs[:, 0] < 190)
    if kind == 'teddy': assert dark.mean() > .08 and brown.mean() > .2 and (dark | brown).mean() < .75
    else: assert (dark if kind == 'black' else brown).mean() > .8

POSES = dict(black=BEAR_POSES, grizzly=BEAR_POSES, teddy=TEDDY_POSES)

@pytest.mark.parametrize('kind,pose', [(k, p) for k in BEARS for p in POSES[k]])
def test_every_pose(kind, pose):
    d = Drawing(Dice(1))
    BEARS[kind](d, pose)
    x0, y0, x1, y1 = d.box()
    assert len(d.shapes) > 20 and x1-x0 > 40 and y1-y0 > 40 and np.isfinite(d.box()).all()
    assert d.spots.get('close', False) == (pose == 'close')

def test_wrong_names():
    with pytest.raises(ValueError, match='panda.*black, grizzly, teddy'): draw_bears(['teddy', 'panda'], 1)

def test_untar_data_whole_or_not_at_all(home, monkeypatch):
    real, n = samples.draw_bears, [0]
    def fails(*args):
        n[0] += 1
        if n[0] == 4: raise OSError('No space left on device')
        return real(*args)
    plan = samples.bears_plan
    monkeypatch.setattr(samples, 'bears_plan', lambda *args: plan(2, 3, 2))
    monkeypatch.setattr(samples, 'n_cores', lambda: 1)
    monkeypatch.setattr(samples, 'draw_bears', fails)
    with pytest.raises(OSError, match='No space'): untar_data(URLs.BEARS_SAMPLE)
    assert not [o for o in (home/'data').iterdir() if o.is_dir()]
    path = untar_data(URLs.BEARS_SAMPLE)
    assert path == home/'data'/'bears_sample' and len(table(path)) == 11
    drawn = n[0]
    assert untar_data(URLs.BEARS_SAMPLE) == path and n[0] == drawn

def test_as_the_course_reads_it(small):
    "Three folders for a single label, the table for several labels or none."
    files = get_image_files(small, folders=['black', 'grizzly', 'teddy'])
    one = DataBlock((ImageBlock, CategoryBlock), get_y=lambda f: f.parent.name, splitter=RandomSplitter(seed=1),
                    item_tfms=Resize(32)).dataloaders(files, bs=4)
    assert list(one.vocab) == ['black', 'grizzly', 'teddy']
    block = DataBlock((ImageBlock, MultiCategoryBlock), get_x=ColReader('fname', pref=small),
                      get_y=ColReader('labels', label_delim=' '), splitter=ColSplitter(), item_tfms=Resize(32))
    several = block.dataloaders(table(small), bs=4)
    assert list(several.vocab) == ['black', 'grizzly', 'teddy']
    y = torch.stack([several.train_ds.value(i).plain() for i in range(len(several.train_ds))]).sum(1)
    assert set(y.tolist()) == {0., 1., 2.}
    again = block.dataloaders(pd.read_csv(small/'labels.csv'), bs=4) # nan means none
    assert list(again.vocab) == ['black', 'grizzly', 'teddy']
