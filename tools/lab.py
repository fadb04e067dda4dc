"Open the course in JupyterLab; on a machine without a screen, serve it and print the address. Arguments are handed on."
import os, sys
from pathlib import Path
from course_lib.cores import wait_briefly

ROOT = Path(__file__).resolve().parent.parent

def has_screen():
    if os.environ.get('CI') or os.environ.get('SSH_CONNECTION'): return False
    if sys.platform.startswith(('win', 'darwin')): return True
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))

def arguments(port='', screen=True, root_user=False):
    "What JupyterLab is started with."
    args = [f'--ServerApp.root_dir={ROOT}', '--LabApp.default_url=/lab/tree/nbs/index.ipynb']
    if port: args += [f'--ServerApp.port={port}', '--ServerApp.port_retries=0'] # the wish is taken at its word
    if not screen: args.append('--no-browser')
    if root_user: args.append('--allow-root')
    return args

if __name__ == '__main__':
    port = os.environ.get('PORT', '')
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        sys.exit(f'PORT is {port!r}; it must be a number between 1 and 65535, as in:  make lab PORT=9000')
    wait_briefly() # also in kernels where torch is imported before the course
    os.environ['JUPYTER_PREFER_ENV_PATH'] = '1' # the kernel called python3 is that of .venv
    screen = has_screen()
    if not screen:
        print('No screen here: the address to open is printed below, at the end. Ctrl-C stops the server.', flush=True)
    root_user = hasattr(os, 'geteuid') and os.geteuid() == 0
    sys.argv = ['jupyter-lab', *arguments(port, screen, root_user), *sys.argv[1:]]
    from jupyterlab.labapp import main
    sys.exit(main())
