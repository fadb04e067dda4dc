"The package's settings are in settings.ini; this file only hands them to setuptools."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_packages, setup

cfg = ConfigParser(delimiters=['='])
cfg.read(Path(__file__).parent/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']
setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'],
    long_description=(Path(__file__).parent/'README.md').read_text(encoding='utf-8') if (Path(__file__).parent/'README.md').exists() else '',
    packages=find_packages(include=['course_lib', 'course_lib.*']), python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
)
