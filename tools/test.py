"""Check the course, as continuous integration does; `make test` in systems that have no make.

    python tools/test.py            modules equal to the notebooks, notebooks clean, style, spelling, notebooks, pytest
    python tools/test.py 05         the same for one notebook, and of the tests those that concern it
    python tools/test.py --quick    in about a minute, all that does not train

.venv is made before, if it is missing. Ends at the first step that fails, with its exit status.
"""
import subprocess, sys
from pathlib import Path
import env

ROOT = Path(__file__).resolve().parent.parent

def steps(wish=''):
    "The arguments of Python, step by step."
    quick = wish == '--quick'
    yield ['tools/check.py']
    yield ['-m', 'ruff', 'check', '--quiet']
    yield ['tools/spelling.py']
    yield ['-m', 'course_lib.samples']
    yield ['tools/notebooks.py', *([wish] if wish else [])]
    yield ['-m', 'pytest', *(['tests/notebooks', '-m', 'not slow'] if quick else ['tests', '--nb=' + wish]), '-q']

def main(wish=''):
    for step in steps(wish):
        try: status = subprocess.call([sys.executable, *step], cwd=str(ROOT))
        except KeyboardInterrupt: status = 130 # the step has said what there is to say
        if status: sys.exit(status)

if __name__ == '__main__':
    env.go_on_in_venv('test')
    main(*sys.argv[1:2])
