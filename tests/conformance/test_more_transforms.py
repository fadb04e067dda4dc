"Grey pictures, crops with borders, holes, statistics of a batch: against fastai 2.8 (numbers noted here) and numpy."
import warnings
import pytest, torch
from PIL import Image
from course_lib.all import *
from course_lib.fits import stats_of

A = np.arange(35).reshape(7, 5).astype('uint8')

def grey(i=0, h=12, w=16): return np.random.default_rng(i).integers(0, 256, (h, w), dtype='uint8')
def colour(i=0, h=12, w=16): return np.random.default_rng(i).integers(0, 256, (h, w, 3), dtype='uint8')

# ---- CropPad: what fastai makes of A, 7 high and 5 wide

FASTAI = [
    (4, 'zeros', [[5, 6, 7, 8], [10, 11, 12, 13], [15, 16, 17, 18], [20, 21, 22, 23]]),
    ((3, 9), 'zeros', [[0, 0, 10, 11, 12, 13, 14, 0, 0], [0, 0, 15, 16, 17, 18, 19, 0, 0],
                       [0, 0, 20, 21, 22, 23, 24, 0, 0]]),
    ((3, 9), 'border', [[10, 10, 10, 11, 12, 13, 14, 14, 14], [15, 15, 15, 16, 17, 18, 19, 19, 19],
                        [20, 20, 20, 21, 22, 23, 24, 24, 24]]),
    ((3, 9), 'reflection', [[12, 11, 10, 11, 12, 13, 14, 13, 12], [17, 16, 15, 16, 17, 18, 19, 18, 17],
                            [22, 21, 20, 21, 22, 23, 24, 23, 22]]),
    ((9, 3), 'zeros', [[0, 0, 0], [1, 2, 3], [6, 7, 8], [11, 12, 13], [16, 17, 18], [21, 22, 23], [26, 27, 28],
                       [31, 32, 33], [0, 0, 0]]),
    ((9, 3), 'reflection', [[6, 7, 8], [1, 2, 3], [6, 7, 8], [11, 12, 13], [16, 17, 18], [21, 22, 23], [26, 27, 28],
                            [31, 32, 33], [26, 27, 28]]),
    ((7, 5), 'zeros', A.tolist())]

@pytest.mark.parametrize('kind', [PILImage, PILImageBW])
@pytest.mark.parametrize('size, mode, want', FASTAI)
def test_crop_pad(kind, size, mode, want):
    cut, = CropPad(size, pad_mode=mode)((kind.create(A),))
    assert type(cut) is kind and np.array(cut).reshape(*cut.shape, -1)[..., 0].tolist() == want

@pytest.mark.parametrize('size, want', [(4, [0., 0]), ((3, 9), [-.1111, -.3333]), ((9, 3), [-.3333, -.1111])])
@pytest.mark.parametrize('train', [0, 1])
def test_points_go_along(size, want, train):
    "The point (2, 3) of A, scaled, as fastai's CropPad moves it."
    p = Pipeline([PointScaler(), CropPad(size)], train)((PILImage.create(A), TensorPoint.create([2., 3])))[1]
    torch.testing.assert_close(p.plain(), tensor([want]), atol=1e-4, rtol=0)

def test_crop_pad_draws_nothing():
    im = PILImage.create(colour())
    random_numbers = torch.get_rng_state()
    cuts = [np.array(CropPad(9)(im, split_idx=k)) for k in (0, 0, 1)]
    assert all((c == cuts[0]).all() for c in cuts) and torch.equal(random_numbers, torch.get_rng_state())
    assert repr(CropPad((3, 9))) == 'CropPad(3x9, zeros)'

def test_way_back_to_the_photo():
    block = DataBlock((ImageBlock, PointBlock), get_x=lambda i: colour(i, 20, 30 + i), get_y=lambda i: [15, 5],
                      splitter=IndexSplitter([2, 3]), item_tfms=CropPad((24, 16)))
    dls = block.dataloaders(range(4), bs=2, device='cpu', num_workers=0)
    y = torch.cat([b[1] for b in dls.valid])
    torch.testing.assert_close(dls.valid.in_photo(y).plain(), tensor([[[15., 5]]]*2), atol=1e-3, rtol=0)

def test_a_file_without_padding_mode():
    with pytest.raises(ValueError, match="'zeros', 'border', 'reflection'"): CropPad(4, pad_mode='mirror')
    with pytest.raises(ValueError, match='size=0'): CropPad(0)

# ---- RandomErasing: fastai on 50 x 40, sl=.1, sh=.3, 3000 times: the part erased has mean .1998, deviation .0582,
# ---- quantiles .095 .12 .200 .28 .31; height 20.7 and width 21.1 on average, up to 44 and 40

def holes(x, n=1500, **kw):
    set_seed(0)
    t = RandomErasing(**kw)
    return [(t(x) != 0).any(1) for _ in range(n)]

def test_how_much_is_erased_and_how():
    masks = holes(TensorImage(torch.zeros(2, 3, 50, 40)), p=1., sl=.1, sh=.3)
    parts = np.array([m[0].float().mean() for m in masks])
    assert parts.mean() == pytest.approx(.1998, abs=.006) and parts.std() == pytest.approx(.0582, abs=.004)
    np.testing.assert_allclose(np.quantile(parts, [0, .1, .5, .9, 1]), [.095, .12, .2, .28, .311], atol=.012)
    high, wide = np.mean([(m[0].any(1).sum(), m[0].any(0).sum()) for m in masks], 0)
    assert high == pytest.approx(20.75, abs=.7) and wide == pytest.approx(21.14, abs=.7)
    assert all(torch.equal(m[0], m[1]) for m in masks) # the same place in all pictures of a batch, as in fastai

def test_several_holes_share_the_area():
    "fastai, up to three holes of 0 to .3 in all: .1436 of the area."
    masks = holes(TensorImage(torch.zeros(1, 3, 50, 40)), p=1., max_count=3)
    assert np.mean([m.float().mean() for m in masks]) == pytest.approx(.1436, abs=.007)

def test_how_often():
    assert np.mean([m.any() for m in holes(TensorImage(torch.zeros(1, 3, 9, 9)), sl=.1)]) == pytest.approx(.5, abs=.05)

def test_places_are_anywhere():
    masks = holes(TensorImage(torch.zeros(1, 3, 24, 24)), p=1., sl=.1, sh=.2)
    often = torch.cat(masks).float().mean(0)
    torch.testing.assert_close(often, often.flip(0), atol=.06, rtol=0)
    torch.testing.assert_close(often, often.flip(1), atol=.06, rtol=0)

def test_holes_are_noise_of_mean_0_and_deviation_1():
    y = RandomErasing(p=1., sl=.3, min_aspect=1.)(TensorImage(torch.full((9, 3, 60, 60), 7.)))
    noise = y.plain()[y.plain() != 7]
    assert abs(noise.mean()) < .02 and noise.std() == pytest.approx(1, abs=.02)
    assert not torch.equal(y[0], y[1]) # each picture its own

def test_only_pictures_and_only_in_training():
    x, p, y = TensorImage(torch.zeros(2, 3, 9, 9)), TensorPoint(torch.zeros(2, 1, 2)), TensorCategory(tensor([0, 1]))
    t = RandomErasing(p=1., sl=.2)
    out = Pipeline([t], 0)((x, p, y))
    assert (out[0] != 0).any() and out[1] is p and out[2] is y and not (x != 0).any()
    assert Pipeline([t], 1)((x, p, y))[0] is x
    assert type(out[0]) is TensorImage

def test_it_comes_last():
    block = DataBlock((ImageBlock, CategoryBlock), get_x=colour, get_y=lambda i: i % 2, splitter=IndexSplitter([4, 5]),
                      batch_tfms=[RandomErasing(p=1., sl=.2), *aug_transforms(), Normalize.from_stats(*imagenet_stats)])
    dls = block.dataloaders(range(6), bs=2, device='cpu', num_workers=0)
    assert repr(dls.train.after_batch).endswith('Normalize -> RandomErasing')
    assert 'RandomErasing' not in repr(dls.valid.after_batch)
    assert repr(aug_transforms(xtra_tfms=RandomErasing)[-1]) == 'RandomErasing'

@pytest.mark.parametrize('kw', [dict(p=2), dict(sl=.5, sh=.2), dict(sh=3), dict(min_aspect=0), dict(max_count=0)])
def test_erasing_settings_that_make_no_sense(kw):
    with pytest.raises(ValueError, match=list(kw)[0]): RandomErasing(**kw)

def test_erasing_is_for_batches():
    with pytest.raises(ValueError, match='batch_tfms'): DataBlock(item_tfms=RandomErasing())

# ---- PILImageBW

def test_from_colour_as_pillow_makes_it():
    a = colour()
    im = PILImageBW.create(a)
    assert (im.mode, im.shape, repr(im)) == ('L', (12, 16), 'PILImageBW mode=L size=16x12')
    np.testing.assert_array_equal(np.array(im), np.array(Image.fromarray(a).convert('L')))

@pytest.mark.parametrize('ext', ['png', 'jpg', 'bmp'])
@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_from_files(tmp_path, ext, mode):
    f = tmp_path/f'x.{ext}'
    Image.fromarray(grey(h=40, w=64)).convert(mode).save(f)
    want = np.array(Image.open(f).convert('L')).astype(int)
    im = PILImageBW.create(f)
    assert im.mode == 'L' and abs(np.array(im).astype(int) - want).max() <= 1
    assert PILImageBW.create(im) is im and im.to_thumb(8).mode == 'L'

@pytest.mark.parametrize('cut', [Resize(10), Resize(10, 'squish'), Resize(10, 'pad', pad_mode='zeros'), CropPad(10),
                                 RandomResizedCrop(10)])
@pytest.mark.parametrize('ext', ['png', 'jpg'])
def test_one_colour_through_the_whole_pipeline(tmp_path, cut, ext):
    for i in range(6): Image.fromarray(colour(i, 40, 50)).save(tmp_path/f'{i}.{ext}')
    block = DataBlock((ImageBlock(cls=PILImageBW), CategoryBlock), get_items=get_image_files,
                      get_y=lambda f: int(f.stem) % 2, splitter=IndexSplitter([0, 1]), item_tfms=cut,
                      batch_tfms=[*aug_transforms(), Normalize.from_stats([.5], [.25])])
    dls = block.dataloaders(tmp_path, bs=2, device='cpu', num_workers=0)
    for dl in dls.train, dls.valid:
        x, y = dl.one_batch()
        assert type(x) is TensorImage and x.shape == (2, 1, 10, 10) and x.dtype == torch.float32
    sample = dls.valid.decode_batch(dls.valid.one_batch())[0]
    assert sample[0].shape == (1, 10, 10) and 0 <= sample[0].min() and sample[0].max() <= 1

def test_the_fast_way_gives_the_pixels_of_the_plain_one(tmp_path):
    f = tmp_path/'x.jpg'
    Image.fromarray(colour(1, 80, 90)).resize((360, 320)).save(f)
    fast, slow = Pipeline([Resize(32), ToTensor()], 1), [Resize(32), ToTensor()]
    a, = fast((PILImageBW.create(f),))
    b = (PILImageBW.create(f),)
    for t in slow: b = t(b, split_idx=1)
    assert a.shape == b[0].shape == (32, 32, 1) and (a.int() - b[0].int()).abs().max() <= 3

def mnist(n=24, **kw):
    def digit(i): return np.full((28, 28), 255*(i % 2), 'uint8')
    block = DataBlock((ImageBlock(cls=PILImageBW), CategoryBlock), get_x=digit, get_y=lambda i: i % 2,
                      splitter=IndexSplitter(range(n-8, n)), **kw)
    return block.dataloaders(range(n), bs=8, device='cpu', num_workers=0)

def test_a_model_of_one_colour_learns():
    set_seed(0)
    learn = Learner(mnist(), nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                           nn.Linear(4, 2)), metrics=accuracy)
    with learn.no_bar(), learn.no_logging(): learn.fit(8, .05)
    assert learn.recorder.values[-1][-1] == 1
    with learn.no_bar(): assert learn.predict(np.full((28, 28), 255, 'uint8'))[0] == 1
    learn.show_results(max_n=2)

def test_functions_of_ones_own_get_and_give_one_colour():
    def darker(x:TensorImage): return x//2
    def wider(im:PILImageBW): return im.resize((30, 28))
    x, _ = mnist(item_tfms=[wider, darker]).valid.one_batch()
    assert x.shape == (8, 1, 28, 30)

def test_models_of_three_colours_refuse_it():
    for kw in {}, dict(pretrained=False):
        with pytest.raises(ValueError, match='one colour.*`ImageBlock` as it is'):
            vision_learner(mnist(), efficientnet_lite0, **kw)
    with pytest.raises(ValueError, match='n_in=1'): vision_learner(mnist(), efficientnet_lite0, n_in=1)

# ---- Normalize() by a batch

def loaders(*tfms, n=10, **kw):
    block = DataBlock((ImageBlock, CategoryBlock), get_x=colour, get_y=lambda i: i % 2,
                      splitter=IndexSplitter(range(6, n)), batch_tfms=list(tfms), **kw)
    return block, block.dataloaders(range(n), bs=6, device='cpu', num_workers=0)

def raw(n=6): return torch.stack([tensor(colour(i)) for i in range(n)]).permute(0, 3, 1, 2)/255

def test_statistics_are_those_of_one_training_batch():
    "Mean, and deviation with n-1, over pictures, height and width; fastai adds 1e-7."
    _, dls = loaders(Normalize())
    (mean, std), = stats_of(dls.train)
    torch.testing.assert_close(tensor(mean), raw().mean((0, 2, 3)))
    torch.testing.assert_close(tensor(std), raw().std((0, 2, 3)) + 1e-7)
    assert stats_of(dls.valid) == stats_of(dls.train)
    x = dls.train.one_batch()[0]
    torch.testing.assert_close(x.mean((0, 2, 3)).plain(), torch.zeros(3), atol=1e-5, rtol=0)

def test_after_the_transforms_before_it():
    "Not of the pictures as they are in the files."
    _, dls = loaders(Normalize(), Brightness(p=1., draw=.9))
    mean = tensor(stats_of(dls.train)[0][0])
    assert (mean > raw().mean((0, 2, 3)) + .1).all()

def test_they_are_shown():
    _, dls = loaders(Normalize())
    mean = ', '.join(f'{v:.3f}' for v in raw().mean((0, 2, 3)).tolist())
    assert f'Normalize(mean {mean}; deviation ' in repr(dls.train.after_batch)
    assert repr(dls.train.after_batch) == repr(dls.valid.after_batch)
    assert repr(Normalize()) == 'Normalize(by a batch to come)'
    assert repr(Normalize.from_stats(*imagenet_stats)) == 'Normalize'

def test_a_recipe_used_again_looks_again():
    "fastai keeps the statistics of the first data."
    block, dls = loaders(Normalize())
    dark = block.new()
    dark.getters = [lambda i: colour(i)//4, *block.getters[1:]]
    other = dark.dataloaders(range(10), bs=6, device='cpu', num_workers=0)
    assert stats_of(other.train)[0][0][0] < .3*stats_of(dls.train)[0][0][0] + .01

def test_looking_uses_up_no_random_numbers():
    def first(norm):
        set_seed(4)
        _, dls = loaders(norm, item_tfms=RandomResizedCrop(8))
        return dls.train.one_batch()[1], torch.rand(2)
    for a,b in zip(first(Normalize()), first(Normalize.from_stats(*imagenet_stats))): assert torch.equal(a, b)

def test_one_colour_and_several_loaders():
    dls = mnist(batch_tfms=Normalize())
    assert [len(v) for v in stats_of(dls.train)[0]] == [1, 1]
    assert dls.test_dl([np.zeros((28, 28), 'uint8')]).one_batch()[0].shape == (1, 1, 28, 28)

def test_also_where_it_is_added_later_or_given_to_loaders():
    _, dls = loaders()
    dls.add_tfms([Normalize()])
    torch.testing.assert_close(tensor(stats_of(dls.valid)[0][0]), raw().mean((0, 2, 3)))
    ds = [(TensorImage(x), 0) for x in raw()]
    dl = DataLoader(ds, 6, after_batch=[Normalize()])
    both = DataLoaders(dl, DataLoader(ds, 6, after_batch=[Normalize()]))
    assert stats_of(both[0]) == stats_of(both[1]) != []

def test_summary_of_a_recipe_knows_it(capsys):
    block, _ = loaders(Normalize())
    block.summary(range(10))
    assert 'Normalize(mean ' in capsys.readouterr().out

def test_no_batch_seen_yet():
    with pytest.raises(ValueError, match='from a batch'): Normalize()(TensorImage(raw()))
    with pytest.raises(TypeError, match='deviation'): Normalize([.5]*3)
    with pytest.raises(TypeError, match='mean'): Normalize(std=[.5]*3)

def test_numbers_for_other_colours_than_there_are():
    for tfms in [Normalize.from_stats(*imagenet_stats)], [Normalize.from_stats(*imagenet_stats), Brightness()]:
        with pytest.raises(ValueError, match='3 means, but these pictures have 1 colour'):
            mnist(batch_tfms=tfms).train.one_batch()
    x = loaders(Normalize([.5], [.25]))[1].valid.one_batch()[0] # one number for all colours
    torch.testing.assert_close(x.plain(), (raw(10)[6:] - .5)/.25, atol=1e-5, rtol=0)

def small(pretrained=False):
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 9))

def test_a_learner_remembers_them():
    "Loaders made elsewhere, without, are normalised in the same way (fits)."
    _, dls = loaders(Normalize())
    torch.manual_seed(0)
    learn = Learner(dls, nn.Sequential(small(), nn.Linear(9, 2)))
    _, elsewhere = loaders()
    with learn.no_bar(), warnings.catch_warnings():
        warnings.simplefilter('error')
        torch.testing.assert_close(learn.get_preds(dl=elsewhere.valid)[0], learn.get_preds()[0])

# ---- in a file

def test_export_keeps_them(tmp_path):
    "CropPad and the statistics go along; holes are for training only."
    _, dls = loaders(Normalize(), RandomErasing(), item_tfms=CropPad((16, 20)))
    torch.manual_seed(0)
    learn = vision_learner(dls, efficientnet_lite0, pretrained=False, path=tmp_path)
    predictor = load_learner(learn.export('m.safetensors'))
    assert {name for name,_ in predictor.description['item']} == {'CropPad', 'ToTensor'}
    assert dict(predictor.description['batch'])['Normalize']['mean'] == pytest.approx(stats_of(dls.train)[0][0])
    with learn.no_bar(): torch.testing.assert_close(predictor.get_preds([colour(6)])[0], learn.predict(colour(6))[2])
    assert predictor.dls.vocab == [0, 1] and predictor.dls.c == 2

@pytest.fixture(scope='module')
def predictor():
    _, dls = loaders(Normalize(), item_tfms=Resize(16))
    torch.manual_seed(0)
    learn = vision_learner(dls, efficientnet_lite0, pretrained=False)
    return learn, load_learner(learn.export(Path(DATA.name)/'m.safetensors'))

import tempfile
DATA = tempfile.TemporaryDirectory()

def test_dls_of_a_model_in_a_file(predictor):
    "As with a learner of fastai: `dls.vocab`, `dls.test_dl(files)`, `get_preds(dl=dl)`."
    learn, p = predictor
    pics = [colour(i) for i in range(5)]
    dl = p.dls.test_dl(pics, bs=2)
    preds, targs = p.get_preds(dl=dl)
    assert p.dls.vocab == learn.dls.vocab == [0, 1] and p.dls.c == learn.dls.c and targs is None
    with learn.no_bar(): torch.testing.assert_close(preds, learn.get_preds(dl=learn.dls.test_dl(pics))[0])
    *_, decoded = p.get_preds(dl=dl, with_decoded=True)
    assert torch.equal(decoded, preds.argmax(1)) and len(dl) == 3
    torch.testing.assert_close(p.get_preds(pics), preds)

def test_what_a_model_in_a_file_has_not(predictor):
    learn, p = predictor
    for name in 'train', 'valid', 'loaders', 'show_batch':
        with pytest.raises(AttributeError, match=f'no data.*{name}'): getattr(p.dls, name)
    with pytest.raises(ValueError, match='not of this model'): p.get_preds(dl=learn.dls.valid)
    with pytest.raises(ValueError, match='with_labels'): p.dls.test_dl([colour()], with_labels=True)
    with pytest.raises(TypeError, match='A list'): p.dls.test_dl('photo.jpg')
    with pytest.raises(TypeError, match='not a table'): p.dls.test_dl(pd.DataFrame(dict(f=['a.jpg'])))

def test_points_in_the_photo_by_a_model_in_a_file(tmp_path):
    block = DataBlock((ImageBlock, PointBlock), get_x=lambda i: colour(i, 24, 30 + i), get_y=lambda i: [9, 7],
                      splitter=IndexSplitter([4, 5]), item_tfms=Resize(16))
    dls = block.dataloaders(range(6), bs=2, device='cpu', num_workers=0)
    p = load_learner(vision_learner(dls, efficientnet_lite0, pretrained=False, path=tmp_path).export('m.safetensors'))
    pics = [colour(i, 24, 30 + i) for i in range(3)]
    dl = p.dls.test_dl(pics)
    there = dl.in_photo(p.get_preds(dl=dl)[0])
    for i in range(3): torch.testing.assert_close(there[i].plain(), p.predict(pics[i])[0].plain(), atol=1e-2, rtol=1e-3)
