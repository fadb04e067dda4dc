"""From a point of the picture that a model saw, back to the pixels of the photo that was given."""
import io, warnings
import numpy as np, pytest, torch
from PIL import Image
from course_lib.core import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.vision import *
from course_lib.photo import *
from course_lib.augment import *
from course_lib.learner import Learner
from course_lib.transfer import resnet18, vision_learner
from course_lib.export import load_learner
from course_lib.losses import MSELossFlat

SIZES = [(640, 480), (480, 640), (500, 375), (97, 61), (400, 400), (641, 481)]
PLACES = [[400., 300.], [33.5, 610.], [0., 7.], [90., 5.], [200., 399.5], [320., 240.]]

def dotted(w, h, p, sigma):
    ys, xs = np.mgrid[:h, :w] + .5
    a = 255*np.exp(-((xs-p[0])**2 + (ys-p[1])**2)/(2*sigma**2))
    return Image.fromarray(np.repeat(a.round().astype('uint8')[..., None], 3, -1))

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp('photos')
    for k, ((w, h), p) in enumerate(zip(SIZES, PLACES)): dotted(w, h, p, w/30).save(path/f'{k}.{["jpg", "png"][k%2]}')
    return sorted(path.ls())

WAYS = {'crop': (Resize(64), None), 'crop wide': (Resize((40, 90)), None), 'squish': (Resize((48, 80), 'squish'), None),
        'pad': (Resize((64, 96), 'pad', 'zeros'), None), 'rrc': (RandomResizedCrop((60, 64), min_scale=.5), None),
        'batch size': (Resize(96), aug_transforms(size=(48, 60))), 'none': (None, None),
        'opened small': (None, aug_transforms(size=(60, 80))), 'middle': (Resize((72, 96), 'pad'), [
            *aug_transforms(size=48, min_scale=.5), Normalize.from_stats(*imagenet_stats)]),
        'two sizes': (Resize(100), [Flip(size=80), Rotate(size=(60, 50))])}

def recipe(way, get_y=None, block=PointBlock, **kwargs):
    item, batch = WAYS[way]
    get_y = get_y or (lambda f: PLACES[int(f.stem)])
    settings = dict(splitter=IndexSplitter(range(1, len(SIZES))), item_tfms=item, batch_tfms=batch)
    return DataBlock((ImageBlock, block), get_y=get_y, **{**settings, **kwargs})

def quietly(f, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore') # places at the edge are outside after a crop
        return f(*args, **kwargs)

@pytest.mark.parametrize('way', WAYS)
def test_labels_come_back(files, way):
    dls = recipe(way).dataloaders(files, bs=1 if WAYS[way][0] is None else 2, num_workers=0, device='cpu')
    scaled = quietly(lambda: torch.cat([p for _, p in dls.valid]))
    back = dls.valid.in_photo(scaled)
    assert type(back) is TensorPoint
    torch.testing.assert_close(back.plain()[:, 0], tensor(PLACES[1:]), atol=.02, rtol=0)
    torch.testing.assert_close(dls.valid.in_photo(scaled.plain().flatten(1)).plain(), back.plain())

@pytest.mark.parametrize('way', [w for w in WAYS if w != 'none'])
def test_a_dot_that_the_model_sees_is_found_in_the_photo(files, way):
    "An independent witness: the dot is looked for in the picture that came out, and its place taken back."
    for k in (0, 4, 5):
        if way == 'two sizes' and k == 4: continue
        get_y, w, h = (lambda f: [1., 1.]), *SIZES[k]
        dls = recipe(way, get_y).dataloaders(files, bs=1, num_workers=0, device='cpu')
        dl = dls.test_dl([dotted(w, h, (w*.55, h*.45), w/30)])
        x, = quietly(dl.one_batch)
        a = (x.plain()[0].mean(0) - x.min()).double()
        a = (a - .2*a.max()).clamp(min=0)
        sx, sy = [((torch.arange(n) + .5)*2/n - 1).double() for n in (a.shape[1], a.shape[0])]
        seen = torch.stack([(a*sx).sum(), (a*sy[:, None]).sum()])/a.sum()
        where = dl.in_photo(seen.float()[None])[0, 0].plain()
        assert (where - tensor([w*.55, h*.45])).norm() < .012*w, (way, k, where)

def test_several_points_and_training_pictures_as_in_validation(files):
    dls = recipe('rrc', lambda f: [[10., 20.], [30., 50.], [60., 25.]], partial(PointBlock, pairs=[(0, 1)])
                 ).dataloaders(files, bs=2, num_workers=0, device='cpu')
    middle = torch.zeros(5, 6)
    assert torch.allclose(dls.valid.in_photo(middle).plain(), (tensor(SIZES[1:])/2)[:, None].expand(5, 3, 2), atol=1.)
    assert dls.train.in_photo(torch.zeros(1, 2)).shape == (1, 1, 2)
    torch.testing.assert_close(dls.train.in_photo(torch.zeros(1, 2)), dls.train.in_photo(torch.zeros(1, 2)))

@pytest.mark.parametrize('scaler,get_y', [
    (PointScaler(y_first=True), lambda f: PLACES[int(f.stem)][::-1]),
    (PointScaler(do_scale=False), lambda f: (tensor(PLACES[int(f.stem)])*2/tensor(SIZES[int(f.stem)]) - 1).tolist())])
def test_other_forms_of_labels_come_back_as_x_and_y_in_pixels(files, scaler, get_y):
    points = TransformBlock(type_tfms=TensorPoint.create, item_tfms=scaler)
    dls = recipe('crop', get_y, points).dataloaders(files, bs=5, num_workers=0, device='cpu')
    back = dls.valid.in_photo(dls.valid.one_batch()[1])
    torch.testing.assert_close(back.plain()[:, 0], tensor(PLACES[1:]), atol=.02, rtol=0)

@pytest.mark.parametrize('turn', [3, 6, 8])
def test_photos_that_lie_on_their_side(files, turn):
    f, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    Image.new('RGB', (60, 40)).save(f, 'JPEG', exif=exif)
    dl = recipe('crop').dataloaders(files, bs=1, num_workers=0, device='cpu').test_dl([f.getvalue()])
    upright = (60, 40) if turn == 3 else (40, 60)
    torch.testing.assert_close(dl.in_photo(torch.zeros(1, 2)).plain(), tensor([[upright]])/2, atol=.51, rtol=0)

def test_functions_of_ones_own_may_stand_between(files):
    def lighter(x:TensorImage): return x + .1
    def grey(im:PILImage): return PILImage.create(im.convert('L'))
    dls = recipe('crop', item_tfms=[grey, Resize(64)], batch_tfms=[lighter, *aug_transforms(size=32)]
                 ).dataloaders(files, bs=5, num_workers=0, device='cpu')
    back = dls.valid.in_photo(quietly(dls.valid.one_batch)[1])
    torch.testing.assert_close(back.plain()[:, 0], tensor(PLACES[1:]), atol=.02, rtol=0)

# Learner and exported model

class Says(torch.nn.Module):
    "Always the same answer."
    def __init__(self, *numbers):
        super().__init__()
        self.numbers = torch.nn.Parameter(tensor([*numbers]))
    def forward(self, x): return self.numbers.expand(len(x), -1)

@pytest.mark.parametrize('way', WAYS)
def test_predict_answers_in_pixels_of_the_photo(files, way, tmp_path):
    dls = recipe(way, lambda f: [20., 20.]).dataloaders(files, bs=1, num_workers=0, device='cpu', path=tmp_path)
    for k, f in enumerate(files):
        p = quietly(dls.test_dl([f], with_labels=True).one_batch)[1][0, 0].plain()
        learn = Learner(dls, Says(*p.tolist()), MSELossFlat())
        point, decision, numbers = learn.predict(f)
        torch.testing.assert_close(point.plain(), tensor([[20., 20.]]), atol=.02, rtol=0)
        assert torch.equal(decision, numbers) and torch.equal(numbers, p)
        torch.testing.assert_close(learn.predict(f.read_bytes())[0].plain(), point.plain())

def test_many_predictions(files):
    dls = recipe('crop').dataloaders(files, bs=2, num_workers=0, device='cpu')
    learn = Learner(dls, Says(.25, -.5), MSELossFlat())
    dl = dls.test_dl(files)
    where = dl.in_photo(learn.get_preds(dl=dl)[0])
    one = torch.stack([learn.predict(f)[0].plain() for f in files])
    torch.testing.assert_close(where.plain(), one)

@pytest.mark.parametrize('way', ['crop', 'batch size', 'middle'])
def test_the_exported_model_agrees(files, way, tmp_path):
    dls = recipe(way).dataloaders(files, bs=3, num_workers=0, device='cpu', path=tmp_path)
    set_seed(0)
    learn = vision_learner(dls, resnet18, pretrained=False, normalize=False)
    learn.model.eval()
    again = load_learner(learn.export())
    for f in files[:3]:
        a, b = learn.predict(f)[0], again.predict(f)[0]
        assert type(b) is TensorPoint
        torch.testing.assert_close(a.plain(), b.plain(), atol=1e-2, rtol=1e-4)

# What has no way back

def test_without_a_way_back(files):
    dls = recipe('crop').dataloaders(files, bs=5, num_workers=0, device='cpu')
    with pytest.raises(ValueError, match=r'5 photos.*\[4, 2\]'): dls.valid.in_photo(torch.zeros(4, 2))
    with pytest.raises(ValueError, match=r'\[5, 3\]'): dls.valid.in_photo(torch.zeros(5, 3))
    labels = recipe('crop', lambda f: f.stem, CategoryBlock(list('012345'))).dataloaders(files, bs=5, num_workers=0)
    with pytest.raises(ValueError, match='PointBlock'): labels.valid.in_photo(torch.zeros(5, 2))

def test_what_bends_in_validation_has_none(files):
    bend = AffineCoordTfm(valid_maps=[partial(warp_mat, p=1., draw_x=.2, draw_y=.1)])
    dls = recipe('crop', batch_tfms=bend).dataloaders(files, bs=5, num_workers=0, device='cpu')
    with pytest.raises(ValueError, match='bend'): dls.valid.in_photo(torch.zeros(5, 2))
