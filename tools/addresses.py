"""The addresses and the version of settings.ini, in the texts that have to name them: `make export` writes them there.

As they were when they were last written, they stand in CITATION.cff: so those before a change are found everywhere."""
import re
from settings import settings

RECORD = 'CITATION.cff'
FILES = (RECORD, 'CHANGELOG.md', 'CODE_OF_CONDUCT.md', 'CONTRIBUTING.md', 'SECURITY.md', 'website/*.md',
         '.github/*.md', '.github/**/*.yml', 'nbs/**/*.ipynb') # README.md is made from the index

def forms(git, pages, version):
    "How texts name the repository `git`, its `pages` and its `version`."
    owner_and_name = git.split('://')[1].partition('/')[2]
    inside = [f'{o}/{owner_and_name}' for o in ('/github', '/gh', 'githubusercontent.com')] # Colab, Binder, plain files
    return [git, pages.rstrip('/'), *inside, f'\nversion: {version}', f'-{version}-py3-none-any.whl']

def wanted(root):
    cfg = settings(root)
    return forms(cfg['git_url'], cfg['doc_host'].rstrip('/') + '/' + cfg['doc_baseurl'].strip('/'), cfg['version'])

def written(root):
    text = (root/RECORD).read_text(encoding='utf-8')
    fields = 'repository-code', 'url', 'version'
    return forms(*(re.search(rf'^{o}: (\S+)$', text, re.MULTILINE)[1] for o in fields))

def texts(root):
    "Paths of the files that may name an address."
    return sorted(p for o in FILES for p in root.glob(o) if '.ipynb_checkpoints' not in p.parts)

def write(root, copy):
    "Put the texts of the project `root` into the folder `copy`, with the addresses that are wanted."
    new = dict(zip(written(root), wanted(root)))
    old = re.compile(f"({'|'.join(map(re.escape, new))})(?![\\w-])")
    for p in texts(root):
        text = p.read_bytes().decode('utf-8').replace('\r\n', '\n') # git may have it so on Windows
        (copy/p.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        (copy/p.relative_to(root)).write_bytes(old.sub(lambda m: new[m[0]], text).encode('utf-8'))
