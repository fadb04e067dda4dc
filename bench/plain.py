"""What one writes with neither library: torch's `DataLoader`, torchvision's transforms (v2), and a plain loop.

The names that `common` and the measurements ask a library for, with the same meaning. Transforms as torchvision's
documentation advises: to a tensor of bytes, cut or mapped, then float and normalised, all in the workers.
"""
import os
from contextlib import nullcontext
from typing import NamedTuple
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

TO_NUMBERS = v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

class Files(Dataset):
    "Pictures of `files`, each with a target. `target_of` makes it of what is listed and of the picture's size."
    def __init__(self, files, listed, tfms, target_of):
        self.files, self.listed, self.tfms, self.target_of = files, listed, v2.Compose(tfms), target_of

    def __len__(self): return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as im: im = im.convert('RGB')
        return self.tfms(im, self.target_of(self.listed[i], im))

class Loaders(NamedTuple):
    train: DataLoader
    valid: DataLoader
    c: int

def loaders(files, listed, valid, train_tfms, valid_tfms, target_of, c, bs=64, num_workers=None):
    valid = set(valid)
    def part(held, tfms, train):
        at = [i for i in range(len(files)) if (i in valid) == held]
        ds = Files([files[i] for i in at], [listed[i] for i in at], tfms, target_of)
        workers = os.cpu_count() if num_workers is None else num_workers
        return DataLoader(ds, bs, shuffle=train, drop_last=train, num_workers=workers)
    return Loaders(part(False, train_tfms, True), part(True, valid_tfms, False), c)

def photo_loaders(df, folder, vocab, valid, **settings):
    number = {label: i for i,label in enumerate(vocab)}
    def target(labels, im):
        t = torch.zeros(len(vocab))
        t[[number[label] for label in labels.split()]] = 1.
        return t
    train = v2.ToImage(), v2.RandomResizedCrop(128, scale=(0.35, 1), antialias=True), *TO_NUMBERS
    whole = v2.ToImage(), v2.Resize(144, antialias=True), v2.CenterCrop(128), *TO_NUMBERS
    files = [folder/name for name in df['fname']]
    return loaders(files, list(df['labels']), valid, train, whole, target, len(vocab), **settings)

class InTheBox(nn.Module):
    "Points in pixels to -1..1 of their picture, as plain tensors."
    def forward(self, im, points):
        return im, points.as_subclass(torch.Tensor)*2/torch.tensor(points.canvas_size[::-1]) - 1

def point_loaders(centres, valid, **settings):
    def target(xy, im): return tv_tensors.KeyPoints([xy], canvas_size=im.size[::-1], dtype=torch.float32)
    to_size = v2.ToImage(), v2.Resize((240, 320), antialias=True)
    space = v2.RandomPerspective(0.2, p=0.75), v2.RandomHorizontalFlip(), v2.RandomAffine(10, scale=(1, 1.1))
    light = v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2)], p=0.75)
    train = *to_size, *space, light, *TO_NUMBERS, InTheBox()
    return loaders(list(centres), list(centres.values()), valid, train, (*to_size, *TO_NUMBERS, InTheBox()), target, 2,
                   **settings)

# ---- the loop

set_seed, BCEWithLogitsLossFlat = torch.manual_seed, nn.BCEWithLogitsLoss

class MSELossFlat(nn.MSELoss):
    def forward(self, pred, targ): return super().forward(pred.flatten(), targ.flatten())

def accuracy_multi(pred, targ): return ((pred.sigmoid() > 0.5) == targ.bool()).float().mean()
def mse(pred, targ): return nn.functional.mse_loss(pred.flatten(), targ.flatten())

class Learner:
    def __init__(self, dls, model, loss_func, metrics):
        self.dls, self.model, self.loss_func, self.metric = dls, model, loss_func, metrics
        self.opt = torch.optim.AdamW(model.parameters())

    def no_bar(self): return nullcontext()
    def no_logging(self): return nullcontext()

    def fit(self, n_epoch, lr):
        for g in self.opt.param_groups: g['lr'] = lr
        for _ in range(n_epoch):
            self.train()
            self.validate()

    def train(self):
        self.model.train()
        for x,y in self.dls.train:
            self.loss_func(self.model(x), y).backward()
            self.opt.step()
            self.opt.zero_grad()

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        total = torch.zeros(2)
        for x,y in self.dls.valid:
            pred = self.model(x)
            total += len(x)*torch.stack([self.loss_func(pred, y), self.metric(pred, y)])
        return total/len(self.dls.valid.dataset)
