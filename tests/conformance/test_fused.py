"""Every pair of transforms that has a faster equivalent, against its parts, one after the other.

A new pair needs a case here."""
import io, random
import numpy as np, pytest, torch
from PIL import Image
from course_lib import fused
from course_lib.all import *

def registry(): return {pair for pair in fused._faster if all(cls.__module__.startswith('course_lib') for cls in pair)}

def encoded(w, h, fmt='JPEG'):
    small = np.random.default_rng(w + h).integers(0, 256, (9, 12, 3), dtype='uint8')
    Image.fromarray(small).resize((w, h), Image.Resampling.BICUBIC).save(f := io.BytesIO(), fmt, quality=95)
    return f.getvalue()

def bytes_and_points():
    a = np.random.default_rng(0).integers(0, 256, (4, 30, 40, 3), dtype='uint8')
    return TensorImage(torch.from_numpy(a)), TensorPoint(torch.linspace(-.9, .9, 8).view(4, 1, 2)), 'text'

def floats_and_points():
    x, *others = bytes_and_points()
    return IntToFloatTensor()(x), *others

def pictures(fmt): return [(PILImage.create(encoded(w, h, fmt)), TensorPoint.create([.3, -.5]), 'text')
                           for w,h in ((160, 120), (121, 163), (90, 90))]

def cuts(cls):
    "Each way of a cut with files whose pixels are all decoded; `of 255`: torch rounds once where Pillow rounds twice."
    settings = [dict(size=(70, 80)), dict(size=64)] if cls is RandomResizedCrop else [
        dict(size=(70, 80), method=m) for m in ('crop', 'squish')]
    return [(cls(**kw), ToTensor(), pictures('PNG'), 1) for kw in settings]

def maps(**kw): return [AffineCoordTfm([partial(f, p=1.)], **kw) for f in (rotate_mat, warp_mat)]

CASES = { # pair: (first, second, samples, tolerance in units of the last step)
    (IntToFloatTensor, Normalize): lambda: [
        (IntToFloatTensor(div), Normalize(*stats), [bytes_and_points(), floats_and_points()], 1e-4)
        for div in (255., 100.) for stats in (imagenet_stats, ([.1, .5, .9], [.02, 1., .3]))],
    (RandomResizedCrop, ToTensor): lambda: cuts(RandomResizedCrop),
    (Resize, ToTensor): lambda: cuts(Resize),
    (Shrink, ToTensor): lambda: [(Shrink((30, 40), slack), ToTensor(), pictures(fmt), 1)
                                 for fmt in ('JPEG', 'PNG') for slack in (1., .5, .1)],
    (AffineCoordTfm, AffineCoordTfm): lambda: [(*maps(mode='nearest'), [still_pictures()], 1e-6)],
    (LightingTfm, LightingTfm): lambda: [(Brightness(.4, p=1.), Contrast(.4, p=1.), [floats_and_points()], 2e-3),
                                         (Contrast(.1), Brightness(.3), [floats_and_points()], 2e-3)],
}

def still_pictures():
    "Pictures of one colour: sampling twice softens others, which is why maps are joined. Points are the proof."
    x, p, text = floats_and_points()
    return TensorImage(x[:, :, :1, :1].expand(-1, -1, 30, 40)), p, text

def test_every_pair_has_a_case():
    assert registry() == set(CASES), 'a pair without a proof that it equals its parts: give it a case above'

def seeded(tfms, sample, split_idx):
    "What `tfms` make of `sample`, one after the other, with the same draws each time."
    random.seed(3)
    torch.manual_seed(3)
    for t in tfms: sample = t(sample, split_idx)
    return sample

@pytest.mark.parametrize('split_idx', [0, 1])
@pytest.mark.parametrize('pair', CASES, ids=lambda o: '+'.join(c.__name__ for c in o))
def test_a_pair_equals_its_parts(pair, split_idx):
    for first, second, samples, tolerance in CASES[pair]():
        assert (type(first), type(second)) == pair
        joined, = fused.fuse([first, second])
        parts = [t for t in (first, second) if t.split_idx in (None, split_idx)]
        if joined.split_idx not in (None, split_idx): assert parts == []; continue
        for sample in samples:
            (x, p, text), (y, q, _) = seeded(parts, sample, split_idx), seeded([joined], sample, split_idx)
            assert text == 'text' and type(x) is type(y) and x.shape == y.shape and x.dtype == y.dtype
            assert (x.plain().float() - y.plain().float()).abs().max() <= tolerance
            torch.testing.assert_close(p.plain(), q.plain(), atol=1e-5, rtol=1e-5)

@pytest.mark.parametrize('cut', [Resize((64, 64)), RandomResizedCrop(64, min_scale=.6)])
def test_decoded_at_half_size_the_box_moves_by_a_pixel_at_most(cut):
    "In JPEGs more than twice as large as needed the box lies on whole pixels of the picture as decoded."
    joined, = fused.fuse([cut, ToTensor()])
    im = PILImage.create(encoded(401, 303))
    for seed in range(20):
        random.seed(seed); drawn = joined.draw((im,), True)
        (box, _), (moved, _, k) = cut.place(im.size, drawn[0].chosen), joined.place(im.size, drawn[0].chosen, True)
        assert all(v % k == 0 and abs(v - b) <= k/2 for v,b in zip(moved, box)) if k == 2 else moved == box

def test_what_may_not_be_joined_is_not():
    class Mine(Normalize): pass
    for pair in ([IntToFloatTensor(), Mine(*imagenet_stats)], [Resize(8, 'pad'), ToTensor()],
                 [Flip(), Flip(size=8)], [Flip(pad_mode='zeros'), Flip()]): assert len(fused.fuse(pair)) == 2

# A few pictures at a time

def batch(n=7, h=30, w=40):
    a = np.random.default_rng(0).integers(0, 256, (n, h, w, 3), dtype='uint8')
    return TensorImage(torch.from_numpy(a)), TensorPoint(torch.linspace(-.9, .9, 2*n).view(n, 1, 2)), ('text',)*n

NORM = Normalize.from_stats(*imagenet_stats)
RUNS = dict(usual=aug_transforms(), sized=aug_transforms(size=(20, 24)), same_for_all=aug_transforms(batch=True),
            square=aug_transforms(size=16, min_scale=.5), dark=aug_transforms(max_lighting=0., size=(15, 20)),
            only_maps=[Flip(), Rotate()], light=[Brightness(), Contrast()])

def seeded_call(f, sample):
    torch.manual_seed(5)
    return f(sample), torch.rand(1).item()

@pytest.mark.parametrize('threads', [1, 2, 3])
@pytest.mark.parametrize('split_idx', [0, 1])
@pytest.mark.parametrize('name', RUNS)
def test_a_few_at_a_time_is_the_same(name, split_idx, threads):
    pipe = Pipeline([IntToFloatTensor(), *RUNS[name], NORM], split_idx)
    def one_by_one(sample):
        for step in pipe.steps: sample = step(sample)
        return sample
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try: ((x, p, text), drawn), ((y, q, _), after) = seeded_call(one_by_one, batch()), seeded_call(pipe, batch())
    finally: torch.set_num_threads(before)
    assert drawn == after and text == ('text',)*7 and type(y) is TensorImage and type(q) is TensorPoint
    assert x.shape == y.shape and x.stride() == y.stride()
    torch.testing.assert_close(y.plain(), x.plain(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(q.plain(), p.plain(), atol=0, rtol=0)

def test_the_test_would_meet_runs():
    for name,tfms in RUNS.items():
        pipe = Pipeline([IntToFloatTensor(), *tfms, NORM])
        assert len(pipe.few_steps) < len(pipe.steps) or name == 'light'

def test_what_is_drawn_knows_the_shape_of_the_pictures():
    seen = []
    def noted(n, shape): seen.append((n, tuple(shape))); return affine_mat(torch.ones(n), 0, 0, 0, 1, 0)
    Pipeline([IntToFloatTensor(), AffineCoordTfm([noted]), NORM])(batch())
    assert seen == [(7, (30, 40))]

def test_transforms_of_ones_own_are_left_alone():
    class Mine(LightingTfm): pass
    runs = fused.runs_of([IntToFloatTensor(), *aug_transforms(), Mine(), NORM])
    assert [len(r) for r in runs] == [3, 1, 1]
    assert [len(r) for r in fused.runs_of([Flip(), Flip(size=8), NORM])] == [1, 2]

@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize('h, w', [(5, 7), (1, 4), (30, 20)])
def test_a_grid_mapped_by_lines_is_that_by_points(h, w, align_corners):
    mats = torch.eye(3) + torch.rand(4, 3, 3, generator=torch.Generator().manual_seed(0))/9
    lines = pixel_grid(1, w, align_corners)[0, :, 0], pixel_grid(h, 1, align_corners)[0, :, 1]
    theirs = map_points(pixel_grid(h, w, align_corners), mats).view(4, h, w, 2)
    torch.testing.assert_close(fused.mapped_grid(mats, *lines), theirs, atol=1e-6, rtol=1e-5)
