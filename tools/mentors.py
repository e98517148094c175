"""Find mentors in the installed model indexes, check a classroom, fetch weights ahead."""

import argparse
import copy
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.utils import track_iter_progress

import classroomkd_mm  # noqa: F401  (lets MMPose import)
from classroomkd_mm.distillers import ClassroomDistiller
from classroomkd_mm.mentors.checkpoint import fetch
from classroomkd_mm.mentors.zoo import Published, look_up, zoo
from classroomkd_mm.registry import MODELS

EXAMPLES = """examples:
  python tools/mentors.py search hrnet --dataset COCO --metric AP
  python tools/mentors.py info td-hm_hrnet-w48_8xb32-210e_coco-256x192
  python tools/mentors.py check configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py
  python tools/mentors.py check configs/demo/classroom.py --zoo rtmpose --dataset COCO --batch 4
  python tools/mentors.py download configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py"""


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    search = commands.add_parser('search', help='published networks, best first')
    search.add_argument(
        'words', nargs='*', metavar='WORD', help='all must be in the name (regular expressions)'
    )
    _add_filters(search)
    info = commands.add_parser('info', help='one network: input, codec, normalisation, metric, URL')
    info.add_argument('name')
    check = commands.add_parser('check', help="a classroom's mentors: what is adapted, or why not")
    check.add_argument('config')
    check.add_argument(
        '--zoo',
        nargs='*',
        dest='words',
        metavar='WORD',
        help="check published networks instead of the config's mentors, with letterbox=True:\n"
        'those whose name has all the words (regular expressions), of --task and --dataset',
    )
    _add_filters(check)
    check.add_argument(
        '--batch',
        type=_positive,
        metavar='N',
        help="let each teach N of the config's training samples once, with random weights",
    )
    check.add_argument('--out', type=Path, help='also write the table to this Markdown file')
    download = commands.add_parser('download', help='fetch weights ahead, for machines without net')
    download.add_argument('names', nargs='+', help='zoo names or classroom configs')
    args = parser.parse_args(argv)
    filtered = args.command == 'check' and (args.task or args.dataset or args.metric)
    if filtered and args.words is None:
        parser.error('--task, --dataset and --metric choose published networks: add --zoo')
    return args


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a positive number')
    return int(text)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--task', default='', help="e.g. 'Body 2D Keypoint'")
    parser.add_argument('--dataset', default='', help='e.g. COCO, ImageNet-1k')
    parser.add_argument('--metric', help='only with this published metric, best first, e.g. AP')


def search(args: argparse.Namespace) -> list[list[str]]:
    """Rows of the networks that fit, best first where a metric is given."""

    def fits(model: Published) -> bool:
        return (
            all(re.search(word, model.name, re.IGNORECASE) for word in args.words)
            and args.task.lower() in model.task.lower()
            and args.dataset.lower() in model.dataset.lower()
            and (args.metric is None or _metric(model, args.metric) is not None)
        )

    found = [model for models in zoo().values() for model in models if fits(model)]
    if not found:
        raise ValueError(
            f'no published network has words {args.words}, task {args.task!r}, dataset '
            f'{args.dataset!r} and metric {args.metric!r}'
        )
    if args.metric:
        found.sort(key=lambda model: -float(_metric(model, args.metric)))
    rows = [['name', 'task', 'dataset', 'metrics']]
    for model in found:
        chosen = {args.metric: _metric(model, args.metric)} if args.metric else model.metrics
        rows.append([model.name, model.task, model.dataset, _pairs(chosen)])
    return rows


def _metric(model: Published, name: str) -> Any:
    values = {key.lower(): value for key, value in model.metrics.items()}
    return values.get(name.lower())


def _pairs(values: dict[str, Any]) -> str:
    return ', '.join(f'{key} {value}' for key, value in values.items())


def info(name: str) -> list[list[str]]:
    """What is known of one network."""
    published = look_up(name, 'mentors.py info')
    cfg = get_config(published.config)
    codec = (cfg.model.get('head') or {}).get('decoder') or {}
    norm = cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}
    return [
        ['config', published.config],
        ['weights', str(published.weights)],
        ['data', f'{published.task}, {published.dataset}'],
        ['published', _pairs(published.metrics)],
        ['codec', _pairs(codec)],
        [
            'normalisation',
            _pairs({k: norm[k] for k in ('mean', 'std', 'bgr_to_rgb', 'to_rgb') if k in norm}),
        ],
    ]


def check(args: argparse.Namespace) -> list[list[str]]:
    """Rows of a classroom's mentors: what is adapted, or why one cannot teach.

    Each is built as a run would build it, but nothing is downloaded: weights are random unless they
    are a file on this machine. With
    ``args.batch`` it also teaches that many of the config's training pictures, once.
    """
    cfg = Config.fromfile(args.config)
    mentors = [
        {'name': settings.get('zoo', f'mentor{position}'), **settings}
        for position, settings in enumerate(cfg.model.get('mentors', []))
    ]
    if args.words is not None:
        found = dict.fromkeys(row[0] for row in search(args)[1:])
        pad = dict(letterbox=True) if cfg.default_scope == 'mmpose' else {}
        mentors = [dict(name=name, zoo=name, **pad) for name in found]
    names = [mentor['name'] for mentor in mentors]
    if not mentors or len(set(names)) < len(names):
        raise ValueError(f'there must be mentors, of different names, to check; got {names}')
    columns = ['keypoints shared', 'CPU ms per picture'] if args.batch else []
    rows = [['mentor', 'fits', *columns, 'adapted, or why not']]
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        build_classroom(cfg, [])  # the student's own faults are not the mentors'
        lesson = Lesson(cfg, args.batch) if args.batch else None
        for settings in track_iter_progress(mentors, file=sys.stderr):
            try:
                weights, note = _weights(settings)
                distiller = build_classroom(cfg, [{**settings, 'checkpoint': weights}])
                facts = lesson.teach(distiller) if lesson else []
                adapted = ', '.join([*distiller.mentors[0].adaptations, *note]) or '-'
                rows.append([settings['name'], 'yes', *facts, adapted])
            except Exception as error:  # whatever it is, it is this mentor's row
                told = isinstance(error, (ValueError, TypeError, ImportError, FileNotFoundError))
                why = '' if told else f'{type(error).__name__}: '
                why += ' '.join(str(error).split())
                rows.append([settings['name'], 'NO', *('-' for _ in columns), why])
    return rows


def _weights(settings: dict[str, Any]) -> tuple[Optional[str], list[str]]:
    """A mentor's checkpoint where it is a file on this machine, else what to know of it."""
    checkpoint = settings.get('checkpoint')
    if checkpoint is None or re.match('https?://', checkpoint):
        return None, []
    if not Path(checkpoint).expanduser().is_file():
        return None, [f'weights not there yet: {checkpoint}']
    return checkpoint, []


def build_classroom(cfg: Config, mentors: Sequence[dict]) -> ClassroomDistiller:
    """The config's distiller with these mentors."""
    model = dict(cfg.model, mentors=mentors)
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return MODELS.build(model)


class Lesson:
    """The first training samples of a config, to be taught by one mentor after another."""

    def __init__(self, cfg: Config, size: int) -> None:
        try:
            self.dataset = DATASETS.build(cfg.train_dataloader.dataset)
        except (AssertionError, FileNotFoundError) as error:  # COCO's reader asserts
            raise ValueError(f'--batch needs the training data: {error}') from error
        if size > len(self.dataset):
            raise ValueError(f'--batch {size}: there are {len(self.dataset)} training samples')
        self.batch = pseudo_collate([self.dataset[i] for i in range(size)])

    def teach(self, distiller: ClassroomDistiller) -> list[str]:
        """How many keypoints the mentor shares, and CPU milliseconds of its forward per picture.

        Raises:
            ValueError: Where the mentor does not fit the data, or its outputs are not finite.
        """
        distiller.task.check_data(distiller.scorer, self.dataset)
        data = distiller.data_preprocessor(copy.deepcopy(self.batch), True)
        distiller(**data, mode='loss')
        mentor = distiller.mentors[0]
        started = time.process_time()  # of this process alone, whatever else the machine does
        if not mentor(data['inputs'])[1]:
            raise ValueError('its outputs are not finite: it would be muted')
        seconds = time.process_time() - started
        known = mentor.known
        shared = 'all' if known is None or known.all() else f'{known.sum()} of {len(known)}'
        return [shared, f'{1000 * seconds / len(data["inputs"]):.0f}']


def download(names: Sequence[str]) -> list[list[str]]:
    """Fetch the weights of zoo names and of whole classroom configs; rows of where they are."""
    rows = [['weights', 'file']]
    for name in names:
        if name.endswith('.py'):
            urls = [_url(mentor) for mentor in Config.fromfile(name).model.get('mentors', [])]
        else:
            urls = [_url(dict(zoo=name))]
        for url in urls:
            if url and url.startswith('http'):
                rows.append([url, str(fetch(url, 'mentors.py download'))])
    return rows


def _url(mentor: dict[str, Any]) -> Optional[str]:
    if 'checkpoint' in mentor:
        return mentor['checkpoint']
    return look_up(mentor['zoo'], 'mentors.py download').weights


def show(rows: list[list[str]]) -> None:
    """Print rows in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def markdown(rows: list[list[str]]) -> str:
    """The rows as a Markdown table."""
    head, *body = (f'| {" | ".join(row)} |' for row in rows)
    return '\n'.join([head, '|' + ' --- |' * len(rows[0]), *body]) + '\n'


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; 1 where a mentor of ``check`` does not fit."""
    args = parse_args(argv)
    try:
        rows = {
            'search': lambda: search(args),
            'info': lambda: info(args.name),
            'check': lambda: check(args),
            'download': lambda: download(args.names),
        }[args.command]()
    except (ValueError, RuntimeError, FileNotFoundError, re.error) as error:
        raise SystemExit(str(error)) from error
    show(rows)
    if getattr(args, 'out', None):
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(markdown(rows))
    return int(args.command == 'check' and any(row[1] == 'NO' for row in rows))


if __name__ == '__main__':
    raise SystemExit(main())
