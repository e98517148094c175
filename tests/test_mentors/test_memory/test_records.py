import multiprocessing
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classroomkd_mm.mentors.memory.records import HEAD, Records


def test_what_is_written_is_read_and_the_rest_is_missing(tmp_path):
    records = Records(tmp_path / 'answers.bin', 5)
    assert records.read(0) is None and records.read(10**6) is None
    records.write(7, b'seven')
    records.write(1000, b'later')
    again = Records(tmp_path / 'answers.bin', 5)
    assert [again.read(i) for i in (6, 7, 8, 1000)] == [None, b'seven', None, b'later']
    assert again.there([6, 7, 8, 1000, 2000]) == [False, True, False, True, False]
    # Sparse: holes take no room.
    assert os.stat(tmp_path / 'answers.bin').st_size == 1001 * (HEAD + 5)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_torn_misplaced_or_changed_record_is_missing(tmp_path_factory, data):
    path = tmp_path_factory.mktemp('records') / 'answers.bin'
    record = data.draw(st.binary(min_size=8, max_size=8))
    records = Records(path, 8)
    for number in range(3):
        records.write(number, record)
    content = bytearray(path.read_bytes())
    size = HEAD + 8
    place = data.draw(st.integers(size, 2 * size - 1))  # in the record in the middle
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert [Records(path, 8).read(i) == record for i in range(3)] == [True, False, True]
    path.write_bytes(bytes(content)[: 3 * size - data.draw(st.integers(1, size))])
    assert Records(path, 8).read(2) is None
    path.write_bytes(bytes(content)[:size] * 3)  # the first one at all places
    assert [Records(path, 8).read(i) for i in range(3)] == [record, None, None]


def test_zeros_are_a_record_too(tmp_path):
    records = Records(tmp_path / 'answers.bin', 6)
    records.write(3, bytes(6))
    assert records.read(3) == bytes(6) and records.read(2) is None


def _write(path, numbers):
    records = Records(path, 64)
    for number in numbers:
        records.write(number, number.to_bytes(64, 'little'))


def test_several_processes_write_at_once(tmp_path):
    path = tmp_path / 'answers.bin'
    context = multiprocessing.get_context('fork')
    # Two write the same, one every other, in the opposite order.
    shares = [range(300), range(300), range(298, -1, -2)]
    processes = [context.Process(target=_write, args=(path, share)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    records = Records(path, 64)
    assert [records.read(i) for i in range(300)] == [i.to_bytes(64, 'little') for i in range(300)]


def test_a_file_that_may_not_be_made_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Records(tmp_path / 'missing' / 'answers.bin', 5)
