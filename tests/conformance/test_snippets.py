"""Code as learners bring it along from fastai: written against its names and habits, with only the import changed."""
import matplotlib, pytest
matplotlib.use('Agg')
from course_lib.all import *

@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close('all')

def test_multi_label_snippet():
    path = untar_data(URLs.PASCAL_SAMPLE)
    df = pd.read_csv(path/'train.csv')
    classes = sorted({o for names in df['labels'] for o in names.split(' ')})
    df = pd.concat([df[~df['is_valid']][:32], df[df['is_valid']][:16]]).reset_index(drop=True)
    def get_x(r): return path/'train'/r['fname']
    def get_y(r): return r['labels'].split(' ')
    def splitter(df): return df.index[~df['is_valid']].tolist(), df.index[df['is_valid']].tolist()

    x, y = DataBlock().datasets(df).train[0]
    assert x['fname'] == y['fname']
    dblock = DataBlock(blocks=(ImageBlock, MultiCategoryBlock(vocab=classes)),
                       splitter=splitter, get_x=get_x, get_y=get_y,
                       item_tfms=RandomResizedCrop(64, min_scale=0.35))
    dsets = dblock.datasets(df)
    idxs = torch.where(dsets.train[0][1] == 1.)[0]
    assert list(dsets.train.vocab[idxs]) == sorted(get_y(df.iloc[0]))
    dls = dblock.dataloaders(df, bs=16)
    dls.show_batch(nrows=1, ncols=3)

    learn = cnn_learner(dls, resnet18, pretrained=False)
    x, y = to_cpu(dls.train.one_batch())
    activs = learn.model(x)
    assert activs.shape == (16, 20)
    # the picture's type and the labels' type meet in the loss
    functions = nn.BCEWithLogitsLoss(), binary_cross_entropy, learn.loss_func, F.binary_cross_entropy_with_logits
    losses = [f(activs, y).detach().as_subclass(torch.Tensor) for f in functions]
    for loss in losses: torch.testing.assert_close(loss, losses[0])

    learn = cnn_learner(dls, resnet18, pretrained=False, metrics=partial(accuracy_multi, thresh=0.2))
    learn.fine_tune(1, base_lr=3e-3, freeze_epochs=1)
    learn.metrics = partial(accuracy_multi, thresh=0.1)
    loss, score = learn.validate()
    preds, targs = learn.get_preds()
    assert preds.min() >= 0 and preds.max() <= 1
    assert score == pytest.approx(accuracy_multi(preds, targs, thresh=0.1, sigmoid=False).item(), abs=1e-5)
    xs = torch.linspace(0.05, 0.95, 29)
    plt.plot(xs, [accuracy_multi(preds, targs, thresh=i, sigmoid=False) for i in xs])

def test_points_snippet():
    path = untar_data(URLs.BIWI_SAMPLE)
    def img2pose(x): return Path(f'{str(x)[:-7]}pose.txt')
    cal = np.genfromtxt(path/'01'/'rgb.cal', skip_footer=6)
    def get_ctr(f):
        x, y, z = np.genfromtxt(img2pose(f), skip_header=3)
        return tensor([x*cal[0][0]/z + cal[0][2], y*cal[1][1]/z + cal[1][2]])
    img_files = get_image_files(path)
    im = PILImage.create(img_files[0])
    assert im.shape == (480, 640) and max(im.to_thumb(160).size) == 160

    biwi = DataBlock(blocks=(ImageBlock, PointBlock), get_items=lambda p: get_image_files(p)[::10], get_y=get_ctr,
                     splitter=FuncSplitter(lambda o: o.parent.name == '13'),
                     batch_tfms=[*aug_transforms(size=(48, 64)), Normalize.from_stats(*imagenet_stats)])
    dls = biwi.dataloaders(path, bs=8)
    dls.show_batch(max_n=9, figsize=(8, 6))
    xb, yb = dls.one_batch()
    assert xb.shape == (8, 3, 48, 64) and yb.shape == (8, 1, 2)
    learn = cnn_learner(dls, resnet18, pretrained=False, y_range=(-1, 1))
    plot_function(partial(sigmoid_range, low=-1, high=1), min=-4, max=4)
    assert str(dls.loss_func) == 'FlattenedLoss of MSELoss()'
    learn.lr_find(num_it=10)
    learn.fine_tune(1, 1e-2)
    learn.show_results(ds_idx=1, nrows=3, figsize=(6, 8))
    learn.show_results(ds_idx=0, max_n=4, nrows=2) # four pairs, target and prediction
    assert sum(bool(ax.images) for ax in plt.gcf().axes) == 8
