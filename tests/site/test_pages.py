"Every page: its links lead somewhere, its HTML is right, it is small, and it loads nothing from elsewhere."
import posixpath, re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from urllib.parse import unquote, urlsplit
import pytest
import website # tools/
from tests.site.page import errors, errors_in

LARGEST = 1_500_000 # bytes of a page

def inside(url): return not re.match(r'[a-z][a-z0-9+.-]*:|//', url, re.IGNORECASE)

def target(page, url):
    "(path in the site, anchor) that a link inside of the site means."
    parts = urlsplit(url)
    whole = posixpath.join(posixpath.dirname(page.name), unquote(parts.path))
    return posixpath.normpath(whole) if parts.path else page.name, unquote(parts.fragment)

def broken(site, pages, page, url):
    "What is wrong with a link; nothing, if it is right."
    path, anchor = target(page, url)
    if path.startswith('..') or not (site/path).is_file(): return f'no file {path}'
    if anchor and path in pages and anchor not in pages[path].anchors: return f'no #{anchor} in {path}'

def test_links_and_anchors_lead_somewhere(site, pages):
    found = {(p.name, url): why for p in pages.values() for url in {*p.leads_to}
             if inside(url) and (why := broken(site, pages, p, url))}
    assert found == {}

def test_what_a_page_loads_is_there(site, pages):
    found = {(p.name, url): why for p in pages.values() for url in {*p.loads}
             if inside(url) and (why := broken(site, pages, p, url))}
    assert found == {}

def test_nothing_is_loaded_from_elsewhere(site, pages):
    from_elsewhere = [(p.name, url[:80]) for p in pages.values() for url in p.loads
                      if not inside(url) and not url.startswith('data:')]
    assert from_elsewhere == []
    styles = [(p.name, m[0]) for p in site.rglob('*.css')
              for m in re.finditer(r'(?:url\(|@import)\s*["\']?(?:https?:)?//[^)\s]+', p.read_text(encoding='utf-8'))]
    assert styles == []

def test_a_broken_link_would_be_found(site, pages):
    page = pages['index.html']
    assert broken(site, pages, page, '99_nowhere.html') and broken(site, pages, page, '#nowhere')
    assert broken(site, pages, page, '../outside.html') and not broken(site, pages, page, '05_losses.html')

def test_no_page_is_large(pages):
    assert {p.name: p.size for p in pages.values() if p.size > LARGEST} == {}

def test_html_is_valid(pages):
    "No error of the parser that browsers have. It is slow, so two processes share the pages."
    pytest.importorskip('html5lib', reason='html5lib is not installed: pip install html5lib')
    large_first = sorted(pages.values(), key=lambda p: -p.size)
    with ProcessPoolExecutor(2, mp_context=get_context('spawn')) as pool:
        found = list(pool.map(errors_in, [p.file for p in large_first]))
    assert {p.name: e[:5] for p,e in zip(large_first, found) if e} == {}

@pytest.mark.parametrize('wrong', ['<p>a</b></p>', '<table><span class="n">a</span></table>', '<p id=a id=b>a</p>',
                                   '<p><span class="n">a</p>', '<a><a>b</a></a>', '&nothing;'])
def test_html_that_is_wrong_would_be_found(wrong):
    pytest.importorskip('html5lib', reason='html5lib is not installed: pip install html5lib')
    page = '<!DOCTYPE html><title>a</title>{}<pre><span class="k">def</span> f</pre>'
    assert errors(page.format('<p>a</p>')) == [] and errors(page.format(wrong))

def test_no_id_stands_twice(pages):
    twice = {p.name: [o for o,n in p.ids.items() if n > 1] for p in pages.values()}
    assert {name: ids[:5] for name,ids in twice.items() if ids} == {}

def test_pages_have_a_language_a_title_and_one_heading(pages):
    wrong = {p.name: (p.lang, p.title, p.heads) for p in pages.values()
             if p.lang != 'en' or not p.title or len(p.heads) != 1}
    assert {o: v for o,v in wrong.items() if o != 'search.html'} == {}

def test_pictures_have_a_text(pages):
    assert {p.name: p.without_alt[:5] for p in pages.values() if p.without_alt} == {}

def test_each_notebook_is_a_page(pages):
    names = [p.relative_to(website.NBS).with_suffix('.html').as_posix() for p in website.notebooks()]
    assert [o for o in names if o not in pages] == []
    assert [o for o in ('api/index.html', 'glossary.html', 'speed.html', 'differences.html') if o not in pages] == []

def test_each_page_is_reached_from_the_first(pages):
    seen, new = set(), ['index.html']
    while new:
        page = pages[new.pop()]
        seen.add(page.name)
        led = {target(page, url)[0] for url in page.leads_to if inside(url)}
        new += [o for o in led if o in pages and o not in seen and o not in new]
    assert sorted(set(pages) - seen - {'search.html', 'genindex.html', 'py-modindex.html'}) == []

def test_the_map_for_search_engines_has_every_page(site, pages):
    cfg = website.settings()
    base = cfg['doc_host'] + cfg['doc_baseurl'].rstrip('/') + '/'
    listed = re.findall(r'<loc>([^<]+)</loc>', (site/'sitemap.xml').read_text(encoding='utf-8'))
    assert all(o.startswith(base) for o in listed)
    paths = {o + 'index.html' if o.endswith('/') or not o else o for o in (p.removeprefix(base) for p in listed)}
    assert sorted(set(pages) - paths - {'search.html', 'genindex.html', 'py-modindex.html'}) == []
    assert sorted(paths - set(pages)) == []

def test_a_link_that_is_shared_has_a_picture(site, pages):
    cfg = website.settings()
    base = cfg['doc_host'] + cfg['doc_baseurl'].rstrip('/') + '/'
    for name in 'index.html', '05_losses.html':
        meta = pages[name].meta
        assert meta['og:title'] and meta['og:description'], name
        assert (site/meta['og:image'].removeprefix(base)).is_file(), meta['og:image']

@pytest.mark.parametrize('host', ['colab.research.google.com', 'mybinder.org'])
def test_each_chapter_opens_elsewhere(pages, host):
    chapters = [p for name,p in pages.items() if re.match(r'\d\d_', name)]
    assert len(chapters) >= 17
    assert [p.name for p in chapters if not any(urlsplit(o).hostname == host for o in p.leads_to)] == []
