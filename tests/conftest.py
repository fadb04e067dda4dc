import os
from pathlib import Path
import pytest

os.environ.setdefault('MPLBACKEND', 'agg')

@pytest.fixture(scope='session')
def root():
    "The folder of the project."
    return Path(__file__).resolve().parent.parent

@pytest.fixture
def home(tmp_path, monkeypatch):
    "An empty folder for data sets, in place of the learner's own."
    monkeypatch.setenv('COURSE_LIB_HOME', str(tmp_path/'home'))
    return tmp_path/'home'
