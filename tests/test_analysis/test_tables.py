"""Tables of strings as text."""

import doctest

import pytest

from classroomkd_mm.analysis import tables

ROWS = [['mentor', 'fits', 'why'], ['hrnet-w48', 'yes', ''], ['a', 'NO', 'x|y']]


def test_columns_are_as_wide_as_their_widest_cell():
    assert tables.text(ROWS).splitlines() == [
        'mentor     fits  why',
        'hrnet-w48  yes',
        'a          NO    x|y',
    ]
    assert tables.text([]) == ''


@pytest.mark.parametrize(
    'numeric, rule', [(False, '| --- | --- | --- |'), (True, '| --- | ---: | ---: |')]
)
def test_markdown(numeric, rule):
    assert tables.markdown(ROWS, numeric=numeric).splitlines() == [
        '| mentor | fits | why |',
        rule,
        '| hrnet-w48 | yes |  |',
        r'| a | NO | x\|y |',
    ]
    assert tables.markdown(ROWS[:1]) == '| mentor | fits | why |\n| --- | --- | --- |'


@pytest.mark.parametrize('make', [tables.text, tables.markdown])
def test_an_uneven_table_is_refused(make):
    with pytest.raises(ValueError, match=r"must have 2 cells like the head; got \['c'\]"):
        make([['a', 'b'], ['c']])


def test_the_examples_in_the_docstrings():
    assert doctest.testmod(tables).failed == 0
