"Tables: a column by name or number, each entry as it stands there."
import datetime, warnings
from collections import namedtuple
from pathlib import Path
import numpy as np, pandas as pd, pytest
from course_lib.dataloaders import *
from course_lib.datablock import *
from course_lib.tables import as_text, entry, item_at, keep_types, place_of

def block(get_x): return DataBlock((TransformBlock, TransformBlock), get_x=get_x)
def one(df, splits=None): return Datasets(df, [[ColReader('labels'), Categorize()]], splits=splits)
def several(df, col='labels'): return Datasets(df, [[ColReader(col, label_delim=' '), MultiCategorizeOneHot()]])

def dummies(names, **first):
    return pd.DataFrame({**first, **{n: [10*k, 10*k + 1] for k,n in enumerate(names)}})

# A number is a name where columns are called by numbers

@pytest.mark.parametrize('names', [[1, 2, 3], [3, 1, 2], [np.int64(2), np.int64(1), 7], [1., 2., 3.]])
@pytest.mark.parametrize('first', [{}, {'fname': ['a', 'b']}])
@pytest.mark.parametrize('kind', [int, np.int64, np.int32])
def test_a_number_is_a_name(names, first, kind):
    df = dummies(names, **first)
    want = [tuple(int(df[c][i]) for c in (2, 1)) for i in range(2)]
    read = ColReader([kind(2), kind(1)])
    assert [read(df.iloc[i]) for i in range(2)] == want == read.of_table(df)
    assert [v for v,_ in block(read).datasets(pd.concat([df]*5)).train][0] in want

def test_a_splitter_reads_the_column_of_that_name():
    df = pd.DataFrame({'fname': ['a', 'b'], 0: [True, True], 1: [False, True]})
    assert ColSplitter(1)(df) == ([0], [1])

@pytest.mark.parametrize('first', [{}, {'fname': ['a', 'b']}])
def test_a_number_that_may_be_a_position_is_refused_with_both_readings(first):
    df = dummies([5, 6, 7], **first)
    for use in (lambda: ColReader(1)(df.iloc[0]), lambda: ColSplitter(1)(df), lambda: ColReader(1).of_table(df)):
        with pytest.raises(KeyError, match=f'called 1.*position 1 is called {df.columns[1]}'): use()

@pytest.mark.parametrize('col', [1, -1, np.int64(1)])
def test_a_number_is_a_position_where_columns_have_names(col):
    df = pd.DataFrame({'fname': ['a', 'b'], 'is_valid': [True, False]})
    assert ColReader(col)(df.iloc[0]) is np.True_ or ColReader(col)(df.iloc[0]) is True
    assert ColSplitter(col)(df) == ([1], [0])

@pytest.mark.parametrize('col', [2, -3, 'lables', ('a', 'b'), None])
def test_no_such_column(col):
    df = pd.DataFrame({'fname': ['a'], 'labels': ['b']})
    with pytest.raises(KeyError, match='fname, labels'): place_of(df.columns, col)

# A column that is there twice

@pytest.mark.parametrize('n,said', [(2, 'twice'), (3, '3 times')])
def test_doubled_columns_are_named(n, said):
    df = pd.concat([pd.DataFrame({'fname': list('abababab')})] + [pd.DataFrame({'labels': list('xyxyxyxy')})]*n, axis=1)
    for use in (lambda: ColReader('labels')(df.iloc[0]), lambda: several(df),
                lambda: ColSplitter('labels')(df), lambda: block(ColReader('labels')).datasets(df)[0]):
        with pytest.raises(ValueError, match=f"'labels' {said}"): use()
    assert ColReader('fname')(df.iloc[0]) == 'a' and ColReader(1)(df.iloc[0]) == 'x' # clear all the same

# Rows keep the type of each entry

NUMBERS = pd.DataFrame({'id': [7, 9007199254740993], 'x': [.5, 1.5], 'n': pd.array([1, None], dtype='Int64')})

def test_whole_numbers_beside_floats_stay_whole():
    for i in range(2):
        v = item_at(NUMBERS, i)['id']
        assert v == [7, 9007199254740993][i] and not isinstance(v, float)
    assert item_at(NUMBERS, -1)['x'] == 1.5

@pytest.mark.parametrize('get', [ColReader('id', suff='.jpg'), lambda r: f"{r['id']}.jpg", lambda r: f'{r.id}.jpg'])
def test_numbers_as_names_of_files(get):
    dsets = Datasets(NUMBERS, [[get]])
    assert [v for v, in dsets] == ['7.jpg', '9007199254740993.jpg']

@pytest.mark.parametrize('get', [ColReader('kind'), lambda r: r['kind']])
def test_numbers_as_labels(get):
    df = pd.DataFrame({'kind': [0, 1, 2, 1], 'x': [.5]*4})
    assert list(Datasets(df, [[get, Categorize()]]).vocab) == [0, 1, 2]
    assert list(several(df, 'kind').vocab) == ['0', '1', '2']

def test_whole_numbers_of_which_one_is_missing():
    df = pd.DataFrame({'kind': [1, 2, np.nan, 3], 'f': list('abcd')})
    with pytest.warns(UserWarning, match='1 of 4 rows'):
        assert list(several(df, 'kind').vocab) == ['1', '2', '3']
    assert ColReader('kind', suff='.jpg')(df.iloc[0]) == '1.jpg'

def test_floats_stay_floats(): assert [as_text(v) for v in (.5, 1.25, np.float32(.5))] == ['0.5', '1.25', '0.5']

def test_numbers_that_floats_cannot_hold():
    df = pd.DataFrame({'id': [9007199254740993, None], 'f': ['a', 'b']})
    with pytest.raises(ValueError, match='not exact'): ColReader('id', suff='.jpg')(df.iloc[0])

def test_other_tables_are_not_copied():
    for df in (pd.DataFrame({'a': ['x'], 'n': [1]}), pd.DataFrame({'a': [1.], 'b': [2.]}), NUMBERS[:0]):
        assert keep_types(df) is df

# Rows of other kinds

def test_rows_need_not_be_of_pandas():
    named = namedtuple('Row', 'fname n')('a.jpg', 3)
    assert entry(named, 'n') == entry({'n': 3}, 'n') == entry(('a.jpg', 3), 1) == entry(named, 1) == 3
    assert [ColReader('n')(r) for r in pd.DataFrame({'n': [1, 2]}).itertuples()] == [1, 2]

@pytest.mark.parametrize('bad', ['a.jpg', Path('a.jpg'), b'abc', 3])
def test_what_is_no_row_is_refused(bad):
    for col in (0, 'fname'):
        with pytest.raises(TypeError, match='no row'): ColReader(col)(bad)

# label_delim

LISTS = [['cat', 'dog'], ('cat', 'dog'), {'cat', 'dog'}, frozenset({'cat', 'dog'}), np.array(['cat', 'dog'])]

@pytest.mark.parametrize('v', LISTS, ids=lambda v: type(v).__name__)
def test_a_list_is_split_already(v):
    df = pd.DataFrame({'labels': pd.Series([v]*3 + ['cat emu'], dtype=object)})
    dsets = several(df)
    assert list(dsets.vocab) == ['cat', 'dog', 'emu'] and dsets[0][0].tolist() == [1, 1, 0]

@pytest.mark.parametrize('v', [{'cat': 1}, datetime.datetime(2026, 1, 2), b'cat dog', Path('cat dog'), object()])
def test_what_cannot_be_split_is_refused_with_its_row(v):
    df = pd.DataFrame({'labels': pd.Series(['cat', v], dtype=object)})
    with pytest.raises(TypeError, match='label_delim') as e: several(df)
    assert any('item 1' in n for n in e.value.__notes__)

@pytest.mark.parametrize('v', [
    "['cat', 'dog']", '["cat"]', '[]', "('cat', 'dog')", "{'cat': 1}", '[cat, dog]', " ['cat' 'dog'] "])
def test_a_list_written_as_text_is_refused(v):
    with pytest.raises(ValueError, match='literal_eval'): ColReader('l', label_delim=' ')({'l': v})

@pytest.mark.parametrize('v', ['[PAD] [UNK]', '[unk]', 'cat (small) dog', 'a', '(', ''])
def test_other_brackets_are_labels(v):
    assert ColReader('l', label_delim=' ')({'l': v}) == (v.split(' ') if v else [])

@pytest.mark.parametrize('delim,exc', [('', ValueError), (1, TypeError), ([','], TypeError)])
def test_odd_delimiters(delim, exc):
    with pytest.raises(exc, match='label_delim'): ColReader('labels', label_delim=delim)

# A whole table at once

@pytest.mark.parametrize('read', [
    ColReader('fname', pref=Path('d')), ColReader('fname', pref='d/', suff='x'), ColReader(['x', 'n']),
    ColReader('labels', label_delim=' '), ColReader(0), ColReader('n')])
def test_of_table_gives_what_the_rows_give(read):
    df = pd.DataFrame({'fname': ['a', 'b'], 'labels': ['x y', ''], 'x': [.5, 1.], 'n': [1, 2]}, index=[5, 3])
    assert read.of_table(df) == [read(item_at(df, i)) for i in range(2)]

def test_items_in_neither_split_need_no_known_label():
    df = pd.DataFrame({'labels': ['a', 'b', 'zebra', np.nan, 'a']})
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        dsets = one(df, [[0, 1], [4]])
    assert list(dsets.vocab) == ['a', 'b']
    with pytest.raises(ValueError, match="'zebra' at item 2"): one(df, [[0, 1], [4, 2]])
    with pytest.raises(ValueError, match='missing') as e: one(df, [[0, 1], [4, 3]])
    assert any('item 3' in n for n in e.value.__notes__)
