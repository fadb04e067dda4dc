"""Functions of one's own among the transforms: they get what their annotation means, and their results are pictures.

What cannot be known is refused when the recipe is written."""
import functools, textwrap, typing, warnings
import numpy as np, pytest, torch
from PIL import Image, ImageOps
from torch import nn
from course_lib.core import *
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.vision import *
from course_lib.augment import *

LABELS = ['a', 'b', 'a b', '']*3

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    path = tmp_path_factory.mktemp('pictures')
    for i in range(12):
        a = np.random.default_rng(i).integers(0, 256, (4, 6, 3), dtype='uint8')
        Image.fromarray(a).resize((60, 40), Image.Resampling.BICUBIC).save(path/f'{i:02}.png')
    return sorted(path.ls())

@pytest.fixture
def loaders(files):
    def make(block=MultiCategoryBlock, get_y=lambda f: LABELS[int(f.stem)].split(), item_tfms=None, **kw):
        item_tfms = [Resize(16, 'squish')] if item_tfms is None else item_tfms
        dblock = DataBlock((ImageBlock, block), get_y=get_y, splitter=IndexSplitter(range(8, 12)),
                           item_tfms=item_tfms, **kw)
        return dblock.dataloaders(files, bs=4, num_workers=0, device='cpu')
    return make

@pytest.fixture
def points(loaders):
    return lambda **kw: loaders(PointBlock, lambda f: [[30., 10.], [15., 20.]], **kw)

def text_of(info): return '\n'.join([str(info.value), *getattr(info.value, '__notes__', [])])

# Annotations

def run(code, **names):
    "The names that `code` defines, as a module with `names` in it would."
    exec(textwrap.dedent(code), names)
    return names

def written_later():
    return run('''
        from __future__ import annotations
        def f(x: TensorImage): return x*0
        def g(x: 'TensorImage | None'): return x*0
        class C:
            def __call__(self, x: TensorImage): return x*0
            def method(self, x: TensorImage): return x*0
            @staticmethod
            def static(x: TensorImage): return x*0
            @classmethod
            def of_class(cls, x: TensorImage): return x*0
        ''', TensorImage=TensorImage)

def decorated(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs): return f(*args, **kwargs)
    return wrapper

def zero_of(kind):
    def f(x: 'kind'): return kind(x)*0 # the name is one of the function around it
    return f

class Encodes:
    def encodes(self, x: 'TensorImage'): return x*0

class Zero(nn.Module):
    def forward(self, x: 'TensorImage'): return x*0

class Doubled:
    "A callable object of which the function is a partial."
    def __init__(self): self.f = functools.partial(lambda k, x: x*k, 0)
    def __call__(self, x: TensorImage|PILImage): return self.f(x)

Bound, Free = typing.TypeVar('Bound', bound=TensorImage), typing.TypeVar('Free', TensorImage, PILImage)
New = typing.NewType('New', TensorImage)

def with_annotation(a):
    def f(x): return x*0
    f.__annotations__['x'] = a
    return f

FORMS = dict(
    a_class=TensorImage, text='TensorImage', either=TensorImage|PILImage,
    union=typing.Union[TensorImage, PILImage], # noqa: UP007
    union_of_texts=typing.Union['TensorImage', 'PILImage'], maybe=typing.Optional[TensorImage], # noqa: UP045
    text_either='TensorImage | PILImage', classes=(TensorImage, PILImage), texts=('TensorImage', 'PILImage'),
    annotated=typing.Annotated[TensorImage, 'a picture'], bound=Bound, constrained=Free, new_type=New,
    dotted='typing.Optional[TensorImage]', in_quotes="'TensorImage'")
LATER = written_later()
FUNCTIONS = {**{k: with_annotation(a) for k,a in FORMS.items()}, 'future': LATER['f'], 'future_text': LATER['g'],
    'object': LATER['C'](), 'method': LATER['C']().method, 'static': LATER['C'].static, 'of_class': LATER['C'].of_class,
    'partial': partial(LATER['f']), 'decorated': decorated(LATER['f']),
    'twice': partial(decorated(decorated(LATER['C']().method))), 'closure': zero_of(TensorImage), 'encodes': Encodes(),
    'module': Zero(), 'a_type': Encodes, 'around_partial': Doubled(), 'cached': functools.lru_cache(LATER['f'])}

@pytest.mark.parametrize('name', FUNCTIONS)
def test_a_function_for_pictures_leaves_labels_alone(loaders, name):
    dls = loaders(batch_tfms=FUNCTIONS[name])
    x, y = dls.valid.one_batch()
    assert x.max() == 0 and x.shape == (4, 3, 16, 16) and type(x) is TensorImage
    assert y.sum() == 4 and type(y) is TensorMultiCategory

@pytest.mark.parametrize('name', ['text', 'either', 'future', 'encodes', 'module', 'decorated'])
def test_and_points(points, name):
    before, after = points().valid.one_batch()[1], points(batch_tfms=FUNCTIONS[name]).valid.one_batch()[1]
    assert torch.equal(before, after) and before.abs().sum() > 0

@pytest.mark.parametrize('a', [typing.Any, object, typing.TypeVar('T'), 'typing.Any', None])
def test_what_is_for_everything_is_given_everything(loaders, a):
    f = (lambda x: x*0) if a is None else with_annotation(a)
    x, y = loaders(batch_tfms=f).valid.one_batch()
    assert x.max() == 0 and y.max() == 0

def test_other_arguments_need_no_annotation_that_is_known(loaders):
    def f(x: TensorImage, k: 'never heard of' = 0, *more, **others) -> 'nor of this': return x*k # noqa: F722
    assert loaders(batch_tfms=f).valid.one_batch()[1].sum() == 4

def nested():
    class Hidden: pass
    return run('from __future__ import annotations\ndef hidden(x: Hidden): return x*0')['hidden']

def photo(x: 'Photo'): return x*0
def words(x: 'a picture'): return x*0 # noqa: F722
def a_module(x: np): return x*0
def a_number(x: 3): return x*0
def literal(x: typing.Literal['TensorImage']): return x*0

@pytest.mark.parametrize('f,says', [(photo, 'Photo'), (nested(), 'Hidden'), (words, 'a picture'), (a_module, 'numpy'),
                                    (a_number, '3'), (literal, 'Literal'), (partial(photo), 'Photo'),
                                    (decorated(photo), 'Photo')])
@pytest.mark.parametrize('where', ['item_tfms', 'batch_tfms'])
def test_unknown_annotations_are_refused_when_the_recipe_is_written(f, says, where):
    with pytest.raises(TypeError) as e: DataBlock((ImageBlock, CategoryBlock), **{where: [f]})
    assert all(s in text_of(e) for s in (says, func_name(f), 'leave the annotation out'))

def test_a_pipeline_refuses_them_too():
    with pytest.raises(TypeError, match='Photo'): Pipeline([photo])
    with pytest.raises(TypeError, match='Photo'): Pipeline([]).add(photo)

@pytest.mark.parametrize('f', [lambda x, y: (x, y), lambda: 3, partial(lambda x: x, x=3)])
def test_functions_of_other_than_one_value_are_refused(f):
    with pytest.raises(TypeError, match='SampleTransform'): DataBlock(item_tfms=f)

# What fastai gives to a function without an annotation

def recorder(seen):
    def f(x):
        seen.append((type(x), tuple(getattr(x, 'shape', ())), getattr(x, 'dtype', None)))
        return x
    return f

def test_batch_functions_are_given_bytes_with_colours_in_front(loaders):
    seen = []
    x, _ = loaders(batch_tfms=recorder(seen)).valid.one_batch()
    assert seen == [(TensorImage, (4, 3, 16, 16), torch.uint8), (TensorMultiCategory, (4, 2), torch.float32)]
    assert torch.equal(x, loaders().valid.one_batch()[0]) # a look changes nothing

def test_later_ones_are_given_floats(loaders):
    seen = []
    f = recorder(seen)
    f.order = 11
    loaders(batch_tfms=f).valid.one_batch()
    assert seen[0] == (TensorImage, (4, 3, 16, 16), torch.float32)

def test_item_functions_are_given_pictures_before_they_are_cut(loaders):
    seen = []
    loaders(item_tfms=[Resize(16), recorder(seen)]).valid.one_batch()
    assert seen[:2] == [(PILImage, (40, 60), None), (TensorMultiCategory, (2,), torch.float32)]

def test_points_are_still_in_pixels(points):
    seen = []
    def f(p: TensorPoint):
        seen.append(p.tolist())
        return p
    y = points(item_tfms=[Resize(16, 'squish'), f]).valid.one_batch()[1]
    assert seen[0] == [[30., 10.], [15., 20.]]
    torch.testing.assert_close(y[0].plain(), tensor([[0., -.5], [-.5, 0.]]))

def test_values_in_a_tuple_are_given_one_by_one():
    assert Pipeline([lambda x: x + 1])((1, (2, (3,)))) == (2, (3, (4,)))
    assert Pipeline([lambda x: x + 1])(1) == 2
    def f(x: tuple): return x[::-1]
    assert Pipeline([f])((1, (2, 3))) == (1, (3, 2))

@pytest.mark.parametrize('f,expected', [
    (lambda x: x*.5, .5), (lambda x: x.float(), 1), (lambda x: x.float()/255, 1), (lambda x: x.numpy(), 1),
    (lambda x: x.int(), 1), (lambda x: x.plain(), 1), (lambda x: x.double()/2, .5), (lambda x: x.numpy()/255., 1),
    (lambda x: x.flip(-1).flip(-1), 1), (lambda x: x//1, 1)])
def test_what_becomes_of_bytes(loaders, f, expected):
    def only_pictures(x: TensorImage): return f(x)
    before, after = [loaders(batch_tfms=t).valid.one_batch()[0] for t in (None, only_pictures)]
    assert type(after) is TensorImage and after.dtype == torch.float32
    torch.testing.assert_close(after.plain(), before.plain()*expected, atol=1e-5, rtol=0)

def test_pictures_may_change_their_size_and_lose_their_colours(loaders):
    def small(x: TensorImage): return x[..., ::2, ::2]
    assert loaders(batch_tfms=small).valid.one_batch()[0].shape == (4, 3, 8, 8)
    def grey(x: TensorImage): return x.float().mean(1, keepdim=True)
    x = loaders(batch_tfms=grey).valid.one_batch()[0]
    assert x.shape == (4, 1, 16, 16) and .2 < x.mean() < .8

@pytest.mark.parametrize('f,says', [
    (lambda x: x.float()/255*4 - 2, 'order = 11'), (lambda x: x.float().mean((-1, -2)), 'came back')])
def test_what_is_no_picture_any_more_is_refused(loaders, f, says):
    def only_pictures(x: TensorImage): return f(x)
    with pytest.raises(ValueError) as e: loaders(batch_tfms=only_pictures).valid.one_batch()
    assert says in text_of(e) and 'only_pictures' in text_of(e)

def test_a_function_sees_the_whole_pictures(files):
    seen = []
    one_class(files, item_tfms=None, batch_tfms=[recorder(seen), *aug_transforms(size=8)]).one_batch()
    assert seen[0][1] == (4, 3, 40, 60)

# What comes back from functions of pictures

class Photo8(PILImage): pass

BACK = dict(rotate=lambda im: im.rotate(10), crop=lambda im: im.crop((0, 0, 30, 20)), mirror=ImageOps.mirror,
    fit=lambda im: ImageOps.fit(im, (33, 21)), grey=ImageOps.grayscale, one=lambda im: im.convert('1'),
    rgba=lambda im: im.convert('RGBA'), cmyk=lambda im: im.convert('CMYK'), autocontrast=ImageOps.autocontrast,
    transpose=lambda im: im.transpose(Image.Transpose.ROTATE_90), thumb=lambda im: im.to_thumb(20),
    itself=lambda im: im,
    fromarray=lambda im: Image.fromarray(np.asarray(im)[:, ::-1].copy()), array=lambda im: np.asarray(im)[::-1],
    grey_array=lambda im: np.asarray(im)[..., 0], floats=lambda im: np.asarray(im)/255.,
    half=lambda im: np.asarray(im)*.5)

@pytest.mark.parametrize('name', BACK)
@pytest.mark.parametrize('cut', [Resize(16), Resize((16, 16), 'pad'), Resize(16, 'squish'), RandomResizedCrop(16)])
def test_it_is_a_picture_again(loaders, name, cut):
    def f(im: PILImage): return BACK[name](im)
    for dl in loaders(item_tfms=[f, cut]):
        x, y = dl.one_batch()
        assert type(x) is TensorImage and x.shape == (4, 3, 16, 16) and len(y) == 4

@pytest.mark.parametrize('name', BACK)
def test_of_the_class_that_it_was(name):
    a = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype='uint8')
    for cls in PILImage, Photo8:
        out, made = Pipeline([BACK[name]])(cls.create(a)), BACK[name](cls.create(a))
        assert type(out) is cls and out.mode == 'RGB'
        if isinstance(made, np.ndarray): made = (made*(255 if name == 'floats' else 1)).astype('uint8')
        expected = np.asarray(PILImage.create(made)).astype(int)
        assert abs(np.asarray(out) - expected).max() <= 1

@pytest.mark.parametrize('cut', [Resize(16), RandomResizedCrop(16)])
@pytest.mark.parametrize('name', ['rotate', 'mirror', 'grey', 'array', 'crop'])
def test_with_points(points, name, cut):
    def f(im: PILImage): return BACK[name](im)
    x, y = points(item_tfms=[cut, f]).train.one_batch()
    assert x.shape == (4, 3, 16, 16) and y.shape == (4, 2, 2)

class Tilted(SampleTransform):
    def apply(self, x, drawn): return x.rotate(10) if isinstance(x, Image.Image) else x

def test_from_transforms_of_samples_too(loaders):
    for dl in loaders(item_tfms=[Tilted, Resize(16)]): assert dl.one_batch()[0].shape == (4, 3, 16, 16)

def torchvisions(*names):
    import_torchvision()
    from torchvision.transforms import v2
    made = dict(turn=v2.RandomRotation(10), grey=v2.Grayscale(3), cut=v2.CenterCrop(20),
                flip=v2.RandomHorizontalFlip(1.),
                light=v2.ColorJitter(.5), all=v2.Compose([v2.Resize(30), v2.RandomVerticalFlip(1.)]))
    return [made[n] for n in names]

@pytest.mark.parametrize('name', ['turn', 'grey', 'cut', 'flip', 'light', 'all'])
def test_torchvisions_transforms_are_for_pictures(loaders, name):
    for dl in loaders(item_tfms=[*torchvisions(name), Resize(16)]):
        x, y = dl.new(shuffle=False).one_batch()
        assert x.shape == (4, 3, 16, 16) and y.tolist() == [[1, 0], [0, 1], [1, 1], [0, 0]]

def test_torchvisions_transforms_of_batches(loaders):
    before, after = [loaders(batch_tfms=t).valid.one_batch() for t in (None, torchvisions('flip'))]
    torch.testing.assert_close(after[0].plain(), before[0].plain().flip(-1))
    assert torch.equal(after[1], before[1])

def one_class(files, **kw):
    settings = dict(get_y=lambda f: 'a', splitter=IndexSplitter([0]), item_tfms=Resize(16))
    dblock = DataBlock((ImageBlock, CategoryBlock), **{**settings, **kw})
    return dblock.dataloaders(files, bs=4, num_workers=0)

@pytest.mark.parametrize('what', ['image', 'grey', 'array', 'bytes', 'deep'])
def test_what_getters_may_give(files, what):
    def get_x(f):
        if what == 'bytes': return f.read_bytes()
        im = Image.open(f)
        if what == 'deep': return Image.fromarray(np.asarray(im.convert('L')).astype('uint16')*257)
        return np.array(im) if what == 'array' else im.convert('L') if what == 'grey' else im
    dls = one_class(files, get_x=get_x)
    x, ref = [dl.valid.one_batch()[0].plain() for dl in (dls, one_class(files))]
    if what in ('grey', 'deep'): ref = (ref*tensor([.299, .587, .114])[:, None, None]).sum(1, keepdim=True).expand_as(x)
    torch.testing.assert_close(x, ref, atol=.02, rtol=0)

def test_blocks_of_ones_own_may_open_pictures_with_pillow(files):
    block = TransformBlock(type_tfms=Image.open, item_tfms=ToTensor, batch_tfms=IntToFloatTensor)
    dls = DataBlock((block, CategoryBlock), get_y=lambda f: 'a', splitter=IndexSplitter([0]),
                    item_tfms=Resize(16)).dataloaders(files, bs=4, num_workers=0)
    assert dls.one_batch()[0].shape == (4, 3, 16, 16)

def test_labels_keep_their_type(loaders):
    def smooth(y: TensorMultiCategory): return y.numpy()*.9 + .05
    y = loaders(item_tfms=[Resize(16), smooth]).valid.one_batch()[1]
    assert type(y) is TensorMultiCategory and y.dtype == torch.float32 and y.min() > 0

@pytest.mark.parametrize('cut', [Resize(16), Resize(16, 'pad'), RandomResizedCrop(16)])
def test_a_tensor_that_comes_before_its_cut_is_refused(loaders, cut):
    def tensors(im: PILImage): return TensorImage(torch.from_numpy(np.array(im)))
    with pytest.raises(TypeError) as e: loaders(item_tfms=[tensors, cut]).one_batch()
    assert all(s in text_of(e) for s in (repr(cut), 'TensorImage', 'order = 2'))
    tensors.order = 2
    assert loaders(item_tfms=[tensors, cut]).one_batch()[0].shape == (4, 3, 16, 16)

# What comes back must be something

def test_nothing_is_refused(loaders):
    def forgot(im: PILImage): im.rotate(10)
    with pytest.raises(ValueError) as e: loaders(item_tfms=[forgot, Resize(16)]).one_batch()
    assert all(s in text_of(e) for s in ('forgot', 'PILImage', 'return', 'item'))
    with pytest.raises(ValueError, match='return'): loaders(batch_tfms=lambda x: None).one_batch()

class Forgetful(SampleTransform):
    def apply(self, x, drawn):
        if isinstance(x, PILImage): return x

class Shorter(SampleTransform):
    def __call__(self, sample, split_idx=None): return sample[:1]

@pytest.mark.parametrize('t,says', [(Forgetful, 'return'), (Shorter, 'a tuple of 1')])
def test_lost_values_are_refused(loaders, t, says):
    with pytest.raises(ValueError) as e: loaders(item_tfms=[t(), Resize(16)]).one_batch()
    assert says in text_of(e) and t.__name__ in text_of(e)

def test_nothing_from_nothing_is_fine():
    assert Pipeline([lambda x: x])((None, 3)) == (None, 3)

def test_a_function_that_finds_nothing_to_do_warns_once(loaders):
    def f(x: PILImage): return x
    dls = loaders(batch_tfms=f)
    with pytest.warns(UserWarning, match='`f` is for PILImage.*TensorImage, TensorMultiCategory') as ws:
        for _ in range(2): list(dls.train)
    assert len(ws) == 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        list(dls.valid)
        list(loaders(batch_tfms=with_annotation(TensorImage)).train)
        list(loaders(item_tfms=[Resize(9), with_annotation(TensorMultiCategory)]).train)

# Lists of transforms

def test_lists_in_lists_classes_and_none(loaders):
    for item_tfms in [[[Resize(16)]], [None, Resize(16)], (Resize(16), [None]), Pipeline([Resize(16)]), L(Resize(16))]:
        assert loaders(item_tfms=item_tfms).one_batch()[0].shape == (4, 3, 16, 16)
    for batch_tfms in Flip, [Flip, Rotate], [[Zoom()], None], aug_transforms(), (t for t in aug_transforms()):
        assert loaders(batch_tfms=batch_tfms).one_batch()[0].shape == (4, 3, 16, 16)

@pytest.mark.parametrize('bad,says', [
    (dict(batch_tfms=aug_transforms), 'parenthes'), (dict(batch_tfms=[aug_transforms]), 'aug_transforms()'),
    (dict(item_tfms=16), 'Resize(16)'), (dict(item_tfms=(16, 24)), 'Resize(16)'),
    (dict(item_tfms=Resize), 'Resize(size)'),
    (dict(item_tfms=[RandomResizedCrop]), 'RandomResizedCrop(size)'), (dict(item_tfms='Resize'), 'quotes'),
    (dict(item_tfms='Resize(16)'), 'quotes'),
    (dict(item_tfms=dict(size=16)), 'function'), (dict(item_tfms={Resize(16)}), 'list'),
    (dict(batch_tfms=imagenet_stats), '0.485'),
    (dict(item_tfms=[Resize(16), Normalize.from_stats(*imagenet_stats)]), 'batch_tfms='),
    (dict(item_tfms=[Resize(16), *aug_transforms()]), 'batch_tfms='), (dict(item_tfms=IntToFloatTensor), 'batch_tfms='),
    (dict(item_tfms=[Resize(16), Rotate]), 'batch_tfms='), (dict(batch_tfms=Resize(16)), 'item_tfms='),
    (dict(batch_tfms=[RandomResizedCrop(16), *aug_transforms()]), 'item_tfms=')])
def test_other_things_are_refused_when_the_recipe_is_written(bad, says):
    for write in DataBlock, DataBlock().new:
        with pytest.raises((TypeError, ValueError)) as e: write(**bad)
        assert says in text_of(e)

def test_a_forgotten_call_of_ones_own_is_named(loaders):
    def my_transforms(size=16): return [Flip()]
    with pytest.raises(TypeError) as e: loaders(batch_tfms=my_transforms).one_batch()
    assert 'my_transforms()' in text_of(e)

def test_what_runs_only_in_training_and_in_its_turn(loaders):
    seen = []
    def f(x: TensorImage):
        seen.append(len(x))
        return x*0
    f.split_idx = 0
    dls = loaders(batch_tfms=f)
    assert dls.train.one_batch()[0].max() == 0 and dls.valid.one_batch()[0].max() > 0 and seen == [4]

def test_threads_and_summary(loaders, files, capsys):
    def tilted(im: 'PILImage'): return im.rotate(10)
    dls = loaders(item_tfms=[tilted, Resize(16)])
    assert dls.train.new(num_workers=2).one_batch()[0].shape == (4, 3, 16, 16)
    DataBlock((ImageBlock, CategoryBlock), get_y=lambda f: 'a', splitter=IndexSplitter([0]),
              item_tfms=[tilted, Resize(16)]).summary(files)
    assert 'tilted gives\n    PILImage mode=RGB size=60x40' in capsys.readouterr().out
