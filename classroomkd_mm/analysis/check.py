"""Check a classroom's mentors: what of each is adapted, or why it cannot teach.

Also ``python -m classroomkd_mm mentors``, which searches, tells of and fetches mentors as well.
"""

import argparse
import copy
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope

from ..arguments import positive
from ..distiller import ClassroomDistiller
from ..members import read_mentor
from ..mentors.configs import located
from ..progress import progress_bar
from ..registry import MODELS
from ..runs import is_classroom, read_classroom, with_mentor_folder
from ..tasks import Task
from .tables import Rows, markdown, text
from .zoo import Wanted, download, found_table, info, search

DESCRIPTION = 'Find mentors in the installed model indexes, check a classroom, fetch weights ahead.'
EXAMPLES = """examples:
  python -m classroomkd_mm mentors search hrnet --dataset COCO --metric AP
  python -m classroomkd_mm mentors info td-hm_hrnet-w48_8xb32-210e_coco-256x192
  python -m classroomkd_mm mentors check CONFIG
  python -m classroomkd_mm mentors check classroomkd_mm::demo/classroom.py --zoo rtmpose \\
      --dataset COCO --batch 4
  python -m classroomkd_mm mentors download CONFIG"""
FACTS = ['shared', 'CPU ms per picture']  # of the keypoints or classes of the data
WITHOUT_DATA = (
    'The data were not looked at: --batch 128 lets each mentor teach so many pictures, its '
    'keypoints or classes joined with theirs.'
)
# What a mentor's error says is for the user; any other kind of error says its own name as well.
TOLD = (ValueError, TypeError, ImportError, FileNotFoundError)

Settings = Mapping[str, Any]  # a mentor's entry in a config
Dataset = Any  # any of MMEngine's, wrapped or not


def build_classroom(
    cfg: Config,
    mentors: Optional[Sequence[Settings]] = None,
    memory: Optional[Settings] = None,
) -> ClassroomDistiller:
    """The classroom of a whole config, as the runner builds it.

    MMPretrain's configs have ``data_preprocessor`` beside the model: it goes into the model.

    Args:
        cfg: The config.
        mentors: Instead of the config's own.
        memory: Instead of the config's own: whoever looks at mentors asks them themselves.

    Returns:
        It, which is of the student's class as well.

    Raises:
        ValueError: Where the model is not a classroom, or a mentor does not fit.
    """
    if not is_classroom(cfg.model):
        raise ValueError(f'the model is a {cfg.model.get("type")}, not a ClassroomDistiller')
    model = copy.deepcopy(dict(with_mentor_folder(cfg).model))
    model['memory'] = memory
    if mentors is not None:
        model['mentors'] = list(mentors)
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        return MODELS.build(model)


def training_set(cfg: Config, who: str) -> Dataset:
    """The training data of a whole config.

    Raises:
        ValueError: Where they are missing; ``who`` says what they are needed for.
    """
    if not cfg.get('train_dataloader'):
        raise ValueError(f'{who} needs the training data: the config has no train_dataloader')
    try:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            return DATASETS.build(cfg.train_dataloader.dataset)
    except (AssertionError, FileNotFoundError) as error:  # COCO's reader asserts
        raise ValueError(f'{who} needs the training data: {error}') from error


def first_samples(dataset: Dataset, size: int, who: str) -> dict[str, Any]:
    """The first samples of a data set as a batch.

    Raises:
        ValueError: Where there are fewer; ``who`` names the setting.
    """
    if size > len(dataset):
        raise ValueError(f'{who} {size}: there are {len(dataset)} training samples')
    return pseudo_collate([dataset[i] for i in range(size)])


class Trial:
    """The first training samples of a config, to be taught by one mentor after another.

    Args:
        cfg: The config.
        size: How many.

    Raises:
        ValueError: Where there are not so many.
    """

    def __init__(self, cfg: Config, size: int) -> None:
        self.dataset = training_set(cfg, '--batch')
        self.size = size
        self.batch = first_samples(self.dataset, size, '--batch')

    def teach(self, model: ClassroomDistiller) -> list[str]:
        """What a lone mentor shares with the data, and CPU milliseconds of its forward per picture.

        Raises:
            ValueError: Where the mentor does not fit the data, or its outputs are not finite.
        """
        model.prepare(self.dataset)
        batch = copy.deepcopy(self.batch)
        if model.has_own_crops:
            batch = first_samples(self.dataset, self.size, '--batch')
        data = model.data_preprocessor(batch, True)
        model(**data, mode='loss')
        mentor, bridge = model.members[0]
        started = time.process_time()  # of this process alone, whatever else the machine does
        if not mentor(data['inputs'], samples=data['data_samples']).finite.all():
            raise ValueError('its outputs are not finite: it would be muted')
        seconds = time.process_time() - started
        shared = 'all' if bridge.shared is None else '{} of {}'.format(*bridge.shared)
        return [shared, f'{1000 * seconds / len(data["inputs"]):.0f}']


def check(cfg: Config, mentors: Sequence[Settings], batch: Optional[int] = None) -> Rows:
    """Rows of mentors: what is adapted, or why one cannot teach.

    Each is built as a run would build it, but nothing is downloaded: weights are random unless they
    are a file on this machine.

    Args:
        cfg: The classroom's config.
        mentors: Their entries, as the config or :func:`published` has them.
        batch: Let each also teach so many of the config's training pictures, once.

    Raises:
        ValueError: Where there are no mentors, or two of one name, or no data for ``batch``.
    """
    names = [_name(settings, position) for position, settings in enumerate(mentors)]
    if not mentors or len(set(names)) < len(names):
        raise ValueError(f'there must be mentors, of different names, to check; got {names}')
    task = build_classroom(cfg, []).task  # the student's own faults are not the mentors'
    trial = Trial(cfg, batch) if batch else None
    rows = [['mentor', 'fits', *(FACTS if trial else []), 'adapted, or why not']]
    with progress_bar() as progress:
        for position in progress.track(range(len(mentors)), description='checking'):
            rows.append([names[position], *_row(cfg, task, mentors[position], position, trial)])
    return rows


def _name(settings: Settings, position: int) -> str:
    """What logs will call a mentor, whatever its entry is."""
    entry = settings if isinstance(settings, Mapping) else {}
    return str(entry.get('name', entry.get('zoo', f'mentor{position}')))


def _row(
    cfg: Config, task: Task[Any], settings: Settings, position: int, trial: Optional[Trial]
) -> list[str]:
    try:
        read = read_mentor(task, settings, position)  # alone it will be the first
        weights, notes = _weights(settings)
        model = build_classroom(cfg, [{**settings, 'name': read.name, 'checkpoint': weights}])
        facts = trial.teach(model) if trial else []
        mentor, bridge = model.members[0]  # after the trial: joined with the data set
        doubts = model.task.doubts(bridge)
        if doubts:
            raise ValueError(f'mentors[{position}].keypoints: {doubts}')
        adapted = ', '.join([*mentor.view.adaptations, *bridge.adaptations, *notes]) or '-'
        return ['yes', *facts, adapted]
    except Exception as error:  # whatever it is, it is this mentor's row
        why = '' if isinstance(error, TOLD) else f'{type(error).__name__}: '
        why += ' '.join(str(error).split())
        return ['NO', *('-' for _ in FACTS if trial), why]


def _weights(settings: Settings) -> tuple[Optional[str], list[str]]:
    """A mentor's checkpoint where it is a file on this machine, else what to know of it."""
    checkpoint = settings.get('checkpoint')
    if checkpoint is None or re.match('https?://', str(checkpoint)):
        return None, []
    checkpoint = located(str(checkpoint), settings.get('folder'))
    if not Path(checkpoint).expanduser().is_file():
        return None, [f'weights not there yet: {checkpoint}']
    return checkpoint, []


def published(cfg: Config, wanted: Wanted) -> list[Settings]:
    """Published networks as mentors of a config's student; pose mentors with ``letterbox=True``.

    Raises:
        ValueError: Where there are none.
    """
    pad = dict(letterbox=True) if cfg.get('default_scope') == 'mmpose' else {}
    names = dict.fromkeys(network.name for network in search(wanted))
    return [dict(name=name, zoo=name, **pad) for name in names]


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm mentors',
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    commands = parser.add_subparsers(dest='command', required=True)
    finder = commands.add_parser('search', help='published networks, best first')
    finder.add_argument(
        'words', nargs='*', metavar='WORD', help='all must be in the name (regular expressions)'
    )
    _add_filters(finder)
    teller = commands.add_parser(
        'info', help='one network: input, codec, normalisation, metric, URL'
    )
    teller.add_argument('name')
    _add_check(
        commands.add_parser('check', help="a classroom's mentors: what is adapted, or why not")
    )
    bringer = commands.add_parser('download', help='fetch weights ahead, for machines without net')
    bringer.add_argument('names', nargs='+', help='zoo names or classroom configs')
    return parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser()
    args = parser.parse_args(argv)
    filtered = args.command == 'check' and (args.task or args.dataset or args.metric)
    if filtered and args.words is None:
        parser.error('--task, --dataset and --metric choose published networks: add --zoo')
    return args


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config')
    parser.add_argument(
        '--zoo',
        nargs='*',
        dest='words',
        metavar='WORD',
        help="check published networks instead of the config's mentors, with letterbox=True:\n"
        'those whose name has all the words (regular expressions), of --task and --dataset',
    )
    _add_filters(parser)
    parser.add_argument(
        '--batch',
        type=positive,
        metavar='N',
        help="let each teach N of the config's training samples once, which also joins keypoints\n"
        'and classes; of 40 or more it also tells whether the names of its keypoints are in the\n'
        'order of its outputs. Weights that are not on this machine are random',
    )
    parser.add_argument('--out', type=Path, help='also write the table to this Markdown file')


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--task', default='', help="e.g. 'Body 2D Keypoint'")
    parser.add_argument('--dataset', default='', help='e.g. COCO, ImageNet-1k')
    parser.add_argument('--metric', help='only with this published metric, best first, e.g. AP')


def _rows(args: argparse.Namespace) -> Rows:
    """What a command prints."""
    if args.command == 'info':
        return info(args.name)
    if args.command == 'download':
        return download(args.names)
    wanted = Wanted(args.words or (), args.task, args.dataset, args.metric)
    if args.command == 'search':
        return found_table(search(wanted), wanted.metric)
    cfg = read_classroom(args.config)
    own = cfg.model.get('mentors', []) if args.words is None else published(cfg, wanted)
    return check(cfg, own, args.batch)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command of ``mentors``; 1 where a mentor of ``check`` does not fit."""
    args = parse_args(argv)
    try:
        with redirect_stdout(sys.stderr):  # the log: the table alone is the answer
            rows = _rows(args)
    except re.error as error:
        raise ValueError(f'{error.pattern!r} is no regular expression: {error}') from error
    print(text(rows))
    if getattr(args, 'out', None):
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(markdown(rows) + '\n')
    if args.command == 'check' and not args.batch:
        print(WITHOUT_DATA, file=sys.stderr)
    return int(args.command == 'check' and any(row[1] == 'NO' for row in rows))
