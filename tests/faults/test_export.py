"""Files that are missing, cut short, of another kind, too new or changed.

One clear sentence that names the file, and nothing is changed or half written."""
import json, pickle
import pytest, torch
from safetensors.torch import load_file, save_file
from safetensors import safe_open
from torch import nn
from course_lib.all import *
from course_lib.learner import SGD
from course_lib.export import load_learner
from tests.conformance.test_export import fit, learner, loaders, small, states

def refuses(exc, *parts):
    "One sentence or two, with all of `parts`."
    class Refused:
        def __enter__(self): return self
        def __exit__(self, kind, e, tb):
            assert kind is not None and issubclass(kind, exc), f'{kind}: {e}'
            for p in parts: assert str(p) in str(e), f'{p!r} is not in: {e}'
            assert len(str(e)) < 700 and '\n' not in str(e)
            return True
    return Refused()

@pytest.fixture(scope='module')
def exported(tmp_path_factory): return learner(tmp_path_factory.mktemp('export')).export()

def read(file):
    with safe_open(file, 'pt') as f: d = json.loads(f.metadata()['course_lib'])
    return load_file(file), d

def write(file, weights, d):
    save_file(weights, file, {'course_lib': d if isinstance(d, str) else json.dumps(d)})
    return file

# ---- load_learner

def test_missing(tmp_path):
    with refuses(FileNotFoundError, tmp_path/'none.safetensors', 'export'): load_learner(tmp_path/'none.safetensors')
    with refuses(FileNotFoundError, tmp_path): load_learner(tmp_path)

@pytest.mark.parametrize('keep', [0, 5, 9, 100, 3000, 50_000, -1])
def test_cut_short(tmp_path, exported, keep):
    file = tmp_path/'half.safetensors'
    file.write_bytes(exported.read_bytes()[:keep])
    with refuses(ValueError, file, 'empty' if 0 <= keep < 9 else 'cut short'): load_learner(file)

class Evil:
    ran = False
    def __reduce__(self): return setattr, (Evil, 'ran', True)

@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_a_pickle_is_not_read(tmp_path, protocol):
    file = tmp_path/'export.pkl'
    file.write_bytes(pickle.dumps(Evil(), protocol))
    with refuses(ValueError, file, 'pickle', 'learn.export'): load_learner(file)
    torch.save(Evil(), file)
    with refuses(ValueError, file, 'pickle', 'learn.export'): load_learner(file)
    assert not Evil.ran

@pytest.mark.parametrize('data', [
    b'hello, world, this is a text', b'{"json": true}                 ', b'\xff'*200, b'\x89PNG\r\n\x1a\n' + b'\0'*100])
def test_other_kinds(tmp_path, data):
    file = tmp_path/'a.txt'
    file.write_bytes(data)
    with refuses(ValueError, file, 'another kind'): load_learner(file)

def test_weights_of_another_origin(tmp_path):
    save_file({'weight': torch.zeros(2)}, tmp_path/'hub.safetensors', {'format': 'pt'})
    with refuses(ValueError, 'hub.safetensors', 'another program'): load_learner(tmp_path/'hub.safetensors')

def test_a_newer_format(tmp_path, exported):
    weights, d = read(exported)
    with refuses(ValueError, 'new.safetensors', 'newer course_lib 7.1', 'format 2', 'Install'):
        newer = dict(d, format=2, library='course_lib 7.1', arch='something else', item=None)
        load_learner(write(tmp_path/'new.safetensors', weights, newer))

@pytest.mark.parametrize('change', ['shape', 'missing', 'extra'])
def test_weights_that_do_not_fit(tmp_path, exported, change):
    weights, d = read(exported)
    if change == 'shape': weights['1.8.weight'] = torch.zeros(4, 512)
    if change == 'missing': del weights['1.8.weight']
    if change == 'extra': weights['another'] = torch.zeros(1)
    what = dict(shape='1.8.weight is [4, 512] there and [3, 512] in the model', missing='1.8.weight is missing',
                extra='another is not in the model')[change]
    with refuses(ValueError, 'w.safetensors', what): load_learner(write(tmp_path/'w.safetensors', weights, d))

@pytest.mark.parametrize('d', ['no json', '[]', '{}', 'null', '{"format": "1"}', '{"format": null}'])
def test_a_damaged_description(tmp_path, exported, d):
    with refuses(ValueError, 'd.safetensors', 'damaged'):
        load_learner(write(tmp_path/'d.safetensors', read(exported)[0], d))

@pytest.mark.parametrize('change', [
    dict(arch=['course_lib', 'os.system']), dict(arch=['timm', 'hf-hub:someone/model']),
    dict(arch=['timm', 'no_such_model']), dict(arch=['torchvision', '../x']), dict(arch=['timm', {}]),
    dict(arch=['builtins', 'eval']), dict(arch='resnet18'), dict(arch=None),
    dict(arch=['course_lib', 'resnet18'], cut='x'), dict(arch=['course_lib', 'resnet18'], cut=[1]),
    dict(n_out=4), dict(n_out=10**12), dict(n_out='3'),
    dict(head=dict(lin_ftrs=[10**11])), dict(head=dict(init='print')), dict(head=None),
    dict(item=[['eval', {}]]), dict(item=[['Resize', dict(size=-1)]]), dict(item=[['Resize', dict(size=64, fn='x')]]),
    dict(item=None), dict(batch=[['Normalize', dict(mean=[0], std=[0])]]),
    dict(vocab=['a']), dict(vocab=None), dict(target='code'), dict(activation='exec'),
    dict(thresholds=[2, 2, 2]), dict(thresholds=None), dict(thresholds=['a']*3)], ids=str)
def test_a_description_that_makes_no_sense(tmp_path, exported, change):
    "What a file names is looked up in lists; nothing of it is imported, fetched or called."
    weights, d = read(exported)
    with refuses(ValueError, 'c.safetensors', 'does not make sense'):
        load_learner(write(tmp_path/'c.safetensors', weights, dict(d, **change)))

def test_a_key_less(tmp_path, exported):
    weights, d = read(exported)
    for k in set(d) - {'format', 'library', 'shape', 'about'}:
        less = {o: v for o,v in d.items() if o != k}
        with refuses(ValueError, 'k.safetensors', 'does not make sense'):
            load_learner(write(tmp_path/'k.safetensors', weights, less))

# ---- Predictor

@pytest.mark.parametrize('v', [1.5, -.1, [.5, .5], [], 'high', None, float('nan'), [.1, None, .2]], ids=str)
def test_thresholds_that_are_none(exported, v):
    p = load_learner(exported)
    with refuses(ValueError, 'hresholds', '3 classes', 'grizzly'): p.thresholds = v
    assert p.thresholds == [.5]*3

def test_thresholds_where_there_is_one_label(tmp_path):
    learn = learner(tmp_path, loaders('category'))
    with refuses(ValueError, 'several labels', 'category'): learn.export(thresholds=.5)
    assert not list(tmp_path.glob('*.safetensors'))
    p = load_learner(learn.export())
    with refuses(AttributeError, 'several labels'): p.thresholds = .5

def test_pictures_that_are_none(tmp_path, exported):
    p, bad = load_learner(exported), tmp_path/'bad.jpg'
    bad.write_text('no picture')
    with pytest.raises(OSError, match='bad.jpg'): p.predict(bad)
    with pytest.raises(FileNotFoundError, match='gone.jpg'): p.predict(tmp_path/'gone.jpg')
    with pytest.raises(TypeError, match='list'): p.get_preds('a.jpg')
    with pytest.raises(ValueError, match='no items'): p.get_preds([])
    with pytest.raises(TypeError): p.predict(3.5)

# ---- export

def test_models_that_data_cannot_describe(tmp_path):
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(288, 3))
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1))
    cases = [
        (Learner(loaders(), own, path=tmp_path), 'vision_learner'),
        (learner(tmp_path, custom_head=pooled), 'custom_head'),
        (learner(tmp_path, arch=body), 'code of your own'),
        (learner(tmp_path, arch=lambda pretrained: body), 'code of your own'),
        (learner(tmp_path, arch=resnet18, cut=lambda m: list(m.children())[:6]), '`cut` is a function')]
    changed = learner(tmp_path)
    changed.model[1].append(nn.Sigmoid())
    for learn, why in [*cases, (changed, 'changed after')]:
        with refuses(ValueError, why, 'learn.save', 'learn.load'): learn.export()
    assert not list(tmp_path.iterdir())

def negative(x: TensorImage): return 1 - x

def test_data_that_cannot_be_described(tmp_path):
    cases = [(dict(item_tfms=[Resize(64), lambda x: x]), '<lambda>'), (dict(batch_tfms=[negative]), 'negative')]
    for tfms, name in cases:
        with refuses(ValueError, name, 'code of your own', 'Resize'): learner(tmp_path, loaders(**tfms)).export()
    dl = DataLoader([(torch.zeros(3, 64, 64), torch.zeros(3))]*8, bs=4)
    with refuses(ValueError, 'DataBlock', 'ImageBlock'):
        learner(tmp_path, DataLoaders(dl, dl), n_out=3, loss_func=nn.BCEWithLogitsLoss()).export()
    class Odd(BCEWithLogitsLossFlat):
        def activation(self, x): return x.sigmoid()**2
    with refuses(ValueError, 'activation', 'sigmoid'): learner(tmp_path, loss_func=Odd()).export()
    with refuses(ValueError, 'n_out=2', '3 classes'): learner(tmp_path, n_out=2)
    with refuses(ValueError, '3 names for 2 outputs'): learner(tmp_path, n_out=2, loss_func=nn.L1Loss()).export()
    assert not list(tmp_path.iterdir())

def test_nothing_half_written(tmp_path, monkeypatch):
    import safetensors.torch
    learn = learner(tmp_path)
    good = learn.export().read_bytes()
    def full(weights, file, meta): Path(file).write_bytes(b'half'); raise OSError('No space left on device')
    monkeypatch.setattr(safetensors.torch, 'save_file', full)
    with pytest.raises(OSError, match='No space'): learn.export()
    assert (tmp_path/'export.safetensors').read_bytes() == good and len(list(tmp_path.iterdir())) == 1

# ---- save, load

@pytest.fixture
def saved(tmp_path):
    learn = small(tmp_path)
    fit(learn, 1, 1)
    learn.save('a')
    return learn

def unchanged(learn, before): return all(torch.equal(a, b) for a,b in zip(states(learn), before))

def test_save_nothing_half_written(saved, monkeypatch):
    file = saved.path/'models'/'a.pth'
    good = file.read_bytes()
    def full(state, f): Path(f).write_bytes(b'half'); raise OSError('No space left on device')
    monkeypatch.setattr(torch, 'save', full)
    with pytest.raises(OSError, match='No space'): saved.save('a')
    assert file.read_bytes() == good and list(file.parent.iterdir()) == [file]

@pytest.mark.parametrize('case', [
    'cut', 'short', 'text', 'empty', 'pickle', 'evil', 'tensor', 'list', 'safetensors', 'folder'])
def test_load_of_other_files(saved, case):
    file, before = saved.path/'models'/'b.pth', [t.clone() for t in states(saved)]
    whole = (saved.path/'models'/'a.pth').read_bytes()
    if case == 'cut': file.write_bytes(whole[:len(whole)//2])
    if case == 'short': file.write_bytes(whole[:-30])
    if case == 'text': file.write_text('weights: 1 2 3')
    if case == 'empty': file.write_bytes(b'')
    if case == 'pickle': file.write_bytes(pickle.dumps({'a': Evil()}))
    if case == 'evil': torch.save({'model': Evil(), 'opt': {}}, file)
    if case == 'tensor': torch.save(torch.zeros(3), file)
    if case == 'list': torch.save({'model': [1, 2], 'opt': {}}, file)
    if case == 'safetensors': save_file({'w': torch.zeros(2)}, file)
    if case == 'folder': file.mkdir()
    exc, words = FileNotFoundError if case == 'folder' else ValueError, ['could run any code'] if case == 'evil' else []
    with refuses(exc, 'b.pth', *words): saved.load('b')
    assert unchanged(saved, before) and not Evil.ran

def test_load_of_a_missing_file(saved, tmp_path):
    with refuses(FileNotFoundError, 'c.pth', 'a.pth'): saved.load('c')
    with refuses(FileNotFoundError, 'c.pth', 'Nothing is saved'): small(tmp_path/'elsewhere').load('c')

def test_load_of_another_model(saved):
    learn = small(saved.path)
    learn.model[3] = nn.Linear(8, 5)
    before = [t.clone() for t in learn.model.state_dict().values()]
    with refuses(ValueError, 'a.pth', '3.weight is [2, 8] there and [5, 8] in the model', '1 more'): learn.load('a')
    with refuses(ValueError, '3.weight is [2, 8]'): learn.load('a', strict=False)
    assert all(torch.equal(a, b) for a,b in zip(learn.model.state_dict().values(), before))
    learn.model.append(nn.Linear(2, 2))
    learn.model[3] = nn.Linear(8, 2)
    with refuses(ValueError, '4.weight is missing'): learn.load('a')

def in_halves(m): return [list(m[0].parameters()), list(m[1:].parameters())]

@pytest.mark.parametrize('kw', [dict(opt_func=partial(SGD, mom=.9)), dict(wd_bn_bias=True), dict(splitter=in_halves)],
                         ids=['optimiser', 'decay', 'groups'])
def test_load_of_another_optimiser(saved, kw):
    learn = small(saved.path, **kw)
    before = [t.clone() for t in learn.model.state_dict().values()]
    with refuses(ValueError, 'a.pth', 'optimiser', 'with_opt=False'): learn.load('a')
    assert all(torch.equal(a, b) for a,b in zip(learn.model.state_dict().values(), before))
    learn.load('a', with_opt=False)
    assert all(torch.equal(a, b) for a,b in zip(learn.model.state_dict().values(), saved.model.state_dict().values()))
