"""What Sphinx does not do by itself: anchors as JupyterLab writes them, one for each cell of code, a description and a
picture for those who share a link, MathJax from an installed package, a map of the site for search engines."""
import shutil
from importlib.metadata import distribution
from pathlib import Path
from docutils import nodes

def slug(title):
    "The anchor of a heading, as JupyterLab writes it; without quotation marks, which end an id."
    return title.replace(' ', '-').replace('"', '')

def mathjax():
    "The one file that draws formulas, of those in the package."
    package = distribution('sphinx-mathjax-offline')
    return next(Path(package.locate_file(f)) for f in package.files if f.name == 'tex-svg.js')

def anchor_cells(app, doctree):
    "Each cell of code can be linked to: `#cell-` and the cell's id."
    slugs = app.env.metadata[app.env.docname].setdefault('myst_slugs', {})
    for node in doctree.findall(nodes.container):
        if node.get('nb_element') != 'cell_code' or 'id' not in node['cell_metadata']: continue
        anchor = f'cell-{node["cell_metadata"]["id"]}'
        node['ids'].append(anchor)
        slugs[anchor] = (node.line, anchor, anchor)

def describe(app, pagename, templatename, context, doctree):
    "What a page says of itself where a link to it is shown."
    context['description'] = app.config.course_promises.get(pagename, app.config.course_description)
    context['picture'] = f'{app.config.html_baseurl}_static/preview.png'

def list_names(app, pagename, templatename, context, doctree):
    "Beside a page of the reference stands each of its names, not only the heading above them."
    if pagename.startswith('api/'): context['theme_show_toc_level'] = 2

def finish(app, exception):
    if exception: return
    (app.outdir/'_static'/'mathjax').mkdir(parents=True, exist_ok=True)
    shutil.copy(mathjax(), app.outdir/'_static'/'mathjax')
    pages = sorted(f'{o}.html' for o in app.env.found_docs)
    places = ''.join(f'<url><loc>{app.config.html_baseurl}{o.removesuffix("index.html")}</loc></url>\n' for o in pages)
    (app.outdir/'sitemap.xml').write_text('<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{places}</urlset>\n', encoding='utf-8')

def setup(app):
    app.add_config_value('course_promises', {}, 'env')
    app.add_config_value('course_description', '', 'env')
    app.connect('doctree-read', anchor_cells)
    app.connect('html-page-context', describe)
    app.connect('html-page-context', list_names)
    app.connect('build-finished', finish)
    return dict(parallel_read_safe=True, parallel_write_safe=True)
