"""The drawings, pixel by pixel: a change in how the code reads must not change a picture.

The digests lie beside this file. When a picture is *meant* to change, count up the version in `samples`, and write them
anew with `python -m tests.conformance.test_drawings`.
"""
import hashlib, json, tempfile
from functools import partial
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from course_lib.drawings.pen import Dice, Drawing, paint
from course_lib.drawings.things import DRAW, person_look, rider
from course_lib.drawings.scenes import BACKGROUNDS, draw_scene
from course_lib.drawings.bears import BEARS, BEAR_POSES, TEDDY_POSES, bg_forest, draw_bears
from course_lib.drawings.people import draw_head, rotation
from course_lib.samples import bears_plan, draw_biwi, pascal_plan

DIGESTS = Path(__file__).with_suffix('.json')

def digest(*parts):
    "One short text for pictures, arrays of bytes and values that JSON knows."
    h = hashlib.md5()
    for o in parts:
        if isinstance(o, Image.Image): h.update(f'{o.mode} {o.size}'.encode() + o.tobytes())
        else: h.update(o if isinstance(o, bytes) else json.dumps(o).encode())
    return h.hexdigest()[:16]

def painted(draw, seed, size=110):
    "What `draw` draws, as large as it may be on a square, and its silhouette."
    d = Drawing(Dice(seed))
    draw(d)
    im = Image.new('RGB', (size, size), (250, 250, 250))
    x0, y0, x1, y1 = d.box()
    s = (size - 10)/max(x1-x0, y1-y0)
    def place(p): return (p - (x0, y1))*(s, -s) + 5
    place.scale = s
    return im, paint(im, d, place, width=2)[0], [bool(d.spots.get('close')), len(d.spots.get('on', []))]

def things(draw, n=40): return lambda: digest(*(o for seed in range(n) for o in painted(draw, seed)))

def ridden(name, helmet):
    def draw(d): DRAW[name](d, rider(d, person_look(d.r), helmet))
    return things(draw, 4)

def background(f):
    def draw(seed):
        im, d = Image.new('RGB', (160, 120)), Drawing(Dice(seed))
        horizon = f(im, d, 160/120*100)
        def place(p): return p*(1.2, -1.2) + (0, 120)
        place.scale = 1.2
        paint(im, d, place, outline=.75, width=2)
        return im, round(horizon, 6)
    return lambda: digest(*(o for seed in range(8) for o in draw(seed)))

FIRST_SCENES = [(draw_scene, labels, f'42/{name}', size) for name,labels,_,size in pascal_plan()[:3]]
FIRST_BEARS = [(draw_bears, bears + beside, f'42/{name}', size) for name,bears,_,beside,size in bears_plan()[:3]]

def scenes(draw, labels, n=3): return lambda: digest(*(draw(labels.split(), seed, (150, 200)) for seed in range(n)))

def heads(person, yaw, pitch, roll):
    return lambda: digest(draw_head(person, rotation(yaw, pitch, roll), (10*person, -20, 850), seed=person))

def in_old_form(plan):
    "The digests are of rows that end in (width, height)."
    return [(*row, (w, h)) for *row,(h,w) in plan]

def biwi_files():
    with tempfile.TemporaryDirectory() as folder:
        draw_biwi(folder, n_people=2, n_frames=2, n_workers=1)
        files = sorted(p for p in Path(folder).rglob('*') if p.is_file())
        texts = [p.read_text() for p in files if p.suffix != '.jpg']
        return digest([p.relative_to(folder).as_posix() for p in files], texts)

POSES = dict(cat='sit walk loaf close'.split(), dog='stand sit close'.split(), person='stand lap bust'.split(),
             black=BEAR_POSES, grizzly=BEAR_POSES, teddy=TEDDY_POSES)
TOGETHER = ['person horse', 'bicycle person', 'person motorbike', 'sofa person', 'sofa dog cat',
            'diningtable bottle chair', 'person chair', 'pottedplant diningtable', 'boat bird', 'aeroplane',
            'train car', 'sheep cow', 'bus', 'tvmonitor cat']
AMONG = ['black', 'grizzly', 'teddy', 'black grizzly', 'teddy sofa', 'grizzly person', 'dog', '']
ALL = {**DRAW, **BEARS}

DRAWN = {**{f'thing {k}': things(f) for k,f in ALL.items()},
         **{f'pose {k} {p}': things(partial(ALL[k], pose=p), 3) for k,poses in POSES.items() for p in poses},
         **{f'ridden {k} {h}': ridden(k, h) for k in ('horse', 'bicycle', 'motorbike') for h in (None, 'bike', 'full')},
         **{f'background {k}': background(f) for k,f in {**BACKGROUNDS, 'forest': bg_forest}.items()},
         **{f'scene {o}': scenes(draw_scene, o, 2) for o in TOGETHER},
         **{f'bears {o}': scenes(draw_bears, o) for o in AMONG},
         **{f'head {k}': heads(k, 50*np.sin(k), 25*np.cos(k), 9*k - 40) for k in range(20)},
         'first scenes': lambda: digest(*(draw(*args) for draw,*args in FIRST_SCENES)),
         'first bears': lambda: digest(*(draw(*args) for draw,*args in FIRST_BEARS)),
         'plan of scenes': lambda: digest(in_old_form(pascal_plan())),
         'plan of bears': lambda: digest(in_old_form(bears_plan())),
         'files of heads': biwi_files}

@pytest.mark.parametrize('what', DRAWN)
def test_drawn_as_ever(what): assert DRAWN[what]() == json.loads(DIGESTS.read_text())[what]

def test_nothing_is_left_out(): assert set(json.loads(DIGESTS.read_text())) == set(DRAWN)

if __name__ == '__main__': DIGESTS.write_text(json.dumps({k: f() for k,f in DRAWN.items()}, indent=1) + '\n')
