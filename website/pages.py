"""Pages that are made from what stands elsewhere: the glossary from the index, how fast the course is from
`bench/README.md`, and what differs from fastai from chapter 17."""
import re
from pathlib import Path
from api import ROOT, cells

DIFFERENCES = '17_coming_from_fastai.ipynb'

def texts(notebook):
    "The texts of a notebook, in order; `None` for a cell of code."
    return [''.join(c['source']) if c['cell_type'] == 'markdown' else None for c in cells(notebook)]

def sections(text, level=2):
    "Pairs (title, text below it) of a Markdown text; the first title is empty, for what stands before."
    parts = re.split(rf'^{"#"*level} (.+)$', text, flags=re.MULTILINE)
    return [('', parts[0].strip()), *((t, body.strip()) for t,body in zip(parts[1::2], parts[2::2]))]

def to_repository(text, folder, settings):
    "Links that are relative to `folder` of the repository, made to lead there; those to notebooks stay on the site."
    base = f'{settings["git_url"]}/blob/{settings["branch"]}/'
    def fixed(m):
        if re.match(r'[a-z]+:|/|#', m[1]) or '.ipynb' in m[1]: return m[0]
        path = (ROOT/folder/m[1].split('#')[0]).resolve()
        return f']({base}{path.relative_to(ROOT).as_posix()})' if path.exists() else m[0]
    return re.sub(r'\]\(([^)\s]+)\)', fixed, text)

# ------------------------------------------------------------------ the glossary

def rows(table):
    "The rows of a Markdown table, without its head; a bar that is escaped is no border."
    lines = [o for o in table.splitlines() if o.startswith('|')]
    return [[c.strip().replace('\\|', '|') for c in re.split(r'(?<!\\)\|', o)[1:-1]] for o in lines[2:]]

def terms():
    "(term, in one line, link to the chapter) for each row of the glossary in the index."
    text = '\n'.join(o for o in texts('index.ipynb') if o)
    return rows(dict(sections(text))['Glossary'])

def glossary(settings):
    entry = lambda term, line, chapter: f'{term}\n  {line[:1].upper()}{line[1:]}. Chapter {chapter}.'
    found = '\n\n'.join(entry(*row) for row in terms())
    return f"""# Glossary

{len(terms())} words that the course uses, each in one line, with the chapter that explains it.

:::{{glossary}}
{found}
:::
"""

# ------------------------------------------------------------------ how fast

def speed(settings):
    "The measurements, the last figures first."
    title, *rest = (ROOT/'bench'/'README.md').read_text(encoding='utf-8').split('\n', 1)
    (_, intro), *parts = sections(rest[0])
    found = dict(parts)
    first = intro.split('\n\n')[0]
    order = ['Last figures', 'What is measured', *(t for t in found if t not in ('Last figures', 'What is measured'))]
    how = intro.removeprefix(first).strip()
    found['What is measured'] += f'\n\n### Measure it yourself\n\n{how}'
    body = '\n\n'.join(f'## {t}\n\n{found[t]}' for t in order)
    return to_repository(f'# How fast it is\n\n{first}\n\n{body}\n', 'bench', settings)

# ------------------------------------------------------------------ what differs from fastai

def told():
    "(part of chapter 17, heading, what is said there without its code) for each difference."
    part, found = '', []
    for text in (o for o in texts(DIFFERENCES) if o):
        text = re.sub(r'<details>.*?</details>', '', text, flags=re.DOTALL).strip()
        for line in re.split(r'\n{2,}', text):
            if line.startswith('## '): part = line[3:]
            elif line.startswith('### '): found.append((part, line[4:], []))
            elif found and found[-1][0] == part: found[-1][2].append(line)
    return [(part, heading, said) for part,heading,said in found if said and not heading.startswith('Exercise')]

def without_code(paragraph):
    "A paragraph without a last sentence that announces code: one that ends with a colon."
    return re.sub(r'(?:^|(?<=[.!?]) )[^.!?]*:$', '', paragraph)

def in_short(said):
    "The first paragraph, and what is said from *Instead* on."
    return [without_code(said[0]), *(o[o.index('*Instead'):] for o in said[1:] if '*Instead' in o)]

def differences(settings):
    text = '\n\n'.join(o for o in texts(DIFFERENCES) if o)
    chapter = dict(sections(text))
    parts, part = [], ''
    for new,heading,said in told():
        if new != part: parts.append(f'## {new}')
        part = new
        parts += [f'### {heading}', *in_short(said), f'[Shown with code]({DIFFERENCES}#{link_name(heading)})']
    recap = re.sub(r'\n\nBack to .*', '', chapter['Recap'], flags=re.DOTALL)
    left_out = [without_code(o) for o in chapter['Left out'].split('\n\n')]
    end = '\n\n'.join(left_out)
    body = '\n\n'.join(parts)
    return to_repository(f"""# What differs from fastai

Code that was written for fastai runs here after its import is changed. {len(told())} things differ on purpose.
[Chapter 17]({DIFFERENCES}) shows each with code; this page has the list.

## The list in short

{recap}

{body}

## Left out

{end}
""", 'nbs', settings)

def link_name(heading):
    "A heading as JupyterLab links to it; without quotation marks, which end an id."
    return heading.replace('`', '').replace('"', '').replace(' ', '-')

def write(folder, settings):
    "Write glossary.md, speed.md and differences.md into `folder`."
    pages = dict(glossary=glossary, speed=speed, differences=differences)
    for name,page in pages.items(): (Path(folder)/f'{name}.md').write_text(page(settings), encoding='utf-8')
    return [Path(folder)/f'{name}.md' for name in pages]
