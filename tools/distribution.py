"""Build the package as files into dist/, and try them as somebody does who has nothing but them.

    python tools/distribution.py          wheel and source archive, their metadata (twine), and the wheel in an empty
                                          environment, which runs README's example (the installation needs the internet)
    python tools/distribution.py v0.2.0   for a release: first, is the tag what settings.ini and CHANGELOG.md say?

What CHANGELOG.md says of the version goes into build/notes.md, for the page of the release."""
import os, re, shutil, subprocess, sys, tempfile
from pathlib import Path
from settings import settings

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT/'dist'

def run(*command, **kwargs): return subprocess.run(list(map(str, command)), check=True, encoding='utf-8', **kwargs)

def notes(changelog, version):
    "What the text `changelog` says of a `version`; an error unless it says when that was released."
    found = re.search(rf'^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)', changelog,
                      re.DOTALL | re.MULTILINE)
    if not found: sys.exit(f'CHANGELOG.md has no heading of the form "## [{version}] - 2026-01-31": say what is new.')
    return found[1].strip() + '\n'

def check_tag(tag, version):
    if tag != f'v{version}': sys.exit(f'The tag is {tag}, but settings.ini says version {version}: say v{version}.')

def build():
    "The wheel is made from the source archive, so that this has all that is needed."
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, '-m', 'build', '--outdir', DIST, ROOT)
    run(sys.executable, '-m', 'twine', 'check', '--strict', *DIST.iterdir())
    return next(DIST.glob('*.whl'))

def example(readme):
    "Of the text `readme`: the code up to the first output, which is of its last line; that output; the code after."
    blocks = re.findall(r'```(python|text)\n(.*?)```', readme, re.DOTALL)
    first = [kind for kind,_ in blocks].index('text')
    code = ['\n'.join(text for kind,text in o if kind == 'python') for o in (blocks[:first], blocks[first:])]
    return code[0].strip(), blocks[first][1], code[1]

def program(readme):
    "All the code of README's text as one program, and what its first output must be."
    before, shown, after = example(readme)
    *lines, last = before.splitlines()
    return '\n'.join([*lines, f'print({last})', 'print("-"*9, flush=True)', after]), shown

def try_it(wheel, folder):
    "Install the `wheel` with all it needs into an empty environment in `folder`, and run README's example there."
    run(sys.executable, '-m', 'venv', folder/'env')
    python = folder/'env'/('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
    run(python, '-m', 'pip', 'install', '--quiet', wheel)
    run(python, '-m', 'pip', 'check')
    code, shown = program((ROOT/'README.md').read_text(encoding='utf-8'))
    (folder/'example.py').write_text(code, encoding='utf-8')
    settings = {'COURSE_LIB_HOME': str(folder/'home'), 'COURSE_PROGRESS': 'off', 'MPLBACKEND': 'agg', 'PYTHONUTF8': '1'}
    said = run(python, 'example.py', cwd=folder, env={**os.environ, **settings}, stdout=subprocess.PIPE).stdout
    if said.split('-'*9)[0].split() != shown.split(): sys.exit(f'README shows\n{shown}\nand the example says\n{said}')
    print(said.split('-'*9)[1])

def main(tag=''):
    version = settings()['version']
    if tag: check_tag(tag, version)
    text = notes((ROOT/'CHANGELOG.md').read_text(encoding='utf-8'), version)
    wheel = build()
    with tempfile.TemporaryDirectory() as d: try_it(wheel, Path(d).resolve())
    (ROOT/'build').mkdir(exist_ok=True)
    (ROOT/'build'/'notes.md').write_text(text, encoding='utf-8')
    print('Built and tried:', *sorted(p.name for p in DIST.iterdir()))

if __name__ == '__main__': main(*sys.argv[1:2])
