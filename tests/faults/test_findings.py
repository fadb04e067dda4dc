"What `findings` finds in labels, splits, tables, points and numbers, and what it leaves in peace."
import io
import numpy as np, pandas as pd, pytest
from course_lib.findings import (Finding, encoded_findings, label_findings, number_findings, point_findings,
                                 split_findings, table_findings)

def of(found, kind): return [f for f in found if f.kind == kind]

def one(found, kind) -> Finding:
    "The only finding of this kind, which says all that a finding must say."
    fs = of(found, kind)
    assert len(fs) == 1, (kind, [(f.kind, f.what) for f in found])
    f = fs[0]
    assert f.what.endswith('.') and f.why[-1] in '.?' and f.cure and f.level in (1, 2, 3)
    assert f.items == sorted(set(f.items))
    assert all(type(i) is int for i in f.items), 'positions as plain numbers'
    return f

# ------------------------------------------------------------------ labels

def labels(*texts, delim=None, **kw):
    "Findings of labels, given as texts that are split at `delim`, or else as one label an item."
    return label_findings([t if t is None else t.split(delim) if delim else [t] for t in texts], delim=delim,
                          multi=bool(delim), **kw)

COMMON = ['cat', 'dog', 'bird']*10 # 30 items without anything to be said

def test_nothing_is_said_of_good_labels():
    assert labels(*COMMON, splits=[range(24), range(24, 30)]) == []
    assert labels(*['cat dog', 'dog', 'bird cat', '']*10, delim=' ', splits=[range(30), range(30, 40)]) == []

def test_missing_labels():
    f = one(labels('cat', None, 'dog', ''), 'missing label')
    assert (f.items, f.level, f.bad) == ([1, 3], 3, True) and '2 of 4 items' in f.what
    f = one(labels('cat', None, 'dog', delim=' '), 'missing label')
    assert (f.items, f.level, f.bad) == ([1], 1, False) # "none of the classes", as it seems
    assert one(labels(None, None, 'dog', delim=' '), 'missing label').level == 2
    assert not of(labels('cat', '', delim=' '), 'missing label') # an empty list is a statement

def test_no_label_is_needed_in_neither_split():
    assert not of(labels(*COMMON, None, splits=[range(24), range(24, 30)]), 'missing label')

@pytest.mark.parametrize('name', ['nan', 'NaN', '<NA>', ' ', '\t'])
def test_labels_of_nothing(name): assert one(labels(*COMMON, name), 'label of nothing').items == [30]

@pytest.mark.parametrize('name', ['None', 'nano', 'NA'])
def test_names_that_look_like_nothing(name): assert not of(labels(*COMMON, name), 'label of nothing')

@pytest.mark.parametrize('a,b,what', [
    ('cat', 'cat ', 'a blank'), ('cat', ' cat', 'a blank'), ('cat', 'cat\n', 'a blank'), ('cat', '\tcat', 'a blank'),
    ('big cat', 'big  cat', 'a blank'), ('big cat', 'big\xa0cat', 'a blank'), ('cat', 'cat\u200b', 'a blank'),
    ('caf\u00e9', 'cafe\u0301', 'how an accent is stored'),
    ('cat', 'Cat', 'capital letters'), ('cat', 'CAT', 'capital letters'),
    ('7', '7.0', "a '.0' at the end"), ('hot dog', 'hot-dog', 'the sign between words'),
    ('hot_dog', 'hot dog', 'the sign between words'), ('café', 'cafe', 'an accent')])
def test_nearly_equal_labels(a, b, what):
    f = one(labels(*COMMON[1:], a, a, b, delim='|' if '\t' not in b else ','), 'nearly equal labels')
    # `COMMON[1:]` has other cats, all spelled as `a` is
    assert f.items == [31] and what in f.what
    tell = ascii if 'stored' in what else repr # else one sees no difference
    assert tell(a) in f.what and tell(b) in f.what
    assert f.level == (1 if what == 'an accent' else 2)

@pytest.mark.parametrize('a,b', [('a', 'A'), ('-1', '1'), ('cat', 'cats'), ('m2', 'm²'), ('1-1', '11'), ('1.0', '1.1')])
def test_labels_that_are_different(a, b): assert not of(labels(*COMMON, a, b), 'nearly equal labels')

def test_of_two_spellings_as_common_the_plain_one_is_right():
    assert one(labels(' cat', 'cat', ' cat', 'cat'), 'nearly equal labels').items == [0, 2]

def test_many_nearly_equal_labels_are_one_finding():
    names = [f'class {i}' for i in range(20)]
    f = one(labels(*names*3, *[' ' + n for n in names]), 'nearly equal labels')
    assert f.items == list(range(60, 80)) and '40 labels' in f.what

def test_misspelt_labels():
    for slip in 'preson', 'persn', 'persoon', 'parson':
        f = one(labels(*['person']*20, *COMMON, slip), 'misspelt label')
        assert f.items == [50] and f.level == 1 and 'person' in f.cure and slip in f.cure

@pytest.mark.parametrize('names', [['car']*20 + ['cat'], ['horse']*20 + ['house']*10, ['class1']*20 + ['class2'],
                                   ['mouse']*5 + ['house']])
def test_short_common_or_numbered_labels_are_not_misspelt(names):
    assert not of(labels(*names), 'misspelt label')

def test_lists_as_text():
    for texts in (["['cat', 'dog']"], ["['cat',", "'dog']"], ['["cat"]'], ["('cat', 'dog')"], ['[1, 2]'], ["{'cat'}"]):
        f = one(labels(*COMMON, *texts), 'list as text')
        assert f.items == list(range(30, 30 + len(texts))) and f.level == 3 and 'literal_eval' in f.cure

@pytest.mark.parametrize('name', ['cat (2)', '[unk]', "rock'n'roll", '(none)', 'cat [1]', "'cat"])
def test_names_with_brackets_and_quotes(name): assert not of(labels(*COMMON, name), 'list as text')

@pytest.mark.parametrize('d', [';', ',', '|', '; ', ', ', '\t', '\xa0'])
def test_several_labels_in_one(d):
    f = one(labels(*COMMON, f'cat{d}dog', delim=' ' if ' ' not in d else '/'), 'several labels in one')
    assert f.items == [30] and f.level == 2

def test_a_sign_left_at_the_end_of_a_label():
    f = one(labels(*COMMON, 'cat, dog', delim=' '), 'several labels in one')
    assert f.items == [30] and "'cat,'" in f.what

def test_several_labels_where_one_is_expected():
    f = one(labels(*COMMON, 'cat;dog'), 'several labels in one')
    assert f.items == [30] and 'MultiCategoryBlock' in f.cure

def test_signs_within_a_name():
    assert not of(labels(*COMMON, 'tench, Tinca tinca'), 'several labels in one') # as ImageNet names it
    f = one(labels(*COMMON, 'fish;chips', delim=' '), 'several labels in one')
    assert f.level == 1
    assert one(labels(*COMMON, 'cat dog', delim=','), 'several labels in one').level == 1 # may be a name

def test_very_long_labels():
    assert one(labels(*COMMON, 'there is a cat and a dog, ' *4), 'very long label').items == [30]
    assert not of(labels(*COMMON, 'black-and-gold garden spider, Argiope aurantia'), 'very long label')

def test_labels_that_hardly_repeat():
    f = one(labels(*[f'{i}.jpg' for i in range(40)]), 'labels hardly repeat')
    assert f.level == 2 and len(f.items) == 40
    assert one(labels(*[f'word{i}' for i in range(40)], delim=' '), 'labels hardly repeat').level == 1
    assert not of(labels(*[f'name{i%20}' for i in range(40)]), 'labels hardly repeat')

def test_labels_made_float():
    assert one(label_findings([[1.0], [2.0], [1.0]], multi=False), 'number made float').items == [0, 1, 2]
    assert one(labels('1.0', '2.0', '1.0'), 'number made float').items == [0, 1, 2]
    for names in ['1', '2'], ['1.0', '1.1', '2.5'], ['cat', '1.0', 'dog']:
        assert not of(labels(*names), 'number made float')

def test_label_twice_in_an_item():
    assert one(labels('cat cat', 'cat dog', delim=' '), 'label twice in an item').items == [0]

def test_label_with_dollar():
    assert one(labels('5$ note', 'cat', '10$ note'), 'label with $').items == [0, 2]

def test_label_in_one_split():
    found = labels('cat', 'dog', 'bird', 'dog', 'cow', splits=[[0, 1, 2], [3, 4]])
    f = one(found, 'label in validation only')
    assert (f.items, f.level, f.bad) == ([4], 3, True) and "'cow'" in f.what # it stops the loaders
    f = one(found, 'label in training only')
    assert (f.items, f.level, f.bad) == ([0, 2], 1, False)
    found = labels('cat', 'cow', splits=[[0], [1]], vocab=['cat', 'cow'])
    assert not one(found, 'label in validation only').bad # with a vocab they are built
    f = one(labels('cat', 'cow', splits=[[0], [1]], add_na=True), 'label in validation only')
    assert (f.level, f.bad) == (2, False) # there is a class for it

def test_labels_and_vocab():
    found = labels('cat', 'dgo', vocab=['cat', 'dog'])
    f = one(found, 'label not in the vocab')
    assert (f.items, f.level, f.bad) == ([1], 3, True)
    assert "'dog'" in one(found, 'label never there').what
    assert not of(labels('cat', 'dog', vocab=['cat', 'dog']), 'label never there')

def test_label_always_there():
    texts = ['animal cat', 'animal', 'animal dog', 'animal', 'animal cat dog', 'cat']
    f = one(labels(*texts, delim=' ', splits=[range(5), [5]]), 'label always there')
    assert "'animal'" in f.what and f.level == 2
    assert one(labels(*['cat']*6), 'label always there').items == list(range(6))
    assert not of(labels('cat', 'cat'), 'label always there') # two items: by chance

def test_rare_labels():
    f = one(labels(*COMMON, *['cow']*6, splits=[range(34), range(34, 36)]), 'rare label')
    assert f.items == list(range(30, 36)) and "'cow' (4 items)" in f.what # four of them in training
    assert not of(labels(*COMMON, *['cow']*5), 'rare label')

def test_imbalance():
    assert one(labels(*['cat']*505, *['dog']*5), 'imbalance').items == list(range(505, 510))
    assert not of(labels(*['cat']*500, *['dog']*5), 'imbalance')

def test_score_of_saying_nothing():
    f = one(labels(*'abcdefghij', delim=' '), 'score of saying nothing')
    assert f.level == 1 and 'accuracy_multi 0.90' in f.what
    assert "'cat'" in one(labels(*['cat']*9, 'dog'), 'score of saying nothing').what
    assert not of(labels(*COMMON), 'score of saying nothing')

def test_that_score_is_the_metrics():
    from course_lib.all import accuracy_multi, tensor
    rows = np.random.default_rng(0).random((50, 12)) < 0.1
    named = [[str(k) for k in np.flatnonzero(r)] for r in rows]
    f = one(label_findings(named, vocab=[str(k) for k in range(12)]), 'score of saying nothing')
    score = accuracy_multi(tensor([[0.]*12]*50), tensor(rows).float(), sigmoid=False)
    assert f'{score:.2f}' in f.what

@pytest.mark.parametrize('odd', [[['a'], 'b'], [np.str_('cat'), np.int64(3)], [1, 'a', 2.5, True], [{'a': 1}], ()])
def test_odd_names_raise_nothing(odd): label_findings([odd, ['cat'], None], splits=[[0, 1], [2]])

def test_hundred_thousand_labels_take_no_time():
    import time
    start = time.time()
    label_findings([[f'c{i%90}', f'd{i%7}'] for i in range(100_000)], [range(80_000), range(80_000, 100_000)])
    assert time.time() - start < 5 # 0.6 s

# ------------------------------------------------------------------ splits

def test_items_in_no_split_and_in_both():
    found = split_findings([range(80), range(79, 98)], 100)
    assert one(found, 'in neither split').items == [98, 99] and one(found, 'in neither split').level == 1
    assert one(found, 'in both splits').items == [79] and one(found, 'in both splits').level == 3

def test_empty_and_small_splits():
    assert 'validation' in one(split_findings([range(100), []], 100), 'empty split').what
    assert 'training' in one(split_findings([[], range(100)], 100), 'empty split').what
    assert one(split_findings([range(92), range(92, 100)], 100), 'small validation').level == 1
    assert one(split_findings([range(960), range(960, 1000)], 1000), 'small validation').level == 1
    assert one(split_findings([range(20), range(20, 100)], 100), 'small training').level == 1

def test_without_a_split_nothing_is_said_of_it(): assert split_findings([range(9)], 9) == []

def test_good_splits(): assert split_findings([range(80), range(80, 100)], 100) == []

# ------------------------------------------------------------------ tables

def table(n=12, **cols):
    good = dict(fname=[f'{i}.jpg' for i in range(n)], labels=['cat', 'dog']*(n//2))
    return pd.DataFrame({**good, 'is_valid': [i % 4 == 0 for i in range(n)], **cols})

def test_nothing_is_said_of_a_good_table():
    assert table_findings(table(), label_cols=['labels']) == []
    assert table_findings(table(x=np.arange(12.), y=np.arange(12)+.5)) == [] # coordinates may be whole
    assert table_findings(table().set_index('fname')) == []

def test_lost_by_read_csv():
    texts = 'None', 'cat', 'NA', 'null', 'dog', 'n/a', 'cat'
    csv = 'fname,labels\n' + '\n'.join(f'{i}.jpg,{o}' for i,o in enumerate(texts))
    df = pd.read_csv(io.StringIO(csv))
    f = one(table_findings(df, label_cols=['labels'], multi=False), 'maybe lost by read_csv')
    assert (f.items, f.level) == ([0, 2, 3, 5], 2) and 'keep_default_na=False' in f.cure
    assert one(table_findings(df), 'maybe lost by read_csv').level == 1
    assert one(table_findings(df, label_cols=['labels']), 'maybe lost by read_csv').level == 2 # more than half
    kept = pd.read_csv(io.StringIO(csv), keep_default_na=False)
    assert table_findings(kept, label_cols=['labels'], multi=False) == []

def test_numbers_made_float():
    f = one(table_findings(table(id=[*range(11), None])), 'number made float')
    assert (f.items, f.level) == ([11], 1) and "'id'" in f.what
    f = one(table_findings(table(id=[1., 2.**53 + 2, *range(10)])), 'number made float')
    assert (f.items, f.level) == ([1], 2) and '2**53' in f.what
    for good in np.arange(12), np.arange(12.), np.arange(12)/2, pd.array([*range(11), None], dtype='Int64'):
        assert not of(table_findings(table(id=good)), 'number made float')

def test_doubled_columns():
    df = table()
    df.columns = ['fname', 'labels', 'labels']
    assert one(table_findings(df), 'doubled column').level == 3
    df = pd.read_csv(io.StringIO('fname,labels,labels\na,b,c\nd,e,f'))
    assert "'labels.1'" in one(table_findings(df), 'doubled column').what
    assert one(table_findings(table().rename(columns={'labels': 'labels '})), 'column name with a blank').level == 1
    assert not of(table_findings(table(**{'version.1': 1})), 'doubled column')

def test_doubled_rows():
    df = pd.concat([table(is_valid=False), table(is_valid=False).iloc[[3, 5]]], ignore_index=True)
    f = one(table_findings(df), 'doubled row')
    assert (f.items, f.level) == ([12, 13], 2)
    assert one(table_findings(df, splits=[range(12), [12, 13]]), 'doubled row').level == 3
    twice = pd.concat([table(), table()], ignore_index=True)
    assert one(table_findings(twice), 'doubled row').items == list(range(12, 24))

def test_rows_that_differ_only_in_their_split_are_doubled():
    df = pd.concat([table(is_valid=False), table(is_valid=True).iloc[:1]], ignore_index=True)
    assert one(table_findings(df, splits=[range(12), [12]]), 'doubled row').level == 3

def test_rows_that_may_be_equal():
    assert not of(table_findings(pd.DataFrame(dict(labels=['cat', 'dog']*6))), 'doubled row') # it names no items
    df = pd.DataFrame(dict(labels=['cat']*3), index=['a.jpg', 'b.jpg', 'c.jpg']) # its index does
    assert not of(table_findings(df), 'doubled row')
    lists = pd.DataFrame(dict(fname=['a', 'b'], labels=[['cat'], ['cat']]))
    assert not of(table_findings(lists), 'doubled row')

def test_index_that_is_no_position():
    assert one(table_findings(table().iloc[::-1]), 'index is no position').level == 1
    assert 'twice' in one(table_findings(pd.concat([table(), table(fname='x')])), 'index is no position').what

@pytest.mark.parametrize('odd', [None, np.nan, 'no', 2, '', [True]])
def test_odd_is_valid(odd):
    df = table(is_valid=[True, False]*5 + [odd, True])
    f = one(table_findings(df), 'odd value in is_valid')
    assert (f.items, f.level, f.bad) == ([10], 3, True)
    f = one(table_findings(df, splits=[range(6), range(6, 12)]), 'odd value in is_valid')
    assert (f.level, f.bad) == (2, False) # some splitter has made sense of it

def test_odd_texts_in_is_valid():
    texts = ['train', 'valid', 'test']*10
    df = pd.DataFrame(dict(is_valid=[*texts, 'vaild', None]))
    assert one(table_findings(df), 'odd value in is_valid').items == [30, 31]

@pytest.mark.parametrize('good', [[0, 1]*6, [0., 1.]*6, ['train', 'valid', 'test']*4, ['False', 'True']*6,
                                  pd.array([False, True]*6, dtype='boolean')])
def test_good_is_valid(good): assert not of(table_findings(table(is_valid=good)), 'odd value in is_valid')

# ------------------------------------------------------------------ points

H, W = 48, 64
PLACES = [[[5. + 4*i, 4. + 3*i], [60. - 3*i, 40. - 2*i]] for i in range(12)]
def points(ps, size=(H, W)): return point_findings(ps, [size]*len(ps))
def planted(**at): return [at.get(f'_{i}', p) for i,p in enumerate(PLACES)]

def test_nothing_is_said_of_good_points():
    assert points(PLACES) == []
    assert points([[[0, 0.5], [W, H]], [[3., 4.], [0., 9.]]]) == [] # on the edge is inside

def test_missing_points():
    f = one(points(planted(_3=[[np.nan, 2], [3, 4]], _5=[[np.inf, 2], [3, 4]])), 'missing point')
    assert (f.items, f.level, f.bad) == ([3, 5], 3, True)
    assert one(points(planted(_3=[['a', 2], [3, 4]])), 'missing point').items == [3]
    for odd in 7, [], [1, 2, 3], 'ab': assert one(points(planted(_3=odd)), 'missing point').items == [3]

def test_another_number_of_points():
    f = one(points(planted(_7=[[1, 2], [2, 3], [3, 4]], _8=[[1, 2]])), 'another number of points')
    assert (f.items, f.level, f.bad) == ([7, 8], 3, True)

def test_points_at_zero():
    f = one(points(planted(_2=[[0, 0], [3, 4]], _9=[[5, 6], [0, 0]])), 'point at (0, 0)')
    assert (f.items, f.level) == ([2, 9], 2)
    assert not of(points(planted(_2=[[0, 3], [3, 0]])), 'point at (0, 0)')

def test_shares_for_pixels():
    shares = [(np.array(p)/[W, H]).tolist() for p in PLACES]
    f = one(points(shares), 'share for pixels')
    assert (f.items, f.level) == (list(range(12)), 3) and 'between 0 and 1' in f.what
    assert 'between -1 and 1' in one(points([2*np.array(p) - 1 for p in shares]), 'share for pixels').what
    f = one(points(planted(_4=shares[4])), 'share for pixels')
    assert (f.items, f.level) == ([4], 2)
    assert not of(points(planted(_4=[[0, 1], [1, 0]])), 'share for pixels') # corners
    assert not of(points([[[.5, .5]], [[.2, .7]]], size=(1, 1)), 'share for pixels')

def test_points_outside():
    f = one(points(planted(_1=[[70, 20], [3, 4]], _6=[[-1, 20], [3, 4]])), 'point outside')
    assert (f.items, f.level) == ([1, 6], 2)
    f = one(points(planted(_1=[[20, 60], [3, 4]])), 'point outside')
    assert 'would be inside with x and y swapped' in f.what

def test_swapped_points():
    found = points([np.array(p)[:, ::-1] for p in PLACES])
    f = one(found, 'x and y swapped')
    assert f.level == 3 and not of(found, 'point outside')
    assert f.items == [i for i,p in enumerate(PLACES) if max(x for x,_ in p) > H]

def test_points_below_the_picture_are_not_swapped():
    found = points(planted(_1=[[20, 50], [60, 4]], _2=[[21, 51], [60, 4]], _3=[[22, 52], [60, 4]]))
    assert one(found, 'point outside').items == [1, 2, 3] and not of(found, 'x and y swapped')

def test_points_all_alike():
    f = one(points([[[30., 20.]]]*6), 'points all alike')
    assert (f.items, f.level) == (list(range(6)), 3)
    f = one(points([[p[0], [30., 20.]] for p in PLACES]), 'points all alike')
    assert f.level == 2 and 'Point 1' in f.what
    sizes = [(40 + 2*i, 60 + 6*i) for i in range(6)]
    middle = point_findings([[[w/2, h/2]] for h,w in sizes], sizes)
    assert one(middle, 'points all alike').level == 3 # the middle of each picture
    assert not of(points([[[30., 20.]]]*4), 'points all alike') # four may be so

def test_points_without_pictures_or_without_anything():
    assert point_findings([[[5, 6]], None, [[70, 8]]], [None, (H, W), None]) == []
    assert point_findings([], []) == [] and point_findings([None], [None]) == []

# ------------------------------------------------------------------ encoded targets

CODED = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]*10
def coded(rows, **kw): return encoded_findings(rows, ['cat', 'dog', 'cow'], **kw)
def with_row(row): return [*CODED, row]

def test_nothing_is_said_of_zeros_and_ones():
    assert coded(CODED, splits=[range(32), range(32, 40)]) == []
    assert coded(np.array(CODED, dtype=bool)) == []

@pytest.mark.parametrize('row,what', [
    ([1, -1, 1], 'other numbers'), ([.5, 0, 1], 'fractions'), ([2, 0, 1], 'other numbers')])
def test_neither_zero_nor_one(row, what):
    f = one(coded(with_row(row)), 'neither 0 nor 1')
    assert (f.items, f.level, f.bad) == ([40], 3, True) and what in f.what

def test_minus_one_for_no():
    f = one(coded([[2*v - 1 for v in r] for r in CODED]), 'neither 0 nor 1')
    assert '-1 for no' in f.what and f.items == list(range(40))

def test_missing_and_too_many_targets():
    found = coded([*CODED, [1, np.nan, 0], [1, 0], [1, 0, 0, 1], ['a', 0, 1], None])
    assert one(found, 'missing target').items == [40, 43]
    f = one(found, 'another number of targets')
    assert f.items == [41, 42] and f.bad

def test_encoded_labels_are_labels():
    found = coded([*[[1, 0, 0]]*6, [0, 1, 0]], splits=[range(6), [6]])
    assert "'dog'" in one(found, 'label in validation only').what and "'cow'" in one(found, 'label never there').what

# ------------------------------------------------------------------ numbers

NUMBERS = np.random.default_rng(1).normal(size=(50, 2)).tolist()

def test_nothing_is_said_of_good_numbers():
    assert number_findings(NUMBERS) == [] and number_findings([]) == [] and number_findings([None]) == []
    assert number_findings(np.random.default_rng(2).lognormal(sigma=1.5, size=500).tolist()) == [] # prices
    assert number_findings([0]*90 + [1]*10) == [] # mostly zero

def test_missing_numbers_and_other_sizes():
    found = number_findings([*NUMBERS, [1, np.nan], [np.inf, 1], [1, 2, 3], ['a', 2]])
    assert one(found, 'missing target').items == [50, 51, 53] and one(found, 'missing target').bad
    assert one(found, 'another number of targets').items == [52]

def test_outside_y_range():
    f = one(number_findings([1., 5., 11., -1.], y_range=(0, 10)), 'outside y_range')
    assert (f.items, f.level) == ([2, 3], 3) and '-1 to 11' in f.what
    assert number_findings([0., 10.], y_range=(0, 10)) == []

def test_always_the_same_number():
    f = one(number_findings([[v, 3] for v,_ in NUMBERS]), 'always the same number')
    assert f.level == 2 and 'Column 1' in f.what

def test_wild_numbers():
    f = one(number_findings([*NUMBERS, [0, -999], [1, 0]]), 'wild number')
    assert (f.items, f.level) == ([50], 1) and '-999' in f.what
