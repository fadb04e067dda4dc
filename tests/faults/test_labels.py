"Labels and vocabularies: one order, one class for one name, and a decoded label of the type that it had."
import enum, inspect, io, warnings
import matplotlib.pyplot as plt
import numpy as np, pandas as pd, pytest
from course_lib.core import *
from course_lib.shown import get_grid, show_value
from course_lib.splitters import *
from course_lib.datablock import *
from course_lib.dataloaders import *
from course_lib.export import describe_data
from course_lib.results import draw_in_titles, in_words, is_label
from course_lib.vision import *

def built(labels, y, delim=None, **kw):
    "Datasets of a table with these labels, four times each."
    df = pd.DataFrame({'labels': pd.Series(list(labels)*4, dtype=object)})
    return Datasets(df, [[ColReader('labels', label_delim=delim), *y.type_tfms]], **kw)

def told(f):
    with warnings.catch_warnings(record=True) as ws:
        warnings.simplefilter('always')
        f()
    return [str(w.message) for w in ws]

# The vocab: an order that is the same in each run

@pytest.mark.parametrize('make', [CategoryBlock, MultiCategoryBlock])
class TestVocab:
    @pytest.mark.parametrize('vocab', [{'cat', 'dog'}, frozenset({'cat'})])
    def test_a_set_has_no_order(self, make, vocab):
        with pytest.raises(TypeError, match=r'sorted\('): make(vocab=vocab)

    @pytest.mark.parametrize('vocab', ['cat dog', b'cat', 20, True, pd.DataFrame({'cat': [1]})])
    def test_what_is_no_list_of_names(self, make, vocab):
        with pytest.raises(TypeError, match='list of names'): make(vocab=vocab)

    @pytest.mark.parametrize('vocab', [
        ['dog', 'cat'], ('dog', 'cat'), {'dog': 0, 'cat': 1}, {'dog': 0, 'cat': 1}.keys(), (o for o in ['dog', 'cat']),
        L('dog', 'cat'), CategoryMap(['dog', 'cat']), np.array(['dog', 'cat']), pd.Index(['dog', 'cat']),
        pd.Series(['dog', 'cat']), pd.Categorical(['cat', 'cat'], categories=['dog', 'cat']),
        pd.CategoricalDtype(['dog', 'cat']), pd.Series(['cat', 'cat']).astype(pd.CategoricalDtype(['dog', 'cat'])),
        pd.CategoricalIndex(['cat'], categories=['dog', 'cat'])],
        ids=lambda v: type(v).__name__)
    def test_any_list_keeps_its_order(self, make, vocab):
        if inspect.isgenerator(vocab): vocab = (o for o in ['dog', 'cat']) # the other test has used it up
        names = make(vocab=vocab).type_tfms[0].vocab
        assert list(names) == ['dog', 'cat'] and all(type(n) is str for n in names)

    @pytest.mark.parametrize('bad,exc', [
        (['a', 'b', 'a'], ValueError), (['a', None], TypeError), (['a', np.nan], TypeError), (['a', ''], TypeError),
        ([['a'], ['b']], TypeError), (np.zeros((2, 2)), TypeError)])
    def test_names_that_cannot_be(self, make, bad, exc):
        with pytest.raises(exc, match='vocab'): make(vocab=bad)

@pytest.mark.parametrize('first', [['cat'], ('cat',), 'cat', np.array(['cat']), CategoryMap(['cat']), None])
def test_a_vocab_by_position_lands_in_encoded(first):
    with pytest.raises(TypeError, match='`encoded`, which is the first argument') as e: MultiCategoryBlock(first)
    assert 'MultiCategoryBlock(vocab=[...])' in str(e.value)

# Labels that are 0 and 1 already

ONES = pd.DataFrame({'cat': [1, 0]*4, 'dog': [0, 0]*4})

@pytest.mark.parametrize('cols', [['cat', 'dog'], [0, 1]])
def test_encoded_columns_are_read_in_the_order_of_the_vocab(cols):
    def make(vocab):
        y = MultiCategoryBlock(encoded=True, vocab=vocab)
        return DataBlock((TransformBlock, y), get_y=ColReader(cols), splitter=RandomSplitter(seed=1)).datasets(ONES)
    assert make(['cat', 'dog']).decode(make(['cat', 'dog'])[0])[1] == ['cat']
    assert list(make(['Katze', 'Hund']).vocab) == ['Katze', 'Hund'] # names of one's own
    with pytest.raises(ValueError, match='order cat, dog, but the vocab is dog, cat'): make(['dog', 'cat'])

@pytest.mark.parametrize('rows', [
    [[0, 1, 0], [1, 1, 0]], [(True, False), (True, True)], [np.array([0., 1.]), np.array([1., 1.])]])
def test_ones_and_zeros_are_no_names(rows):
    with pytest.raises(ValueError, match='encoded=True'): built(rows, MultiCategoryBlock())

@pytest.mark.parametrize('rows', [[[0], [1]], [[0, 1], [1]], [[1, 2], [0, 1]]])
def test_numbers_may_be_names(rows): assert 0 in built(rows, MultiCategoryBlock()).vocab

# A label keeps its type

class Animal(enum.Enum): dog, cat = 1, 2

@pytest.mark.parametrize('labels,kind', [
    ([1, 10, 2], int), ([True, False], bool), ([.5, 1.5], float), (['1', '2'], str),
    (list(np.array([1, 2])), int), (list(np.array([True, False])), bool), (list(np.array(['a', 'b'])), str),
    ([Animal.dog, Animal.cat], Animal)])
def test_a_decoded_label_keeps_its_type(labels, kind):
    one = built(labels, CategoryBlock())
    many = built([[v] for v in labels], MultiCategoryBlock())
    for i,label in enumerate(labels):
        decoded, = one.decode(one[i])
        assert decoded == label and isinstance(decoded, kind) and not isinstance(decoded, np.generic)
        assert many.decode(many[i])[0] == [label] and type(many.decode(many[i])[0][0]) is kind
    if kind is int: assert list(one.vocab) == sorted(labels)

def test_a_text_is_a_category_and_all_are_drawn():
    assert type(built(['cat'], CategoryBlock()).decode((tensor(0),))[0]) is Category
    assert [in_words(v) for v in ('cat', 1, True, L(1, 2), L())] == ['cat', '1', 'True', '1; 2', '(none)']
    assert all(map(is_label, ('cat', 1, False, .5, Animal.cat, L()))) and not is_label(tensor([1.]))
    ax, = get_grid(1)
    for v in 1, True, Animal.cat, Category('a$b$'), L('$x^2$'): show_value(v, ax)
    plt.close('all')

@pytest.fixture(scope='module')
def files(tmp_path_factory):
    d = tmp_path_factory.mktemp('labels')
    for i in range(4): PILImage.create(np.full((8, 8, 3), 40*i, dtype='uint8')).save(d/f'{i}.png')
    return sorted(d.iterdir())

@pytest.mark.parametrize('names', [[3, 4], [True, False], ['a', 'b'], [.5, 1.5]])
def test_a_file_of_a_model_holds_the_labels_as_they_are(files, names):
    block = DataBlock((ImageBlock, CategoryBlock), get_y=lambda f: names[int(f.stem)%2], splitter=IndexSplitter([2, 3]))
    vocab = describe_data(block.dataloaders(files, bs=2, num_workers=0))['vocab']
    assert vocab == sorted(names) and type(vocab[0]) is type(names[0])

def test_a_file_cannot_hold_members_of_an_enum(files):
    get_y = lambda f: list(Animal)[int(f.stem)%2]
    block = DataBlock((ImageBlock, CategoryBlock), get_y=get_y, splitter=IndexSplitter([2, 3]))
    with pytest.raises(TypeError, match='Animal'): describe_data(block.dataloaders(files, bs=2, num_workers=0))

@pytest.mark.parametrize('label', ['$', 'US$ and C$', '$x^{', r'\$5'])
def test_a_dollar_is_a_dollar(label):
    ax, = get_grid(1)
    Category(label).show(ctx=ax); assert ax.get_title() == label
    show_image(np.zeros((8, 8, 3), 'uint8'), ctx=ax, title=label)
    ax.figure.canvas.draw()
    draw_in_titles([((Category(label),), (Category(label),))])
    plt.gcf().canvas.draw(); plt.close('all')

# Nearly equal

@pytest.mark.parametrize('a,b', [
    ('dog', ' dog'), ('dog', 'dog '), ('dog', 'dog\n'), ('dog', '\tdog'), ('dog', 'Dog'), ('dog', 'dog\u00a0'),
    ('caf\u00e9', 'cafe\u0301'), ('black bear', 'black  bear'), ('black bear', 'black\u00a0bear'), ('a', 'a ')])
@pytest.mark.parametrize('given', [False, True])
def test_nearly_equal_labels_are_told_once(a, b, given):
    one = told(lambda: built([a, b, 'emu'], CategoryBlock(vocab=[a, b, 'emu'] if given else None)))
    many = told(lambda: built([[a, b], ['emu']], MultiCategoryBlock(vocab=[a, b, 'emu'] if given else None)))
    for ws in one, many: assert len(ws) == 1 and ascii(a) in ws[0] and ascii(b) in ws[0] and 'strip' in ws[0]

@pytest.mark.parametrize('label', ['cat\tdog', 'cat\u00a0dog', 'cat,dog', 'cat;dog', 'cat\ndog'])
def test_several_labels_in_one_are_told(label):
    ws = told(lambda: built([label, 'cat', 'dog'], MultiCategoryBlock(), delim=' '))
    assert len(ws) == 1 and ascii(label) in ws[0]

def test_a_blank_label_is_told(): assert len(told(lambda: built(['cat', ' '], MultiCategoryBlock(), delim=','))) == 1

@pytest.mark.parametrize('labels', [
    ['cat', 'dog', 'caterpillar'], ['a', 'A', 'b', 'B'], ['dog house', 'dog', 'house'], ['1', '10'], [1, 2],
    ['e', '\u00e9']])
def test_different_labels_are_not(labels):
    assert not told(lambda: built(labels, CategoryBlock()))
    assert not told(lambda: built([[v] for v in labels], MultiCategoryBlock()))

# Lost by read_csv

CSV = 'fname,labels\na,None\nb,cat\nc,NA\nd,cat dog\n'

def test_labels_lost_in_a_csv_are_told():
    read = [ColReader('labels', label_delim=' '), MultiCategorizeOneHot()]
    ws = told(lambda: Datasets(pd.read_csv(io.StringIO(CSV)), [read]))
    assert len(ws) == 1 and '2 of 4 rows' in ws[0] and 'keep_default_na=False' in ws[0]
    kept = pd.read_csv(io.StringIO(CSV), keep_default_na=False)
    assert not told(lambda: Datasets(kept, [read])) and 'None' in Datasets(kept, [read]).vocab
    assert not told(lambda: Datasets(kept.assign(labels=['', 'cat', '', 'dog']), [read])) # '' says it: none

def test_one_label_lost_in_a_csv():
    df = pd.read_csv(io.StringIO(CSV))
    with pytest.raises(ValueError, match='keep_default_na=False') as e:
        Datasets(df, [[ColReader('labels'), Categorize()]])
    assert any('item 0' in n for n in e.value.__notes__)

# Lists where one is expected, and the other way round

@pytest.mark.parametrize('v', [['a'], ('a',), {'a'}, frozenset('a'), np.array(['a']), {'a': 1}])
def test_one_label_is_no_list(v):
    with pytest.raises(TypeError, match='MultiCategoryBlock'): Categorize(['a'])(v)

@pytest.mark.parametrize('v', ['cat', 3, {'cat': 1}, [['cat']], [('cat',)], np.array([['cat']])])
def test_several_labels_are_a_list_of_names(v):
    with pytest.raises(TypeError, match='[Ll]abel'): MultiCategorize(['cat'])(v)

# Getters

@pytest.mark.parametrize('kw', [
    dict(get_x=[len, len]), dict(get_y=[len, len]), dict(get_x=[len, len], get_y=len), dict(getters=[len]),
    dict(getters=[len]*3)])
def test_a_getter_too_many_is_refused(kw):
    with pytest.raises(ValueError, match='getters for'): DataBlock((TransformBlock, TransformBlock), **kw)

@pytest.mark.parametrize('bad', ['labels', 3, {'a': 1}])
def test_a_getter_is_a_function(bad):
    with pytest.raises((TypeError, ValueError), match='getter'): DataBlock((TransformBlock, TransformBlock), get_y=bad)
