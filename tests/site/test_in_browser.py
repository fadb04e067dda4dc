"""The site in Chromium, from files, as one that is downloaded: nothing is asked of the network, nothing is wider than a
phone, search finds what a learner types, and axe-core finds nothing serious for those who cannot see or use a mouse."""
import hashlib, shutil, subprocess, tarfile
import pooch, pytest

AXE = '4.14.1'
AXE_SHA256 = 'e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745'
EVERYWHERE = 'index.html', '05_losses.html', '10_multilabel.html', 'api/datablock.html', 'search.html?q=threshold'
NARROW = *EVERYWHERE, 'api/checks.html', 'api/names.html', 'glossary.html', 'speed.html', 'differences.html'

@pytest.fixture(params=['light', 'dark'])
def theme(request): return request.param

@pytest.fixture(scope='session')
def tab(browser):
    "One tab for all tests, which notes what is asked of the network, and errors."
    context = browser.new_context()
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    tab.asked, tab.errors = [], []
    tab.on('request', lambda r: tab.asked.append(r.url))
    tab.on('pageerror', lambda e: tab.errors.append(str(e)))
    yield tab
    context.close()

@pytest.fixture
def opened(tab, site):
    "A function that opens a page of the site in the tab. No page may ask the network, nor log an error."
    tab.asked.clear()
    tab.errors.clear()
    def f(name, theme='light', width=1280):
        tab.emulate_media(color_scheme=theme)
        tab.set_viewport_size(dict(width=width, height=900))
        path, _, query = name.partition('?')
        tab.goto((site/path).as_uri() + (f'?{query}' if query else ''))
        return tab
    yield f
    assert [u for u in tab.asked if not u.startswith(('file:', 'data:', 'blob:'))] == []
    assert tab.errors == []

# ------------------------------------------------------------------ search

QUERIES = {
    'RandomSplitter': ('api/datablock', '03_datablock'),
    'threshold': ('06_metrics', 'glossary'),
    'learning rate': ('08_schedules', 'glossary'),
    'freeze': ('09_transfer', 'api/learner'),
    'multi label': ('10_multilabel', '03_datablock', '05_losses'),
    'head pose': ('12_regression',),
    'fine_tune': ('api/transfer', 'api/learner', '09_transfer'),
    'augmentation': ('11_augment', 'glossary'),
    'binary cross entropy': ('05_losses', 'glossary'),
    'torchrun': ('16_scale', 'lib/ranks', 'api/ranks', 'lib/distrib')}

def results(tab, query):
    "The pages that search finds, first things first."
    tab.locator('#search-results ul.search li a').first.wait_for()
    tab.wait_for_function("document.querySelector('#search-results').innerText.match(/finished|found/i)")
    links = tab.locator('#search-results ul.search li > a').evaluate_all('all => all.map(a => a.getAttribute("href"))')
    return list(dict.fromkeys(o.split('#')[0].split('?')[0].removesuffix('.html') for o in links))

@pytest.mark.parametrize('query', QUERIES)
def test_search_finds(opened, query):
    "Among the first five pages is one of those that a learner wants."
    found = results(opened(f'search.html?q={query.replace(" ", "+")}'), query)
    assert {*found[:5]} & {*QUERIES[query]}, found[:8]

def test_a_result_leads_to_its_page(opened, site):
    tab = opened('search.html?q=RandomSplitter')
    tab.locator('#search-results ul.search li a').first.click()
    tab.wait_for_load_state()
    assert 'RandomSplitter' in tab.locator('article').inner_text()

# ------------------------------------------------------------------ narrow, light and dark

@pytest.mark.parametrize('name', NARROW)
def test_a_phone_shows_all_without_scrolling_aside(opened, name):
    tab = opened(name, width=400)
    tab.wait_for_load_state()
    assert tab.evaluate('document.documentElement.scrollWidth') <= 400

def background(tab): return tab.evaluate('getComputedStyle(document.body).backgroundColor')

def test_dark_is_dark(opened):
    light, dark = (background(opened('05_losses.html', theme)) for theme in ('light', 'dark'))
    brightness = lambda o: sum(int(float(x)) for x in o.strip('rgba()').split(',')[:3])
    assert brightness(light) > 600 > 200 > brightness(dark)

def test_a_solution_unfolds(opened):
    tab = opened('05_losses.html')
    folded = tab.locator('details', has_text='Solution').first
    code = folded.locator('pre').first
    assert not code.is_visible()
    folded.locator('summary').click()
    assert code.is_visible()

def test_the_list_beside_a_module_has_its_names_and_there_is_one_field_for_search(opened):
    tab = opened('api/metrics.html')
    beside = tab.locator('.bd-sidebar-secondary a')
    assert all(beside.filter(has_text=o).is_visible() for o in ('accuracy_multi()', 'error_rate()'))
    assert tab.locator('.search-button-field:visible').count() == 1

# ------------------------------------------------------------------ axe-core

@pytest.fixture(scope='session')
def axe():
    "The text of axe-core, fetched once into a cache, of this version only."
    file = pooch.os_cache('course_lib')/f'axe-core-{AXE}.tgz'
    if not file.exists(): fetch_axe(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert digest == AXE_SHA256, f'{file} is not axe-core {AXE}: remove it.'
    with tarfile.open(file) as t: return t.extractfile('package/axe.min.js').read().decode()

def fetch_axe(file):
    npm = shutil.which('npm')
    if npm is None: pytest.skip('axe-core cannot be had: npm is not installed')
    file.parent.mkdir(parents=True, exist_ok=True)
    command = [npm, 'pack', f'axe-core@{AXE}', '--silent']
    done = subprocess.run(command, cwd=file.parent, capture_output=True, timeout=120)
    if done.returncode or not file.exists(): pytest.skip('axe-core cannot be had: npm does not reach it')

RUN = "() => axe.run(document, {resultTypes: ['violations'], iframes: false})"

@pytest.mark.parametrize('name', EVERYWHERE)
def test_axe_finds_nothing_serious(opened, axe, theme, name):
    tab = opened(name, theme)
    if name.startswith('search'): results(tab, name)
    tab.evaluate(axe)
    found = tab.evaluate(RUN)['violations']
    serious = {(o['id'], n['html'][:200], n['failureSummary'].split('\n')[1].strip()[:200]) for o in found
               if o['impact'] in ('serious', 'critical') for n in o['nodes']}
    assert serious == set()
