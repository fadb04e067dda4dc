"Settings of Sphinx. The addresses are those of settings.ini."
import json, os, sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
said = json.loads(Path(os.environ['COURSE_SITE']).read_text(encoding='utf-8')) # written with the sources
cfg = said['settings']

project = html_title = cfg['title']
author, release, version = cfg['author'], cfg['version'], cfg['version']
copyright = cfg['copyright']
language = 'en'
root_doc = 'index'
extensions = ['myst_nb', 'sphinx_copybutton', 'sphinx.ext.mathjax', 'course_site']
templates_path = ['_templates']
exclude_patterns = []

nb_execution_mode = 'off'
nb_merge_streams = True
nb_ipywidgets_js = {} # they would come from elsewhere; a widget's text stands beside it
myst_enable_extensions = ['dollarmath', 'colon_fence', 'deflist', 'attrs_inline', 'attrs_block', 'html_image']
myst_heading_anchors = 4
myst_heading_slug_func = 'course_site.slug'
course_promises, course_description = said['promises'], cfg['description']

smartquotes = False # docstrings hold values in quotation marks
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = 'hide'

mathjax_path = 'mathjax/tex-svg.js'
mathjax3_config = {'options': {'enableMenu': False}}
copybutton_selector = 'div.cell_input pre, div.highlight-sh pre, div.highlight-py pre, div.highlight-python pre'

html_theme = 'sphinx_book_theme'
html_baseurl = f'{cfg["doc_host"]}{cfg["doc_baseurl"].rstrip("/")}/'
html_static_path = ['_static']
html_css_files = sorted(o.name for o in (HERE/'_static').glob('*.css'))
html_js_files = sorted(o.name for o in (HERE/'_static').glob('*.js'))
html_favicon = '_static/favicon.svg'
html_domain_indices = False
html_copy_source = True
html_sourcelink_suffix = ''
html_context = {'default_mode': 'auto'}
html_theme_options = {
    'logo': {'text': cfg['title'], 'image_light': '_static/logo.svg', 'image_dark': '_static/logo.svg'},
    'repository_url': cfg['git_url'], 'repository_branch': cfg['branch'], 'repository_provider': 'github',
    'use_repository_button': True, 'use_download_button': False, 'use_fullscreen_button': False,
    'navbar_persistent': [], 'home_page_in_toc': True, 'show_navbar_depth': 1, 'toc_title': 'On this page',
    'pygments_light_style': 'a11y-high-contrast-light', 'pygments_dark_style': 'a11y-high-contrast-dark'}
