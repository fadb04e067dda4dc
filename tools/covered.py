"""Which lines of course_lib do notebooks and tests run? Lists those that none of them runs, and the share of the rest.

    python tools/covered.py              run all of them, count, list; fails below the share that .coveragerc asks for
    python tools/covered.py tests/faults count only what these tests run

A cell of a notebook counts for the modules that it calls, not for the one that it is exported to. Under the counter all
is slower, so a test that watches the clock may fail here: `make test` judges the tests, and this counts lines."""
import subprocess, sys
from pathlib import Path
import env

ROOT = Path(__file__).resolve().parent.parent

def coverage(*args, **kwargs): return subprocess.run([sys.executable, '-m', 'coverage', *args], cwd=ROOT, **kwargs)
def went_well(*args): return coverage(*args).returncode == 0

def combine():
    "The counts of all processes in one. Those of a process that a test has killed cannot be read, which is no news."
    done = coverage('combine', capture_output=True, encoding='utf-8')
    if done.returncode: sys.exit(done.stdout + done.stderr)
    for p in (ROOT/'build'/'coverage').glob('data.*'): p.unlink()

def main(*tests):
    (ROOT/'build'/'coverage').mkdir(parents=True, exist_ok=True)
    coverage('erase')
    runs = [['-m', 'pytest', *(tests or ['tests']), '-q']]
    if not tests: runs.insert(0, ['tools/notebooks.py'])
    failed = [' '.join(o) for o in runs if not went_well('run', *o)]
    combine()
    enough = went_well('report', *(['--fail-under=0'] if tests else []))
    for o in failed: print(f'Not all of it went well, so some lines may be missing: python {o}')
    sys.exit(not enough)

if __name__ == '__main__':
    env.go_on_in_venv('coverage')
    main(*sys.argv[1:])
