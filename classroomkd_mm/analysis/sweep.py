"""Try every published config as a student or as a mentor: which fit, and why the others do not.

Nothing is downloaded: weights are random. Each config is built as a run would build it, and learns
from or teaches two made-up samples where it is not too large. Results are lines of a file: a sweep
that was interrupted goes on, and several may share one file (``--shard``).
"""

from __future__ import annotations

import argparse
import json
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from ..members import adaptations
from ..mentors.checkpoint import load_matching
from ..mentors.configs import model_config, read_config
from ..parts import KnowledgeFilter
from ..progress import progress_bar
from ..runs import read_classroom
from .check import TOLD, build_classroom
from .made_up import MadeUp, built_in_no_time, fill, made_up
from .tables import Rows, markdown

PACKAGE = Path(__file__).parents[1]
LARGEST = 40e6  # parameters of a network that is still asked, not only built
ROLES = ('student', 'mentor')
OUTCOMES = ('fits', 'adapted', 'refused', 'failed')
CLASSROOM = 'classroomkd_mm.ClassroomDistiller'
SEPARATOR = '; '
WEIGHTS_ALL_ALIKE = 'UniformFilter alone: its loss takes no weight for each sample'
EXAMPLES = """examples:
  python -m classroomkd_mm sweep mmpose student
  python -m classroomkd_mm sweep mmpose mentor --of configs/demo/classroom.py
  python -m classroomkd_mm sweep mmpretrain student --only resnet vit --shard 1/4"""


@dataclass(frozen=True)
class Found:
    """What became of a config.

    Attributes:
        config: Its path within the library.
        role: 'student' or 'mentor'.
        outcome: One of ``OUTCOMES``; 'failed' where no sentence of this package says why.
        why: What is adapted, or the reason.
    """

    config: str
    role: str
    outcome: str
    why: str
    of: str = ''


def configs_of(library: str, only: Sequence[str] = ()) -> list[str]:
    """The paths of a library's published configs, whose base files aside.

    Args:
        library: 'mmpose' or 'mmpretrain'.
        only: Regular expressions, one of which must be found in a path; any will do if none.

    Raises:
        ValueError: Where the library is not installed, or no path fits.
    """
    root = _root(library)
    paths = [file.relative_to(root) for file in sorted(root.rglob('*.py'))]
    names = [path.as_posix() for path in paths if '_base_' not in path.parts]
    found = [name for name in names if not only or any(re.search(word, name) for word in only)]
    if not found:
        raise ValueError(f'no config of {library} has any of {list(only)}')
    return found


def _root(library: str) -> Path:
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise ValueError(f'the library {library} is not installed')
    return Path(spec.origin).parent / '.mim/configs'


def try_student(cfg: Config) -> str:
    """Build a config's network as student, and let it learn from made-up samples.

    Returns:
        What must be adapted, in words; empty if nothing.

    Raises:
        ValueError: Where it cannot be one, as a run would say it.
    """
    with built_in_no_time():
        model = build_classroom(_classroom(cfg), [])
    words = ''
    try:
        model.task.check_filter(KnowledgeFilter())
    except ValueError:
        words = WEIGHTS_ALL_ALIKE
    else:
        model.knowledge_filter = KnowledgeFilter()
    samples = made_up(cfg, model)
    model.prepare(samples)
    if _small(model):
        fill(model)
        data = model.data_preprocessor(pseudo_collate([samples[0], samples[1]]), True)
        with torch.no_grad():
            total, _ = model.parse_losses(model(**data, mode='loss'))
        if not torch.isfinite(total):
            raise ValueError(f'its loss of noise is {total.item()}')
    return words


def _classroom(cfg: Config) -> Config:
    """A classroom without mentors of a stock config."""
    model = model_config(cfg)
    return Config(
        dict(
            model=dict(type=CLASSROOM, student=model),
            default_scope=cfg.get('default_scope'),
        )
    )


def _small(network: torch.nn.Module) -> bool:
    return sum(parameter.numel() for parameter in network.parameters()) <= LARGEST


class Taught:
    """A fixed student, whom one config after another is tried on as mentor.

    Args:
        classroom: Its classroom's whole config.
        name: What its results are told apart by.
    """

    def __init__(self, classroom: Config, name: str = '') -> None:
        self.classroom, self.name = classroom, name
        self.samples: MadeUp | None = None

    def try_mentor(self, path: str) -> str:
        """Build a config's network as mentor; where it is not too large, ask it for a sample.

        Its own weights must fit it. Pose mentors may letterbox; a classifier that wants pictures
        of another size gets them.

        Args:
            path: The config's.

        Returns:
            What is adapted, in words; empty if nothing.

        Raises:
            ValueError: Where it cannot be one, as a run would say it.
        """
        entry = dict(name='mentor', config=path, checkpoint=None)
        if self.classroom.get('default_scope') == 'mmpose':
            return self._ask(dict(entry, letterbox=True))
        try:
            return self._ask(entry)
        except ValueError as error:
            size = re.search(r'with input_size=\((\d+), (\d+)\)', str(error))
            if size is None:
                raise
        return self._ask(dict(entry, input_size=(int(size[1]), int(size[2]))))

    def _ask(self, entry: Mapping[str, object]) -> str:
        with built_in_no_time():
            model = build_classroom(self.classroom, [entry])
        if self.samples is None:
            self.samples = made_up(self.classroom, model)
        model.prepare(self.samples)
        mentor, bridge = model.members[0]
        shape = self.samples[0]['inputs'].shape[-2:]
        bridge.check_inputs((int(shape[0]), int(shape[1])))
        load_matching(mentor.network, mentor.network.state_dict(), "mentor 'mentor'")
        if _small(mentor.network):
            fill(mentor.network)
            model.try_mentors(self.samples)
        return SEPARATOR.join(adaptations(model.members[0]))


def verdict(trial: Callable[[], str]) -> tuple[str, str]:
    """The outcome of a trial, and what is adapted or why it is none.

    An error is a refusal where this package raised it in words that are for the user.

    Args:
        trial: Gives what is adapted in words, or raises.
    """
    try:
        words = trial()
    except Exception as error:  # whatever it is, it is this config's
        told = isinstance(error, (*TOLD, RuntimeError)) and _raised_here(error)
        where = '' if told else f'{type(error).__name__} at {_place(error)}: '
        return 'refused' if told else 'failed', where + ' '.join(str(error).split())
    return ('adapted' if words else 'fits'), words


def _raised_here(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return PACKAGE in Path(frames[-1].filename).parents


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f'{Path(last.filename).name}:{last.lineno}'


def sweep(
    library: str, role: str, names: Iterable[str], file: Path, taught: Taught | None = None
) -> None:
    """Try configs and add a line for each to a file; those that it has are left out.

    Args:
        library: Whose configs.
        role: 'student' or 'mentor'.
        names: Their paths within the library.
        file: JSON lines of :class:`Found`.
        taught: The student of those mentors.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    of = taught.name if taught else ''
    done = {found.config for found in read(file) if (found.role, found.of) == (role, of)}
    todo = [name for name in names if name not in done]
    with progress_bar() as progress:
        for name in progress.track(todo, description=f'{role}s of {library}'):
            path = str(_root(library) / name)
            if taught is None:
                outcome, why = verdict(lambda: try_student(_read(path)))
            else:
                outcome, why = verdict(lambda: taught.try_mentor(path))
            with file.open('a') as lines:
                # After a line that was cut off, not behind it; other shards may be writing, too.
                cut = lines.tell() and not file.read_bytes().endswith(b'\n')
                told = json.dumps(asdict(Found(name, role, outcome, why, of)))
                lines.write('\n' * bool(cut) + told + '\n')


def _read(path: str) -> Config:
    cfg = read_config(path, 'student')
    if not isinstance(cfg, Config) or 'model' not in cfg:
        raise ValueError('student: its config has no model')
    return cfg


def read(file: Path) -> list[Found]:
    """The lines of a sweep's file; none where it is not there yet.

    One that a kill cut off is left out: its config is tried again.

    Raises:
        ValueError: For a line that is whole, and none of a sweep's.
    """
    found = []
    for line in file.read_text().splitlines() if file.is_file() else ():
        try:
            found.append(Found(**json.loads(line)))
        except json.JSONDecodeError:
            continue
        except TypeError as error:
            raise ValueError(f'{file} is no file of a sweep: {error}') from error
    return found


def family(name: str) -> str:
    """What kind of a config a path is of: MMPose's by their first folders, MMPretrain's are one."""
    parts = name.split('/')
    return '/'.join(parts[:2]) if parts[0].endswith('_keypoint') else "MMPretrain's"


def counts(found: Sequence[Found]) -> Rows:
    """How many configs of each family have which outcome, and all of them."""
    tally = Counter((family(each.config), each.outcome) for each in found)
    families = list(dict.fromkeys(family(each.config) for each in found))
    rows = [
        [name, *(str(tally[name, outcome]) for outcome in OUTCOMES)] for name in sorted(families)
    ]
    total = Counter(each.outcome for each in found)
    return [
        ['configs', *OUTCOMES],
        *rows,
        ['all', *(str(total[outcome]) for outcome in OUTCOMES)],
    ]


def reasons(found: Sequence[Found], outcome: str) -> Rows:
    """How often each reason was given for an outcome, names and numbers left out, and a case.

    What is adapted may be several things: each is counted.
    """
    cases: dict[str, list[Found]] = {}
    for each in found:
        if each.outcome == outcome:
            words = each.why.split(SEPARATOR) if outcome == 'adapted' else [each.why]
            for word in dict.fromkeys(map(_kind, words)):
                cases.setdefault(word, []).append(each)
    ordered = sorted(cases.items(), key=lambda item: -len(item[1]))
    rows = [[str(len(each)), why, each[0].config] for why, each in ordered]
    return [['number', outcome, 'for example'], *rows]


def _kind(why: str) -> str:
    """A reason without what only one config has: paths, quoted and classes' names, numbers."""
    why = re.sub(r"(?<!\w)'[^']*'|\[[^\]]*\]|/\S+/\S+", '...', why)
    why = re.sub(r'\b(its model|got) \w+', r'\1 ...', why)
    return re.sub(r'\d+(\.\d+)?', 'N', why)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm sweep',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('library', choices=('mmpose', 'mmpretrain'))
    parser.add_argument('role', choices=ROLES)
    parser.add_argument('--of', metavar='CONFIG', help='the classroom whose student mentors teach')
    parser.add_argument('--only', nargs='*', default=[], metavar='WORD', help='paths with a word')
    parser.add_argument('--shard', type=_shard, default=(1, 1), metavar='I/N', help='every Nth')
    parser.add_argument('--out', type=Path, help='lines of results (work_dirs/sweep/...)')
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if (args.role == 'mentor') != (args.of is not None):
        parser.error('mentors need --of CONFIG, students take none')
    return args


def _shard(argument: str) -> tuple[int, int]:
    index, _, count = argument.partition('/')
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise argparse.ArgumentTypeError(f'{argument} is not I/N with 1 <= I <= N')
    return int(index), int(count)


def main(argv: Sequence[str] | None = None) -> int:
    """Sweep, and print the tables of all that the file has; 1 where a config failed."""
    args = parse_args(argv)
    index, count = args.shard
    file = args.out or Path(f'work_dirs/sweep/{args.library}_{args.role}.jsonl')
    taught = Taught(read_classroom(args.of), args.of) if args.of else None
    names = configs_of(args.library, args.only)[index - 1 :: count]
    with DefaultScope.overwrite_default_scope(args.library):
        sweep(args.library, args.role, names, file, taught)
    found = [each for each in read(file) if (each.role, each.of) == (args.role, args.of or '')]
    tables = [counts(found), *(reasons(found, outcome) for outcome in OUTCOMES[1:])]
    print('\n\n'.join(markdown(rows) for rows in tables if len(rows) > 1))
    return int(any(each.outcome == 'failed' for each in found))
