"""The steps of Dockerfile in an empty root, for a machine without a container engine. Needs root and debootstrap.

    python tools/container.py build FOLDER [NAME=value ...]    Debian, this Python, then the steps, with these arguments
    python tools/container.py start FOLDER                     the seconds to the first page, without a network

pip is given the variables PIP_... of this shell; the folder that PIP_FIND_LINKS names is seen inside.
"""
import json, os, re, shlex, shutil, signal, subprocess, sys, time, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = 'ca-certificates,libssl3,libffi8,libsqlite3-0,libbz2-1.0,liblzma5,libreadline8,zlib1g' # a Python's
AFTER_BUILD = 'arg', 'env', 'user', 'workdir', 'entrypoint' # what a container that starts must know
PORT = 8888

def instructions(text):
    "Pairs of a word, in small letters, and what it is told."
    text = re.sub(r'^\s*#.*\n', '', text, flags=re.MULTILINE)
    pairs = (o.strip().split(None, 1) for o in re.sub(r'\\\n', ' ', text).splitlines() if o.strip())
    return [(word.lower(), said) for word,said in pairs]

def assigned(text): return dict(o.split('=', 1) for o in shlex.split(text))

def context():
    "The files that `COPY . .` takes: those that git knows, or would, but for what .dockerignore names."
    left_out = {*(ROOT/'.dockerignore').read_text(encoding='utf-8').splitlines()}
    listed = subprocess.check_output(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, encoding='utf-8')
    return [o for o in listed.splitlines() if o.split('/')[0] not in left_out and (ROOT/o).is_file()]

class Box:
    "A root, and what the steps so far have said of the user, the folder and the variables."
    def __init__(self, folder, given):
        self.folder, self.given, self.args, self.env = Path(folder).resolve(), given, {}, {}
        self.place, self.user, self.entry = '/', '0', []

    def inside(self, command, **more):
        "The command that runs the list `command` in the root."
        env = {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'HOME': '/root', **self.env, **more}
        there = ['sh', '-c', f'cd {shlex.quote(self.place)} && exec "$@"', 'sh']
        variables = [f'{k}={v}' for k,v in env.items()]
        root = ['chroot', f'--userspec={self.user}:{self.user}', str(self.folder)]
        return [*root, 'env', '-i', *variables, *there, *command]

    def filled(self, text): return re.sub(r'\$\{(\w+)\}', lambda m: {**self.args, **self.env}[m[1]], text)

    def do_arg(self, said): self.args.update({k: self.given.get(k, v) for k,v in assigned(said).items()})
    def do_env(self, said): self.env.update(assigned(self.filled(said)))
    def do_user(self, said): self.user = self.filled(said)
    def do_expose(self, said): assert int(said) == PORT
    def do_entrypoint(self, said): self.entry = json.loads(said)

    def do_workdir(self, said):
        self.place = self.filled(said)
        (self.folder/self.place[1:]).mkdir(parents=True, exist_ok=True)

    def do_copy(self, said):
        assert said == '. .', 'only the whole context can be copied here'
        for o in context():
            (to := self.folder/self.place[1:]/o).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT/o, to)

    def do_run(self, said):
        pip = {k: v for k,v in os.environ.items() if k.startswith('PIP_')}
        subprocess.run(self.inside(['sh', '-ec', said], **pip, **self.args), check=True)

    def do_from(self, said):
        "Debian with this Python in /usr/local, as the official images have theirs."
        debian = ['debootstrap', '--variant=minbase', f'--include={LIBRARIES}', said.rpartition('-')[2]]
        subprocess.run([*debian, str(self.folder)], check=True, stdout=subprocess.DEVNULL)
        no = shutil.ignore_patterns('site-packages', 'test', '__pycache__')
        here, there = Path(sys.base_prefix), self.folder/'usr'/'local'
        shutil.copytree(here/'lib', there/'lib', dirs_exist_ok=True, symlinks=True, ignore=no)
        for o in (here/'bin').glob('python*[0-9]'): shutil.copy(o, there/'bin', follow_symlinks=False)
        (there/'bin'/'python').symlink_to('python3')
        for o in '/etc/resolv.conf', '/etc/ssl/certs/ca-certificates.crt': shutil.copy(o, self.folder/o[1:])
        for o in '/proc', '/dev', os.environ.get('PIP_FIND_LINKS', ''):
            if not os.path.isdir(o): continue
            (self.folder/o[1:]).mkdir(parents=True, exist_ok=True)
            subprocess.run(['mount', '--bind', o, str(self.folder/o[1:])], check=True)
        for o in 'ldconfig', 'python -m ensurepip --default-pip': subprocess.run(self.inside(o.split()), check=True)

def follow(folder, words=None, given=None):
    "Follow Dockerfile in `folder`: the steps with these words, or all."
    box = Box(folder, given or {})
    for word,said in instructions((ROOT/'Dockerfile').read_text(encoding='utf-8')):
        if words and word not in words: continue
        print(word.upper(), said, flush=True)
        getattr(box, f'do_{word}')(said)
    return box

def first_page(folder):
    "Seconds from the start of a container to the first answer; call it where there is no network but the loopback."
    box, begun = follow(folder, AFTER_BUILD), time.monotonic()
    server = subprocess.Popen(box.inside(box.entry), start_new_session=True)
    try:
        while server.poll() is None:
            try: return time.monotonic() - begun, urllib.request.urlopen(f'http://127.0.0.1:{PORT}/api').read()
            except OSError: time.sleep(.05)
        sys.exit('It has ended, instead of serving.')
    finally:
        if server.poll() is None: os.killpg(server.pid, signal.SIGTERM)

if __name__ == '__main__':
    task, folder, *given = sys.argv[1:]
    alone = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', sys.executable, __file__]
    if task == 'build': follow(folder, given=dict(o.split('=', 1) for o in given))
    elif task == 'start': subprocess.run([*alone, 'first-page', folder], check=True)
    elif task == 'first-page': print('Served after {:.1f} seconds: {}'.format(*first_page(folder)))
