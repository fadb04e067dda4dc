"""Points and batch transforms against closed forms, torchvision, and painted dots."""
import math, random, warnings
import numpy as np, pytest, torch
import torch.nn.functional as F
from hypothesis import given, strategies as st
from PIL import Image, JpegImagePlugin
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib import decode
from course_lib.vision import *
from course_lib.augment import *

tv = import_torchvision().transforms
BLACK = dict(pad_mode='zeros') # a reflected dot would be a second one

def dotted(w, h, p, sigma=2.):
    ys, xs = np.mgrid[:h, :w] + .5
    a = 255*np.exp(-((xs-p[0])**2 + (ys-p[1])**2)/(2*sigma**2))
    return PILImage.create(np.repeat(a.round().astype('uint8')[..., None], 3, -1))

def spot(x): # [3,H,W] -> [x, y]
    a = x.plain().mean(0).double().numpy()
    ys, xs = np.mgrid[:a.shape[0], :a.shape[1]] + .5
    return np.array([(xs*a).sum(), (ys*a).sum()])/a.sum()

def dots(n, w, h, seed=0):
    rng = random.Random(seed)
    at = [(w*rng.uniform(.15, .85), h*rng.uniform(.15, .85)) for _ in range(n)]
    samples = [PointScaler()((dotted(w, h, p), TensorPoint.create(p))) for p in at]
    return IntToFloatTensor()(collate([ToTensor()(o) for o in samples]))

def gaps(x, p, inside=.88):
    "The distance of dot and point for each picture whose dot is wholly inside."
    for a,b in zip(x, p):
        if b.abs().max() < inside: yield np.linalg.norm(spot(a) - PointScaler().decode((a, b))[1][0].numpy())

# Points

def test_corner_points_scale_to_the_corners():
    for w,h in (640, 480), (3, 7), (500, 375):
        im = PILImage.create(np.zeros((h, w, 3), 'uint8'))
        _,p = PointScaler()((im, TensorPoint.create([[0, 0], [w, 0], [0, h], [w, h], [w/2, h/2]])))
        torch.testing.assert_close(p.plain(), tensor([[-1., -1], [1, -1], [-1, 1], [1, 1], [0, 0]]))
        pixels = tensor([[0., 0], [w, 0], [0, h], [w, h], [w/2, h/2]])
        torch.testing.assert_close(PointScaler().decode((im, p))[1].plain(), pixels, atol=1e-4, rtol=0)

def test_y_first():
    im = PILImage.create(np.zeros((100, 200, 3), 'uint8'))
    assert PointScaler(y_first=True)((im, TensorPoint.create([50, 50])))[1].tolist() == [[-.5, 0.]]
    assert PointScaler(do_scale=False)((im, TensorPoint.create([50, 50])))[1].tolist() == [[50., 50.]]

@pytest.mark.parametrize('bad', [
    [1], [1, 2, 3], 'ab', None, [[1, 2], [3]], [float('nan'), 1], [], [[1, 2, 3], [4, 5, 6]]])
def test_what_is_no_point_is_refused_with_its_item(bad):
    block = DataBlock((TransformBlock, PointBlock), get_y=lambda o: bad if o == 2 else [1, 2],
                      splitter=IndexSplitter([0]))
    with pytest.raises(ValueError) as e: block.datasets(range(4))
    assert 'item 2' in ' '.join([str(e.value), *e.value.__notes__])

def test_different_numbers_of_points_are_found_when_built():
    with pytest.raises(ValueError, match='Item 2 has 2 points'):
        uneven = DataBlock((TransformBlock, PointBlock), get_y=lambda o: [[1, 2]]*(1 + (o == 2)),
                           splitter=IndexSplitter([0]))
        uneven.datasets(range(4))

def test_a_point_without_its_picture():
    with pytest.raises(ValueError, match='ImageBlock'): PointScaler()((TensorPoint.create([1, 2]),))

@pytest.mark.parametrize('tfm', [
    Resize((60, 80)), Resize((60, 80), 'squish'), Resize((60, 80), 'pad', 'zeros'),
    RandomResizedCrop((60, 80), min_scale=.5), RandomResizedCrop(64, min_scale=.7)])
@pytest.mark.parametrize('size', [(160, 120), (120, 200), (131, 131)])
def test_item_transforms_move_points(tfm, size):
    found = 0
    for seed in range(6):
        set_seed(seed)
        pipe = Pipeline([PointScaler, ToTensor, tfm], split_idx=seed%2)
        p = size[0]*(.35+.05*seed), size[1]*(.65-.05*seed)
        x,q = pipe((dotted(*size, p, 4.), TensorPoint.create(p)))
        for gap in gaps(*IntToFloatTensor()(collate([(x, q)])), inside=.7):
            found += 1
            assert gap < .25
    assert found >= 3

# Maps

ALONE = dict(flip=partial(Flip, 1.), dihedral=partial(Dihedral, 1.), rotate=partial(Rotate, 30., 1.),
             zoom=partial(Zoom, 1, 1.5, 1.), out=partial(Zoom, .6, .9, 1.), warp=partial(Warp, .2, 1.))

@pytest.mark.parametrize('size', [(160, 120), (120, 160), (96, 96), (200, 90)])
@pytest.mark.parametrize('name', [*ALONE, 'all'])
@pytest.mark.parametrize('corners', [True, False])
@pytest.mark.parametrize('to', [None, (80, 110)])
def test_dot_and_point_stay_together(size, name, corners, to):
    x,p = dots(6, *size)
    set_seed(1)
    kw = dict(size=to, align_corners=corners, **BLACK)
    tfms = aug_transforms(max_lighting=0, **kw) if name == 'all' else [ALONE[name](**kw)]
    worst = list(gaps(*Pipeline(tfms)((x, p))))
    assert len(worst) >= 2 and max(worst) < (.5 if corners else .25)

def test_the_test_would_notice():
    x,p = dots(4, 160, 120)
    assert max(gaps(TensorImage(x.flip(-1)), p)) > 5

def test_flip_is_torchs():
    x,_ = dots(3, 50, 40)
    torch.testing.assert_close(Pipeline([Flip(1.)])((x,))[0].plain(), x.plain().flip(-1), atol=1e-5, rtol=0)

def smooth(n, size):
    "A batch of one picture without hard edges: `n` by `n` colours, drawn out to `size`."
    small = torch.rand(1, 3, n, n, generator=torch.Generator().manual_seed(0))
    return F.interpolate(small, size, mode='bicubic').clamp(0, 1)

@pytest.mark.parametrize('deg', [-30., 7., 90.])
@pytest.mark.parametrize('size', [(60, 80), (80, 60), (64, 64)])
def test_rotation_is_torchvisions(deg, size):
    x = smooth(9, size)
    ours = Pipeline([Rotate(draw=deg, p=1., align_corners=False, **BLACK)])((TensorImage(x),))[0].plain()
    theirs = tv.functional.rotate(x, -deg, interpolation=tv.InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours[..., 20:-20, 20:-20], theirs[..., 20:-20, 20:-20], atol=2e-3, rtol=0)

def test_dihedral_is_torchs_eight_ways():
    x = torch.rand(1, 3, 17, 17, generator=torch.Generator().manual_seed(0))
    theirs = [t for k in range(4) for t in (x.rot90(k, (2, 3)), x.flip(-1).rot90(k, (2, 3)))]
    found = set()
    for k in range(8):
        ours = Pipeline([Dihedral(draw=k, p=1.)])((TensorImage(x),))[0].plain()
        found |= {i for i,t in enumerate(theirs) if torch.allclose(ours, t, atol=1e-4)}
    assert found == set(range(8))
    torch.testing.assert_close(Pipeline([Dihedral(draw=0, p=1.)])((TensorImage(x),))[0].plain(), x, atol=1e-4, rtol=0)

@pytest.mark.parametrize('zoom', [1.25, 2., .8])
def test_zoom_is_torchvisions(zoom):
    x = smooth(9, (60, 80))
    tfm = Zoom(draw=zoom, draw_x=.5, draw_y=.5, p=1., align_corners=False, **BLACK)
    ours = Pipeline([tfm])((TensorImage(x),))[0].plain()
    theirs = tv.functional.affine(x, 0, [0, 0], zoom, [0, 0], interpolation=tv.InterpolationMode.BILINEAR)
    torch.testing.assert_close(ours[..., 12:-12, 16:-16], theirs[..., 12:-12, 16:-16], atol=2e-3, rtol=0)

def test_homography_is_torchvisions_perspective():
    h, w = 60, 80
    x = smooth(7, (h, w))
    corners, moved = [[0., 0], [w, 0], [w, h], [0, h]], [[5., 3], [w-9, 6], [w-2, h-4], [8, h-7]]
    scale = lambda ps: (tensor(ps)*2/tensor([w, h]) - 1)[None]
    ours = sample_map(x, homography(scale(moved), scale(corners)), pad_mode='zeros', align_corners=False)
    half = lambda ps: [[a-.5, b-.5] for a,b in ps] # torchvision counts from pixel centres
    theirs = tv.functional.perspective(x, half(corners), half(moved), interpolation=tv.InterpolationMode.BILINEAR)
    assert (ours - theirs)[..., 12:-12, 14:-14].abs().max() < .03

@given(st.lists(st.floats(-.25, .25), min_size=8, max_size=8))
def test_homography_sends_the_four_points(ds):
    src = tensor([[[-1., -1], [-1, 1], [1, -1], [1, 1]]])
    dst = src + tensor(ds).view(1, 4, 2)
    torch.testing.assert_close(map_points(src, homography(src, dst)), dst, atol=1e-3, rtol=0)

def test_warp_moves_corners_as_fastai_does():
    a, b = .1, -.15
    m = warp_mat(1, (50, 70), draw_x=a, draw_y=b, p=1.)
    moved = map_points(tensor([[[-1., -1], [-1, 1], [1, -1], [1, 1]]]), m.inverse())[0]
    torch.testing.assert_close(moved, tensor([[-1-b, -1-a], [-1+b, 1+a], [1+b, -1+a], [1-b, 1-a]]), atol=1e-4, rtol=0)

def test_zoom_closed_form():
    s = 1/1.25
    m = zoom_mat(1, (50, 70), draw=1.25, p=1., draw_x=.2, draw_y=.9)[0]
    torch.testing.assert_close(m, tensor([[s, 0, (1-s)*(2*.2-1)], [0, s, (1-s)*(2*.9-1)], [0, 0, 1]]))

def test_draws_have_the_ranges_and_probabilities_of_fastai():
    set_seed(0)
    n = 20000
    r = rotate_mat(n, (64, 64), 10., p=.75)
    deg = torch.rad2deg(torch.atan2(r[:, 0, 1], r[:, 0, 0]))
    still = (deg == 0).float().mean()
    assert abs(still - .25) < .02 and deg.abs().max() <= 10.001 and abs(deg[deg != 0].std() - 20/math.sqrt(12)) < .1
    z = 1/zoom_mat(n, (64, 64), 1., 1.1, p=.75)[:, 0, 0]
    assert 1 <= z.min() and z.max() <= 1.1 and abs((z == 1).float().mean() - .25) < .02
    assert abs((flip_mat(n, (64, 64), .5)[:, 0, 0] < 0).float().mean() - .5) < .02

def test_composed_is_sampled_once(monkeypatch):
    import course_lib.augment as augment
    x,_ = dots(4, 80, 60)
    calls, real = [], augment.sample_map
    monkeypatch.setattr(augment, 'sample_map', lambda x, *a, **k: (calls.append(len(x)), real(x, *a, **k))[1])
    Pipeline(aug_transforms(size=40))((x,))
    Pipeline([Flip(), Rotate(), Zoom(), Warp()])((x,))
    assert sum(calls) == 8 # each of the pictures once, a few at a time or all

def test_draws_follow_the_seed_and_differ_between_pictures():
    x,p = dots(8, 80, 60)
    pipe = Pipeline(aug_transforms())
    def run(s): set_seed(s); return pipe((x, p))
    (a, q), (b, r), (c, _) = run(1), run(1), run(2)
    assert torch.equal(a, b) and torch.equal(q, r) and not torch.equal(a, c)
    same = TensorImage(x[:1].repeat(8, 1, 1, 1))
    set_seed(1)
    assert len({round(float(v.std()), 5) for v in pipe((same,))[0]}) > 6
    one = Pipeline(aug_transforms(batch=True))((same,))[0]
    assert (one - one[:1]).abs().max() < 1e-5

# Light

@pytest.mark.parametrize('change', [.4, .6])
def test_brightness_closed_form(change):
    x = TensorImage(torch.linspace(.01, .99, 48).view(1, 3, 4, 4))
    y = Pipeline([Brightness(draw=change, p=1.)])((x,))[0].plain()
    x = x.plain()
    torch.testing.assert_close(y, x*change/(x*change + (1-x)*(1-change)))

def test_contrast_closed_form_and_bounds():
    x = TensorImage(torch.linspace(0, 1, 48).view(1, 3, 4, 4))
    y = Pipeline([Contrast(draw=2., p=1.)])((x,))[0].plain()
    x = x.plain()
    torch.testing.assert_close(y, x**2/(x**2 + (1-x)**2), atol=1e-6, rtol=0)
    assert 0 <= y.min() and y.max() <= 1

# aug_transforms

def test_validation_gets_the_size_and_nothing_else():
    x,p = dots(3, 160, 120)
    y,q = Pipeline(aug_transforms(size=(60, 80)), 1)((x, p))
    torch.testing.assert_close(q, p)
    theirs = F.interpolate(x.plain(), (60, 80), mode='bilinear', align_corners=True)
    torch.testing.assert_close(y.plain(), theirs, atol=1e-4, rtol=0)
    assert len(Pipeline(aug_transforms(), 1).tfms) == 0

def test_without_size_validation_keeps_the_fused_step():
    pipe = Pipeline([IntToFloatTensor, *aug_transforms(), Normalize.from_stats(*imagenet_stats)], 1)
    assert repr(pipe) == 'IntToFloatTensor+Normalize'

def test_mult_zero_does_nothing():
    x,p = dots(3, 80, 60)
    y,q = Pipeline(aug_transforms(mult=0, do_flip=False, max_zoom=1.))((x, p))
    torch.testing.assert_close(y.plain(), x.plain().clamp(1e-7, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(q, p)

def test_min_scale_crops_squares_and_keeps_dots():
    x,p = dots(8, 160, 120)
    set_seed(3)
    for split in 0, 1:
        y,q = Pipeline(aug_transforms(size=64, min_scale=.6, max_lighting=0, **BLACK), split)((x, p))
        assert y.shape[-2:] == (64, 64) and max(gaps(y, q)) < .5
    with pytest.raises(ValueError, match='size'): aug_transforms(min_scale=.5)

@pytest.mark.parametrize('kw', [dict(pad_mode='mirror'), dict(max_warp=.7), dict(size=0), dict(size=(1, 2, 3))])
def test_bad_settings_are_refused(kw):
    with pytest.raises(ValueError): aug_transforms(**kw)

# Blocks

def folder_of(tmp_path, sizes):
    for i,(w,h) in enumerate(sizes):
        noise = np.random.default_rng(i).integers(0, 255, (h, w, 3), dtype='uint8')
        Image.fromarray(noise).save(tmp_path/f'{i}.jpg')
    return [tmp_path/f'{i}.jpg' for i in range(len(sizes))]

def test_batches_loss_and_number_of_outputs(tmp_path):
    files = folder_of(tmp_path, [(64, 48)]*6)
    block = DataBlock((ImageBlock, PointBlock), get_y=lambda f: [[16, 12], [48, 36]], splitter=IndexSplitter([0, 1]))
    dls = block.dataloaders(files, bs=4, device='cpu')
    x,y = dls.one_batch()
    assert type(x) is TensorImage and type(y) is TensorPoint
    assert y.shape == (4, 2, 2) and y.dtype == torch.float32 and dls.c == 4
    assert y[0].tolist() == [[-.5, -.5], [.5, .5]]
    assert 'MSELoss' in repr(dls.loss_func)
    assert dls.decode_batch((x, y))[0][1].tolist() == [[16, 12], [48, 36]]

def decoded_sizes(monkeypatch):
    sizes, load = [], JpegImagePlugin.JpegImageFile.load
    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, 'load', lambda im: (sizes.append(im.size), load(im))[1])
    decode_jpeg = decode.decode_jpeg
    def straight(*args, **kwargs):
        a = decode_jpeg(*args, **kwargs)
        sizes.append(a.shape[1::-1])
        return a
    monkeypatch.setattr(decode, 'decode_jpeg', straight)
    return sizes

@pytest.mark.parametrize('size, expect', [
    ((240, 320), (320, 240)), ((120, 160), (160, 120)), ((224, 224), (320, 240)), ((300, 400), (640, 480)),
    ((60, 80), (80, 60))])
def test_no_jpeg_is_decoded_larger_than_needed(tmp_path, monkeypatch, size, expect):
    files = folder_of(tmp_path, [(640, 480)]*4)
    sizes = decoded_sizes(monkeypatch)
    block = DataBlock((ImageBlock, PointBlock), get_y=lambda f: [160, 120], splitter=IndexSplitter([0]),
                      batch_tfms=aug_transforms(size=size))
    dls = block.dataloaders(files, bs=3, device='cpu')
    for split in 0, 1:
        x,y = dls[split].one_batch()
        assert x.shape[-2:] == size
    assert set(sizes) == {expect}
    torch.testing.assert_close(y.plain(), tensor([[[-.5, -.5]]]))

def test_png_and_jpeg_of_one_size_share_a_batch(tmp_path):
    files = folder_of(tmp_path, [(640, 480)]*4)
    Image.open(files[1]).save(tmp_path/'1.png')
    block = DataBlock((ImageBlock, TransformBlock), get_y=lambda f: 0., splitter=IndexSplitter([3]),
                      batch_tfms=aug_transforms(size=(240, 320)))
    dls = block.dataloaders([files[0], tmp_path/'1.png', *files[2:]], bs=3, device='cpu')
    assert dls.one_batch()[0].shape == (3, 3, 240, 320)

def test_item_transforms_keep_their_detail(tmp_path, monkeypatch):
    files = folder_of(tmp_path, [(640, 480)]*2)
    sizes = decoded_sizes(monkeypatch)
    block = DataBlock((ImageBlock, TransformBlock), get_y=lambda f: 0., splitter=IndexSplitter([1]),
                      item_tfms=Resize(460), batch_tfms=aug_transforms(size=224))
    block.dataloaders(files, bs=1, device='cpu').one_batch()
    assert set(sizes) == {(640, 480)}

def test_large_zoom_keeps_its_detail(tmp_path, monkeypatch):
    files = folder_of(tmp_path, [(640, 480)]*2)
    sizes = decoded_sizes(monkeypatch)
    block = DataBlock((ImageBlock, TransformBlock), get_y=lambda f: 0., splitter=IndexSplitter([1]),
                      batch_tfms=aug_transforms(size=(240, 320), max_zoom=2.))
    block.dataloaders(files, bs=1, device='cpu').one_batch()
    assert set(sizes) == {(640, 480)}

def test_different_sizes_in_one_folder_name_the_file(tmp_path):
    files = folder_of(tmp_path, [(64, 48), (64, 48), (60, 48), (64, 48)])
    block = DataBlock((ImageBlock, PointBlock), get_y=lambda f: [1, 1], splitter=IndexSplitter([3]))
    dls = block.dataloaders(files, bs=3, device='cpu')
    with pytest.raises(ValueError, match='Resize') as e: dls.train.new(shuffle=False).one_batch()
    assert '2.jpg' in ' '.join(e.value.__notes__)

def test_points_outside_are_kept_counted_and_told_once(tmp_path):
    files = folder_of(tmp_path, [(64, 48)]*8)
    def get_y(f): return [-8, 24] if f.name in ('0.jpg', '5.jpg') else [32, 24]
    block = DataBlock((ImageBlock, PointBlock), get_y=get_y, splitter=IndexSplitter([5, 6]))
    dls = block.dataloaders(files, bs=2, device='cpu')
    assert points_outside(dls.train) == (1, 6) and points_outside(dls.valid) == (1, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        dls.one_batch()
        for _ in range(2): ys = torch.cat([y.plain() for _,y in dls.train])
        list(dls.valid)
    assert ys.min() == -1.25
    assert [str(w.message)[:15] for w in caught] == ['1 of 6 points (', '1 of 2 points (']
