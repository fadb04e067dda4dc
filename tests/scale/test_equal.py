"One process with a batch, and several with parts of it, come to the same; and each item is seen once."
import itertools
import pytest, torch
from course_lib.all import DataLoader, DistributedDL, set_seed
from course_lib.distrib import part_of
from tests.scale.group import end, start
from tests.scale.scenarios import SCENARIOS

@pytest.fixture(scope='module')
def found(tmp_path_factory):
    "What each process of a group of 1, 2 and 3 has found, scenario by scenario."
    folders = {n: tmp_path_factory.mktemp(f'of_{n}') for n in (1, 2, 3)}
    programs = {n: start(n, '-m', 'tests.scale.scenarios', folder) for n,folder in folders.items()}
    ends = {n: end(p, 170) for n,p in programs.items()}
    assert {n: code for n,(code,out) in ends.items()} == {1: 0, 2: 0, 3: 0}, ends
    ranks = {1: ['0_0'], 2: ['2_0', '2_1'], 3: ['3_0', '3_1', '3_2']}
    return {n: [torch.load(folders[n]/f'found_{r}.pt', weights_only=False) for r in ranks[n]] for n in ranks}

def same(a, b, eps):
    "The same numbers in the same places?"
    if isinstance(a, dict): return a.keys() == b.keys() and all(same(a[k], b[k], eps) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(same(x, y, eps) for x,y in zip(a, b))
    if a is None or isinstance(a, str): return a == b
    a, b = (torch.as_tensor(o).double() for o in (a, b))
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=eps, equal_nan=True)

# These are no comparison with one process.
ALONE = 'without_sync_bn what_is_printed ranks_go_first fetches exported bad_input'.split()

@pytest.mark.parametrize('name', [o for o in SCENARIOS if o not in ALONE])
@pytest.mark.parametrize('n', [2, 3])
def test_as_one_process(found, n, name):
    eps = 3e-4 if name == 'in_bfloat16' else 1e-5
    one = found[1][0][name]
    assert isinstance(one, dict), one
    for several in found[n]:
        assert isinstance(several[name], dict), several[name]
        for k in one: assert same(one[k], several[name][k], eps), (k, one[k], several[name][k])

@pytest.mark.parametrize('n', [2, 3])
def test_ranks_agree_where_batch_norm_does_not_go_over_all(found, n):
    first, *others = [f['without_sync_bn'] for f in found[n]]
    assert all(same(first, o, 0) for o in others)
    assert not same(first['weights'], found[1][0]['without_sync_bn']['weights'], 1e-3)

@pytest.mark.parametrize('n', [2, 3])
def test_rank_0_alone_prints(found, n):
    first, *others = [f['what_is_printed']['lines'] for f in found[n]]
    assert first == found[1][0]['what_is_printed']['lines'] == ['epoch', '0', 'Better']
    assert others == [[]]*(n-1)

@pytest.mark.parametrize('n', [1, 2, 3])
def test_rank_0_goes_first(found, n):
    for f in found[n]: assert f['ranks_go_first'] == dict(found=[3, 1], first='0')

@pytest.mark.parametrize('n', [1, 2, 3])
def test_data_are_made_once(found, n):
    "By one, while the others wait; with `force_download=True` once for each call, not once for each process."
    for f in found[n]:
        assert isinstance(f['fetches'], dict), f['fetches']
        assert f['fetches'] == dict(n_made=[1, 1, 2, 4, 5], left=['counted'])

@pytest.mark.parametrize('n', [1, 2, 3])
def test_rank_0_alone_exports(found, n):
    for rank,f in enumerate(found[n]):
        assert f['exported'] == dict(wrote=[] if rank else [0], same=True, left=[])

# ------------------------------------------------------------------ bad input

SAID = dict(
    few='ValueError: {n} processes are to share 1 training items: some would never have one',
    number='ValueError: The processes differ in their training items: rank 0 has 50, and rank 1 has 51',
    files="ValueError: The processes differ in their training items: number 3 is '3.jpg' on rank 0, and '4.jpg' on",
    batches="ValueError: The processes differ in their batch sizes: number 0 is 'bs=4' on rank 0, and 'bs=5' on rank 1",
    model="ValueError: The processes differ in their tensors of the model: number 2 is '1.weight [8, 8]' on rank 0",
    checkpoint='other.pth do not fit this model: 0.weight is missing',
    one_item='ValueError: This training batch has one item (bs={bs}, training items: 25), and batch-norm needs',
    timeout='ValueError: timeout=-1: seconds are expected', option='no_such_option')

@pytest.mark.parametrize('n', [2, 3])
@pytest.mark.parametrize('what', SAID)
def test_rank_0_says_what_is_wrong(found, n, what):
    "The others end too, and would print nothing: `RankFailed` is for rank 0 to say."
    first, *others = [f['bad_input'][what] for f in found[n]]
    assert SAID[what].format(n=n, bs=12//n) in first and not first.startswith('RankFailed')
    for o in others: assert o == f'RankFailed: {first}'

def test_one_process_goes_on(found):
    "One process has nothing to share, and no one to wait for."
    said = found[1][0]['bad_input']
    assert {k for k,v in said.items() if v} == {'checkpoint', 'one_item', 'timeout', 'option'}
    assert said['one_item'].startswith(SAID['one_item'].format(bs=12))

# ------------------------------------------------------------------ parts

SIZES = [*itertools.product((7, 12, 13, 24), (1, 2, 4), (1, 2, 3), (False, True))]

@pytest.mark.parametrize('n, bs, n_ranks, drop_last', SIZES)
def test_each_item_once(n, bs, n_ranks, drop_last):
    "In training and in validation; all ranks make the same number of steps, and the parts of a step are its items."
    items = torch.arange(n)
    train, valid = DataLoader(items, bs, shuffle=True, drop_last=drop_last), DataLoader(items, bs)
    steps = []
    for rank in range(n_ranks):
        set_seed(1)
        steps.append(DistributedDL(train, rank, n_ranks).draw_epoch()[1])
    assert len({len(o) for o in steps}) == 1
    for parts in zip(*steps):
        whole = parts[0][1]
        assert all(step == whole for own,step in parts) and sum((own for own,step in parts), []) == whole
        assert all(len(own) != 1 for own,step in parts) or bs == 1 or len(whole) == 1
    seen = [i for parts in zip(*steps) for i in parts[0][1]]
    kept = n//(bs*n_ranks)*bs*n_ranks if drop_last and n >= bs*n_ranks else n
    assert len(seen) == len(set(seen)) == kept
    rows = [list(DistributedDL(valid, rank, n_ranks, in_order=True)) for rank in range(n_ranks)]
    assert torch.cat([b for row in rows for b in row]).tolist() == items.tolist()
    assert all(len(row) == len(DistributedDL(valid, rank, n_ranks, in_order=True)) for rank,row in enumerate(rows))

def test_parts_are_even():
    assert [len(part_of(range(10), r, 3)) for r in range(3)] == [3, 3, 4]
    assert [len(part_of(range(3), r, 3)) for r in range(3)] == [3, 0, 0]
