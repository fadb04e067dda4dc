"""The website: built once for all tests of this folder, each page read once.

COURSE_SITE_BUILT=folder in the environment is a site that is built already."""
import os
from pathlib import Path
import pytest
from tests.site.page import Page

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

@pytest.fixture(scope='session')
def pages(site):
    "{path in the site: `Page`}. What the theme includes in a page is no page."
    files = sorted(p for p in site.rglob('*.html') if '_static' not in p.parts)
    return {name: Page(p, name) for p in files for name in [p.relative_to(site).as_posix()]}
