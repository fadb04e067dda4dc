"`make gpu` on a machine without a graphics card."
import subprocess
import pytest, torch
import gpu # tools/

@pytest.mark.parametrize('built_for, why', [(None, 'without CUDA'), ('12.6', 'no card')])
def test_it_says_so_in_one_sentence_and_runs_nothing(monkeypatch, capsys, built_for, why):
    def nothing(*args, **kwargs): raise AssertionError('it must not start anything')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.version, 'cuda', built_for)
    monkeypatch.setattr(subprocess, 'call', nothing)
    gpu.main() # ends without an error: status 0
    said = capsys.readouterr().out
    assert said.count('\n') == 1 and said.endswith('.\n') and why in said and torch.__version__ in said

@pytest.mark.parametrize('status', [0, 1, 2])
def test_with_a_card_the_tests_come_first_and_a_failure_ends_it(monkeypatch, status):
    started = []
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(subprocess, 'call', lambda command, **kwargs: started.append(command[-1]) or status)
    if status:
        with pytest.raises(SystemExit) as e: gpu.main()
        assert e.value.code == status and len(started) == 1
    else:
        gpu.main()
        assert len(started) == 2 and started[1].endswith('gpu.py')
