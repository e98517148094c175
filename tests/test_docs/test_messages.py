"""Every message of the package is on the page on troubleshooting, with what to do."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'docs/hooks'))

import messages  # noqa: E402

WRITTEN = messages.advice()
FOUND = messages.messages(WRITTEN)
ENTRIES = [entry for topic in WRITTEN['topics'] for entry in topic['entries']]
ADVISED = [message for message in FOUND if messages.entry_of(message, ENTRIES)]


def test_no_message_is_without_advice_and_no_advice_without_a_message():
    assert len(FOUND) > 250
    assert messages.faults(FOUND, WRITTEN) == []


def test_a_new_message_is_noticed():
    new = messages.Message('classroomkd_mm/structures.py', 1, 'error', 'the moon is full')
    [fault] = messages.faults([*ADVISED, new], WRITTEN)
    assert 'structures.py:1 has no entry' in fault and 'the moon is full' in fault
    stale = dict(WRITTEN, topics=[*WRITTEN['topics'], dict(title='', entries=[
        {'in': 'classroomkd_mm/*', 'says': 'the moon is full'}])])
    [fault] = messages.faults(ADVISED, stale)
    assert 'no message is of the entry' in fault


@pytest.mark.parametrize('entry', ENTRIES, ids=lambda entry: entry['title'])
def test_an_entry_says_what_it_means_and_what_to_do(entry):
    assert len(entry['means'].split()) > 5
    assert entry.get('hidden') or entry['do'].strip()


def read(tmp_path, monkeypatch, source, makers=()):
    monkeypatch.setattr(messages, 'ROOT', tmp_path)
    (tmp_path / 'code.py').write_text(source)
    return [m.text for m in messages.Reader(tmp_path / 'code.py', list(makers)).messages()]


@pytest.mark.parametrize(
    'statement, text',
    [
        ("raise ValueError('no mentors')", 'no mentors'),
        ("raise ValueError(f'{who}: {a.b[0]!r} is {len(x)} of {x[\"key\"]}')",
         '{who}: {b} is {x} of {key}'),
        ("raise ValueError(f'one {\", \".join(names)}' + ' two')", 'one {names} two'),
        ("raise OSError(1, f'{path} is full')", '{path} is full'),
        ("logger.warning(f'{BEGIN} goes on')", 'it goes on'),
        ("parser.error('--zoo is missing')", '--zoo is missing'),
        ("raise ValueError(f'is {\"below\" if low else \"above\"} it')", 'is below or above it'),
        ('raise SystemExit(str(error))', ''),
    ],
)
def test_a_template_is_read_off_the_source(tmp_path, monkeypatch, statement, text):
    assert read(tmp_path, monkeypatch, f"BEGIN = 'it'\n{statement}\n") == [text]


def test_what_a_function_says_for_others_is_read_too(tmp_path, monkeypatch):
    source = '''
def said(x):
    """Not this long sentence of a docstring."""
    return f'{x} is none of the four words' if x else 'short'
'''
    assert read(tmp_path, monkeypatch, source) == []
    assert read(tmp_path, monkeypatch, source, ['said']) == ['{x} is none of the four words']


def test_the_page_shows_message_meaning_and_advice():
    text = messages.page(FOUND, WRITTEN)
    assert '- `mentoring.tau={tau} is not positive`' in text
    assert text.count('**What it means.**') == sum(not entry.get('hidden') for entry in ENTRIES)
    shown = {m.text for m in ADVISED if not messages.entry_of(m, ENTRIES).get('hidden')}
    assert all(f'{each}' in text for each in shown if '`' not in each)
