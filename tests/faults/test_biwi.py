"""Folders of heads that are not as they should be: one clear error that names the file, when the datasets are built."""
import shutil
import pytest, torch
from PIL import Image
from course_lib.core import *
from course_lib.datasets import *
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.vision import *
from course_lib.augment import *
from course_lib.regression import *

CAL = '517.679 0 320.0 \n0 517.679 240.5 \n0 0 1 \n\n0 0 0 0 \n\n1 0 0 \n0 1 0 \n0 0 1 \n\n0 0 0 \n\n640 480 \n'
POSE = ['1 0 0', '0 1 0', '0 0 1', '', '10 20 1000']

@pytest.fixture
def heads(tmp_path):
    "Two people with three frames each."
    for person in '01', '02':
        (tmp_path/person).mkdir()
        (tmp_path/person/'rgb.cal').write_text(CAL)
        for i in range(3):
            Image.new('RGB', (640, 480), (90*i, 60, 30)).save(tmp_path/person/f'frame_{i:05d}_rgb.jpg')
            (tmp_path/person/f'frame_{i:05d}_pose.txt').write_text('\n'.join(POSE) + '\n')
    return tmp_path

def build(path):
    block = DataBlock((ImageBlock, PointBlock), get_items=get_image_files, get_y=get_ctr,
                      splitter=FuncSplitter(lambda o: o.parent.name == '02'))
    return block.datasets(path)

def fails(path, exc, *parts):
    with pytest.raises(exc) as e: build(path)
    text = ' '.join([str(e.value), *getattr(e.value, '__notes__', [])])
    for p in (*parts, 'item '): assert p in text, text
    assert len(str(e.value)) < 400

def test_whole_folders_are_read(heads):
    dsets = build(heads)
    assert [len(dsets.train), len(dsets.valid)] == [3, 3]
    torch.testing.assert_close(dsets[0][1].plain(), tensor([[320 + 517.679*.01, 240.5 + 517.679*.02]]))

def test_a_frame_without_its_pose(heads):
    (heads/'02'/'frame_00001_pose.txt').unlink()
    fails(heads, FileNotFoundError, 'frame_00001_pose.txt', 'no pose file')

@pytest.mark.parametrize('rows', [POSE[1:], POSE[:4], POSE[:3] + ['10 20'], [], POSE + ['1 2 3']])
def test_a_pose_with_a_wrong_number_of_lines(heads, rows):
    (heads/'01'/'frame_00002_pose.txt').write_text('\n'.join(rows))
    fails(heads, ValueError, 'frame_00002_pose.txt', 'four rows')

@pytest.mark.parametrize('row', ['ten 20 1000', '10,20,1000', '<html>'])
def test_a_pose_that_is_not_numbers(heads, row):
    (heads/'01'/'frame_00002_pose.txt').write_text('\n'.join(POSE[:4] + [row]))
    fails(heads, ValueError, 'frame_00002_pose.txt', 'numbers')

@pytest.mark.parametrize('z', ['0', '-900', 'nan'])
def test_a_depth_that_cannot_be(heads, z):
    (heads/'02'/'frame_00000_pose.txt').write_text('\n'.join(POSE[:4] + [f'10 20 {z}']))
    fails(heads, ValueError, 'frame_00000_pose.txt', 'depth')

@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('v', ['nan', 'inf'])
def test_a_centre_that_is_no_place(heads, axis, v):
    row = ['10', '20', '1000']
    row[axis] = v
    (heads/'02'/'frame_00000_pose.txt').write_text('\n'.join(POSE[:4] + [' '.join(row)]))
    fails(heads, ValueError, 'frame_00000_pose.txt')

@pytest.mark.parametrize('text', [
    '', 'hello', '1 2 3\n4 5 6\n7 8 9\n', '517.679 0 320\n', '-5 0 320\n0 517 240\n0 0 1\n', '{"fx": 517}',
    '517 0\n0 517\n0 0\n', 'nan 0 320\n0 517 240\n0 0 1\n', '\x00\x01\xff'])
def test_a_calibration_that_is_not_one(heads, text):
    (heads/'02'/'rgb.cal').write_text(text)
    fails(heads, ValueError, 'rgb.cal', '02')

def test_no_calibration(heads):
    (heads/'01'/'rgb.cal').unlink()
    fails(heads, FileNotFoundError, 'rgb.cal', '01')

def test_a_picture_of_another_size(heads):
    Image.new('RGB', (320, 240)).save(heads/'01'/'frame_00001_rgb.jpg')
    fails(heads, ValueError, 'frame_00001_rgb.jpg', '320x240', '640x480')

def test_binary_files(heads):
    (heads/'01'/'frame_00001_pose.txt').write_bytes(bytes(range(256)))
    fails(heads, ValueError, 'frame_00001_pose.txt')

def test_a_picture_that_is_none(heads):
    (heads/'01'/'frame_00001_rgb.jpg').write_text('no picture')
    fails(heads, OSError, 'frame_00001_rgb.jpg')

def test_a_picture_that_is_no_frame(heads):
    shutil.copy(heads/'01'/'frame_00001_rgb.jpg', heads/'01'/'holiday.jpg')
    fails(heads, (ValueError, FileNotFoundError), 'holiday.jpg')

def test_a_calibration_without_a_size_is_enough(heads):
    (heads/'01'/'rgb.cal').write_text('\n'.join(CAL.split('\n')[:3]))
    assert read_cal(heads/'01'/'rgb.cal').size is None
    assert len(build(heads)) == 6

def test_a_calibration_that_was_mended_is_read_anew(heads):
    (heads/'01'/'rgb.cal').write_text('nothing')
    with pytest.raises(ValueError): build(heads)
    (heads/'01'/'rgb.cal').write_text(CAL)
    assert len(build(heads)) == 6
    (heads/'01'/'rgb.cal').write_text(CAL.replace('320.0', '300.0'))
    assert build(heads)[0][1][0, 0] == pytest.approx(300 + 5.17679)
