"What stands in settings.ini. (`setup.py` reads it by itself: it must work without this folder.)"
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

def settings(root=ROOT):
    "Those of the project in the folder `root`."
    cfg = ConfigParser(delimiters=['='])
    cfg.read(Path(root)/'settings.ini', encoding='utf-8')
    return cfg['DEFAULT']
