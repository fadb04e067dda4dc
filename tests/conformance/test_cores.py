"How many cores are ours: the scheduler's and the container's answer; and how torch's threads wait."
import os, shutil, subprocess, sys
from contextlib import contextmanager
from pathlib import Path
import pytest
from course_lib.cores import SHORT_WAITS, core_quota, n_cores, wait_briefly

V2 = '31 23 0:26 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n'
V1 = '33 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n'
OTHERS = '34 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n22 1 8:1 / / rw - ext4 /dev/sda1 rw\n'

@pytest.fixture
def system(tmp_path):
    "Makes an empty root with mounts, the name of our group, and files with limits."
    def make(mounts, group, **limits):
        (tmp_path/'proc/self').mkdir(parents=True)
        (tmp_path/'proc/self/mountinfo').write_text(OTHERS + mounts)
        (tmp_path/'proc/self/cgroup').write_text(group)
        for file,text in limits.items():
            file = tmp_path/'sys/fs/cgroup'/file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + '\n')
        return tmp_path
    return make

def v2(folder, limit): return {f'{folder}cpu.max': limit}
def v1(folder, quota, period=100000):
    folder = f'cpu,cpuacct/{folder}'
    return {f'{folder}cpu.cfs_quota_us': str(quota), f'{folder}cpu.cfs_period_us': str(period)}

@pytest.mark.parametrize('top, group, limits, cores', [
    ('/', '0::/', v2('', '150000 100000'), 1.5),                                    # a container of its own
    ('/', '0::/', v2('', 'max 100000'), None),
    ('/', '0::/', {}, None),                                                        # the top has no such file
    ('/', '0::/user/lab', v2('user/lab/', 'max 100000') | v2('user/', '50000 100000'), .5), # a limit further up
    ('/', '0::/user/lab', v2('user/lab/', '20000 10000') | v2('user/', '300000 100000'), 2),
    ('/', '0::/../outside', v2('', '40000 20000'), 2),                              # a name that is not to be seen here
    ('/docker/4f', '0::/docker/4f/a', v2('a/', '70000 100000') | v2('', '400000 100000'), .7), # a part is mounted
    ('/', '0::/', v2('', 'what is this'), None)])
def test_quota_version_2(system, top, group, limits, cores):
    assert core_quota(system(V2.format(top=top), group + '\n', **limits)) == cores

@pytest.mark.parametrize('top, group, limits, cores', [
    ('/', '/', v1('', 50000), .5),
    ('/', '/', v1('', -1), None),
    ('/', '/kube/pod', v1('kube/pod/', 250000), 2.5),
    ('/', '/kube/pod', v1('kube/pod/', -1) | v1('kube/', 100000), 1),
    ('/kube/pod', '/kube/pod', v1('', 30000), .3),
    ('/', '/docker/not-seen-from-here', v1('', 80000), .8)])
def test_quota_version_1(system, top, group, limits, cores):
    group = f'7:memory:/elsewhere\n4:cpu,cpuacct:{group}\n0::/\n'
    assert core_quota(system(V1.format(top=top), group, **limits)) == cores

def test_both_versions_at_once(system):
    "As on systems in between: limits stand in version 1, and version 2 is mounted beside it."
    root = system(V1.format(top='/') + V2.replace('/sys/fs/cgroup', '/sys/fs/cgroup/unified').format(top='/'),
                  '3:cpu,cpuacct:/a\n0::/\n', **v1('a/', 60000))
    assert core_quota(root) == .6

def test_no_linux(tmp_path): assert core_quota(tmp_path) is None

@pytest.mark.parametrize('quota, cores', [(None, 8), (.2, 1), (1, 1), (1.5, 2), (3, 3), (64, 8)])
def test_n_cores_is_the_smaller(monkeypatch, quota, cores):
    monkeypatch.setattr('course_lib.cores.core_quota', lambda: quota)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)), raising=False)
    assert n_cores() == cores

def python(code, *command, preexec_fn=None, **environ):
    "What `code` prints in a new process, whose environment says nothing about threads but what is given."
    names = 'OMP_NUM_THREADS', 'OMP_WAIT_POLICY', *SHORT_WAITS
    env = {k: v for k,v in os.environ.items() if k not in names} | environ
    run = subprocess.run([*command, sys.executable, '-c', code], env=env, capture_output=True, text=True,
                         preexec_fn=preexec_fn, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.split(), run.stderr

COUNTS = '''from course_lib.cores import n_cores
from course_lib.core import torch
print(n_cores(), torch.get_num_threads())'''

@pytest.mark.skipif(shutil.which('taskset') is None, reason='needs taskset')
@pytest.mark.parametrize('wish, threads', [({}, '1'), ({'OMP_NUM_THREADS': '2'}, str(min(2, os.cpu_count())))])
def test_taskset(wish, threads):
    "One core: one thread, unless somebody has asked for more. (torch itself takes no more than the machine has.)"
    one = str(min(os.sched_getaffinity(0)))
    assert python(COUNTS, 'taskset', '-c', one, **wish)[0] == ['1', threads]

@contextmanager
def half_a_core():
    "A control group of this machine with half a core, where one may be made; yields the file that takes members."
    for top, files in (('cpu', {'cpu.cfs_quota_us': '50000'}), ('', {'cpu.max': '50000 100000'})):
        folder = Path('/sys/fs/cgroup')/top/f'course_lib_{os.getpid()}'
        try:
            folder.mkdir()
            for name,text in files.items():
                if not (folder/name).exists(): raise OSError
                (folder/name).write_text(text)
        except OSError:
            if folder.exists(): folder.rmdir()
            continue
        try: yield folder/'cgroup.procs'
        finally: folder.rmdir()
        return
    pytest.skip('no control group can be made here')

def test_half_a_core():
    "In a real group: one thread, of torch and of the loaders."
    code = COUNTS + '''
from course_lib.dataloaders import DataLoaders
from course_lib.datablock import DataBlock
print(DataBlock().dataloaders(list(range(10)), bs=2).train.num_workers)'''
    with half_a_core() as members:
        out, _ = python(code, preexec_fn=lambda: members.write_text(str(os.getpid())))
    assert out == ['1', '1', '1']

# ------------------------------------------------------------------ how threads wait

WAITS = "import os; print(*[os.environ.get(o) for o in ('GOMP_SPINCOUNT', 'KMP_BLOCKTIME')])"

@pytest.mark.parametrize('module', ['course_lib.core', 'course_lib.all', 'course_lib.losses', 'course_lib.samples'])
def test_set_before_torch(module):
    "No import of the course loads torch before the variables are set: it would warn."
    out, err = python(f'import {module}\n{WAITS}')
    assert (out, err) == (['1000', '0'], '')

@pytest.mark.parametrize('given, want', [
    ({'GOMP_SPINCOUNT': '77'}, ['77', '0']), ({'KMP_BLOCKTIME': '5'}, ['1000', '5']),
    ({'OMP_WAIT_POLICY': 'active'}, ['None', 'None'])])
def test_a_choice_stays(given, want): assert python(f'import course_lib.core\n{WAITS}', **given)[0] == want

LATE = 'import torch, course_lib.core, course_lib.all'

@pytest.mark.skipif(n_cores() == 1, reason='one core alone has nobody to wait for')
def test_torch_was_first():
    "Said once, and what is started from here waits briefly."
    out, err = python(f'{LATE}\n{WAITS}')
    assert err.count('torch was loaded before course_lib') == 1 and 'GOMP_SPINCOUNT=1000' in err
    assert out == ['1000', '0']

@pytest.mark.parametrize('given', [dict(GOMP_SPINCOUNT='9'), dict(KMP_BLOCKTIME='1'), dict(OMP_WAIT_POLICY='passive')])
def test_torch_was_first_by_choice(given): assert python(LATE, **given)[1] == ''

def test_what_is_chosen_comes_back():
    env = {'KMP_BLOCKTIME': '9'}
    assert wait_briefly(env) == {'GOMP_SPINCOUNT': '1000'}
    assert env == {'KMP_BLOCKTIME': '9', 'GOMP_SPINCOUNT': '1000'}
    assert wait_briefly(env) == {}
