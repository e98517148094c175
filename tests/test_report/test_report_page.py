"""The command and its page; in a browser where Chromium and selenium are there."""

import json
import re
import shutil
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from classroomkd_mm.report.command import main
from classroomkd_mm.report.page import as_json
from classroomkd_mm.report.standing import Standing, answer, candidate

CHROMIUM, DRIVER = (shutil.which(name) for name in ('chromium', 'chromedriver'))
browser_only = pytest.mark.skipif(
    not (CHROMIUM and DRIVER and find_spec('selenium')),
    reason='needs chromium, chromium-driver (Debian packages) and selenium',
)
HOSTILE = (
    '</script><script>window.hit=1</script>',
    '<img src=x onerror="window.hit=1">',
    '\'"&amp;<b>bold</b>{{7*7}}${7*7}%s',
    'a/b\u2028c',
    'x' * 300,
)


def made(tmp_path, *args):
    """The page, and its data."""
    out = tmp_path / 'pages/page.html'
    assert main([*map(str, args), '--out', str(out)]) == 0
    text = out.read_text()
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return out, text, json.loads(block[1])


def test_a_verdict_rests_on_lessons_and_on_who_is_alone_right():
    rows = [Standing('a', 0.5, 0.6, 30, 100, 0.4), Standing('b', 0.04, 0.5, 1, 100, 0.23),
            Standing('c', 0.9, 0.9, 0, 100, 0.1), Standing('d', 0.04, 0.5)]  # fmt: skip
    assert [each.verdict for each in rows] == [
        'keep it', 'drop it', 'try without it', 'drop it'
    ]  # fmt: skip
    assert candidate(rows).mentor == 'b'
    assert answer(rows[:2]) == (
        'Mentor b taught 4 % of the samples of the last epoch and was alone right on 1 % '
        '(1 of 100 looked at): drop it to save 23 % of a step.'
    )
    assert answer(rows[::2]) == (
        'Mentor c taught 90 % of the samples of the last epoch and was alone right on 0 % (0 of '
        '100 looked at): wherever it is right another member mostly is, too. Try a run without it '
        'to save 10 % of a step.'
    )
    assert answer(rows[:1]).startswith('Keep all mentors. The least needed is a: it taught 50 %')
    assert 'The same may hold for d: drop one, then look again.' in answer(rows)
    free = Standing('e', 0.01, 0.5, 0, 100, 0.001, 'keypoints')
    assert answer([free]).startswith('Mentor e taught 1 % of the keypoints of the last')
    assert answer([free]).endswith('(0 of 100 looked at): drop it.')


def test_nothing_in_the_data_ends_their_element():
    text = as_json({name: name for name in HOSTILE})
    assert not set('<>&\u2028') & set(text) and list(json.loads(text)) == list(HOSTILE)


def test_a_page_of_a_pose_run_needs_nothing_else(pose_run, tmp_path, capsys):
    _, text, data = made(tmp_path, pose_run, '--samples', 8, '--title', 'A <run>')
    assert not data['left_out'] and '<h1>A &lt;run&gt;</h1>' in text
    outside = re.sub(r'<script>.*?</script>', '', text, flags=re.DOTALL)
    assert not re.search(r'(src|href)=["\']?(https?:|//|\w+\.(js|css))', outside)
    (group,) = data['groups']
    assert group['mentors'] == ['large', 'medium', 'small'] and data['metric'] == 'coco/AP'
    assert group['metrics']['coco/AP']['x'] == [1, 2]
    looked = group['looked']
    assert looked['kind'] == 'pose' and len(looked['samples']) == 8
    assert len(looked['skeleton']['names']) == 17 and len(looked['skeleton']['taught']) == 3
    rows = group['standings']
    assert [row['samples'] for row in rows] == [looked['labelled']] * 3
    assert [row['alone'] for row in rows] == looked['alone'][1:]
    last = json.loads((pose_run / 'classroom.jsonl').read_text().splitlines()[-1])
    assert [row['taught_last'] for row in rows] == [
        pytest.approx(last['mentors'][name]['active']) for name in group['mentors']
    ]
    assert group['answer'] in capsys.readouterr().out
    assert group['remarks'][0].startswith('coco/AP of the students at the end: classroom ')


def test_without_its_mentors_files_a_page_is_made_from_the_logs(pose_run, tmp_path, capsys):
    folder = tmp_path / 'moved'
    shutil.copytree(pose_run, folder)
    for config in (*folder.glob('*/vis_data/config.py'), *folder.glob('*.py')):
        config.write_text(config.read_text().replace('/0.pth', '/gone.pth'))
    _, text, data = made(tmp_path, folder)
    (why,) = data['left_out']
    assert 'no gallery' in why and 'gone.pth' in why and 'does not exist' in why
    assert 'gone.pth' in text.split('id="left-out"')[1][:800]
    assert 'left out: ' in capsys.readouterr().out
    assert 'looked' not in data['groups'][0] and data['groups'][0]['standings'][0]['cost'] is None
    for file in folder.glob('*.pth'):
        file.unlink()
    (folder / 'last_checkpoint').unlink()
    assert 'holds no checkpoint' in made(tmp_path, folder)[2]['left_out'][0]


def test_remembered_answers_are_used(remembering, train, tmp_path):
    train(remembering)
    for mentor in remembering.model.mentors:
        Path(mentor.checkpoint).unlink()  # nobody can be asked any more
    _, _, data = made(tmp_path, remembering.work_dir, '--samples', 8)
    (group,) = data['groups']
    assert not data['left_out'] and group['cost']['remembered'] == [8, 8, 8]
    assert group['cost']['weights'][1:] == [None] * 3


def test_wrong_arguments_are_named(pose_run, tmp_path, capsys):
    with pytest.raises(ValueError, match='--metric AP: the runs report coco/AP, '):
        main([str(pose_run), '--metric', 'AP'])
    with pytest.raises(ValueError, match=f'--out {tmp_path} is a folder: name a file, e.g. '):
        main([str(pose_run), '--out', str(tmp_path)])
    (tmp_path / 'file').touch()
    for place in ('file/page.html', 'file/new/page.html'):
        with pytest.raises(ValueError, match=f'--out {tmp_path}/{place}: .* is a file, no folder'):
            main([str(pose_run), '--out', str(tmp_path / place)])
    alone = tmp_path / 'alone'
    shutil.copytree(pose_run, alone)
    (alone / 'classroom.jsonl').unlink()
    with pytest.raises(ValueError, match='alone: none has lessons in classroom.jsonl; give'):
        main([str(alone)])
    for flags, words in (
        (['--samples', '0'], 'argument --samples: 0 is not a whole number from 1 on'),
        (['--right', '2'], 'argument --right: 2 is not above 0 and at most 1'),
        (['--right', 'abc'], 'argument --right: abc is not above 0 and at most 1'),
    ):
        with pytest.raises(SystemExit):
            main([str(pose_run), *flags])
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['--help'])
    assert 'seeds, with bands' in capsys.readouterr().out


def test_without_its_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr('classroomkd_mm.report.page.LIBRARIES', ('jinja2', 'no_such_plotly'))
    with pytest.raises(ImportError, match='report needs no_such_plotly: pip install no_such_plo'):
        main(['anything'])


@contextmanager
def opened(path, width=1280, height=900):
    """A page in a headless browser, complete."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ('headless=new', 'no-sandbox', 'disable-gpu', 'disable-dev-shm-usage'):
        options.add_argument(f'--{flag}')
    options.add_argument(f'--window-size={width},{height}')
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL', 'performance': 'ALL'})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.get(path.resolve().as_uri())
        yield Page(driver)
    finally:
        driver.quit()


class Page:
    def __init__(self, driver):
        self.driver = driver

    def js(self, code, *args):
        return self.driver.execute_script(f'return {code}', *args)

    def wait(self, code):
        end = time.time() + 20
        while not self.js(code):
            assert time.time() < end, code
            time.sleep(0.05)

    def pick(self, name, value):
        """Choose as a user does, by keyboard or mouse."""
        from selenium.webdriver.support.ui import Select

        Select(self.driver.find_element('id', name)).select_by_value(value)

    def drawn(self, name):
        """Scroll to a plot, and how often it has been drawn."""
        self.js(f'document.getElementById("{name}").scrollIntoView({{behavior: "instant"}})')
        self.wait(f'document.getElementById("{name}").dataset.drawn')
        return int(self.js(f'document.getElementById("{name}").dataset.drawn'))

    def names(self, name):
        return self.js(f'document.getElementById("{name}").data.map((each) => each.name)')

    def clean(self):
        """Nothing is in the console, nothing was fetched."""
        assert self.js('document.body.dataset.ready') == 'true'
        assert [each['message'] for each in self.driver.get_log('browser')] == []
        sent = [
            json.loads(each['message'])['message'] for each in self.driver.get_log('performance')
        ]
        urls = [
            each['params']['request']['url']
            for each in sent
            if each['method'] == 'Network.requestWillBeSent'
        ]
        assert not [url for url in urls if not url.startswith(('file:', 'data:', 'blob:'))]

    def cards(self):
        return self.js('[...document.querySelectorAll(".card")].map((each) => each.dataset)')


@browser_only
def test_in_a_browser_the_controls_do_what_they_say(pose_run, tmp_path):
    alone = tmp_path / 'alone'
    shutil.copytree(pose_run, alone)
    (alone / 'classroom.jsonl').unlink()
    for config in (*alone.glob('*/vis_data/config.py'), *alone.glob('*.py')):
        config.write_text("model = dict(type='TopdownPoseEstimator')\n")
    out, _, data = made(tmp_path, pose_run, alone, '--samples', 24)
    group = data['groups'][0]
    samples = group['looked']['samples']
    with opened(out) as page:
        assert page.js('document.getElementById("words").textContent') == group['answer']
        assert page.js('document.querySelectorAll("#standings tbody tr").length') == 3
        assert page.drawn('plot-student') == 1 and page.names('plot-student') == [
            'classroom',
            'alone',
        ]
        page.pick('metric', 'coco/AR')
        page.wait('document.getElementById("plot-student").dataset.drawn === "2"')
        assert 'coco/AR' in page.js(
            'document.getElementById("plot-student").layout.yaxis.title.text'
        )
        check_who_taught(page)
        check_skeletons(page, group['looked']['skeleton'])
        check_gallery(page, samples)
        for name in ('scores', 'ranks', 'temperatures', 'contest', 'cost'):
            page.drawn(f'plot-{name}')
            assert page.js(f'document.getElementById("plot-{name}").getAttribute("aria-label")')
        page.clean()


def check_who_taught(page):
    page.drawn('plot-taught')
    assert page.names('plot-taught') == ['large', 'medium', 'small']
    assert page.js('document.getElementById("plot-taught").data[0].stackgroup') == 'all'
    page.driver.find_element('css selector', 'input[name=stack][value=lines]').send_keys(' ')
    page.wait('document.getElementById("plot-taught").dataset.drawn === "2"')
    assert page.js('document.getElementById("plot-taught").data[0].stackgroup') is None


def check_skeletons(page, skeleton):
    shares = '[...document.querySelectorAll("#skeletons circle")].map((dot) => dot.dataset.share)'
    for kind in ('taught', 'ahead'):
        page.driver.find_element('css selector', f'input[name=share][value={kind}]').send_keys(' ')
        flat = [share for row in skeleton[kind] for share in row]
        assert page.js(shares) == ['' if each is None else f'{each:g}' for each in flat]


def check_gallery(page, samples):
    apart = sorted((each['apart'] for each in samples), reverse=True)
    assert [float(each['apart']) for each in page.cards()] == apart
    page.pick('sort', 'number')
    numbers = [int(each['number']) for each in page.cards()]
    assert numbers == sorted(each['number'] for each in samples) and len(numbers) == 24
    tests = {
        'taught:2': lambda each: each['members'][2]['taught'],
        'silent:1': lambda each: not each['members'][1]['taught'],
        'wrong:': lambda each: not any(member['right'] for member in each['members']),
    }
    for value, test in tests.items():
        page.pick('filter', value)
        kept = sorted(each['number'] for each in samples if test(each))
        assert [int(each['number']) for each in page.cards()] == kept
        said = page.js('document.getElementById("shown").textContent')
        assert said == f'{len(kept)} of {len(kept)} (24 looked at)'
    page.pick('filter', 'all:')
    seen = 'document.querySelectorAll("#cards g[data-member=\'1\']:not([hidden])").length'
    assert page.js(seen) == 24
    box = page.driver.find_element('css selector', '#members input[value="1"]')
    box.send_keys(' ')
    assert page.js(seen) == 0
    page.pick('sort', 'apart')  # cards that are made anew stay as was asked
    assert page.js(seen) == 0
    box.send_keys(' ')
    assert page.js(seen) == 24


@browser_only
def test_a_page_of_classes_in_a_browser(class_run, tmp_path):
    out, _, data = made(tmp_path, class_run, '--samples', 40)
    looked = data['groups'][0]['looked']
    assert looked['kind'] == 'class' and sum(looked['by_class']['counts']) == 40
    with opened(out, 420, 900) as page:
        assert page.js('document.getElementById("keypoints").hidden')
        page.drawn('plot-classes')
        assert page.js('document.getElementById("plot-classes").data[0].z.length') == 5
        assert len(page.cards()) == 24
        page.js('document.getElementById("more").click()')
        assert len(page.cards()) == 40 and page.js('document.getElementById("more").hidden')
        first = page.js('document.querySelector(".card li .what").textContent')
        assert re.match(r'[\w/ -]+ \d+ %, ', first)
        # It fits a phone: nothing is wider than the window.
        assert page.js('document.documentElement.scrollWidth <= window.innerWidth')
        page.clean()


def long_run(folder, seed, names, epochs=500):
    """A work dir of many epochs and mentors."""
    vis = folder / '20260101_000000/vis_data'
    vis.mkdir(parents=True)
    (vis / 'config.py').write_text(f'model = dict(mentors=[])\nrandomness = dict(seed={seed})\n')
    with (folder / 'classroom.jsonl').open('w') as lines, (vis / 'scalars.json').open('w') as told:
        for epoch in range(1, epochs + 1):
            mentors = {
                name: dict(active=1 / (1 + i + epoch / 9), score=0.5, rank=1 + (epoch * i) % 7,
                           temperature=1 + (epoch * i) % 5, muted_batches=0)
                for i, name in enumerate(names)
            }  # fmt: skip
            line = dict(epoch=epoch, iter=epoch, student_score=epoch / epochs, mentors=mentors)
            lines.write(json.dumps(line) + '\n')
            told.write(json.dumps({'accuracy/top1': epoch / 9 + seed, 'step': epoch}) + '\n')
    return folder


@browser_only
def test_twelve_mentors_of_hostile_names_for_500_epochs(tmp_path):
    names = (*HOSTILE, *(f'mentor {i}' for i in range(12 - len(HOSTILE))))
    folders = [long_run(tmp_path / f'long/seed_{seed}', seed, names) for seed in range(3)]
    out, text, data = made(tmp_path, *folders, '--no-gallery', '--title', HOSTILE[0])
    assert len(data['groups']) == 1 and data['groups'][0]['metrics']['accuracy/top1']['low']
    assert HOSTILE[0] not in text and HOSTILE[1] not in text
    with opened(out) as page:
        assert page.js('performance.getEntriesByType("navigation")[0].domComplete') < 10_000
        started = time.time()
        for name in ('student', 'taught', 'scores', 'ranks', 'temperatures'):
            page.drawn(f'plot-{name}')
        assert time.time() - started < 10
        cells = page.js(
            '[...document.querySelectorAll("#standings tbody td:first-child")]'
            '.map((each) => each.textContent)'
        )
        assert cells == list(names)
        legend = page.js(
            '[...document.querySelectorAll("#plot-taught .legendtext")]'
            '.map((each) => each.textContent)'
        )
        shown = [name if len(name) <= 28 else f'{name[:27]}…' for name in HOSTILE[:3]]
        assert set(shown) <= set(legend) and len(legend) == 12
        assert page.js('document.title') == HOSTILE[0]
        assert page.js(
            'window.hit === undefined && document.querySelectorAll("main img, main b").length === 0'
        )
        page.clean()
