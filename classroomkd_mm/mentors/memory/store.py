"""The folder of a memory: for each mentor, by its name, facts and records."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from ...datasets import find_fixed_views
from ..digest import weights_digest
from ..settings import MentorSettings
from .codec import KEEP, Codec
from .facts import FORMAT, Facts, data_facts, differences, mentor_facts, plain
from .records import Records

FACTS, ANSWERS = 'facts.json', 'answers.bin'
KEPT = {'format', 'mentor', 'data', 'own', 'portrait', 'resize', 'keep', 'shapes'}


@dataclass
class MentorMemory:
    """What one mentor has answered, by number (sample + length * view).

    Attributes:
        folder: Where it is kept.
        keep: See :class:`Codec`; None for what is kept already, or the default.
        mentor: What is known of the mentor.
        data: What is known of the data set; None until it is.
        own: The settings of the mentor that only its task knows.
        portrait: What its bridge asks of its network; None where it takes the network.
        resize: What becomes of the student's inputs before the mentor sees them, in words; None
            until that is known.
        codec: Of its answers; None until there is one.
    """

    folder: Path
    keep: int | None
    mentor: Facts
    own: Mapping[str, Any]
    data: Facts | None = None
    portrait: Mapping[str, Any] | None = None
    resize: str | None = None
    codec: Codec | None = None
    _records: Records | None = None
    _full: bool = False

    def __post_init__(self) -> None:
        stored = self._stored()
        if stored is None:
            return
        self._check(stored, dict(format=FORMAT, mentor=self.mentor, keep=self.keep))
        if stored['own'] == self.own:
            self.portrait = _with_tuples(stored['portrait'])
        self._use(stored)

    @property
    def name(self) -> str:
        """The mentor's."""
        return self.folder.name

    def of_weights(self, network: nn.Module) -> None:
        """Say which weights a network has that come from no file.

        Raises:
            ValueError: Where the memory is of others.
        """
        self.mentor = {**self.mentor, 'weights': weights_digest(network)}
        stored = self._stored()
        if stored is not None:
            self._check(stored, dict(mentor=self.mentor))

    def describe(self, portrait: Mapping[str, Any] | None, resize: object) -> None:
        """Say what is kept beside the answers.

        Raises:
            ValueError: Where the memory's mentor saw pictures of another size.
        """
        self.portrait = plain(portrait)
        self.resize = "the student's size" if resize is None else str(resize)
        stored = self._stored()
        if stored is not None:
            self._check(stored, dict(resize=self.resize))

    def open(self, data: Facts) -> None:
        """Compare with the data set.

        Raises:
            ValueError: Naming what differs.
        """
        self.data = data
        stored = self._stored()
        if stored is not None:
            self._check(stored, dict(data=data))

    @property
    def takes(self) -> bool:
        """Whether answers can be added."""
        return self._records is not None and self._records.writable and not self._full

    @property
    def record_size(self) -> int:
        """Bytes of one answer in the file; 0 until there is one."""
        return 0 if self._records is None else self._records.size

    def there(self, numbers: Sequence[int]) -> list[bool]:
        """Which answers there are."""
        self._join()
        return [False] * len(numbers) if self._records is None else self._records.there(numbers)

    def read(self, number: int) -> bytes | None:
        """An answer's record; None where it is missing."""
        self._join()
        return None if self._records is None else self._records.read(number)

    def encode(self, parts: Sequence[Tensor]) -> Tensor:
        """Records of answers, uint8 ``(N, nbytes)`` on the CPU; the first one ever says how."""
        shapes = tuple(tuple(part.shape[1:]) for part in parts)
        if self.codec is None:
            self.codec = Codec(shapes, KEEP if self.keep is None else self.keep)
            self._begin()
        if shapes != self.codec.shapes:
            raise ValueError(
                f'mentor {self.name!r} gives {shapes}, and memory.dir={str(self.folder.parent)!r} '
                f'holds answers of {self.codec.shapes}: remove {self.folder}, or give another dir'
            )
        return self.codec.encode(parts).cpu()

    def write(self, numbers: Sequence[int], records: Tensor) -> None:
        """Keep records of answers; where that fails it is said once, and nothing is lost."""
        if self._records is None or not self.takes:
            return
        try:
            for number, record in zip(numbers, records.numpy()):
                self._records.write(number, record.tobytes())
        except OSError as error:
            self._full = True
            self._say(f'takes no more answers of mentor {self.name!r} ({error}): they are not kept')

    def decode(self, records: Sequence[bytes | Tensor], device: torch.device) -> tuple[Tensor, ...]:
        """The parts of answers."""
        if self.codec is None:
            raise RuntimeError(f'the memory of mentor {self.name!r} has no answer yet')
        whole = b''.join(r.numpy().tobytes() if isinstance(r, Tensor) else r for r in records)
        rows = torch.frombuffer(bytearray(whole), dtype=torch.uint8).view(len(records), -1)
        return self.codec.decode(rows.to(device, non_blocking=True))

    def _stored(self) -> Facts | None:
        return _stored(self.folder)

    def _check(self, stored: Facts, here: Facts) -> None:
        found = [] if stored['format'] == FORMAT else [f'format: {stored["format"]}, not {FORMAT}']
        for key, value in here.items():
            then = stored[key]
            if isinstance(value, Mapping) and isinstance(then, Mapping):
                found += differences(dict(then), dict(value))
            elif None not in (then, value) and then != value:
                found.append(f'{key}: {then} in the memory, {value} here')
        if found:
            raise ValueError(
                f'memory.dir={str(self.folder.parent)!r} holds what mentor {self.name!r} answered '
                f'to something else: {"; ".join(found)}. Remove {self.folder}, or give another dir'
            )

    def _join(self) -> None:
        """Take the facts of a run that has begun since."""
        stored = self._stored() if self.codec is None else None
        if stored is not None:
            here = dict(format=FORMAT, mentor=self.mentor, data=self.data, keep=self.keep)
            self._check(stored, dict(here, resize=self.resize))
            self._use(stored)

    def _begin(self) -> None:
        """Write the facts, or take those of a run that was faster."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_once(self.folder / FACTS, json.dumps(self._facts(), indent=1))
            stored = self._stored()
            if stored is not None:
                self._check(stored, self._facts())
                self._use(stored)
        except OSError as error:
            self._say(f'cannot be written ({error}): the answers of {self.name!r} are not kept')

    def _facts(self) -> Facts:
        codec = self.codec or Codec((), 0)
        return dict(
            format=FORMAT,
            mentor=self.mentor,
            data=self.data,
            own=self.own,
            portrait=self.portrait,
            resize=self.resize,
            keep=codec.keep,
            shapes=plain(codec.shapes),
        )

    def _use(self, stored: Facts) -> None:
        self.codec = _codec(stored)
        try:
            self._records = Records(self.folder / ANSWERS, self.codec.nbytes)
        except FileNotFoundError:  # it may not be made either
            self._records = None
        if self._records is None or not self._records.writable:
            self._say(f'is read-only: new answers of mentor {self.name!r} are not kept')

    def _say(self, words: str) -> None:
        MMLogger.get_current_instance().warning(f'memory.dir={str(self.folder.parent)!r} {words}')


class Answered:
    """Whether an answer is kept, asked in any process: a loader's workers have their own files.

    Args:
        folder: Of a :class:`MentorMemory`, which need not have answered anything yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: tuple[int, Records] | None = None  # of which process, for files are its own

    def __call__(self, number: int) -> bool:
        """Whether the answer of this number is there, and whole."""
        if self._records is None or self._records[0] != os.getpid():
            stored = _stored(self.folder)
            if stored is None:
                return False
            self._records = os.getpid(), Records(self.folder / ANSWERS, _codec(stored).nbytes)
        return self._records[1].read(number) is not None

    def __reduce__(self) -> tuple[type[Answered], tuple[Path]]:
        return Answered, (self.folder,)


def open_memories(
    memories: Sequence[MentorMemory], dataset: object, preprocessor: nn.Module
) -> None:
    """Compare memories with the training data; nothing where there are none.

    Raises:
        ValueError: Where the data's views are not fixed, are mixed with each other, or are not
            those that the mentors were shown.
    """
    if not memories:
        return
    fixed = find_fixed_views(dataset)
    if fixed is None or fixed.views is None:
        found = type(dataset).__name__ if fixed is None else 'FixedViews(views=None)'
        raise ValueError(
            f'memory: train_dataloader.dataset is {found}, which shows other pictures in each '
            "epoch; wrap it: dict(type='classroomkd_mm.FixedViews', views=8, dataset=...)"
        )
    if getattr(preprocessor, 'batch_augments', None) is not None:
        raise ValueError(
            "memory: the student's data_preprocessor has batch_augments (Mixup, CutMix, a size for "
            'each batch), which mix the views that answers are kept for: take them out, or memory'
        )
    facts = data_facts(fixed)
    for memory in memories:
        memory.open(facts)


@dataclass(frozen=True)
class Memory:
    """Where the mentors' answers are kept.

    Attributes:
        dir: A folder; made where it is missing.
        keep: How many of a keypoint's (classifier's) values are kept, see :class:`Codec`; None for
            the default.
    """

    dir: str
    keep: int | None = None

    @classmethod
    def of(cls, setting: object) -> Memory:
        """Read the setting.

        Raises:
            TypeError: Where it is no dict, or its dir no folder.
            ValueError: For an unknown or a missing setting, or a ``keep`` below 1.
        """
        if not isinstance(setting, Mapping):
            raise TypeError(f'memory={setting!r} must be dict(dir=FOLDER, keep=NUMBER or None)')
        if 'dir' not in setting or set(setting) - {'dir', 'keep'}:
            raise ValueError(f'memory takes dir, and keep; got {sorted(setting)}')
        keep, folder = setting.get('keep'), setting['dir']
        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(f'memory.dir={folder!r} must be a folder')
        if keep is not None and (isinstance(keep, bool) or not isinstance(keep, int) or keep < 1):
            raise ValueError(f'memory.keep={keep!r} must be a positive number, or None')
        return cls(os.path.expanduser(str(folder)), keep)

    def of_mentor(self, settings: MentorSettings) -> MentorMemory:
        """A mentor's part.

        Raises:
            ValueError: Where the folder is of another mentor, or its name cannot be a folder's.
        """
        if Path(settings.name).name != settings.name:
            raise ValueError(f'mentor {settings.name!r}: with a memory its name names a folder')
        folder = Path(self.dir) / settings.name
        return MentorMemory(folder, self.keep, mentor_facts(settings), plain(settings.own))


def _stored(folder: Path) -> Facts | None:
    path = folder / FACTS
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except NotADirectoryError as error:
        raise ValueError(f'memory.dir={str(folder.parent)!r}: {folder} is no folder') from error
    except ValueError:  # no text, or no JSON
        stored = None
    if not isinstance(stored, dict) or not KEPT <= set(stored):
        raise ValueError(
            f'memory.dir={str(folder.parent)!r}: {path} is damaged, and without it nobody knows '
            f'what was asked: remove {folder}, or give another dir'
        )
    return stored


def _codec(stored: Facts) -> Codec:
    return Codec(tuple(tuple(shape) for shape in stored['shapes']), stored['keep'])


def _with_tuples(value: Any) -> Any:
    """What JSON made lists of, as a task gave it: (48, 64) is not [48, 64]."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(each) for key, each in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _write_once(path: Path, text: str) -> None:
    """Write a file that nobody sees half written; the first of several writers wins."""
    part = path.with_name(f'{path.name}.{os.getpid()}.part')
    try:
        with part.open('w') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # a name that outlives a power cut is of a whole file
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
