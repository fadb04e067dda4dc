"""The website, from the notebooks as they are committed: nothing is run.

    python tools/website.py            into _site/ (open _site/index.html)
    python tools/website.py FOLDER     into another folder

Needs no network. A warning of Sphinx, such as a link that leads nowhere, is an error."""
import json, os, re, shutil, subprocess, sys
from pathlib import Path
import env
from settings import settings

ROOT = Path(__file__).resolve().parent.parent
NBS, WEBSITE = ROOT/'nbs', ROOT/'website'

def notebooks():
    "All notebooks that are pages, the index first."
    found = [p for p in NBS.rglob('*.ipynb') if p.name[0] != '_' and '.ipynb_checkpoints' not in p.parts]
    return sorted(found, key=lambda p: (p.name != 'index.ipynb', p))

# ------------------------------------------------------------------ the way through the site

def links(cell, pattern): return re.findall(rf'\[([^\]]+)\]\(({pattern})\.ipynb\)', cell)

def index_cell(adapt, start):
    "The cell of the index whose text has the heading `start`."
    return next(o for o in map(adapt.text, adapt.cells_of(NBS/'index.ipynb')) if re.search(f'^## {start}', o, re.M))

def chapters(adapt):
    "Pairs (name in the side bar, page) of the chapters, as the course map calls them."
    named = {page: name for c in adapt.cells_of(NBS/'index.ipynb') for name,page in links(adapt.text(c), r'\d\d_\w+')
             if name.startswith(f'{page[:2]} ')}
    return [(named.get(p.stem, f'{p.stem[:2]} {adapt.title(p)}'), p.stem) for p in notebooks() if p.name[:2].isdigit()]

def toctree(entries, caption='', *options):
    head = ['```{toctree}', ':hidden:', *([f':caption: {caption}'] if caption else []), *options, '']
    return '\n'.join([*head, *entries, '```'])

def ways(adapt, folder):
    "What leads through the site, for the end of the index."
    look_up = ['Reference <api/index>', 'glossary', 'Speed <speed>', 'differences', 'Behind the scenes <lib/index>']
    return [toctree([f'{name} <{page}>' for name,page in chapters(adapt)], 'Chapters'),
            toctree(look_up, 'Look up'),
            *([toctree(['teaching'], 'Teach')] if (folder/'teaching.md').exists() else [])]

def rooms_page(adapt):
    "The page of all rooms, in the order of the index's table."
    cell = index_cell(adapt, 'The rooms behind the chapters')
    rooms = list(dict.fromkeys(page for _,page in links(cell, 'lib/[/\\w]+')))
    rooms += sorted({p.relative_to(NBS).with_suffix('').as_posix() for p in NBS.rglob('lib/**/*.ipynb')} - {*rooms})
    body = cell[cell.index('\n')+1:].replace('](lib/', '](')
    return f'# Behind the scenes\n{body}\n\n' + toctree([o.removeprefix('lib/') for o in rooms])

# ------------------------------------------------------------------ where a notebook runs

COLAB, BINDER = 'https://colab.research.google.com/github', 'https://mybinder.org/v2/gh'

def places(page, cfg):
    "Links to where the notebook of a `page` runs: on Colab from the repository, on Binder among a learner's copies."
    repository = cfg['git_url'].removeprefix('https://github.com/')
    yield 'Run on Colab', f'{COLAB}/{repository}/blob/{cfg["branch"]}/nbs/{page}.ipynb'
    yield 'Run on Binder', f'{BINDER}/{repository}/{cfg["branch"]}?urlpath=lab/tree/course/{page}.ipynb'
    yield 'The notebook as a file', f'_sources/{page}.ipynb'

def bar(page, asks, cfg):
    "What stands below the title of a chapter; `asks`: it has exercises."
    here = ', and exercises and questions answer' if asks else ''
    colab = 'index.html#in-a-container-on-binder-on-colab'
    links = ' '.join(f'<a class="go" href="{address}">{name}</a>' for name,address in places(page, cfg))
    return (f'<div class="run-it"><p>{links}</p><p>This page shows the notebook as it ran. Its cells can be changed'
            f'{here} where it runs: on your machine with <code>make lab</code>, on Binder, or on Colab, '
            f'where <a href="{colab}">a cell that installs the course</a> comes first.</p></div>')

# ------------------------------------------------------------------ sources

def assemble(folder):
    "Write into `folder` what Sphinx reads."
    sys.path.insert(0, str(WEBSITE))
    import adapt, api, pages
    cfg = settings()
    repository = f'{cfg["git_url"]}/blob/{cfg["branch"]}'
    (folder/'lib').mkdir(parents=True)
    (folder/'lib'/'index.md').write_text(rooms_page(adapt), encoding='utf-8')
    api.write(folder)
    pages.write(folder, cfg)
    if (WEBSITE/'teaching.md').exists():
        teaching = (WEBSITE/'teaching.md').read_text(encoding='utf-8').replace('{{git_url}}', cfg['git_url'])
        (folder/'teaching.md').write_text(teaching, encoding='utf-8')
    promises = {}
    for p in notebooks():
        page = p.relative_to(NBS)
        (folder/page).parent.mkdir(parents=True, exist_ok=True)
        more = ways(adapt, folder) if page.name == 'index.ipynb' else ()
        asks = any('check(' in adapt.text(c) for c in adapt.cells_of(p))
        run = bar(page.stem, asks, cfg) if len(page.parts) == 1 else ''
        text = adapt.notebook(p, page.parent.as_posix(), repository, run, more)
        (folder/page).write_text(text, encoding='utf-8')
        for name,data in adapt.attached(p).items(): (folder/page).with_name(name).write_bytes(data)
        promises[page.with_suffix('').as_posix()] = adapt.promise(p)
    return {'promises': promises, 'settings': dict(cfg)}

def offer_originals(out):
    "The button that downloads a page's notebook gives the notebook itself."
    for p in notebooks():
        copy = out/'_sources'/p.relative_to(NBS)
        if copy.exists(): shutil.copy(p, copy)

def build(out=ROOT/'_site', work=ROOT/'build'/'site'):
    "The whole site into the folder `out`, with `work` for what comes between."
    for o in out, work: shutil.rmtree(o, ignore_errors=True)
    (work/'source').mkdir(parents=True)
    said = work/'said.json'
    said.write_text(json.dumps(assemble(work/'source')), encoding='utf-8')
    command = [sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going', '-j', 'auto', '-b', 'html',
               '-c', WEBSITE, '-d', work/'doctrees', work/'source', work/'html']
    subprocess.run([str(o) for o in command], check=True, env={**os.environ, 'COURSE_SITE': str(said)})
    offer_originals(work/'html')
    shutil.move(work/'html', out) # whole, or not at all

if __name__ == '__main__':
    env.go_on_in_venv('website')
    try: build(*(Path(o).resolve() for o in sys.argv[1:2]))
    except subprocess.CalledProcessError: sys.exit('The site is not finished: see the lines above.')
    print(f'Open {(Path(sys.argv[1]) if sys.argv[1:] else ROOT/"_site")/"index.html"}')
