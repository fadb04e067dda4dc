"""What runs only with CUDA: tests (tests/gpu), then a table of measurements (bench/gpu.py). `make gpu` calls it.

On a machine without a graphics card it says so, in one sentence, and ends with status 0.
"""
import os, subprocess, sys
from pathlib import Path
import env

ROOT = Path(__file__).resolve().parent.parent

def what_is_missing():
    "Why nothing here can run; an empty text if it can."
    import torch
    if torch.cuda.is_available(): return ''
    if torch.version.cuda is None: return f'torch {torch.__version__} is a build without CUDA'
    return f'torch {torch.__version__} finds no card that it can use'

def main():
    missing = what_is_missing()
    if missing: return print(f'Nothing was tested or measured: this needs a graphics card with CUDA, and {missing}.')
    for step in ['-m', 'pytest', 'tests/gpu', '-q'], [str(Path('bench')/'gpu.py')]:
        status = subprocess.call([sys.executable, *step], cwd=str(ROOT), env={**os.environ, 'MPLBACKEND': 'agg'})
        if status: sys.exit(status)

if __name__ == '__main__':
    env.go_on_in_venv('gpu')
    main()
