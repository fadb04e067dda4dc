"Sentences that nothing else in the tests meets: `make coverage` named their lines."
import pytest
from course_lib.all import *
from course_lib.core import expect_fail, full_data
from course_lib.exercises import exercise
from course_lib.questionnaire import hint

@pytest.fixture
def two_hints():
    @exercise('99.1', 'Look at the shape.', 'It must be of two dimensions.')
    def _(answer): assert answer.ndim == 2

def test_hints_come_one_by_one_and_the_last_comes_again(two_hints):
    said = [str(hint('99.1')) for _ in range(3)]
    assert 'Hint 1 of 2' in said[0] and 'Look at the shape' in said[0] and "hint('99.1')" in said[0]
    assert 'Hint 2 of 2' in said[1] and 'two dimensions' in said[1] and 'the last hint' in said[1]
    assert 'Hint 2 of 2' in said[2]

def test_a_hint_before_its_exercise():
    with pytest.raises(KeyError, match='Exercise .98.1. is not known yet. Run the folded cell above'): hint('98.1')

@pytest.mark.parametrize('value,full', [('full', True), ('FULL', True), ('sample', False)])
def test_which_data(monkeypatch, value, full):
    monkeypatch.setenv('COURSE_DATA', value)
    assert full_data() is full

@pytest.mark.parametrize('value', ['all', '1', ''])
def test_no_such_data(monkeypatch, value):
    monkeypatch.setenv('COURSE_DATA', value)
    with pytest.raises(ValueError, match=f'COURSE_DATA is {value!r}; set it to'): full_data()

def test_a_failure_that_does_not_come():
    with pytest.raises(AssertionError, match='expected KeyError, but the block ran'):
        with expect_fail(KeyError): {'a': 1}['a']

def test_loaders_say_what_they_are():
    "Those of validation that come after the first have numbers."
    three = DataLoaders(*(DataLoader(range(n), bs=2, num_workers=0) for n in (4, 3, 2)))
    names = [line.split(': ')[0] for line in repr(three).splitlines()]
    assert names == ['train', 'valid', '2']

@pytest.mark.parametrize('labels', [[], ['dragon'], 'dragon', ['dog', 'dragon']])
def test_nothing_that_can_be_drawn(labels):
    with pytest.raises(ValueError, match='cannot draw .*give one or more of .*person'): draw_scene(labels, 1)

def test_a_folder_that_is_not_there(tmp_path):
    (tmp_path/'train').mkdir()
    with pytest.raises(FileNotFoundError, match="has no folder 'valid'. Its folders are: train"):
        get_image_files(tmp_path, folders=['train', 'valid'])
