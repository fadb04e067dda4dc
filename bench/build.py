"""Seconds to build `DataLoaders` from a table of 2 000, 20 000 and 100 000 rows: course_lib beside fastai.

Files and labels come from the table by `ColReader`, and once more by functions of a row: the book has both. The vocab
is found. course_lib looks at every file and every label meanwhile; fastai looks at the labels for training only. No
picture is opened. The block is made anew each time: fastai's keeps the vocab that it has found.
"""
from common import Report, arguments, in_turns, labels_of, sides, table_of

ROWS = 2_000, 20_000, 100_000

def make(lib, photos):
    def file_of(row): return photos/'train'/row['fname']
    readers = lib.ColReader('fname', pref=photos/'train'), lib.ColReader('labels', label_delim=' ')
    getters = {'ColReader': readers, 'functions': (file_of, labels_of)}
    tables = {n: known_labels(table_of(photos, n)) for n in ROWS}

    def build(n, by):
        get_x, get_y = getters[by]
        block = lib.DataBlock(blocks=(lib.ImageBlock, lib.MultiCategoryBlock), splitter=lib.RandomSplitter(seed=42),
                              get_x=get_x, get_y=get_y, item_tfms=lib.Resize(128))
        dls = block.dataloaders(tables[n], num_workers=0, device='cpu')
        assert len(dls.train_ds) + len(dls.valid_ds) == n
        return len(dls.vocab)
    return build

def known_labels(df):
    "Validation without the labels that training does not have: neither side takes them."
    train = {o for labels in df['labels'][~df['is_valid']] for o in labels.split()}
    known = [' '.join(o for o in labels.split() if o in train) for labels in df['labels']]
    return df.assign(labels=[o or 'person' for o in known]) # by `ColReader` fastai makes a label '' of an empty text

def main():
    a = arguments(__doc__, rounds=5, threads=0)
    report = Report('build', f'{a.photos.name}, its table repeated, Resize(128); {a.rounds} rounds.')
    with sides(make, a.threads, photos=a.photos) as both:
        times = {(by, n): {k: [] for k in both} for by in ('ColReader', 'functions') for n in ROWS}
        for r in range(a.rounds + 1):
            for by,n in times:
                for k,side in in_turns(both, r):
                    wall, _, _ = side.turn(n=n, by=by)
                    if r: times[by,n][k].append(wall) # round 0 warms up
    for (by,n),ts in times.items(): report.add(f'loaders of {n:,} rows, {by}', ts, 's', 1.)
    report.save()

if __name__ == '__main__': main()
