"Many rows at once: each is what one row is, and an error tells as much as one by one."
import gc
import numpy as np, pandas as pd, pytest
from PIL import Image
from course_lib.all import *
from course_lib.tables import each_once, for_each, item_at, read_once

TABLES = {
    'texts and numbers': pd.DataFrame({'a': ['x', 'y'], 'i': [1, 2], 'f': [.5, 1.5], 'b': [True, False]}, index=[7, 7]),
    'numbers': pd.DataFrame({'i': [7, 2**53+1], 'f': [.5, 1.5]}),
    'texts': pd.DataFrame({'a': ['x', None], 'b': ['u', 'v']}),
    'lists': pd.DataFrame({'a': [[1, 2], [3, 4]], 'b': [np.zeros(2), {}]}),
    'dates': pd.DataFrame({'d': pd.to_datetime(['2020', '2021']), 'a': ['x', 'y']}),
    'categories': pd.DataFrame({'c': pd.Categorical(['x', 'y']), 'n': [1, 2]}),
    'missing numbers': pd.DataFrame({'n': pd.array([1, None], dtype='Int64'), 's': ['a', 'b']}),
    'a name twice': pd.DataFrame([['a', 1], ['b', 2]], columns=['k', 'k'])}

@pytest.mark.parametrize('name', TABLES)
def test_many_rows_are_what_one_row_is(name):
    df, rows = TABLES[name], []
    for_each(rows.append, df, [1, 0])
    for row,want in zip(rows, (item_at(df, 1), item_at(df, 0))): # kept rows stay what they were
        assert (row.name, row.dtype, list(row.index)) == (want.name, want.dtype, list(want.index))
        assert list(map(type, row)) == list(map(type, want)) and str(list(row)) == str(list(want))

@pytest.mark.parametrize('name', ['texts and numbers', 'lists', 'numbers'])
def test_a_function_that_writes_in_its_row_leaves_the_table_alone(name):
    df = TABLES[name]
    def write(row): row.iloc[0] = None
    before = str(df)
    for_each(write, df, [0, 1])
    assert str(df) == before

def test_more_rows_than_are_read_at_a_time():
    df, out = pd.DataFrame({'s': 'a', 'i': range(2500)}), []
    for_each(lambda row: out.append(row['i']), df, range(2499, -1, -1))
    assert out == list(range(2499, -1, -1)) and gc.isenabled()

def blocks(): return TransformBlock(type_tfms=Categorize()), TransformBlock(type_tfms=Categorize())
def halves(df): return [0, 1], [2]

def test_rows_are_read_once_for_all_functions():
    rows = []
    def x(row): rows.append(row); return row['a']
    def y(row): rows.append(row); return row['b']
    df = pd.DataFrame({'a': ['p', 'q', 'p'], 'b': ['r', 's', 's'], 'n': 1})
    dsets = DataBlock(blocks(), get_x=x, get_y=y, splitter=halves).datasets(df)
    assert list(map(list, dsets.vocab)) == [['p', 'q'], ['r', 's']]
    assert len(rows) == 6 and all(a is b for a,b in zip(rows[::2], rows[1::2]))

def test_the_function_and_the_row_that_fail_are_named():
    def x(row): return row['a']
    def y(row): return row['b'].lower()
    df = pd.DataFrame({'a': ['p', 'q', 'p'], 'b': ['r', 's', None], 'n': 1})
    with pytest.raises(AttributeError) as e: DataBlock(blocks(), get_x=x, get_y=y, splitter=halves).datasets(df)
    notes = ' '.join(e.value.__notes__)
    assert '`y`' in notes and 'item 2' in notes and "'a': 'p'" in notes and gc.isenabled()

def test_the_first_bad_column_is_told_first():
    df = pd.DataFrame({'a': ['p', 'q', 'new'], 'b': [None, 's', 's'], 'n': 1})
    def y(row): return row['b'].lower()
    with pytest.raises(ValueError, match="'new' at item 2"):
        DataBlock(blocks(), get_x=lambda row: row['a'], get_y=y, splitter=halves).datasets(df)

def test_what_comes_twice_is_looked_at_once_and_still_counted():
    df = pd.DataFrame({'a': ['p', 'q', 'new', 'new'], 'b': 's'})
    with pytest.raises(ValueError, match="'new' at items 2, 3"):
        DataBlock(blocks(), getters=[ColReader('a'), ColReader('b')], splitter=lambda df: ([0, 1], [2, 3])).datasets(df)

def test_equal_numbers_of_other_kinds_are_not_the_same():
    assert each_once(repr, [1, True, 1.0, '1', '1']) == ['1', 'True', '1.0', "'1'", "'1'"]
    assert read_once([], pd.DataFrame({'a': [1]}), [0]) == []

def test_a_file_missing_many_times_is_named_with_its_first_item(tmp_path):
    Image.new('RGB', (4, 4)).save(tmp_path/'a.png')
    df = pd.DataFrame({'f': ['a.png', 'a.png', 'b.png', 'b.png'], 'l': 'x'})
    for get_x in ColReader('f', pref=tmp_path), lambda row: tmp_path/row['f']:
        with pytest.raises(FileNotFoundError, match='b.png') as e:
            DataBlock((ImageBlock, CategoryBlock), get_x=get_x, get_y=ColReader('l'),
                      splitter=lambda df: ([0, 1], [2, 3])).datasets(df)
        assert 'item 2' in ' '.join(e.value.__notes__)
