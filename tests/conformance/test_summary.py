"`learn.summary()`: what a model is made of, and no trace of the look."
import pytest, torch
from course_lib.all import *
from course_lib.layers import rows_of

def data(x=(3, 8, 8), n=12, bs=4, n_inp=1):
    items = [(*[torch.randn(x)]*n_inp, tensor(i % 2)) for i in range(n)]
    return DataLoaders(DataLoader(items, bs, shuffle=True), DataLoader(items, bs))

def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Flatten(), nn.Dropout(), nn.Linear(4, 2))

def learner(model=None, dls=None, **kw): return Learner(dls or data(), model or net(), nn.CrossEntropyLoss(), **kw)

def lines(learn): return [line.split() for line in str(learn.summary()).splitlines() if line]

def test_each_layer_has_a_line():
    "The numbers are those that fastai 2.8 gives for this network: 112, 8 and 10 parameters."
    text = str(learner().summary())
    assert text.startswith('Sequential (Input shape: 4 x 3 x 8 x 8)')
    table = lines(learner())
    assert ['Conv2d', *'4 x 4 x 8 x 8'.split(), '112', 'trained'] in table
    assert ['BatchNorm2d', '8', 'trained'] in table and ['ReLU'] in table
    assert ['Linear', '4', 'x', '2', '10', 'trained'] in table
    for part in 'Total params: 130', 'Total trainable params: 130', 'Total non-trainable params: 0': assert part in text

def test_below_stands_how_it_is_trained():
    text = str(learner(cbs=TerminateOnNaNCallback()).summary())
    assert 'Optimizer used: Adam' in text and 'Loss function: CrossEntropyLoss()' in text
    assert 'Callbacks:' in text and '  - Recorder' in text
    assert 'frozen up' not in text and 'unfrozen' not in text # nothing was said about it yet

def test_what_is_frozen():
    def split(m): return [params(m[0]) + params(m[1]), params(m[6])]
    learn = learner(splitter=split)
    learn.freeze()
    text = str(learn.summary())
    assert ['Conv2d', *'4 x 4 x 8 x 8'.split(), '112', 'frozen'] in lines(learn)
    assert ['BatchNorm2d', '8', 'trained'] in lines(learn) # norms train on in a frozen body
    assert 'Total trainable params: 18' in text and 'Total non-trainable params: 112' in text
    assert 'Model frozen up to parameter group #1' in text
    learn.unfreeze()
    assert 'Model unfrozen' in str(learn.summary())

def test_partly_frozen():
    learn = learner()
    learn.model[6].bias.requires_grad_(False)
    assert ['Linear', '4', 'x', '2', '10', 'partly'] in lines(learn)

def test_a_notebook_and_a_terminal_show_the_same():
    s = learner().summary()
    assert repr(s) == str(s) and isinstance(s, str)

# ---- no trace

class Snoop(nn.Module):
    "Counts how it is called."
    def __init__(self):
        super().__init__()
        self.seen = []
    def forward(self, x):
        self.seen.append((self.training, torch.is_grad_enabled()))
        return x

@pytest.mark.parametrize('training', [True, False])
def test_model_and_chance_are_as_before(training):
    snoop = Snoop()
    learn = learner(nn.Sequential(*net(), snoop))
    learn.model.train(training)
    learn.model[1].eval() # one layer otherwise
    modes = [m.training for m in learn.model.modules()]
    before = {k: v.clone() for k,v in learn.model.state_dict().items()}
    set_seed(5)
    want = torch.rand(3), np.random.rand(), [b[1].tolist() for b in learn.dls.train]
    set_seed(5)
    learn.summary()
    assert torch.equal(torch.rand(3), want[0]) and np.random.rand() == want[1]
    assert [b[1].tolist() for b in learn.dls.train] == want[2]
    assert snoop.seen == [(False, False)]
    assert [m.training for m in learn.model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k,v in learn.model.state_dict().items())
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in learn.model.modules())
    assert learn.opt is None

def test_also_after_an_error():
    class Breaks(nn.Module):
        def forward(self, x): raise RuntimeError('here')
    learn = learner(nn.Sequential(*net(), Breaks()))
    learn.model.train()
    set_seed(1); want = torch.rand(1); set_seed(1)
    with pytest.raises(RuntimeError, match='here'): learn.summary()
    assert learn.model.training and learn.model[0].training and torch.equal(torch.rand(1), want)
    assert all(not m._forward_hooks for m in learn.model.modules())

# ---- other models

class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(5, 4)
    def forward(self, x, y): return self.a(x) + self.b(y)

def test_several_inputs():
    text = str(learner(TwoInputs(), data((5,), n_inp=2)).summary())
    assert text.startswith('TwoInputs (Input shape: 4 x 5, 4 x 5)')

class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.relu = nn.Linear(5, 5), nn.ReLU()
    def forward(self, x): return self.relu(self.a(self.relu(self.a(x))))[:, :2]

def test_a_layer_used_twice_counts_once():
    learn = learner(Twice(), data((5,)))
    assert [(r.name, sum(p.numel() for p in r.params)) for r in rows_of(learn.model, (torch.zeros(2, 5),))] == [
        ('Linear', 30), ('ReLU', 0), ('Linear (again)', 0), ('ReLU (again)', 0)]
    assert 'Total params: 30' in str(learn.summary())

def test_weights_that_two_layers_share_count_once():
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2))
    model[1].weight = model[0].weight
    assert 'Total params: 47' in str(learner(model, data((5,))).summary())

def test_a_layer_that_gives_a_tuple():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.end = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 2)
        def forward(self, x): return self.end(self.rnn(x)[0][:, -1])
    text = str(learner(Last(), data((7, 5))).summary())
    assert '4 x 7 x 4, 1 x 4 x 4, 1 x 4 x 4' in text

def test_parameters_beside_layers_and_layers_that_are_not_called():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.used, self.unused = nn.Parameter(torch.ones(3)), nn.Linear(5, 2), nn.Linear(5, 7)
        def forward(self, x): return self.used(x)*self.scale[0]
    text = str(learner(Odd(), data((5,))).summary())
    assert 'Total params: 57' in text and '(not called)' in text
    table = lines(learner(Odd(), data((5,))))
    assert ['Odd', '3', 'trained'] in table and ['Linear', '(not', 'called)', '42', 'trained'] in table

def test_attention():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.att, self.end = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 2)
        def forward(self, x): return self.end(self.att(x, x, x)[0].mean(1))
    model = Attends()
    n = sum(p.numel() for p in model.parameters())
    assert f'Total params: {n:,}' in str(learner(model, data((6, 8))).summary())

def test_loaders_of_torch_and_of_a_block():
    dl = torch.utils.data.DataLoader([(torch.randn(3, 8, 8), tensor(0))]*6, 3)
    assert 'Input shape: 3 x 3 x 8 x 8' in str(learner(dls=DataLoaders(dl, dl)).summary())
    block = DataBlock((ImageBlock, CategoryBlock), get_x=lambda i: np.zeros((8, 8, 3), 'uint8'), get_y=lambda i: i % 2)
    dls = block.dataloaders(range(10), bs=4, device='cpu', num_workers=0)
    assert 'Input shape: 4 x 3 x 8 x 8' in str(Learner(dls, net()).summary())
