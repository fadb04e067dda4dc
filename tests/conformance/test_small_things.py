"""What fastai 2.8 gives for hundreds of small things, and what the course gives for the same code.

The values are recorded (`small_things.json`, by `bench/parity.py record`), so this needs no fastai.
"""
import re
import matplotlib, pytest
matplotlib.use('agg')
from course_lib import all as course
from tests.conformance import small_things
from tests.conformance.small_things import TABLE, differs, raised, run, same, things
from tests.helpers import NBS, prose

THINGS, RECORDED, DIFFERS = dict(things()), small_things.recorded(), differs()
WAITS = TABLE['waits']['for']

def marks(name): return pytest.mark.xfail(reason='not there yet') if name in WAITS else ()

@pytest.mark.parametrize('name', [pytest.param(o, marks=marks(o)) for o in THINGS])
def test_is_as_in_fastai(name):
    ours, theirs = run(THINGS[name], course), RECORDED[name]
    if name in DIFFERS: assert not same(theirs, ours), f'{name} no longer differs: it is {ours}, and chapter 17 says so'
    else: assert same(theirs, ours), f'fastai {theirs}\ncourse {ours}'

def test_what_differs_lacks_no_name():
    assert [o for o in DIFFERS if raised(run(THINGS[o], course)) in ('NameError', 'AttributeError')] == []

def test_the_record_is_of_this_table():
    assert list(RECORDED) == list(THINGS)
    assert {*DIFFERS} <= {*THINGS} and {*WAITS} <= {*THINGS} - {*DIFFERS}

def test_enough_of_it_is_equal():
    assert len(THINGS) - len(DIFFERS) - len(WAITS) >= 180

CHAPTER = prose(NBS/'17_coming_from_fastai.ipynb')

def test_chapter_17_has_all_that_differs_and_nothing_else():
    headings = re.findall(r'^### (?!Exercise)(.*)', CHAPTER, re.MULTILINE)
    assert {*headings, 'Left out'} == {*TABLE['differs']} and len({*headings}) == len(headings)

def test_chapter_17_has_all_that_is_left_out():
    part = re.search(r'^## Left out\n(.*?)^## ', CHAPTER, re.DOTALL | re.MULTILINE)[1]
    first_column = [row.split('|')[1] for row in part.splitlines() if row.startswith('| `')]
    named = re.findall(r'`(\w+)`', ' '.join(first_column))
    assert sorted(named) == sorted(RECORDED['left_out.names'])
    assert [o for o in named if hasattr(course, o)] == []
