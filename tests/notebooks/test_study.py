"A learner's own copies of the chapters, the check of an installation, and what starts the study."
import ast, errno, json, os, re, shutil, subprocess, sys
from importlib import metadata
import pytest
import lab # tools/
from course_lib import copies, core, study
from course_lib.copies import chapters, copies_folder, course_reset, find_chapter, reset_copy, take_copies
from course_lib.study import course_lab, installation, lab_arguments
from tests.helpers import NBS, ROOT

EXPORT = '#| hide\nimport nbdev; nbdev.nbdev_export()'

def code_cell(source, **kwargs):
    return dict(cell_type='code', source=source, outputs=[], metadata={}, execution_count=None) | kwargs

def text_cell(source, **kwargs): return dict(cell_type='markdown', source=source, metadata={}) | kwargs

def notebook(*cells): return dict(cells=list(cells), metadata={}, nbformat=4, nbformat_minor=5)

def save(file, *cells):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(notebook(*cells)), encoding='utf-8')

def cells_of(file): return json.loads(file.read_text(encoding='utf-8'))['cells']
def sources(file): return [''.join(c['source']) for c in cells_of(file)]

TWO = text_cell('# Two\n\nRead [one](01_one.ipynb).'), code_cell(['x = 1\n', 'x + 1']), code_cell(EXPORT)
NEWER = text_cell('# Two, revised'), code_cell('x = 2'), code_cell(EXPORT)

@pytest.fixture
def course(tmp_path):
    "The folders of a small course and of the copies that a learner has of it."
    source, work = tmp_path/'nbs', tmp_path/'work'
    save(source/'index.ipynb', text_cell('# A course'))
    save(source/'01_one.ipynb', text_cell('# One'), code_cell('1 + 1', outputs=[dict(output_type='stream', text='2')]))
    save(source/'02_two.ipynb', *TWO)
    save(source/'lib'/'core.ipynb', code_cell('import math'), code_cell(EXPORT))
    save(source/'_template.ipynb', code_cell('...'))
    assert take_copies(work, source) == ['Copied to work: 01_one, 02_two, index, lib/core.']
    return source, work

def files(folder): return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*') if p.is_file()}

# ------------------------------------------------------------------ what is copied

def test_a_copy_is_the_original_without_the_cell_that_writes_the_package(course):
    source, work = course
    assert sorted(files(work)) == ['.course.json', '01_one.ipynb', '02_two.ipynb', 'index.ipynb', 'lib/core.ipynb']
    assert cells_of(work/'01_one.ipynb') == cells_of(source/'01_one.ipynb') # with its outputs
    assert cells_of(work/'02_two.ipynb') == cells_of(source/'02_two.ipynb')[:-1]
    assert EXPORT in sources(source/'02_two.ipynb')

def test_the_second_time_nothing_is_written(course, monkeypatch):
    source, work = course
    monkeypatch.setattr(core, 'atomic_write', None)
    before = files(work)
    assert take_copies(work, source) == [] and files(work) == before

@pytest.mark.parametrize('source', [
    'import nbdev; nbdev.nbdev_export()', EXPORT, 'import nbdev\nnbdev.nbdev_export()', '#|hide\nnbdev.nbdev_export()',
    'from nbdev.export import nbdev_export\nnbdev_export()', 'import nbdev;nbdev.nbdev_export("nbs")'])
def test_all_spellings_of_an_export_are_left_out(course, source):
    folder, work = course
    save(folder/'03.ipynb', code_cell('x = 1'), code_cell(source))
    take_copies(work, folder)
    assert sources(work/'03.ipynb') == ['x = 1']

def calls(source):
    try: nodes = ast.walk(ast.parse(source))
    except SyntaxError: return # a magic
    yield from (ast.unparse(o.func) for o in nodes if isinstance(o, ast.Call))

@pytest.fixture(scope='module')
def real(tmp_path_factory):
    "Copies of the course itself, beside what else of the project its pages link to."
    folder = tmp_path_factory.mktemp('project')
    (folder/'bench').mkdir()
    for o in 'LICENSE', 'CONTRIBUTING.md', 'README.md', 'bench/README.md': shutil.copy(ROOT/o, folder/o)
    take_copies(folder/'work')
    return folder/'work'

def test_no_copy_of_the_course_writes_the_package(real):
    found = [(p.name, f) for p in real.rglob('*.ipynb') for c in cells_of(p) if c['cell_type'] == 'code'
             for f in calls(''.join(c['source'])) if 'nbdev' in f]
    assert found == []

def test_all_of_the_course_is_copied(real):
    rest = lambda p: [s for s in sources(p) if s != EXPORT]
    for p in chapters(): assert sources(real/p.relative_to(NBS)) == rest(p), p.name

def dead_links(page):
    text = '\n'.join(''.join(c['source']) for c in cells_of(page) if c['cell_type'] == 'markdown')
    text = re.sub(r'```.*?```|`[^`\n]*`', '', text, flags=re.DOTALL)
    links = [o.split('#')[0] for o in re.findall(r'\]\(([^)\s]+)\)', text) if not re.match(r'[a-z]+:|#', o)]
    return [o for o in links if not (page.parent/o).exists()]

def test_links_between_copies_lead_somewhere(real):
    assert {p.name: found for p in real.rglob('*.ipynb') if (found := dead_links(p))} == {}

# ------------------------------------------------------------------ the course changes

def run(cells):
    "Cells as JupyterLab saves them when all have been run: outputs, counts, an empty cell at the end."
    done = [c | dict(metadata=dict(trusted=True), id=f'cell{k}') for k,c in enumerate(cells)]
    for k,c in enumerate(done, 1):
        if c['cell_type'] == 'code': c |= dict(execution_count=k, outputs=[dict(output_type='stream', text='!')])
    return [*done, code_cell('')]

def test_a_copy_that_was_only_run_follows(course):
    source, work = course
    save(work/'02_two.ipynb', *run(TWO[:2]))
    assert take_copies(work, source) == [] # running is no news
    save(source/'02_two.ipynb', *NEWER)
    said, = take_copies(work, source)
    assert 'nothing: 02_two' in said and sources(work/'02_two.ipynb') == ['# Two, revised', 'x = 2']
    assert take_copies(work, source) == []

TOUCHED = {
    'code': [TWO[0], code_cell('x = 7')], 'text': [text_cell('# Mine'), TWO[1]], 'deleted': TWO[:1],
    'added': [*TWO[:2], code_cell('y')], 'note': [*TWO[:2], text_cell('ask about this')], 'turned': TWO[1::-1],
    'kind': [TWO[0], text_cell(TWO[1]['source'])],
    'picture': [text_cell(TWO[0]['source'], attachments={'a.png': {'image/png': 'aa'}}), TWO[1]]}

@pytest.mark.parametrize('kind', TOUCHED)
def test_a_copy_that_was_written_into_is_kept(course, kind):
    source, work = course
    save(work/'02_two.ipynb', *TOUCHED[kind])
    mine = (work/'02_two.ipynb').read_bytes()
    assert take_copies(work, source) == [] # nothing is newer
    save(source/'02_two.ipynb', *NEWER)
    for _ in range(2): # at each start, until it is decided
        said, = take_copies(work, source)
        assert 'kept: 02_two' in said and '`course_reset 02_two`' in said
        assert (work/'02_two.ipynb').read_bytes() == mine

def test_undone_changes_are_none(course):
    source, work = course
    save(work/'02_two.ipynb', *TOUCHED['code'])
    save(source/'02_two.ipynb', *NEWER)
    take_copies(work, source)
    save(work/'02_two.ipynb', *TWO[:2])
    said, = take_copies(work, source)
    assert 'nothing: 02_two' in said

def test_outputs_of_the_original_are_no_change(course):
    source, work = course
    before = files(work)
    save(source/'02_two.ipynb', *run(TWO[:2]), TWO[2])
    assert take_copies(work, source) == [] and files(work) == before

def test_who_has_the_new_version_already_has_it(course):
    source, work = course
    save(work/'02_two.ipynb', *NEWER[:2])
    save(source/'02_two.ipynb', *NEWER)
    assert take_copies(work, source) == []
    save(source/'02_two.ipynb', *TWO)
    said, = take_copies(work, source)
    assert 'nothing: 02_two' in said

def test_a_new_chapter_comes_and_an_old_one_stays(course):
    source, work = course
    save(source/'03_three.ipynb', code_cell('3'))
    (source/'01_one.ipynb').unlink()
    new, past = take_copies(work, source)
    assert new == 'Copied to work: 03_three.' and past.startswith('No longer in the course') and '01_one' in past
    assert (work/'01_one.ipynb').exists() and take_copies(work, source) == []

def test_many_are_counted(tmp_path):
    for k in range(30): save(tmp_path/'nbs'/f'{k:02d}.ipynb', code_cell('1'))
    assert take_copies(tmp_path/'work', tmp_path/'nbs') == ['Copied to work: 30 notebooks.']

# ------------------------------------------------------------------ odd copies, odd folders

def test_deleted_comes_back(course):
    source, work = course
    (work/'02_two.ipynb').unlink()
    assert take_copies(work, source) == ['Gone from work, and copied again: 02_two.']

def test_renamed_is_kept_and_the_original_comes_beside_it(course):
    source, work = course
    save(work/'02_two.ipynb', *TOUCHED['code'])
    (work/'02_two.ipynb').rename(work/'my two.ipynb')
    take_copies(work, source)
    assert sources(work/'my two.ipynb')[-1] == 'x = 7' and sources(work/'02_two.ipynb')[-1] == 'x = 1\nx + 1'

def test_read_only_is_kept(course):
    source, work = course
    (work/'02_two.ipynb').chmod(0o444)
    save(source/'02_two.ipynb', *NEWER)
    said, = take_copies(work, source)
    assert 'read-only' in said and '02_two' in said and sources(work/'02_two.ipynb')[-1] == 'x = 1\nx + 1'
    (work/'02_two.ipynb').chmod(0o644)
    assert 'nothing: 02_two' in take_copies(work, source)[0]

def test_read_only_originals_make_writable_copies(course):
    source, work = course
    for p in source.rglob('*.ipynb'): p.chmod(0o444)
    shutil.rmtree(work)
    take_copies(work, source)
    assert all(p.stat().st_mode & 0o200 for p in work.rglob('*.ipynb'))

@pytest.mark.parametrize('content', [b'', b'{"cells": [', b'[]', b'{}', b'null', b'{"cells": 3}', b'{"cells": [{}]}',
    b'{"cells": [1]}', b'{"cells": [{"cell_type": "code", "source": 3}]}', b'\xff\xfe', b'<<<<<<< HEAD\n{}'])
def test_what_is_no_notebook_is_left_alone(course, content):
    source, work = course
    (work/'02_two.ipynb').write_bytes(content)
    said, = take_copies(work, source)
    assert said.startswith('Not readable as notebooks') and '`course_reset 02_two`' in said
    assert (work/'02_two.ipynb').read_bytes() == content
    assert 'Yours is now 02_two_mine.ipynb' in reset_copy('2', work, source)
    assert (work/'02_two_mine.ipynb').read_bytes() == content and take_copies(work, source) == []

def test_a_folder_in_place_of_a_copy(course):
    source, work = course
    (work/'02_two.ipynb').unlink()
    (work/'02_two.ipynb').mkdir()
    assert take_copies(work, source)[0].startswith('Not readable')
    with pytest.raises(OSError): reset_copy('02', work, source)

@pytest.mark.parametrize('content', [b'', b'{', b'[1, 2]', b'3', b'{"02_two.ipynb": 5}', b'\xff', None])
def test_a_damaged_note_loses_nothing(course, content):
    source, work = course
    if content is None: (work/'.course.json').unlink()
    else: (work/'.course.json').write_bytes(content)
    save(work/'01_one.ipynb', text_cell('my one'))
    before = files(work)
    said = take_copies(work, source)
    assert len(said) == 1 and 'kept: 01_one' in said[0] # it differs, and nobody knows since when
    assert {k: v for k,v in files(work).items() if k != '.course.json'} == {
        k: v for k,v in before.items() if k != '.course.json'}
    save(source/'02_two.ipynb', *NEWER)
    assert any('nothing: 02_two' in o for o in take_copies(work, source)) # the others are known again

def test_a_damaged_original_is_told(course):
    source, work = course
    (source/'02_two.ipynb').write_text('{"cells": [')
    before = files(work)
    said, = take_copies(work, source)
    assert 'install the course again: 02_two' in said and files(work) == before
    with pytest.raises(ValueError, match='install the course again'): reset_copy('02', work, source)

@pytest.fixture
def failing(monkeypatch):
    "A function that lets every write fail for this reason."
    def fails(number, only=''):
        write = core.atomic_write
        def broken(path):
            if only in str(path): raise OSError(number, os.strerror(number), str(path))
            return write(path)
        monkeypatch.setattr(core, 'atomic_write', broken)
    return fails

WHY = {errno.ENOSPC: 'the disk is full', errno.EACCES: 'no permission', errno.EROFS: 'read-only', errno.EIO: 'rror'}

@pytest.mark.parametrize('number', WHY)
def test_a_copy_that_cannot_be_written_is_one_sentence(course, failing, number):
    source, work = course
    for name in '01_one', '02_two': save(source/f'{name}.ipynb', *NEWER)
    save(work/'02_two.ipynb', *TOUCHED['code'])
    before = files(work)
    failing(number)
    said, kept = take_copies(work, source)
    assert WHY[number] in said and '01_one' in said and 'kept: 02_two' in kept and files(work) == before

def test_what_could_not_be_written_comes_when_it_can(course, failing, monkeypatch):
    source, work = course
    shutil.rmtree(work)
    failing(errno.ENOSPC, only='02_two')
    copied, failed = take_copies(work, source)
    assert '01_one' in copied and failed == 'Not written, because the disk is full: 02_two.'
    monkeypatch.undo()
    assert take_copies(work, source) == ['Copied to work: 02_two.']

def test_a_note_that_cannot_be_written_is_told(course, failing):
    source, work = course
    save(source/'02_two.ipynb', *NEWER)
    failing(errno.ENOSPC, only='.course.json')
    assert take_copies(work, source)[1] == 'The note .course.json could not be written, because the disk is full.'
    assert sources(work/'02_two.ipynb')[-1] == 'x = 2' and 'kept' not in take_copies(work, source)[0]

def test_interrupted_and_begun_again(course, monkeypatch):
    source, work = course
    shutil.rmtree(work)
    write, n = copies._write, iter(range(9))
    def stopped(*args):
        if next(n) == 2: raise KeyboardInterrupt
        write(*args)
    monkeypatch.setattr(copies, '_write', stopped)
    with pytest.raises(KeyboardInterrupt): take_copies(work, source)
    monkeypatch.undo()
    assert len(files(work)) == 2
    take_copies(work, source)
    assert len(files(work)) == 5 and not any('kept' in o for o in take_copies(work, source))

def test_a_file_where_the_folder_should_be(course, tmp_path):
    (tmp_path/'notes').write_text('mine')
    for folder in 'notes', 'notes/work':
        said, = take_copies(tmp_path/folder, course[0])
        assert said.startswith('Not written, because a file is where a folder should be')
    assert (tmp_path/'notes').read_text() == 'mine'

def test_originals_are_never_written(course):
    source, work = course
    before = files(source)
    assert take_copies(source, source) == []
    with pytest.raises(ValueError, match='outside of'): take_copies(source/'work', source)
    with pytest.raises(ValueError, match='git'): reset_copy('02', source, source)
    assert files(source) == before

@pytest.mark.slow
def test_two_starts_at_once(course):
    source, work = course
    shutil.rmtree(work)
    code = f'from course_lib.copies import take_copies; take_copies({str(work)!r}, {str(source)!r})'
    for p in [subprocess.Popen([sys.executable, '-c', code]) for _ in range(3)]: assert p.wait() == 0
    assert len(files(work)) == 5 and take_copies(work, source) == []

# ------------------------------------------------------------------ names, and back to the original

@pytest.mark.parametrize('asked', '4 04 vision 04_vision 04_vision.ipynb'.split())
def test_names_of_a_chapter(asked): assert find_chapter(asked) == NBS/'04_vision.ipynb'

@pytest.mark.parametrize('asked', ['core', 'lib/core', 'lib/core.ipynb', r'lib\core'])
def test_names_of_a_room(asked): assert find_chapter(asked) == NBS/'lib'/'core.ipynb'

@pytest.mark.parametrize('asked,said', [('99', 'no notebook'), ('', 'no notebook'), ('bears', 'more than one'),
                                        ('_template', 'no notebook'), ('../nbs/04_vision', 'no notebook')])
def test_names_of_none_or_several(asked, said):
    with pytest.raises(ValueError, match=f'{said}.*lib/drawings/bears'): find_chapter(asked)

def test_reset_keeps_all_that_was_there_before(course):
    source, work = course
    for k in range(3):
        save(work/'02_two.ipynb', code_cell(f'try {k}'))
        assert f'{work/"02_two"}' not in reset_copy('two', work, source)
    assert [sources(work/f'02_two_mine{k}.ipynb') for k in ('', '_2', '_3')] == [['try 0'], ['try 1'], ['try 2']]
    assert sources(work/'02_two.ipynb') == [''.join(c['source']) for c in TWO[:2]]

def test_reset_brings_the_new_one_which_then_follows(course):
    source, work = course
    save(work/'02_two.ipynb', *TOUCHED['code'])
    save(source/'02_two.ipynb', *NEWER)
    assert 'Yours is now 02_two_mine.ipynb' in reset_copy('02', work, source)
    assert take_copies(work, source) == []
    save(source/'02_two.ipynb', *TWO)
    assert 'nothing: 02_two' in take_copies(work, source)[0]

def test_reset_of_what_is_gone_or_unchanged(course):
    source, work = course
    assert 'already' in reset_copy('02', work, source)
    (work/'lib'/'core.ipynb').unlink()
    assert 'Yours' not in reset_copy('lib/core', work, source) and (work/'lib'/'core.ipynb').exists()
    assert not list(work.rglob('*_mine*'))

@pytest.mark.parametrize('number', WHY)
def test_reset_that_fails_leaves_what_was_there(course, failing, number):
    source, work = course
    save(work/'02_two.ipynb', *TOUCHED['code'])
    mine = (work/'02_two.ipynb').read_bytes()
    failing(number)
    with pytest.raises(OSError): reset_copy('02', work, source)
    assert (work/'02_two.ipynb').read_bytes() == mine

def test_nothing_half_is_kept_aside(course, monkeypatch):
    source, work = course
    save(work/'02_two.ipynb', *TOUCHED['code'])
    class Full:
        def __init__(self, file): self.file = file
        def __enter__(self): return self
        def __exit__(self, *args): self.file.close()
        def write(self, data):
            self.file.write(data[:5])
            raise OSError(errno.ENOSPC, 'full')
    monkeypatch.setattr(copies, 'open', lambda *args: Full(open(*args)), raising=False)
    before = files(work)
    with pytest.raises(OSError): reset_copy('02', work, source)
    assert files(work) == before

@pytest.fixture
def at_work(course, monkeypatch):
    "The learner stands in the folder of the copies."
    monkeypatch.setattr(copies, 'originals', lambda: course[0])
    monkeypatch.chdir(course[1])
    return course

@pytest.mark.parametrize('place', ['work', 'work/lib', '.'])
@pytest.mark.parametrize('asked', ['02', 'two', '02_two.ipynb'])
def test_course_reset_from_several_places(at_work, monkeypatch, capsys, place, asked):
    source, work = at_work
    save(work/'02_two.ipynb', *TOUCHED['code'])
    monkeypatch.chdir(work.parent/place)
    assert course_reset([asked]) == 0
    assert 'again as in the course' in capsys.readouterr().out and (work/'02_two_mine.ipynb').exists()

def test_course_reset_takes_paths_and_several(at_work, monkeypatch, capsys):
    source, work = at_work
    for name in '01_one', '02_two', 'lib/core': save(work/f'{name}.ipynb', code_cell('mine'))
    monkeypatch.chdir(work.parent)
    assert course_reset(['work/01_one.ipynb', str(work/'02_two.ipynb'), 'core']) == 0
    assert len(list(work.rglob('*_mine.ipynb'))) == 3

@pytest.mark.parametrize('args,status,said', [
    ([], 2, 'course_reset 04'), (['--help'], 0, 'course_reset 04'), (['--all'], 2, 'by number'),
    (['7'], 1, 'no notebook'), (['02', '7'], 1, 'no notebook')])
def test_course_reset_says_what_it_takes(at_work, capsys, args, status, said):
    assert course_reset(args) == status
    assert said in ''.join(capsys.readouterr())

def test_course_reset_without_copies(at_work, tmp_path_factory, monkeypatch, capsys):
    shutil.rmtree(at_work[1])
    monkeypatch.chdir(tmp_path_factory.mktemp('elsewhere'))
    assert course_reset(['02']) == 1 and 'There are no copies of the course' in capsys.readouterr().err

def test_course_reset_on_a_full_disk(at_work, failing, capsys):
    save(at_work[1]/'02_two.ipynb', *TOUCHED['code'])
    failing(errno.ENOSPC)
    assert course_reset(['02']) == 1
    err = capsys.readouterr().err
    assert 'the disk is full' in err and err.count('\n') == 1

def test_in_a_checkout_the_copies_are_found_from_anywhere(tmp_path, course, monkeypatch, tmp_path_factory):
    monkeypatch.setattr(copies, 'originals', lambda: course[0])
    monkeypatch.chdir(tmp_path_factory.mktemp('elsewhere'))
    assert copies_folder() == course[1]

# ------------------------------------------------------------------ is all there?

@pytest.fixture
def place(monkeypatch):
    "A function that makes this a place with these requirements, and these packages with their versions."
    def make(requires, there):
        def version(name):
            if name in there: return there[name]
            raise metadata.PackageNotFoundError(name)
        monkeypatch.setattr(metadata, 'requires', lambda name: requires)
        monkeypatch.setattr(metadata, 'version', version)
        return '\n'.join(said for fine,said in installation('work') if not fine)
    return make

NEEDS = ['torch>=2.6,<3', 'pandas>=3,<4', 'jupyterlab>=4.4,<5; extra == "lab"', 'gradio>=6; extra == "app"',
         'pytest>=8; extra == "dev"', 'pywin32; sys_platform == "none"']
HAS = {'torch': '2.13.0+cpu', 'pandas': '3.0.1', 'jupyterlab': '4.4.9', 'gradio': '6.1'}

@pytest.mark.parametrize('changed,said', [
    ({'torch': None}, 'torch is missing: needed is 2.6 or newer and older than 3.'),
    ({'torch': '2.5.1'}, 'torch 2.5.1 is too old'), ({'torch': '2.6.0rc1'}, 'torch 2.6.0rc1 is too old'),
    ({'pandas': '4.0'}, 'pandas 4.0 is too new: needed is 3 or newer and older than 4.'),
    ({'jupyterlab': None}, 'jupyterlab is missing'), ({'jupyterlab': '3.6'}, 'jupyterlab 3.6 is too old')])
def test_what_is_missing_or_too_old_is_one_sentence(place, changed, said):
    found = place(NEEDS, {**HAS, **changed}).splitlines()
    name = next(iter(changed))
    assert len(found) == 2 and said in found[0]
    assert found[1].startswith('To put this right') and f'pip install "{name}>=' in found[1]

def test_several_are_put_right_at_once(place):
    found = place(NEEDS, {})
    assert found.count(' is missing: ') == 3 and 'gradio' not in found and 'pytest' not in found
    assert re.search(r'"torch[^"]*" "pandas[^"]*" "jupyterlab[^"]*"$', found)

def test_packages_that_do_not_go_with_each_other(place, monkeypatch):
    needs = {'course_lib': [*NEEDS, 'torchvision>=0.21,<1'],
             'torchvision': ['torch==2.6.0', 'numpy', 'gdown; extra == "gdown"']}
    place(NEEDS, HAS | {'torchvision': '0.21.0'})
    monkeypatch.setattr(metadata, 'requires', lambda name: needs.get(name))
    said, remedy = (said for fine,said in installation('work') if not fine)
    assert said == 'For torchvision, torch 2.13.0+cpu is too new: needed is exactly 2.6.0.'
    assert remedy.endswith('pip install "torch==2.6.0"')

@pytest.mark.parametrize('there', [HAS, HAS | {'torch': '2.6'}, HAS | {'pandas': '3.1.0rc1'}, {**HAS, 'gradio': '5'}])
def test_what_will_do_is_not_complained_about(place, there): assert place(NEEDS, there) == ''

def test_the_page_of_chapter_15_may_be_missing(place):
    place(NEEDS, {k: v for k,v in HAS.items() if k != 'gradio'})
    assert any(fine and 'gradio is missing' in said and 'chapter 15' in said for fine,said in installation('work'))

def test_without_packaging(monkeypatch):
    for o in 'packaging', 'packaging.requirements', 'packaging.specifiers': monkeypatch.setitem(sys.modules, o, None)
    (fine, said), = installation('work')
    assert not fine and said.startswith('packaging') and 'pip install packaging' in said

def test_not_installed(monkeypatch):
    def nothing(name): raise metadata.PackageNotFoundError(name)
    for o in 'requires', 'metadata': monkeypatch.setattr(metadata, o, nothing)
    assert 'is not installed' in installation('work')[0][1]

@pytest.mark.parametrize('version,fine', [((3, 8, 1), False), ((3, 11, 0), True), ((3, 13, 2), True)])
def test_python(monkeypatch, version, fine):
    monkeypatch.setattr(sys, 'version_info', version)
    assert study._about_python()[0] is fine

def test_a_package_that_does_not_load(place, monkeypatch):
    def broken(): raise RuntimeError('operator torchvision::nms does not exist')
    monkeypatch.setattr(core, 'import_torchvision', broken)
    found = place(NEEDS, HAS)
    assert 'does not load' in found and 'torchvision::nms' in found and 'folder' not in found

def test_a_folder_that_cannot_be_written(place, monkeypatch, tmp_path):
    (tmp_path/'file').touch()
    monkeypatch.setenv('COURSE_LIB_HOME', str(tmp_path/'file'/'data'))
    assert 'but a file is where a folder should be' in place(NEEDS, HAS)

def test_no_permission(monkeypatch, tmp_path):
    def refused(**kwargs): raise PermissionError(errno.EACCES, 'Permission denied')
    monkeypatch.setattr(study.tempfile, 'TemporaryFile', refused)
    fine, said = study._about_folder('It', tmp_path)
    assert not fine and said == f'It is {tmp_path}, but there is no permission to write there.'

def test_little_room(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(2**33, 2**33, 20*2**20))
    fine, said = study._about_folder('It', tmp_path/'not'/'there yet')
    assert not fine and 'of 500 MB that it needs only 20 are free' in said and not (tmp_path/'not').exists()

def test_samples_that_are_not_drawn_are_no_fault(place, home):
    place(NEEDS, HAS)
    assert any(fine and 'Not drawn yet: pascal_sample' in said for fine,said in installation('work'))
    assert not home.exists() # it only looks

@pytest.mark.parametrize('n,said', [(1, '1 core may be used, of 8'), (3, '3 cores may be used, of 8'),
                                    (8, '8 cores may be used.')])
def test_cores_as_they_are_allowed(monkeypatch, n, said):
    monkeypatch.setattr(study, 'n_cores', lambda: n)
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    assert said in study._about_cores()[1]

@pytest.mark.parametrize('there,status', [(HAS, 0), ({}, 1), (HAS | {'torch': '1.0'}, 1)])
def test_check_has_a_status(place, capsys, there, status):
    place(NEEDS, there)
    for args in ['--check'], ['my copies', '--check']: assert course_lab(args) == status
    assert all(line.endswith(('.', '"')) for line in capsys.readouterr().out.splitlines())

def test_the_check_needs_no_package():
    "What is asked whether torch is there must not need it to be there."
    code = ('import sys; before = {*sys.modules}; import course_lib.study; '
            'print({o.split(".")[0] for o in {*sys.modules} - before} - {*sys.stdlib_module_names})')
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "{'course_lib'}"

# ------------------------------------------------------------------ the start

@pytest.fixture
def started(monkeypatch, tmp_path):
    "What is started in the end, without starting it; samples are not drawn, and the learner stands in an empty folder."
    commands = []
    def call(command): # what draws samples; on Windows JupyterLab too
        commands.append(command[4:])
        return 0
    monkeypatch.setattr(subprocess, 'call', call)
    monkeypatch.setattr(os, 'execv', lambda program, command: commands.append(command[4:]))
    monkeypatch.setenv('PATH', os.environ['PATH']) # is put back
    monkeypatch.setenv('CI', 'true')
    monkeypatch.chdir(tmp_path)
    return commands

def test_start_copies_and_opens(started, tmp_path, capsys):
    course_lab(['--ip=0.0.0.0', '--port', '9000'])
    assert [o for o in started[-1] if o != '--allow-root'] == [
        f'--ServerApp.root_dir={tmp_path/"work"}', '--LabApp.default_url=/lab/tree/index.ipynb', '--no-browser',
        '--ip=0.0.0.0', '--port', '9000']
    assert 'Copied to work: ' in capsys.readouterr().out and (tmp_path/'work'/'15_bears.ipynb').exists()
    assert os.environ['PATH'].startswith(os.path.dirname(sys.executable))

def test_start_in_a_folder_of_ones_own(started, tmp_path):
    course_lab(['my copies'])
    assert (tmp_path/'my copies'/'index.ipynb').exists() and 'my copies' in started[-1][0]

def test_prepare_opens_nothing(started, tmp_path):
    assert course_lab(['--prepare']) == 0 and started == [[]]
    assert (tmp_path/'work'/'index.ipynb').exists()

def test_authors_get_the_originals(started):
    before = NBS.stat().st_mtime
    course_lab([str(NBS)])
    assert started[-1][:2] == [f'--ServerApp.root_dir={ROOT}', '--LabApp.default_url=/lab/tree/nbs/index.ipynb']
    assert NBS.stat().st_mtime == before and not (NBS/'.course.json').exists()

def test_git_and_ruff_leave_copies_alone():
    assert '/work/' in (ROOT/'.gitignore').read_text().splitlines()
    assert '"work"' in (ROOT/'ruff.toml').read_text()

def test_in_a_checkout_all_of_it_is_served():
    args = lab_arguments(ROOT/'my work', True)
    assert args == [f'--ServerApp.root_dir={ROOT}', '--LabApp.default_url=/lab/tree/my%20work/index.ipynb']

def test_without_jupyterlab_nothing_is_begun(place, started, capsys, tmp_path):
    place(NEEDS, {k: v for k,v in HAS.items() if k != 'jupyterlab'})
    assert course_lab([]) == 1 and started == [] and not (tmp_path/'work').exists()
    assert 'Install what is missing' in (out := capsys.readouterr().out) and 'jupyterlab>=4.4' in out
    assert course_lab(['--prepare']) == 0 # another editor may do

def test_another_version_than_wished_may_do(place, started, capsys):
    place(NEEDS, HAS | {'pandas': '4.0'})
    course_lab([])
    assert 'pandas 4.0 is too new' in capsys.readouterr().out and started[-1]

def test_samples_that_cannot_be_drawn_end_it(started, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(subprocess, 'call', lambda command: 7)
    assert course_lab([]) == 7 and not (tmp_path/'work').exists()
    assert '`course_lab --check` says' in capsys.readouterr().out

@pytest.mark.parametrize('folder,said', [('file', 'a file is where'), (str(NBS/'lib'), 'among the originals')])
def test_nowhere_to_copy_to(started, capsys, tmp_path, folder, said):
    (tmp_path/'file').touch()
    assert course_lab([folder]) == 1
    assert said in (out := capsys.readouterr().out) and 'nothing to open' in out and started == [[]]
    assert not (NBS/'lib'/'index.ipynb').exists()

@pytest.mark.parametrize('args,wanted', [
    ([], [ROOT/'work']), (['nbs'], ['nbs']), (['--check'], [ROOT/'work', '--check'])])
def test_tools_lab_hands_on(monkeypatch, args, wanted):
    given = []
    monkeypatch.setattr(sys, 'argv', ['tools/lab.py', *args])
    monkeypatch.setenv('PORT', '9000')
    monkeypatch.setattr(lab.env, 'go_on_in_venv', given.append)
    monkeypatch.setattr(study, 'course_lab', given.append)
    with pytest.raises(SystemExit): lab.main()
    port = ['--ServerApp.port=9000', '--ServerApp.port_retries=0']
    assert given == ['lab', [*map(str, wanted), *port]]
