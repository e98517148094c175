"""Numbers of the command line, and what is said of what is none."""

import argparse

import pytest

from classroomkd_mm.arguments import above_zero, fraction, not_negative, positive

WHOLE, SHARE = 'is not a whole number from', 'is not above 0 and at most 1'


@pytest.mark.parametrize(
    'kind, right, wrong, words',
    [
        (positive, {'1': 1, '20': 20}, ['0', '-1', '1.5', 'abc', ''], f'{WHOLE} 1 on'),
        (not_negative, {'0': 0, '3': 3}, ['-1', '0.5', 'x'], f'{WHOLE} 0 on'),
        (fraction, {'1': 1.0, '1e-3': 0.001}, ['0', '1.1', '-1', 'nan', 'inf', 'abc'], SHARE),
        (above_zero, {'19.5': 19.5}, ['0', '-1', 'nan', 'inf', 'abc'], 'is not a number above 0'),
    ],
)
def test_a_number_is_read_or_refused_in_words(kind, right, wrong, words, capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--flag', type=kind)
    assert {text: parser.parse_args(['--flag', text]).flag for text in right} == right
    for text in wrong:
        with pytest.raises(SystemExit):
            parser.parse_args([f'--flag={text}'])
        assert f'argument --flag: {text} {words}' in capsys.readouterr().err
