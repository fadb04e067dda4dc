"The page of chapter 15 in a browser: drop a file, read the verdict, move the threshold."
import subprocess, sys
import pytest
from PIL import Image
from .conftest import need_gradio, served

@pytest.fixture
def drop(page, tmp_path):
    "Hand a file to the page; a colour, or the bytes of a file. The verdict is waited for by its headline."
    def f(what, headline, name='picture.png'):
        file = tmp_path/name
        if isinstance(what, bytes): file.write_bytes(what)
        else: Image.new('RGB', (60, 40), what).save(file)
        page.set_input_files('#drop input[type=file]', file)
        page.locator('#verdict h2', has_text=headline).wait_for()
    return f

def reason(page): return page.locator('#verdict p').first.inner_text()
def headline(page): return page.locator('#verdict h2').inner_text()
def bars(page): return [o.inner_text().split() for o in page.locator('#verdict li').all()]
def slide(page, t):
    page.get_by_label('number input for Threshold').fill(str(t))
    page.get_by_label('number input for Threshold').press('Enter')

def test_one_bear(page, drop):
    drop((230, 20, 20), 'Black bear')
    assert headline(page) == 'Black bear' and bars(page) == [['black', '90%'], ['grizzly', '8%'], ['teddy', '8%']]
    page.locator('#seen img').wait_for()
    assert page.locator('#verdict .over .name').all_inner_texts() == ['black']

def test_two_bears(page, drop):
    drop((200, 20, 240), 'Teddy bear and black bear')
    assert '94%' in reason(page) and '78%' in reason(page)

def test_no_bear(page, drop):
    drop((20, 100, 140), 'No bear found') # 55% for teddy, whose own threshold is 60%
    assert 'teddy' in reason(page) and '55%' in reason(page) and len(bars(page)) == 3
    assert page.locator('#verdict .over').count() == 0

def test_no_picture_gets_a_sentence_and_the_next_file_works(page, drop):
    drop(b'Dear bear, ...', 'That did not work', 'letter.txt')
    assert reason(page).startswith('“letter.txt” is no picture') and bars(page) == []
    page.locator('#seen').wait_for(state='hidden')
    assert page.get_by_text('Error').count() == 0
    drop(b'', 'That did not work', 'empty.jpg')
    page.get_by_text('“empty.jpg” is empty.').wait_for()
    drop((20, 230, 20), 'Grizzly bear')

def test_name_of_a_file_is_no_html(page, drop):
    drop(b'no picture', 'That did not work', '<img src=x onerror=alert(1)>.txt')
    assert page.locator('#verdict img').count() == 0 and 'no picture' in reason(page)

def test_threshold_acts_without_the_model(page, drop, stand_in):
    drop((140, 20, 20), 'Black bear') # 55%
    asked = (stand_in[1]/'asked').read_text()
    slide(page, .7)
    page.locator('#verdict h2', has_text='No bear found').wait_for()
    slide(page, .05)
    page.locator('#verdict h2', has_text='Black bear, grizzly bear and teddy bear').wait_for()
    page.get_by_label('range slider for Threshold').focus()
    page.keyboard.press('End')
    page.locator('#verdict h2', has_text='No bear found').wait_for()
    page.get_by_label('Reset to default value').click()
    page.locator('#verdict h2', has_text='Black bear').wait_for()
    assert (stand_in[1]/'asked').read_text() == asked

def test_threshold_holds_for_the_next_picture(page, drop):
    slide(page, .95)
    drop((230, 20, 20), 'No bear found')

def test_threshold_before_any_picture(page):
    slide(page, .2)
    page.wait_for_timeout(500)
    assert headline(page) == 'No picture yet'

def test_examples_can_be_clicked(page):
    page.locator('#examples button', has=page.get_by_alt_text('one teddy')).click()
    page.locator('#verdict h2', has_text='Teddy bear').wait_for()
    page.locator('#examples button', has=page.get_by_alt_text('nothing')).press('Enter')
    page.locator('#verdict h2', has_text='No bear found').wait_for()

DRAGGED = """async () => {
    const canvas = new OffscreenCanvas(40, 30), pen = canvas.getContext('2d')
    pen.fillStyle = 'rgb(240, 10, 10)'
    pen.fillRect(0, 0, 40, 30)
    const file = new File([await canvas.convertToBlob()], 'dragged.png', {type: 'image/png'})
    const data = new DataTransfer()
    data.items.add(file)
    return data
}"""

def test_file_is_dropped_with_the_mouse(page):
    "Not chosen in a dialog, but dragged from a folder."
    data = page.evaluate_handle(DRAGGED)
    page.locator('#drop button').first.dispatch_event('drop', {'dataTransfer': data})
    page.locator('#verdict h2', has_text='Black bear').wait_for()

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_fits_a_phone(browser, stand_in, scheme):
    tab = browser.new_page(viewport=dict(width=400, height=800), color_scheme=scheme)
    tab.goto(stand_in[0])
    tab.get_by_alt_text('one teddy').click()
    tab.locator('#verdict h2', has_text='Teddy bear').wait_for()
    assert tab.evaluate('document.documentElement.scrollWidth') <= 400
    for o in '#drop', '#verdict', '#threshold', '#examples':
        box = tab.locator(o).bounding_box()
        assert box['x'] >= 0 and box['x'] + box['width'] <= 400
    tab.close()

UNNAMED = """controls => [...controls]
    .filter(e => e.offsetParent && !(e.ariaLabel || e.innerText.trim() || e.title || e.labels?.length))
    .map(e => e.outerHTML)"""

def test_controls_have_names(page):
    "For who does not see them."
    page.get_by_role('heading', level=1, name='Is there a bear?').wait_for()
    page.get_by_role('slider', name='Threshold').wait_for()
    page.locator('#verdict[role=status]').wait_for()
    assert page.locator('button, input:not([type=file])').evaluate_all(UNNAMED) == []

def untrained(files):
    "A learner of three kinds of bears, before it has learned anything."
    import course_lib.all as c
    block = c.DataBlock((c.ImageBlock, c.MultiCategoryBlock(vocab=['black', 'grizzly', 'teddy'])),
                        get_y=lambda f: ['teddy'], splitter=c.IndexSplitter([0]), item_tfms=c.Resize(64))
    return c.vision_learner(block.dataloaders(files, bs=2, device='cpu'), c.efficientnet_lite0)

def test_command_serves_an_exported_model(browser, tmp_path):
    "`course_bears MODEL`, with a model that has not learned; the thresholds decide what it names."
    need_gradio()
    from course_lib.all import URLs, load_learner, untar_data
    from course_lib.bears import bear_examples
    examples = bear_examples(untar_data(URLs.BEARS_SAMPLE))
    learn = untrained([f for f,_ in examples])
    file = learn.export(tmp_path/'untrained.safetensors', thresholds=[0, 1, 0])
    probs = load_learner(file).get_preds([examples[0][0]])[0].tolist()

    run = 'from course_lib.bears import course_bears; raise SystemExit(course_bears())'
    command = ['-c', run, file, '--port', '{port}']
    with served(command, tmp_path/'log') as address:
        tab = browser.new_page()
        tab.goto(address)
        tab.get_by_alt_text(examples[0][1], exact=True).click()
        tab.locator('#verdict li').first.wait_for()
        assert tab.locator('#verdict .prob').all_inner_texts() == [f'{p:.0%}' for p in probs]
        assert tab.locator('#verdict .over .name').all_inner_texts() == ['black', 'teddy']
        tab.close()
        again = [sys.executable, *command[:3], '--port', address.split(':')[-1].strip('/')]
        second = subprocess.run(again, capture_output=True, text=True, timeout=120)
        assert second.returncode == 1 and 'in use' in second.stdout and 'Traceback' not in second.stderr
