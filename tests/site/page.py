"A page as a browser takes it: the ids in it, what it leads to or loads, and what is wrong with its HTML."
import re
from collections import Counter
from html.parser import HTMLParser

ONLY_SAID = {'canonical', 'next', 'prev', 'search', 'author', 'index', 'help', 'copyright', 'license'} # of a <link>
CODE = re.compile(r'<pre[ >].*?</pre>', re.DOTALL)
WORD = re.compile(r'<span class="[\w ]+">([^<>]*)</span>') # of coloured code

class Page(HTMLParser):
    "What the tags of a page say, in one pass."
    def __init__(self, file, name):
        super().__init__()
        self.name, self.file, self.size = name, file, file.stat().st_size
        self.ids, self.names, self.leads_to, self.loads, self.without_alt = Counter(), set(), [], [], []
        self.meta, self.heads, self.title, self.lang, self.inside = {}, [], '', None, []
        self.feed(file.read_text(encoding='utf-8'))
        self.close()
        self.anchors = {*self.ids, *self.names}
        self.heads, self.title = [' '.join(o.split()) for o in self.heads], self.title.strip()

    def handle_starttag(self, tag, attrs):
        o = dict(attrs)
        if o.get('id'): self.ids[o['id']] += 1
        if tag == 'html': self.lang = o.get('lang')
        if tag == 'a' and o.get('name'): self.names.add(o['name'])
        if tag in ('a', 'area') and o.get('href'): self.leads_to.append(o['href'])
        if tag == 'img' and o.get('alt', 0) == 0: self.without_alt.append(o.get('src', '')[:80])
        if tag == 'meta': self.meta[o.get('property') or o.get('name')] = o.get('content')
        if address := loaded(tag, o): self.loads.append(address)
        if tag == 'h1' and 'article' in self.inside: self.heads.append('')
        if tag in ('title', 'article', 'h1', 'svg'): self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in self.inside: del self.inside[len(self.inside) - 1 - self.inside[::-1].index(tag):]

    def handle_data(self, data):
        if self.inside[-1:] == ['title']: self.title += data
        if self.inside[-1:] == ['h1'] and 'article' in self.inside: self.heads[-1] += data

def loaded(tag, o):
    "The address of what an element with the attributes `o` brings into the page."
    if tag == 'link': return o.get('href') if {*(o.get('rel') or '').split()} - ONLY_SAID else None
    return o.get('src') or o.get('poster') or (o.get('data') if tag == 'object' else None)

def errors(text):
    "What the parser that browsers have finds wrong: (line, kind). In code, coloured words are taken as text."
    import html5lib
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder('etree'), namespaceHTMLElements=False)
    parser.parse(CODE.sub(lambda m: WORD.sub(r'\1', m[0]), text))
    return [(line, code) for (line, _), code, _ in parser.errors]

def errors_in(file): return errors(file.read_text(encoding='utf-8'))
