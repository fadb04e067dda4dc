"""Three trainings at once, as with three notebooks open, or three learners on one machine: seconds an epoch.

Each is a process of its own with its library's defaults, warm; all begin an epoch together. course_lib lets torch's
threads wait only shortly for work (`GOMP_SPINCOUNT`); fastai leaves them as torch has them.
"""
from statistics import fmean
from common import BOTH, Report, Side, arguments, ratios
from epoch import make

def together(sides):
    "Mean seconds of an epoch that all `sides` begin at once."
    for s in sides: s.begin()
    return fmean(s.result()[0] for s in sides)

def seconds(library, rounds, n_sides, **settings):
    "For each round an epoch of one alone, and of each of `n_sides` at once."
    sides, alone, company = [], [], []
    try:
        for _ in range(n_sides):
            sides.append(Side(make, library, 0, **settings))
            together(sides[-1:]) # the first epoch of each is not counted
        for r in range(rounds):
            alone.append(together(sides[r % n_sides:][:1]))
            company.append(together(sides))
    finally:
        for s in sides: s.end()
    return alone, company

def main():
    a = arguments(__doc__, n=320, bs=32, rounds=2, sides=3, arch='tf_efficientnet_lite0')
    report = Report('company', f'{a.photos.name}, {a.arch}, {a.n} photos at 128 px, bs={a.bs}; {a.rounds} rounds, '
                               f'first all of course_lib, then all of fastai.')
    settings = dict(photos=a.photos, n=a.n, bs=a.bs, arch=a.arch)
    times = {k: seconds(k, a.rounds, a.sides, **settings) for k in BOTH}
    alone, company = [{k: times[k][i] for k in BOTH} for i in range(2)]
    report.add('epoch, one alone', alone, 's')
    report.add(f'epoch, each of {a.sides} at once', company, 's', 0.15)
    report.add(f'{a.sides} at once / one alone', {k: ratios(company[k], alone[k]) for k in BOTH}, '', 3.5,
               judge='course_lib')
    report.save()

if __name__ == '__main__': main()
