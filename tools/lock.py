"""Write requirements.txt: the exact version of each package that settings.ini's ranges lead to. Nothing is installed.

What settings.ini names under `locked` stays at that version, though its range would lead to a newer one."""
import json, subprocess, sys
from pathlib import Path
from settings import settings

ROOT = Path(__file__).resolve().parent.parent
HEAD = '''\
# Exact versions, written by `make lock` from the ranges in settings.ini. Change those, not this.
# torch is named without "+cpu", so that each machine takes the build of this version that it finds.
'''

def resolve(reqs, oldest):
    """Versions that install on the `oldest` Python too.

    3.11.2, say, which Debian has, is refused by some packages that take 3.11.5."""
    cmd = [sys.executable, '-m', 'pip', 'install', '--dry-run', '--ignore-installed', '--quiet', '--report', '-',
           '--python-version', f'{oldest}.0', '--only-binary', ':all:', '--target', 'nowhere', *reqs]
    out = subprocess.run(cmd, check=True, stdout=subprocess.PIPE, encoding='utf-8').stdout
    found = {o['metadata']['name'].lower(): o['metadata']['version'].split('+')[0] for o in json.loads(out)['install']}
    return {k: v for k,v in sorted(found.items()) if not k.startswith(('nvidia-', 'cuda-', 'triton'))} # of CUDA builds

if __name__ == '__main__':
    cfg = settings()
    keys = 'requirements', 'locked', 'lab_requirements', 'app_requirements', 'site_requirements',\
        'dev_requirements'
    reqs = [o for k in keys for o in cfg[k].split()]
    lines = [f'{k}=={v}\n' for k,v in resolve(reqs, cfg['min_python']).items()]
    (ROOT/'requirements.txt').write_text(HEAD + ''.join(lines), encoding='utf-8')
    print(f'requirements.txt: {len(lines)} packages')
