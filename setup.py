"The settings are in settings.ini; this file hands them to setuptools, and puts the notebooks into the package."
import re, shutil
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
cfg = ConfigParser(delimiters=['='])
cfg.read(here/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']
git, pages = cfg['git_url'], cfg['doc_host'].rstrip('/') + '/' + cfg['doc_baseurl'].lstrip('/')

def fill(folder):
    "Put the notebooks of the course into `folder`. Links out of `nbs` have nothing to lead to there: their text stays."
    shutil.rmtree(folder, ignore_errors=True) # an earlier build may have left one that is gone now
    shutil.copytree(here/'nbs', folder, ignore=shutil.ignore_patterns('[_.]*', '__pycache__', 'models'))
    for p in folder.glob('*.ipynb'):
        text = re.sub(r'\[([^][\n]+)\]\(\.\./[\w./]+\)', r'\1', p.read_text(encoding='utf-8'))
        p.write_text(text, encoding='utf-8', newline='\n')

class BuildWithNotebooks(build_py):
    "Builds the package, with the notebooks in its folder `chapters`; an editable one uses those in `nbs`."
    def run(self):
        super().run()
        if not self.editable_mode: fill(Path(self.build_lib)/cfg['lib_name']/'chapters')

def for_strangers(text):
    "A page that is read where nothing lies beside it: its links and pictures as addresses. Code stays as it is."
    def fixed(m):
        if m['code']: return m['code']
        kind = 'raw' if m['path'].endswith(('.svg', '.png', '.jpg')) else 'blob'
        return f"]({git}/{kind}/{cfg['branch']}/{m['path']})"
    return re.sub(r'(?P<code>```.*?```|`[^`\n]*`)|\]\((?!\w+:|#)(?P<path>[^)\s]+)\)', fixed, text, flags=re.DOTALL)

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'],
    author=cfg['author'], author_email=cfg['author_email'], license='Apache-2.0',
    url=pages, project_urls={'Source': git, 'Issues': f'{git}/issues', 'Changes': f'{git}/releases'},
    classifiers=['Development Status :: 4 - Beta', 'Intended Audience :: Education', 'Framework :: Jupyter',
                 'Topic :: Scientific/Engineering :: Artificial Intelligence', 'Programming Language :: Python :: 3',
                 'Operating System :: OS Independent'],
    long_description=for_strangers((here/'README.md').read_text(encoding='utf-8')),
    long_description_content_type='text/markdown',
    packages=find_packages(include=['course_lib', 'course_lib.*']), python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require={o: cfg[f'{o}_requirements'].split() for o in ('lab', 'app', 'site', 'dev')},
    entry_points={'console_scripts': cfg['console_scripts'].split(),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    cmdclass={'build_py': BuildWithNotebooks}, zip_safe=False,
)
