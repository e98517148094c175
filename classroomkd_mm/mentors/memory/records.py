"""Records of fixed size in a file, each found by its number."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

HEAD = 4  # bytes of a record that are its checksum


class Records:
    """A sparse file of records; one that is torn, misplaced or not written yet is missing.

    Several processes may read and write it at once: a record is written whole, at a place of its
    own, and its checksum tells whether it arrived whole. It is read and written, not mapped: a full
    disk is an error then, and not the death of the process.

    Args:
        path: The file; made where it is missing and may be made.
        nbytes: Of one record without its checksum.

    Attributes:
        writable: Whether records can be added.

    Raises:
        OSError: Where there is no file, and none can be made.
    """

    def __init__(self, path: Path, nbytes: int) -> None:
        self.path = path
        self.nbytes = nbytes
        self.size = HEAD + nbytes
        self._file, self.writable = _open(path)

    def read(self, number: int) -> bytes | None:
        """A record; None where it is missing."""
        self._file.seek(number * self.size)
        found = self._file.read(self.size)
        whole = len(found) == self.size and found[:HEAD] == _checksum(number, found[HEAD:])
        return found[HEAD:] if whole else None

    def write(self, number: int, record: bytes) -> None:
        """Add a record.

        Raises:
            OSError: Where the disk is full, or the folder may not be written.
        """
        self._file.seek(number * self.size)
        written = self._file.write(_checksum(number, record) + record)
        if written != self.size:
            raise OSError(f'{written} of {self.size} bytes written')

    def there(self, numbers: Sequence[int]) -> list[bool]:
        """Which records have been written, by their checksums' being there: not read whole."""
        return [self._head(number) not in (b'', bytes(HEAD)) for number in numbers]

    def _head(self, number: int) -> bytes:
        self._file.seek(number * self.size)
        return self._file.read(HEAD)


def _open(path: Path) -> tuple[BinaryIO, bool]:
    """The file, unbuffered, and whether it can be written."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, 'O_BINARY', 0), 0o666)
        return os.fdopen(descriptor, 'r+b', buffering=0), True
    except OSError:  # of a read-only folder, or another user's
        return open(path, 'rb', buffering=0), False


def _checksum(number: int, record: bytes) -> bytes:
    """Of a record at its place; never that of a hole in the file."""
    return (zlib.crc32(record, zlib.crc32(number.to_bytes(8, 'little'))) or 1).to_bytes(4, 'little')
