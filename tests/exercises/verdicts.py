'''Answers as learners write them: what is right, and what is wrong, with the name of its mistake ('' if it has none).

An answer is a text: one line, with those that follow it indented, or the lines of a function.'''
import re

RIGHT, WRONG = {}, {}

RIGHT[2] = '''
torch.tensor([1.0 if v in labels else 0.0 for v in vocab])
torch.FloatTensor([v in labels for v in vocab])
tensor(list(map(lambda v: float(v in labels), vocab)))
tensor([any(l == v for l in labels) for v in vocab]).float()
torch.tensor([v in labels for v in vocab], dtype=torch.float32)
sum([F.one_hot(tensor(vocab.index(o)), len(vocab)) for o in set(labels)], torch.zeros(len(vocab)))
torch.from_numpy(np.isin(vocab, labels).astype(np.float32)) if labels else torch.zeros(len(vocab))
encode = lambda labels, vocab: tensor([1. if o in labels else 0. for o in vocab])
tensor([float(labels.count(v) > 0) for v in vocab])
(tensor([[float(v == o) for v in vocab] for o in labels]).amax(0) if labels else torch.zeros(len(vocab)))

def encode(labels, vocab):
    out = []
    for v in vocab:
        if v in labels: out.append(1.)
        else: out.append(0.)
    return torch.Tensor(out)

def encode(labels, vocab):
    out = torch.zeros(len(vocab))
    for i,v in enumerate(vocab):
        for l in labels:
            if l == v: out[i] = 1
    return out

def encode(labels, vocab):
    x = torch.zeros(len(vocab))
    idx = [vocab.index(l) for l in labels]
    x[idx] = 1
    return x
'''
WRONG[2] = '''
torch.tensor([vocab.index(l) for l in labels])                  | numbers
torch.tensor([float(vocab.index(l)) for l in labels])           | numbers
tensor([1 if v in labels else 0 for v in vocab])                | whole numbers
torch.LongTensor([v in labels for v in vocab])                  | whole numbers
torch.tensor(list(map(lambda v: v in labels, vocab)))           | true or false
[1.0 if v in labels else 0.0 for v in vocab]                    | list
[1 if v in labels else 0 for v in vocab]                        | list
np.array([1.0 if v in labels else 0.0 for v in vocab])          | array
np.isin(vocab, labels)                                          | array
tensor([1. if l in vocab else 0. for l in labels])              | through the labels
torch.ones(len(labels))                                         | through the labels
tensor([float(sum(v == l for l in labels)) for v in vocab])     | counts
sum([F.one_hot(tensor(vocab.index(o)), len(vocab)) for o in labels], torch.zeros(len(vocab))) | counts
tensor([1. if any(l in v for l in labels) else 0. for v in vocab])  | letters
tensor([1. if any(v in l for l in labels) else 0. for v in vocab])  | letters
tensor([1. if v in str(labels) else 0. for v in vocab])         | letters
tensor([1. if v in ','.join(labels) else 0. for v in vocab])    | letters
tensor([float(any(v.startswith(l) for l in labels)) for v in vocab]) | letters
tensor([float(any(l.startswith(v) for l in labels)) for v in vocab]) | letters
tensor([0. if v in labels else 1. for v in vocab])              | reversed
tensor([float(v == labels[0]) for v in vocab])                  | first only
tensor([float(v == labels) for v in vocab])                     | nothing set
torch.zeros(len(vocab))                                         | nothing set
torch.ones(len(vocab))                                          | all set
torch.stack([F.one_hot(tensor(vocab.index(l)), len(vocab)).float() for l in labels]) | a row for each label
[[1. if v == l else 0. for v in vocab] for l in labels]         | a row for each label
tensor([[1. if v in labels else 0. for v in vocab]])            | one too deep
tensor([1. if v in labels else 0. for v in vocab])[None]        | one too deep
tensor([1. if v in labels else 0. for v in sorted(vocab)])      | sorted
tensor([1. if v in labels else 0. for v in vocab[::-1]])        |
tensor([1. if v in labels else -1. for v in vocab])             | minus one
tensor([(v in labels)/len(labels) for v in vocab])              | shares
lambda vocab, labels: tensor([float(v in labels) for v in vocab]) | order of arguments
print([float(v in labels) for v in vocab])                      | nothing returned
tensor([float(v.lower() in [l.lower() for l in labels]) for v in vocab]) | case
torch.rand(len(vocab)).round()                                  | not the same twice
F.one_hot(labels, len(vocab))                                   |

def encode(labels, vocab):                                      | nothing returned
    v = torch.zeros(len(vocab))
    for l in labels: v[vocab.index(l)] = 1.

def encode(labels, vocab):                                      | counts
    v = torch.zeros(len(vocab))
    for l in labels: v[vocab.index(l)] += 1.
    return v

def encode(labels, vocab):                                      | first only
    v = torch.zeros(len(vocab))
    for l in labels:
        v[vocab.index(l)] = 1.
        return v

def encode(labels, vocab):                                      | last only
    for l in labels:
        v = torch.zeros(len(vocab))
        v[vocab.index(l)] = 1.
    return v

def encode(labels, vocab):                                      | whole numbers
    v = torch.zeros(len(vocab), dtype=torch.long)
    for l in labels: v[vocab.index(l)] = 1
    return v

def encode(labels, vocab):                                      | input changed
    vocab.sort()
    return tensor([float(v in labels) for v in vocab])

def encode(labels, vocab):                                      | calls itself
    return encode(labels, vocab)
'''

RIGHT[3] = '''
(df.iloc[r], df.iloc[:, c])
[df.iloc[r], df.iloc[:, c]]
(df.iloc[r, :], df.T.iloc[c])
(df.T.iloc[:, r], df.iloc[:, c])
f = lambda df, r, c: (df.iloc[r], df.iloc[:, c])
(df.take([r]).squeeze(axis=0), df.take([c], axis=1).squeeze(axis=1))
(pd.Series(df.values[r], index=df.columns), pd.Series(df.values[:, c], index=df.index))

def row_and_column(df, r, c):
    row = df.iloc[r]
    col = df.iloc[:, c]
    return row, col
'''
WRONG[3] = '''
df.loc[r], df.loc[:, c]                  | loc
df.loc[r], df[c]                         | loc
df.loc[r, :], df.iloc[:, c]              | loc
df[r], df[c]                             | brackets
df.iloc[r], df[c]                        | columns by name
df.iloc[r], df.loc[:, c]                 | columns by name
df.iloc[r], df[df.columns[c]]            | a name that is there twice
df.loc[df.index[r]], df[df.columns[c]]   | labels that are there twice
df.iloc[:, r], df.iloc[c]                | exchanged
df.iloc[:, r], df.iloc[c, :]             | exchanged
df.iloc[:, c], df.iloc[r]                | column first
df.iloc[r], df.iloc[c]                   | two rows
df.iloc[:, r], df.iloc[:, c]             | two columns
df.iloc[[r]], df.iloc[:, [c]]            | tables
df.iloc[r:r+1], df.iloc[:, c:c+1]        | tables
df.iloc[r-1], df.iloc[:, c-1]            | from one
df.iloc[r+1], df.iloc[:, c+1]            | from one
df.iloc[abs(r)], df.iloc[:, abs(c)]      | sign dropped
df.values[r], df.values[:, c]            | bare values
df.iloc[r].values, df.iloc[:, c].values  | bare values
list(df.iloc[r]), list(df.iloc[:, c])    | bare values
df.to_numpy()[r], df.to_numpy()[:, c]    | bare values
df.iloc[r, c]                            | one cell
df.iat[r, c]                             | one cell
df.iloc[r]                               | one of two
df.iloc[:, c]                            | one of two
df.index[r], df.columns[c]               | their names
lambda r, c, df: (df.iloc[r], df.iloc[:, c]) | order of arguments
lambda df, c, r: (df.iloc[r], df.iloc[:, c]) | order of arguments
df.iloc[r], df.iloc[c, :]                | two rows
print(df.iloc[r], df.iloc[:, c])         | nothing returned
df.row(r), df.column(c)                  |
df.ix[r], df.ix[:, c]                    |

def row_and_column(df, r, c):            | nothing returned
    row, column = df.iloc[r], df.iloc[:, c]

def row_and_column(df, r, c):            |
    df = df.reset_index(drop=True)
    return df.iloc[r], df.iloc[:, c]

def row_and_column(df, r, c):            | input changed
    df.index = range(len(df))
    return df.iloc[r], df.iloc[:, c]
'''

RIGHT[4] = '''
df.loc[:, name]
df[name].copy()
df.xs(name, axis=1)
df.__getitem__(name)
df[[name]].iloc[:, 0]
df.iloc[:, df.columns.get_loc(name)]
df.to_dict('series')[name]
df.eval(f"`{name}`")
column = lambda df, name: df[name]
dict(df.items())[name]
df[[name]].squeeze(axis=1)
pd.Series(df[name])

def column(df, name):
    for n, values in df.items():
        if n == name: return values

def column(df, name):
    col = df[name]
    return col
'''
WRONG[4] = '''
df.name                                    | the dot
getattr(df, name)                          | getattr
df.__getattr__(name)                       | getattr
df[[name]]                                 | table
df.filter(items=[name])                    | table
df.loc[:, [name]]                          | table
df.loc[name]                               | row
df.loc[name, :]                            | row
df.iloc[:, name]                           | position
df.iloc[name]                              | position
df[name].values                            | bare values
df[name].tolist()                          | bare values
list(df[name])                             | bare values
df[name].to_numpy()                        | bare values
df["name"]                                 | quoted
df.loc[:, 'name']                          | quoted
df[[c for c in df.columns if c.startswith(name)][0]]      | a part of the name
df[[c for c in df.columns if c.endswith(name)][0]]        | a part of the name
df[[c for c in df.columns if name in c][0]]               | a part of the name
df[[c for c in df.columns if str(name) in str(c)][0]]     | a part of the name
df.filter(like=name).iloc[:, 0]            | a part of the name
df.filter(regex=name).iloc[:, 0]           | a part of the name
df.filter(like=name)                       | a table of parts
df.filter(regex=str(name))                 | a table of parts
df.filter(regex=f'^{name}$').iloc[:, 0]    | a pattern
df.T.loc[name]                             | turned
df.transpose().loc[name]                   | turned
df[[name]].squeeze()                       | squeezed
df[str(name)]                              | as text
df.eval(name)                              | as an expression
df.query(name)                             | as an expression
df[name].reset_index(drop=True)            | new labels
df[name].iloc[0]                           | one entry
df.drop(columns=name)                      | the others
df.drop(name, axis=1)                      | the others
name                                       | the name
lambda name, df: df[name]                  | order of arguments
print(df[name])                            | nothing returned
df.column(name)                            |
df.get_column(name)                        |
df(name)                                   |
df.pop(name)                               | input changed

def column(df, name):                      | a part of the name
    for c in df.columns:
        if str(c).startswith(str(name)): return df[c]

def column(df, name):                      | nothing returned
    df[name]

def column(df, name):                      | case
    for c in df.columns:
        if str(c).lower() == str(name).lower(): return df[c]
'''

RIGHT[8] = '''
lambda r: r['labels'].split()
lambda row: row['labels'].split()
lambda r: r.labels.split()
lambda r: [l for l in r['labels'].split(' ') if l]
lambda r: r['labels'].split(' ') if r['labels'] != '' else []
lambda r: [] if not r['labels'] else r['labels'].split(' ')
get_y = lambda r: r['labels'].split()
lambda r: str(r['labels']).split()
lambda r: list(map(str.strip, r['labels'].split()))
(lambda r: r.get('labels').split())
r['labels'].split()
lambda r: r['labels'].strip().split()
'''
WRONG[8] = '''
lambda r: r['labels']                       | not split
lambda r: r.labels                          | not split
lambda r: list(r['labels'])                 | letters
lambda r: [l for l in r['labels']]          | letters
lambda r: r['labels'].split(' ')            | empty name
lambda r: r['labels'].split(sep=' ')        | empty name
lambda r: [l for l in r['labels'].split(' ')] | empty name
lambda r: r['labels'].split(',')            | wrapped
lambda r: [r['labels']]                     | wrapped
lambda r: r['labels'].split(', ')           | wrapped
lambda r: [r['labels'].split()]             | list in a list
lambda r: r['labels'].split()[0]            | one label
lambda r: r['fname'].split()                | file name
lambda r: r['fname']                        | file name
lambda r: r['is_valid']                     | another column
lambda r: len(r['labels'].split())          | how many
lambda r: sorted(r['labels'].split())       | sorted
lambda r: set(r['labels'].split())          | set
lambda r: (l for l in r['labels'].split())  | no list yet
lambda r: map(str, r['labels'].split())     | no list yet
lambda r: r.split()                         | the row
lambda labels: labels.split()               | the row
lambda r: r['labels'].str.split()           | for a whole column
lambda r: r['labels'].split() if r['labels'] else None | nothing for none
lambda r: r['labels'].split() if r['labels'] else ''   | nothing for none
lambda r: print(r['labels'].split())        | nothing returned
lambda r: None                              | nothing returned
lambda r: r['labels'].split                 | a lambda in it
lambda r: lambda r: r['labels'].split()     | a lambda in it
lambda r: r['label'].split()                |
lambda r: r[labels].split()                 |
lambda r: ['dog', 'cat']                    |
lambda r: r['labels'].split().sort()        | nothing returned
lambda r: ' '.split(r['labels'])            |
lambda: r['labels'].split()                 |
lambda r, x: r['labels'].split()            |
lambda df: df['labels'].apply(lambda o: o.split()) | for a whole column

def get_y(r): return r['labels'].split()    | def

def get_y(r):                               | def
    labels = r['labels']
    return labels.split()
'''

RIGHT[12] = '''
nn.BCEWithLogitsLoss()(inputs, targets.float())
F.binary_cross_entropy_with_logits(inputs, targets.float())
F.binary_cross_entropy_with_logits(inputs, targets.type_as(inputs))
nn.functional.binary_cross_entropy_with_logits(input=inputs, target=targets.to(torch.float32))
(F.softplus(inputs) - inputs*targets).mean()
-(F.logsigmoid(inputs)*targets + F.logsigmoid(-inputs)*(1 - targets.float())).mean()
torch.where(targets.bool(), F.softplus(-inputs), F.softplus(inputs)).mean()
F.softplus(torch.where(targets.bool(), -inputs, inputs)).mean()
(torch.logaddexp(torch.zeros_like(inputs), inputs) - inputs*targets).mean()
-F.logsigmoid(torch.where(targets == 1, inputs, -inputs)).mean()
(F.relu(inputs) - inputs*targets + torch.log1p(torch.exp(-inputs.abs()))).mean()
loss = lambda inputs, targets: nn.BCEWithLogitsLoss()(inputs, targets.float())

def binary_cross_entropy(inputs, targets):
    targets = targets.float()
    there = targets*F.logsigmoid(inputs)
    absent = (1 - targets)*F.logsigmoid(-inputs)
    return -(there + absent).sum()/inputs.numel()

def binary_cross_entropy(inputs, targets):
    total = 0.
    for x,t in zip(inputs.flatten(), targets.flatten()):
        total = total - F.logsigmoid(x if t else -x)
    return total/inputs.numel()
'''
WRONG[12] = '''
nn.BCEWithLogitsLoss(inputs, targets)                                        | a class, not a loss
nn.BCELoss(torch.sigmoid(inputs), targets.float())                           | a class, not a loss
nn.BCEWithLogitsLoss                                                         | a class, not a loss
nn.BCEWithLogitsLoss()                                                       | floats only
nn.BCEWithLogitsLoss()(inputs, targets)                                      | floats only
F.binary_cross_entropy_with_logits(inputs, targets)                          | floats only
nn.BCELoss()(inputs, targets.float())                                        | BCELoss on activations
F.binary_cross_entropy(inputs, targets.float())                              | BCELoss on activations
nn.BCELoss()(torch.sigmoid(inputs), targets.float())                         | clipped
F.binary_cross_entropy(inputs.sigmoid(), targets.float())                    | clipped
nn.BCEWithLogitsLoss()(torch.sigmoid(inputs), targets.float())               | sigmoid twice
F.binary_cross_entropy_with_logits(targets.float(), inputs)                  | arguments exchanged
lambda targets, inputs: F.binary_cross_entropy_with_logits(inputs, targets.float()) | order of arguments
-(targets.float()*torch.log(inputs.sigmoid()) + (1 - targets.float())*torch.log( | overflow, nought times infinity
    1 - inputs.sigmoid())).mean()
-torch.where(targets == 1, inputs.sigmoid(), 1 - inputs.sigmoid()).log().mean() | overflow
(torch.log(1 + torch.exp(inputs)) - inputs*targets).mean()                   | exp overflows
(torch.log1p(torch.exp(inputs)) - inputs*targets).mean()                     | exp overflows
torch.log1p(torch.exp(torch.where(targets.bool(), -inputs, inputs))).mean()  | exp overflows
-torch.where(targets == 1, (inputs.sigmoid() + 1e-7).log(), (1 - inputs.sigmoid() + | an epsilon, or a clamp
    1e-7).log()).mean()
-(targets.float()*(inputs.sigmoid() + 1e-8).log() + (1 - targets.float())*(1 - | an epsilon, or a clamp
    inputs.sigmoid() + 1e-8).log()).mean()
F.binary_cross_entropy(inputs.sigmoid().clamp(1e-6, 1 - 1e-6), targets.float()) | an epsilon, or a clamp
F.binary_cross_entropy_with_logits(inputs.clamp(-50, 50), targets.float())   | an epsilon, or a clamp
F.binary_cross_entropy_with_logits(inputs, targets.float()).detach()         | cut off
F.binary_cross_entropy_with_logits(inputs.detach(), targets.float())         | cut off
tensor(F.binary_cross_entropy_with_logits(inputs, targets.float()).item())   | cut off
F.binary_cross_entropy_with_logits(inputs.data, targets.float())             | cut off
F.binary_cross_entropy_with_logits(inputs, targets.float()).item()           | a plain number
float(F.binary_cross_entropy_with_logits(inputs, targets.float()))           | a plain number
F.binary_cross_entropy_with_logits(inputs, targets.float()).detach().numpy() | an array
torch.where(inputs > 30, inputs, torch.log(1 + | gradient is not a number
    inputs.exp())).mean() - (inputs*targets).mean()
F.binary_cross_entropy_with_logits(inputs, targets.float(), reduction='sum')  | sum
F.binary_cross_entropy_with_logits(inputs, targets.float(), reduction='none') | per cell
nn.BCEWithLogitsLoss(reduction='none')(inputs, targets.float())              | per cell
nn.BCEWithLogitsLoss(reduction='none')(inputs, targets.float()).mean(1)      | a row of losses
nn.BCEWithLogitsLoss(reduction='sum')(inputs, targets.float())/len(inputs)   | sum over classes
-F.binary_cross_entropy_with_logits(inputs, targets.float())                 | sign
(targets.float()*F.logsigmoid(inputs) + (1 - targets.float())*F.logsigmoid(-inputs)).mean() | sign
-(targets.float()*F.logsigmoid(inputs)).mean()                               | half of it
-F.logsigmoid(inputs).mean()                                                 | all there
F.cross_entropy(inputs, targets.float())                                     | softmax
nn.CrossEntropyLoss()(inputs, targets)                                       | softmax
F.mse_loss(torch.sigmoid(inputs), targets.float())                           | squared error
-torch.where(targets == 1, F.logsigmoid(-inputs), F.logsigmoid(inputs)).mean() | swapped
-(targets.float()*inputs.log() + (1 - targets.float())*(1 - inputs).log()).mean() | no sigmoid
-torch.where(targets == 1, inputs, 1 - inputs).log().mean()                  | no sigmoid
-(targets*F.logsigmoid(inputs) + (1 - targets)*F.logsigmoid(-inputs)).mean() | floats only
torch.where(targets == 1, 1 - inputs.sigmoid(), inputs.sigmoid()).mean()     | absolute error
(inputs - targets.float()).abs().mean()                                      | absolute error
-torch.where(targets == 1, inputs.sigmoid().log2(), (1 - inputs.sigmoid()).log2()).mean() |
print(F.binary_cross_entropy_with_logits(inputs, targets.float()))           | nothing returned
F.bce_with_logits(inputs, targets.float())                                   |
F.nll_loss(F.logsigmoid(inputs), targets)                                    |

def binary_cross_entropy(inputs, targets):                                   | cut off
    with torch.no_grad():
        return F.binary_cross_entropy_with_logits(inputs, targets.float())

def binary_cross_entropy(inputs, targets):                                   | calls itself
    return binary_cross_entropy(inputs.sigmoid(), targets)

def binary_cross_entropy(inputs, targets):                                   | an epsilon, or a clamp
    p = torch.sigmoid(inputs)
    eps = 1e-12
    return -(targets.float()*torch.log(p + eps) + (1 - targets.float())*torch.log(1 - p + eps)).mean()
'''

RIGHT[13] = '''
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ).float().mean()
(((torch.sigmoid(inp) if sigmoid else inp) > thresh).float() == targ.float()).float().mean()
torch.eq((inp.sigmoid() if sigmoid else inp) > thresh, targ.bool()).float().mean()
((((inp.sigmoid() if sigmoid else inp) > thresh) ^ targ.bool()) == False).float().mean()
tensor((((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean().item())

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):
    if sigmoid:
        inp = torch.sigmoid(inp)
    preds = torch.where(inp > thresh, 1, 0)
    return (preds == targ).float().mean()

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):
    p = torch.sigmoid(inp) if sigmoid else inp
    yes = p > thresh
    targ = targ.bool()
    return ((yes & targ) | (~yes & ~targ)).float().mean()

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):
    if sigmoid: inp = inp.sigmoid()
    right, n = 0, 0
    for row, t in zip(inp, targ):
        for p, y in zip(row, t):
            right += int((p > thresh) == bool(y))
            n += 1
    return tensor(right/n)
'''
WRONG[13] = '''
(((inp.sigmoid() if sigmoid else inp) >= thresh) == targ.bool()).float().mean() | at least
(((inp.sigmoid() if sigmoid else inp) < thresh) == targ.bool()).float().mean()  | below
(((inp.sigmoid() if sigmoid else inp) <= thresh) == targ.bool()).float().mean() | errors
((inp > thresh) == targ.bool()).float().mean()                                  | no sigmoid
((inp.sigmoid() > thresh) == targ.bool()).float().mean()                        | always sigmoid
(((inp if sigmoid else inp.sigmoid()) > thresh) == targ.bool()).float().mean()  | flag turned around
(((inp.sigmoid() if inp.min() < 0 else inp) > thresh) == targ.bool()).float().mean() | guessed
(((inp.sigmoid() if ((inp < 0) | (inp > 1)).any() else inp) > thresh) == targ.bool()).float().mean() | guessed
(((inp.sigmoid() if sigmoid else inp) > .5) == targ.bool()).float().mean()      | fixed threshold
((inp.sigmoid() if sigmoid else inp).round() == targ).float().mean()            | fixed threshold
((inp > torch.sigmoid(tensor(thresh))) == targ.bool()).float().mean()           | threshold squeezed
(((inp.softmax(1) if sigmoid else inp) > thresh) == targ.bool()).float().mean() | softmax
(inp.argmax(1) == targ.float().argmax(1)).float().mean()                        | argmax
(inp.argmax(dim=-1) == targ).float().mean()                                     | argmax
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).all(1).float().mean() | whole rows
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean(0) | per class or item
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean(1) | per class or item
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().sum()   | count
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).sum()           | count
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).sum()/len(inp)  | divided by the rows
(((inp.sigmoid() if sigmoid else inp) > thresh) != targ.bool()).float().mean()  | errors
1 - (((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean() | errors
(((inp.sigmoid() if sigmoid else inp) > thresh) & targ.bool()).float().mean()   | yes only
(((inp.sigmoid() if sigmoid else inp) > thresh) | targ.bool()).float().mean()   | either
(((inp.sigmoid() if sigmoid else inp) > thresh) & targ.bool()).sum()/targ.sum() | share of the true ones
((inp.sigmoid() if sigmoid else inp) > thresh).float().mean()                   | how often yes
((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()                   | a table
(inp.sigmoid() if sigmoid else inp) > thresh                                    | the decisions
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean().item() | a plain number
float((((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean()) | a plain number
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).mean()          | mean of True and False
(inp == targ).float().mean()                                                    | no threshold
(inp == targ).mean()                                                            | mean of True and False
(((inp.sigmoid() if sigmoid else inp) > thresh) == targ.bool()).float().mean()*100 | percent
lambda targ, inp, thresh, sigmoid: (((inp.sigmoid() if sigmoid else inp) > thresh) == | order of arguments
    targ.bool()).float().mean()
lambda inp, targ, sigmoid, thresh: (((inp.sigmoid() if sigmoid else inp) > thresh) == | order of arguments
    targ.bool()).float().mean()
(sigmoid(inp) > thresh == targ).mean()                                          |
accuracy_score(inp > thresh, targ)                                              |

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):                        | nothing returned
    if sigmoid: inp = inp.sigmoid()
    ((inp > thresh) == targ.bool()).float().mean()

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):                        | no sigmoid
    if sigmoid: inp.sigmoid()
    return ((inp > thresh) == targ.bool()).float().mean()

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):                        | input changed
    if sigmoid: inp.sigmoid_()
    return ((inp > thresh) == targ.bool()).float().mean()

def accuracy_multi(inp, targ, thresh=0.5, sigmoid=True):                        | guessed
    if inp.max() > 1 or inp.min() < 0: inp = torch.sigmoid(inp)
    return ((inp > thresh) == targ.bool()).float().mean()
'''

RIGHT[15] = '''
torch.sigmoid(x)*(high - low) + low
low + (high - low)*torch.sigmoid(x)
x.sigmoid().mul(high - low).add(low)
nn.Sigmoid()(x)*(high - low) + low
(high - low)/(1 + torch.exp(-x)) + low
torch.lerp(tensor(low), tensor(high), torch.sigmoid(x))
(torch.tanh(x/2) + 1)/2*(high - low) + low
high - (high - low)*torch.sigmoid(-x)
F.sigmoid(x)*high + (1 - F.sigmoid(x))*low
squeeze = lambda x, low, high: torch.sigmoid(x)*(high - low) + low

def sigmoid_range(x, low, high):
    s = torch.special.expit(x)
    length = high - low
    return s*length + low
'''
WRONG[15] = '''
torch.sigmoid(x)                                        | bare sigmoid
x.sigmoid()                                             | bare sigmoid
torch.sigmoid(x)*(high - low)                           | no offset
torch.sigmoid(x)*high                                   | stretched to high
torch.sigmoid(x)*high + low                             | too long
torch.sigmoid(x)*high - low                             | low taken away
torch.sigmoid(x) + low                                  | moved, not stretched
torch.sigmoid(x)*(high - low) - low                     | low taken away
torch.sigmoid(x)*(high + low) + low                     | length added
torch.sigmoid(x)*(low - high) + low                     |
torch.sigmoid(x)*(high - low) + high                    | begins at high
torch.sigmoid(-x)*(high - low) + low                    | ends exchanged
lambda x, high, low: torch.sigmoid(x)*(high - low) + low | order of arguments
lambda low, high, x: torch.sigmoid(x)*(high - low) + low | order of arguments
torch.tanh(x)                                           | bare tanh
torch.tanh(x)*(high - low) + low                        | tanh like a sigmoid
torch.tanh(x)*(high - low)/2 + (low + high)/2           | tanh
(torch.tanh(x) + 1)*(high - low)/2 + low                | tanh
torch.atan(x)/math.pi*(high - low) + (low + high)/2     | another curve
F.softsign(x)*(high - low)/2 + (low + high)/2           | another curve
F.hardsigmoid(x)*(high - low) + low                     | another curve
(x/(1 + x.abs()) + 1)/2*(high - low) + low              | another curve
torch.erf(x)*(high - low)/2 + (low + high)/2            | another curve
x.clamp(low, high)                                      | clamped
torch.clamp(x, low, high)                               | clamped
torch.sigmoid(x).clamp(low, high)                       | squeezed, then cut
x*(high - low) + low                                    | no sigmoid
(x - x.min())/(x.max() - x.min())*(high - low) + low    | scaled by its own ends
torch.softmax(x, 0)*(high - low) + low                  | softmax
torch.sigmoid(x*(high - low) + low)                     | range inside
torch.sigmoid((x - low)/(high - low))                   | range inside
torch.sigmoid((x - low)/(high - low))*(high - low) + low | sigmoid of a scaled x
(torch.sigmoid(x) + low)*(high - low)                   | offset first
torch.sigmoid(x)*high - low + low                       | stretched to high
torch.sigmoid(torch.sigmoid(x))*(high - low) + low      | sigmoid twice
(torch.sigmoid(x)*(high - low) + low).tolist()          | no tensor
(torch.sigmoid(x)*(high - low) + low).numpy()           | no tensor
[torch.sigmoid(o)*(high - low) + low for o in x]        | no tensor
torch.sigmoid(x)*(high - low)/2 + (high + low)/2        | half as long
1/(1 + math.exp(-x))*(high - low) + low                 |
1/(1 + np.exp(-x))*high                                 | stretched to high
sigmoid(x)*(high - low) + low                           |
print(torch.sigmoid(x)*(high - low) + low)              | nothing returned
torch.rand(x.shape)*(high - low) + low                  | not the same twice

def sigmoid_range(x, low, high):                        | nothing returned
    y = torch.sigmoid(x)*(high - low) + low

def sigmoid_range(x, low, high):                        | input changed
    x.sigmoid_()
    return x*(high - low) + low

def sigmoid_range(x, low, high):                        | calls itself
    return sigmoid_range(x, low, high)*(high - low) + low
'''

RIGHT[17] = '''
(image.flip(-1), points*tensor([-1., 1.])) if do else (image, points)
(torch.flip(image, [2]), points @ torch.diag(tensor([-1., 1.]))) if do else (image, points)
(image.flip(2), torch.einsum('nk,k->nk', points, tensor([-1., 1.]))) if do else (image, points)
(image[:, :, range(image.shape[2] - 1, -1, -1)], torch.stack((-points[:, 0], points[:, 1]),
    1)) if do else (image, points)
(image.flip(-1), torch.cat([-points[:, :1], points[:, 1:]], dim=1)) if do else (image, points)
flip = lambda image, points, do: (image.flip(-1), points*tensor([-1., 1.])) if do else (image, points)

def flip(image, points, do):
    if do:
        image = image.flip(-1)
        points = points.clone()
        points[:, 0] = -points[:, 0]
    return image, points

def flip(image, points, do):
    if not do: return image.clone(), points.clone()
    new = torch.zeros_like(image)
    for i in range(image.shape[2]): new[:, :, i] = image[:, :, image.shape[2] - 1 - i]
    return new, tensor([[-x, y] for x,y in points])

def flip(image, points, do):
    if do == True:
        return [torch.from_numpy(image.numpy()[:, :, ::-1].copy()), points*torch.Tensor([-1, 1])]
    return [image, points]
'''
WRONG[17] = '''
(image.flip(-1), points*tensor([-1., 1.]))                                   | always
image, points                                                                | never
(image.flip(-1), points) if do else (image, points)                          | point forgotten
(image.flip(2), points) if do else (image, points)                           | point forgotten
(image, points*tensor([-1., 1.])) if do else (image, points)                 | picture forgotten
(image.flip(-1), points*tensor([1., -1.])) if do else (image, points)        | y flipped
(image.flip(-1), -points) if do else (image, points)                         | both turned
(image.flip(-1), points*-1) if do else (image, points)                       | both turned
(image.flip(-1), points.flip(-1)) if do else (image, points)                 | x and y exchanged
(image.flip(-1), points.flip(0)) if do else (image, points)                  | order of the points
(image.flip(1), points*tensor([-1., 1.])) if do else (image, points)         | upside down
(torch.fliplr(image), points*tensor([-1., 1.])) if do else (image, points)   | upside down
(torch.flipud(image), points*tensor([-1., 1.])) if do else (image, points)   | colours
(image.flip(0), points*tensor([-1., 1.])) if do else (image, points)         | colours
(image.flip((1, 2)), points*tensor([-1., 1.])) if do else (image, points)    | half a turn
(image[:, :, ::-1], points*tensor([-1., 1.])) if do else (image, points)     | negative step
(image.flip(-1), torch.stack([1 - points[:, 0], points[:, 1]], 1)) if do else (image, points) | zero to one
(image.flip(-1), torch.stack([image.shape[2] - points[:, 0], points[:, 1]], 1)) if do else (image, points) | pixels
(image.flip(-1), torch.stack([image.shape[2] - 1 - points[:, 0], points[:, 1]], 1)) if do else (image, points) | pixels
(image, points) if do else (image.flip(-1), points*tensor([-1., 1.]))        | other way round
image.flip(-1) if do else image                                              | one part
points*tensor([-1., 1.]) if do else points                                   | one part
(points*tensor([-1., 1.]), image.flip(-1)) if do else (points, image)        | points first
image.flip(-1), points*tensor([-1., 1.]) if do else points                   | one part if not
(image.flip(-1), -points[:, 0]) if do else (image, points)                   | x alone
(image.flip(-1), points.abs()) if do else (image, points)                    | always to one side
(image.transpose(1, 2), points*tensor([-1., 1.])) if do else (image, points) | on its side
(-image, points*tensor([-1., 1.])) if do else (image, points)                | negative picture
(image.flip(-1), points*tensor([-1., 1.])) if torch.rand(1) < .5 else (image, points) | not the same twice
lambda points, image, do: (image.flip(-1), points*tensor([-1., 1.])) if do else (image, points) | order of arguments
lambda image, do, points: (image.flip(-1), points*tensor([-1., 1.])) if do else (image, points) | order of arguments
(image.flip(), points) if do else (image, points)                            |
image.flip(-1)                                                               | one part
(image.numpy()[:, :, ::-1].copy(), points.numpy()*np.array([-1., 1.])) if do else (image, points) |
(image.flip(-1), points*tensor([-1., 1.])) if do else None                   | nothing if not

def flip(image, points, do):                                                 | in place
    if do:
        image = image.flip(-1)
        points[:, 0] = -points[:, 0]
    return image, points

def flip(image, points, do):                                                 | in place
    if do:
        image = torch.flip(image, [-1])
        points *= tensor([-1., 1.])
    return image, points

def flip(image, points, do):                                                 | never
    if do:
        image.flip(-1)
        points*tensor([-1., 1.])
    return image, points

def flip(image, points, do):                                                 | nothing if not
    if do: return image.flip(-1), points*tensor([-1., 1.])

def flip(image, points, do):                                                 | nothing returned
    if do: image, points = image.flip(-1), points*tensor([-1., 1.])

def flip(image, points, do):                                                 | picture forgotten
    if do:
        image.flip(-1)
        points = points*tensor([-1., 1.])
    return image, points
'''

def _entries(text):
    "One-line answers, and functions with all their lines."
    for part in text.strip('\n').split('\n\n'):
        if part.lstrip().startswith('def '): yield part
        else: yield from re.split(r'\n(?! )', part)

def _named(entry):
    "The source of a wrong answer, and the name that stands behind the last bar of its first line."
    first, *rest = entry.split('\n')
    source, _, name = first.rpartition('|')
    return '\n'.join([source.rstrip(), *rest]), name.strip()

RIGHT = {n: list(_entries(text)) for n,text in RIGHT.items()}
WRONG = {n: list(map(_named, _entries(text))) for n,text in WRONG.items()}
