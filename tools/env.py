"""Make `.venv`: exactly the packages of requirements.txt, and this package, editable, with its console scripts.

Does nothing if that is done already, with whichever Python; `--this` asks for the Python that runs this.
The file `.venv/.installed` says for what; it is written last, so an installation that was interrupted is seen,
and begun again from nothing.
"""
import hashlib, json, os, signal, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT/'.venv'
BIN, NAME = (VENV/'Scripts', 'python.exe') if os.name == 'nt' else (VENV/'bin', 'python')
IN_VENV = Path(sys.prefix).resolve() == VENV.resolve()
PYTHON = sys._base_executable if IN_VENV else sys.executable # what makes .venv is not in it
DONE, BEGUN = VENV/'.installed', VENV/'.installing'
INPUTS = 'requirements.txt', 'settings.ini', 'setup.py', 'pyproject.toml'
TOO_OLD = ('This course needs Python 3.11 or newer, but {} is Python {}.{}.\n'
           'Install a newer one (https://www.python.org/downloads), or name one that you have:  '
           'make {} PYTHON=/path/to/python\n'
           'or, without make:  /path/to/python tools/{}.py')

def wanted():
    "Two lines: the Python and the place that the environment is for, and a digest of what is to be in it."
    digest = hashlib.sha256(b''.join((ROOT/o).read_bytes() for o in INPUTS)).hexdigest()
    return ['%d.%d in %s' % (*sys.version_info[:2], ROOT), digest]

def installed(): return DONE.read_text(encoding='utf-8').splitlines() if DONE.exists() else []

def with_its_python(want, have):
    "What is `want`ed, for the Python that .venv has, if it was made in this place and its Python still runs."
    if not have or not have[0].endswith(' in %s' % ROOT): return want
    try: said = subprocess.run([str(BIN/'python'), '-c', 'import sys; print("%d.%d" % sys.version_info[:2])'],
                               stdout=subprocess.PIPE, encoding='utf-8').stdout.strip()
    except OSError: return want # it is gone
    return [have[0], want[1]] if have[0] == '%s in %s' % (said, ROOT) else want

def run(*args):
    env = {**os.environ, 'PIP_NO_INPUT': '1', 'PIP_DISABLE_PIP_VERSION_CHECK': '1', 'PYTHONNOUSERSITE': '1'}
    env.pop('PYTHONPATH', None)
    subprocess.run([str(o) for o in args], check=True, cwd=str(ROOT), env=env)

def make_venv():
    "An empty environment; where Python comes without ensurepip (as on Debian), one that this Python's pip serves."
    try: run(PYTHON, '-m', 'venv', '--clear', VENV)
    except subprocess.CalledProcessError: run(PYTHON, '-m', 'venv', '--clear', '--without-pip', VENV)

def pip(*args):
    has_pip = subprocess.run([str(BIN/'python'), '-c', 'import pip'], stderr=subprocess.DEVNULL).returncode == 0
    quiet = [] if sys.stdout.isatty() else ['--quiet']
    if has_pip: run(BIN/'python', '-m', 'pip', *args, *quiet)
    else: run(PYTHON, '-m', 'pip', '--python', BIN/'python', *args, *quiet)

def quiet_jupyterlab(place):
    "JupyterLab asks every new user about news, and looks for updates of itself: not in a course that works offline."
    settings = Path(place)/'share'/'jupyter'/'lab'/'settings'
    settings.mkdir(parents=True, exist_ok=True)
    answer = {'@jupyterlab/apputils-extension:notification': {'fetchNews': 'false', 'checkForUpdates': False}}
    (settings/'overrides.json').write_text(json.dumps(answer), encoding='utf-8')

def main(for_this=False, what='lab'):
    """Make .venv, or bring it up to date; for the Python that it has, or `for_this`.

    `what` is the script, or the target of make, that is named where Python is too old."""
    if sys.version_info < (3, 11): sys.exit(TOO_OLD.format(sys.executable, *sys.version_info[:2], what, what))
    want, have = wanted(), installed()
    if not for_this: want = with_its_python(want, have)
    if want == have and (BIN/NAME).exists(): return
    fresh = not (BIN/NAME).exists() or BEGUN.exists() or (have and have[0] != want[0])
    print('Installing the course into .venv (some minutes the first time) ...', flush=True)
    try:
        if fresh: make_venv()
        BEGUN.touch()
        DONE.unlink(missing_ok=True)
        pip('install', '-r', 'requirements.txt')
        pip('install', '--no-deps', '--no-build-isolation', '-e', '.')
        pip('check')
        quiet_jupyterlab(VENV)
    except subprocess.CalledProcessError as e:
        sys.exit(f'\nThe installation stopped at:  {" ".join(map(str, e.cmd))}\nThe reason is above. '
                 'If it is the network or a full disk, see to that; then run the same again, it starts afresh.')
    DONE.write_text('\n'.join(want) + '\n', encoding='utf-8')
    BEGUN.unlink()
    print('Installed.', flush=True)

def go_on_in_venv(what):
    "Let the script `what` go on with the Python of .venv, which is made, or brought up to date, before."
    main(what=what)
    if IN_VENV: return
    command = [str(BIN/'python'), *sys.argv]
    if os.name != 'nt': os.execv(command[0], command)
    signal.signal(signal.SIGINT, signal.SIG_IGN) # Ctrl-C is for the one that goes on
    sys.exit(subprocess.call(command)) # Windows has no `exec` that the shell waits for

if __name__ == '__main__':
    if sys.argv[1:] == ['--settings-only']: quiet_jupyterlab(sys.prefix) # where pip has installed the rest
    else: main(for_this='--this' in sys.argv[1:])
