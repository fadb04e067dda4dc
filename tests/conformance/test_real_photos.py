"""The whole walk on real photographs: 128 to train on and 128 to validate.

A quarter of them has no label, two are grey."""
from pathlib import Path
import matplotlib.pyplot as plt, numpy as np, pandas as pd, pytest, torch
from PIL import Image
from sklearn.metrics import average_precision_score
from course_lib.core import set_seed
from course_lib.datablock import ColReader, ColSplitter, DataBlock, MultiCategoryBlock
from course_lib.metrics import APScoreMulti
from course_lib.transfer import efficientnet_lite0, vision_learner
from course_lib.vision import ImageBlock, PILImage, RandomResizedCrop, Resize

PHOTOS = Path(__file__).resolve().parents[2].parent/'shared'/'data'/'photos'
pytestmark = pytest.mark.skipif(not PHOTOS.exists(), reason=f'no photographs in {PHOTOS}')

@pytest.fixture(scope='module')
def df(): return pd.read_csv(PHOTOS/'train.csv')

@pytest.fixture(scope='module')
def vocab(df): return sorted({o for labels in df['labels'].dropna() for o in labels.split()})

def block(vocab=None, tfm=RandomResizedCrop(192, min_scale=.5)):
    return DataBlock((ImageBlock, MultiCategoryBlock(vocab=vocab)), get_x=ColReader('fname', pref=PHOTOS/'train'),
                     get_y=ColReader('labels', label_delim=' '), splitter=ColSplitter(), item_tfms=tfm)

def test_label_that_only_validation_has_is_refused(df):
    with pytest.raises(ValueError, match="'sheep' at items 184, 216, 245") as info: block().datasets(df)
    assert 'vocab=' in str(info.value)

def test_rows_without_a_label_are_rows_of_zeros(df, vocab):
    dsets = block(vocab).datasets(df)
    assert len(dsets.train) == len(dsets.valid) == 128 and '' not in dsets.vocab and dsets.vocab == vocab
    y = torch.stack([dsets.value(i) for i in range(len(dsets))]).numpy()
    expected = df['labels'].str.get_dummies(sep=' ')
    assert list(expected.columns) == vocab
    np.testing.assert_array_equal(y, expected)
    assert (y.sum(1) == 0).sum() == df['labels'].isna().sum() == 59

def test_grey_pictures_load_as_rgb(df, vocab):
    grey = [f for f in df['fname'] if Image.open(PHOTOS/'train'/f).mode == 'L']
    assert len(grey) == 2
    x, = block(vocab, Resize(64)).dataloaders(df, bs=2).test_dl([PHOTOS/'train'/f for f in grey]).one_batch()
    assert x.shape == (2, 3, 64, 64) and torch.equal(x[:, 0], x[:, 2]) and x.std() > .05

def test_every_picture_is_the_one_of_its_file(df, vocab):
    dls = block(vocab, Resize(32, 'squish')).dataloaders(df, bs=64)
    ours = torch.cat([x.as_subclass(torch.Tensor) for x,_ in dls.valid])
    files = df[df['is_valid']]['fname']
    whole = [Image.open(PHOTOS/'train'/f).convert('RGB') for f in files]
    full = np.stack([np.asarray(im.resize((32, 32), Image.Resampling.BILINEAR)) for im in whole])
    off = np.abs(ours.permute(0, 2, 3, 1).numpy()*255 - full).mean((1, 2, 3))
    assert off.max() < 4 # reduced decoding is close to full

@pytest.fixture(scope='module')
def learn(df, vocab, tmp_path_factory):
    "Two epochs; a head of one layer, for 128 pictures are few."
    set_seed(42)
    dls = block(vocab).dataloaders(df, bs=16, path=tmp_path_factory.mktemp('models'), device='cpu')
    learn = vision_learner(dls, efficientnet_lite0, metrics=APScoreMulti(), lin_ftrs=[], ps=.1)
    learn.fit_one_cycle(2, slice(1e-2))
    return learn

def test_two_epochs_are_far_better_than_chance(learn, df, vocab):
    preds, targs = learn.get_preds()
    encoded = df[df['is_valid']]['labels'].str.get_dummies(sep=' ').reindex(columns=vocab, fill_value=0)
    np.testing.assert_array_equal(targs, encoded)
    there = targs.sum(0) > 0
    def score(p): return average_precision_score(targs[:, there], p[:, there], average='macro')
    reached, rng = score(preds), np.random.default_rng(0)
    # the same answers, given for other pictures
    by_chance = [score(preds[rng.permutation(len(preds))]) for _ in range(100)]
    print(f'real photographs: mAP {reached:.3f} after two epochs; '
          f'by chance {np.mean(by_chance):.3f}, at most {max(by_chance):.3f}')
    assert reached > max(max(by_chance), np.mean(by_chance) + .1)
    assert learn.validate()[1] == pytest.approx(reached, abs=1e-4)

def test_results_are_shown(learn, tmp_path, df):
    for show in learn.show_results, learn.dls.show_batch:
        show(max_n=4)
        axes = plt.gcf().axes
        assert len(axes) == 4 and all(ax.images for ax in axes)
        shown = np.asarray(axes[0].images[0].get_array())
        assert shown.shape == (192, 192, 3) and shown.min() >= 0 and shown.std() > .02 # not normalised
        plt.savefig(tmp_path/'shown.png')
        plt.close('all')
    assert (tmp_path/'shown.png').stat().st_size > 10_000

def test_one_picture_is_predicted_as_in_the_batch(learn, df):
    row = df[df['is_valid']].iloc[0]
    preds = learn.get_preds()[0][0]
    for item in PHOTOS/'train'/row['fname'], PILImage.create(PHOTOS/'train'/row['fname']):
        names, decided, probs = learn.predict(item)
        torch.testing.assert_close(probs, preds, atol=1e-4, rtol=0)
        assert list(names) == [n for n,p in zip(learn.dls.vocab, probs) if p > .5] and decided.sum() == len(names)
