"Questions in JupyterLab for those who hear the page, have no mouse, or work in the dark."
import re
import pytest
from course_lib.cards import NOTED, PASS, TRY_AGAIN, UNANSWERED
from course_lib.questions import questions
from .conftest import in_lab, run_cells

CELLS = ['from course_lib.questionnaire import *', 'ask(1)', 'check(15, lambda x, low, high: x)', 'check(15)',
         "check(15, 'torch.sigmoid(x)*(high-low)+low')", "check('A', [1])", 'hint(2)', 'solution(7)', 'progress()']
STATES = PASS, TRY_AGAIN, UNANSWERED, NOTED
QUESTION = next(q for q in questions if q.n == 1)

@pytest.fixture(scope='module')
def tab(browser, tmp_path_factory):
    with in_lab(browser, tmp_path_factory.mktemp('lab'), CELLS) as tab:
        run_cells(tab, len(CELLS))
        tab.get_by_text('Your progress').wait_for()
        tab.locator('.widget-html[role=status]').wait_for(state='attached')
        yield tab

def told(tab):
    "What a screen reader is told: pairs of a node and its parent in the accessibility tree, by role."
    tree = tab.context.new_cdp_session(tab).send('Accessibility.getFullAXTree')['nodes']
    by_id = {o['nodeId']: o for o in tree}
    def role(o): return o['role']['value'] if 'role' in o else ''
    def parents(o):
        while (o := by_id.get(o.get('parentId'))): yield o
    return [(role(o), o, list(parents(o))) for o in tree if not o.get('ignored')]

def name(o): return ' '.join(o.get('name', {}).get('value', '').split())
def properties(o): return {p['name']: p['value'].get('value') for p in o.get('properties', [])}
def plain(s): return ' '.join(s.replace('`', '').replace('*', '').split())

def the_group(tab):
    group, = [o for role,o,_ in told(tab) if role == 'group' and name(o) == QUESTION.heading]
    return group

def test_the_group_is_named_by_the_question(tab): the_group(tab)

def test_each_button_is_named_by_its_letter_and_option(tab):
    group = the_group(tab)
    buttons = [(o, above) for role,o,above in told(tab) if role == 'button']
    names = [name(o) for o,above in buttons if group['nodeId'] in [p['nodeId'] for p in above]]
    assert [o[:2] for o in names] == ['a ', 'b ', 'c ', 'd ']
    assert {o[2:] for o in names} == {plain(QUESTION.right), *(plain(w.answer) for w in QUESTION.wrong)}

def live(tab):
    "Places below the question's cell whose changes are said."
    inside = tab.locator('.jp-CodeCell', has_text='ask(1)').locator('.jp-OutputArea')
    return inside.locator('[role=status], [role=alert], [aria-live]')

def test_one_live_region_is_there_before_the_first_click(tab):
    assert live(tab).count() == 1 and live(tab).inner_text() == ''
    empty = [o for role,o,_ in told(tab) if role == 'status' and properties(o).get('live') == 'polite']
    assert empty and all(properties(o).get('atomic') for o in empty)

# The region stays the same element; what is put in and taken out is counted.
WATCH = """region => { window.region = region; window.added = 0;
    new MutationObserver(changes => changes.forEach(o => window.added += o.addedNodes.length)).observe(
        region, {childList: true, subtree: true}) }"""

def test_the_keyboard_is_enough_and_every_verdict_is_said(tab):
    live(tab).evaluate(WATCH)
    buttons = {b.text_content()[0]: plain(b.text_content()[1:]) for b in tab.locator('.course-option').all()}
    tab.locator('.course-option').first.focus()
    for key,letter in zip(['Enter', 'Space', 'Enter', 'Space'], 'abcd'):
        assert tab.evaluate('document.activeElement.textContent[0]') == letter
        tab.keyboard.press(key)
        expected = PASS if buttons[letter] == plain(QUESTION.right) else TRY_AGAIN
        live(tab).get_by_text(buttons[letter]).wait_for()
        assert live(tab).inner_text().startswith(expected)
        assert tab.evaluate('document.activeElement.textContent[0]') == letter # one goes on from there
        tab.keyboard.press('Tab')
    assert live(tab).count() == 1 and live(tab).evaluate('o => o === window.region')
    tab.keyboard.press('Shift+Tab')
    added = tab.evaluate('window.added')
    tab.keyboard.press('Enter') # the same once more
    tab.wait_for_function('added => window.added > added', arg=added)

# The least contrast of each text within cards and boxes, as WCAG 2 counts it, opacity and all.
CONTRAST = """() => {
    const rgba = s => { const n = s.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1] }
    const over = (a, b) => { // colours with alpha, one on the other
        const alpha = a[3] + b[3]*(1 - a[3])
        return [0, 1, 2].map(i => alpha ? (a[i]*a[3] + b[i]*b[3]*(1 - a[3]))/alpha : 0).concat(alpha) }
    const light = c => {
        const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v/12.92 : ((v + .055)/1.055)**2.4)
        return .2126*r + .7152*g + .0722*b }
    const measure = element => {
        let text = rgba(getComputedStyle(element).color), ground = [0, 0, 0, 0]
        for (let o = element; o; o = o.parentElement) {
            const style = getComputedStyle(o), own = rgba(style.backgroundColor)
            text = over(text, own); ground = over(ground, own)
            text[3] *= style.opacity; ground[3] *= style.opacity }
        const [a, b] = [text, ground].map(c => light(over(c, [255, 255, 255, 1]))).sort((x, y) => y - x)
        return (a + .05)/(b + .05) }
    const found = []
    for (const root of document.querySelectorAll('.jp-OutputArea-output')) {
        const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
        while (walk.nextNode()) {
            const {textContent, parentElement} = walk.currentNode
            if (!textContent.trim() || parentElement.tagName === 'STYLE') continue
            found.push([measure(parentElement), textContent.trim()]) } }
    return found }"""

@pytest.mark.parametrize('theme', ['JupyterLab Light', 'JupyterLab Dark'])
def test_everything_can_be_read(tab, theme):
    tab.locator('.course-option').first.click()
    tab.evaluate("theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    tab.wait_for_function("light => document.body.dataset.jpThemeLight === light", arg=str('Light' in theme).lower())
    tab.wait_for_timeout(1000) # its style sheet comes a little later
    found = tab.evaluate(CONTRAST)
    seen = ' '.join(text for _,text in found)
    for o in *STATES, 'Your choice:', 'You chose', 'Hint 1', 'Solution', 'Your progress', 'Stuck?': assert o in seen, o
    assert len(found) > 100
    assert [(round(ratio, 2), text) for ratio,text in found if ratio < 4.5] == []
    dark = tab.evaluate("getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor")
    assert (max(map(int, re.findall(r'\d+', dark)[:3])) < 60) == ('Dark' in theme)
