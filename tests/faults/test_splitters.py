"What is for validation: the rows that were meant, or one clear error, or one warning. Never other rows."
import warnings
from pathlib import Path
import numpy as np, pandas as pd, pytest, torch
from course_lib.dataloaders import *
from course_lib.splitters import *
from course_lib.datablock import *

def table(n=12, n_valid=4, **cols):
    names, is_valid = [f'{i}.jpg' for i in range(n)], [i >= n-n_valid for i in range(n)]
    return pd.DataFrame({'fname': names, 'is_valid': is_valid, **cols})

def part(*values): return pd.DataFrame({'part': pd.Series(values, dtype=object)})

def valid(splitter, df):
    "The names of the validation items of a block with this splitter."
    return set(DataBlock((TransformBlock, TransformBlock), splitter=splitter).datasets(df).valid.items.fname)

DF = table()
MEANT = set(DF.fname[8:])
SHUFFLED = DF.sample(frac=1, random_state=3)

def quiet(f, *args):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        return f(*args)

# A column

@pytest.mark.parametrize('on', ['valid', ['valid'], ('valid',), {'valid'}, np.array(['valid']), pd.Index(['valid'])])
def test_any_list_of_values(on):
    assert quiet(ColSplitter('part', on), part('train', 'valid', 'train'))[1] == [1]

@pytest.mark.parametrize('values,odd', [
    (('train', 'valid', 'test'), "'test' (1)"), (('train', 'valid', 'vaild', 'vaild'), "'vaild' (2)"),
    (('a', 'valid', 'Valid '), "'Valid ' (1)"), (('training', 'valid', 'unlabelled'), 'unlabelled'),
    (('valid', 'test'), 'test')])
def test_odd_values_among_the_training_rows_are_told_with_their_number(values, odd):
    with pytest.warns(UserWarning) as told: ColSplitter('part', on='valid')(part(*values))
    assert len(told) == 1 and odd in str(told[0].message) and "'train'" not in str(told[0].message)
    assert told[0].filename == __file__

@pytest.mark.parametrize('values,on', [
    (('anna', 'bob', 'maria', 'mario'), 'maria'), ((0, 1, 2, 3), 3), (('fold1', 'fold2', 'fold3'), 'fold1'),
    (('train', 'valid'), 'valid'), (('train', 'valid', 'test'), ['valid', 'test'])])
def test_many_people_or_folds_are_for_training_without_a_word(values, on):
    train, held = quiet(ColSplitter('part', on), part(*values))
    assert len(train) + len(held) == len(values)

@pytest.mark.parametrize('gap', [np.nan, None, pd.NA, ''])
def test_rows_without_an_entry_are_in_no_split(gap):
    with pytest.raises(ValueError, match=r'empty in 2 rows \(positions 1, 3\)'):
        ColSplitter('part', on='valid')(part('train', gap, 'valid', gap))

def test_a_gap_may_be_what_means_validation():
    assert ColSplitter('part', on=np.nan)(part('train', np.nan))[1] == [1]

@pytest.mark.parametrize('on,values', [('valid', ('train', 'test')), ('1', (0, 1)), (True, ('True', 'False'))])
def test_a_value_that_never_occurs(on, values):
    with pytest.raises(ValueError, match='never holds.*It holds'): ColSplitter('part', on=on)(part(*values))

# A function

@pytest.mark.parametrize('answer', ['no', '', None, np.nan, pd.NA, 2, [True], 0.5])
def test_a_function_says_true_or_false(answer):
    splitter = FuncSplitter(lambda o: answer if o == 2 else False)
    with pytest.raises(TypeError, match='True or False') as e: splitter([0, 1, 2])
    assert 'item 2' in e.value.__notes__[0]

@pytest.mark.parametrize('yes,no', [(True, False), (np.True_, np.False_), (1, 0), (1., 0.), (np.int64(1), np.int8(0))])
def test_forms_of_true_and_false(yes, no):
    assert FuncSplitter(lambda o: yes if o == 1 else no)([0, 1, 2]) == ([0, 2], [1])

def test_a_function_may_look_at_the_index():
    assert valid(FuncSplitter(lambda row: row.name >= 8), SHUFFLED) == MEANT

# Positions

def book(df): return df.index[~df['is_valid']].tolist(), df.index[df['is_valid']].tolist()
def as_index(df): return df.index[~df['is_valid']], df.index[df['is_valid']]

@pytest.mark.parametrize('df', [SHUFFLED, DF[::-1], DF[DF.index % 2 == 0], DF.set_axis(list('abcdefghijkl'))])
def test_labels_of_the_index_are_known_by_their_class(df):
    meant = set(df.fname) & MEANT
    assert quiet(valid, as_index, df) == quiet(valid, IndexSplitter(df.index[df.is_valid]), df) == meant
    splits = as_index(df)
    assert set(Datasets(df, splits=splits).valid.items.fname) == meant

def test_labels_of_a_doubled_index_are_refused():
    twice = pd.concat([DF, DF])
    with pytest.raises(ValueError, match='more than once'): valid(as_index, twice)
    assert valid(ColSplitter(), twice) == MEANT

def test_a_label_that_the_table_lacks_is_named():
    with pytest.raises(KeyError, match='label 3'): valid(IndexSplitter(DF.index[[3]]), DF[DF.index % 2 == 0])

@pytest.mark.parametrize('df', [SHUFFLED, DF[::-1], DF[DF.index % 2 == 0]])
def test_a_function_that_gives_labels_is_refused(df):
    with pytest.raises((ValueError, IndexError), match='(?i)positions.*ColSplitter'): valid(book, df)

@pytest.mark.parametrize('splitter', [
    lambda df: (range(8), range(8, 12)), lambda df: np.split(np.random.permutation(12), [8]),
    lambda df: np.split(np.random.default_rng().permutation(12), [8]), RandomSplitter(), RandomSplitter(seed=1),
    lambda df: [s.tolist() for s in torch.randperm(12).split([8, 4])]])
def test_a_function_that_gives_positions_is_not(splitter):
    assert len(quiet(valid, splitter, SHUFFLED))

def test_asking_twice_draws_once():
    torch.manual_seed(1); once = RandomSplitter()(DF); after = torch.rand(())
    mine = lambda df: RandomSplitter()(df)
    torch.manual_seed(1); dsets = DataBlock(splitter=mine).datasets(SHUFFLED)
    assert dsets.splits[1] == once[1] and torch.rand(()) == after

def test_numbers_that_may_be_labels_are_told():
    labels = SHUFFLED.index[SHUFFLED.is_valid].tolist()
    with pytest.warns(UserWarning, match='positions'): valid(IndexSplitter(labels), SHUFFLED)
    quiet(valid, IndexSplitter([8, 9, 10, 11]), DF)
    quiet(valid, IndexSplitter(range(8, 12)), SHUFFLED)

@pytest.mark.parametrize('bad', [
    [1.7, 2.2], ['1', '2'], [False, True], [True]*12, DF.is_valid, np.array([True, False]), [None]])
def test_what_is_no_position_is_refused(bad):
    with pytest.raises(TypeError, match='positions'): valid(IndexSplitter(bad), DF)
    if isinstance(bad, pd.Series): return # `Datasets` take a mask of all items
    with pytest.raises((TypeError, ValueError), match='positions|mask'): Datasets(DF, splits=[[0], bad])

@pytest.mark.parametrize('bad,exc', [([-1], IndexError), ([12], IndexError), ([3, 3], ValueError), ([], ValueError)])
def test_positions_outside_doubled_or_none(bad, exc):
    with pytest.raises(exc): valid(IndexSplitter(bad), DF)

@pytest.mark.parametrize('good', [
    [1, 2], (1, 2), {1, 2}, range(1, 3), np.array([1, 2]), pd.Series([1, 2]), torch.tensor([1, 2])])
def test_forms_of_positions(good): assert valid(IndexSplitter(good), DF) == {'1.jpg', '2.jpg'}

# Folders and lots

FILES = [Path(f'd/{k}/cat/{i}.jpg') for i,k in enumerate(['train', 'val', 'train', 'test'])]

@pytest.mark.parametrize('names', [{}, dict(valid_name='valdi'), dict(train_name=['train', 'trian'], valid_name='val')])
def test_a_folder_that_is_not_there(names):
    with pytest.raises(ValueError, match=r"The names there are 'train' \(2\)"): GrandparentSplitter(**names)(FILES)

def test_folders_that_are_there():
    assert GrandparentSplitter(valid_name='val')(FILES) == ([0, 2], [1])
    assert GrandparentSplitter(valid_name=['val', 'test'])(FILES)[1] == [1, 3]

def test_a_table_has_no_folders():
    with pytest.raises(TypeError, match='DataFrame'): GrandparentSplitter()(DF)

@pytest.mark.parametrize('pct', [0, 1, 1.5, 20, -.1, float('nan'), True])
def test_fractions_that_leave_nothing(pct):
    with pytest.raises(ValueError, match='between 0 and 1'): RandomSplitter(pct)

@pytest.mark.parametrize('pct', [.25, np.float32(.25), np.float64(.25)])
def test_fractions(pct): assert len(RandomSplitter(pct, seed=np.int64(1))(DF)[1]) == 3
