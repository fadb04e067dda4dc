"""Open the course in JupyterLab, in a learner's own copies of the chapters; `make lab` in systems that have no make.

    python tools/lab.py            copies in work/
    python tools/lab.py FOLDER     copies in another folder; nbs: no copies, for those who change the course
    python tools/lab.py ... --ip=0.0.0.0    what begins with - is handed to JupyterLab

The variable PORT chooses the port. .venv is made before, if it is missing.
"""
import os, sys
from pathlib import Path
import env

ROOT = Path(__file__).resolve().parent.parent

def port_arguments(port):
    "For JupyterLab; a wish is taken at its word."
    if not port: return []
    if port.isdigit() and 0 < int(port) < 65536: return [f'--ServerApp.port={port}', '--ServerApp.port_retries=0']
    sys.exit(f'PORT is {port!r}; it must be a number between 1 and 65535, as in:  make lab PORT=9000')

def main():
    args = [*sys.argv[1:], *port_arguments(os.environ.get('PORT', ''))]
    env.go_on_in_venv('lab')
    if not args or args[0].startswith('-'): args.insert(0, str(ROOT/'work'))
    from course_lib.study import course_lab
    sys.exit(course_lab(args))

if __name__ == '__main__': main()
