"""The website: built once for all tests of this folder, and read page by page.

COURSE_SITE_BUILT=folder in the environment is a site that is built already."""
import os
from collections import Counter
from pathlib import Path
import pytest

@pytest.fixture(scope='session')
def site(tmp_path_factory):
    "The folder of the website."
    if built := os.environ.get('COURSE_SITE_BUILT'): return Path(built).resolve()
    for o in 'sphinx', 'myst_nb', 'sphinx_book_theme':
        pytest.importorskip(o, reason=f'{o} is not installed: pip install "course_lib[site]"')
    import website # tools/
    folder = tmp_path_factory.mktemp('website')
    website.build(folder/'site', folder/'work')
    return folder/'site'

ONLY_SAID = {'canonical', 'next', 'prev', 'search', 'author', 'index', 'help', 'copyright', 'license'} # of a <link>

class Page:
    "A page as a browser takes it: what is wrong with its HTML, the ids in it, and what it leads to or loads."
    def __init__(self, file, name):
        import html5lib
        self.name, self.size = name, file.stat().st_size
        parser = html5lib.HTMLParser(html5lib.getTreeBuilder('etree'), namespaceHTMLElements=False)
        root = parser.parse(file.read_text(encoding='utf-8'))
        self.errors = [(line, code) for (line, _), code, _ in parser.errors]
        nodes = [o for o in root.iter() if isinstance(o.tag, str)]
        self.lang, self.title = root.get('lang'), (root.findtext('head/title') or '').strip()
        self.ids = Counter(o.get('id') for o in nodes if o.get('id'))
        self.anchors = {*self.ids, *(o.get('name') for o in nodes if o.tag == 'a' and o.get('name'))}
        self.leads_to = [o.get('href') for o in nodes if o.tag in ('a', 'area') and o.get('href')]
        self.loads = [v for o in nodes if (v := self.loaded(o))]
        self.without_alt = [o.get('src', '')[:80] for o in nodes if o.tag == 'img' and o.get('alt') is None]
        self.heads = [' '.join(''.join(o.itertext()).split()) for a in root.iter('article') for o in a.iter('h1')]
        self.meta = {o.get('property') or o.get('name'): o.get('content') for o in nodes if o.tag == 'meta'}

    def loaded(self, o):
        "The address of what an element brings into the page."
        if o.tag == 'link': return o.get('href') if {*o.get('rel', '').split()} - ONLY_SAID else None
        return o.get('src') or o.get('poster') or (o.get('data') if o.tag == 'object' else None)

@pytest.fixture(scope='session')
def pages(site):
    "{path in the site: `Page`}. What the theme includes in a page is no page."
    pytest.importorskip('html5lib', reason='html5lib is not installed: pip install html5lib')
    files = sorted(p for p in site.rglob('*.html') if '_static' not in p.parts)
    return {name: Page(p, name) for p in files for name in [p.relative_to(site).as_posix()]}
