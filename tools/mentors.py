"""Find mentors in the installed model indexes, check a classroom, fetch weights ahead."""

import argparse
from typing import Any, Dict, List, Optional, Sequence

from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DefaultScope

import classroomkd_mm  # noqa: F401  (lets MMPose import)
from classroomkd_mm.mentors import build_mentor
from classroomkd_mm.mentors.checkpoint import fetch
from classroomkd_mm.mentors.zoo import Published, look_up, zoo
from classroomkd_mm.registry import MODELS

EXAMPLES = """examples:
  python tools/mentors.py search hrnet --dataset COCO --metric AP
  python tools/mentors.py info td-hm_hrnet-w48_8xb32-210e_coco-256x192
  python tools/mentors.py check configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py
  python tools/mentors.py download configs/pose/coco/classroom_res50_8xb64-210e_coco-256x192.py"""


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    search = commands.add_parser('search', help='published networks, best first')
    search.add_argument('words', nargs='*', help='all of them must be in the name')
    search.add_argument('--task', default='', help="e.g. 'Body 2D Keypoint'")
    search.add_argument('--dataset', default='', help='e.g. COCO, ImageNet-1k')
    search.add_argument('--metric', help='sort by this one, e.g. AP')
    info = commands.add_parser('info', help='one network: input, codec, normalisation, metric, URL')
    info.add_argument('name')
    check = commands.add_parser('check', help="a classroom's mentors: what is adapted, or why not")
    check.add_argument('config')
    download = commands.add_parser('download', help='fetch weights ahead, for machines without net')
    download.add_argument('names', nargs='+', help='zoo names or classroom configs')
    return parser.parse_args(argv)


def search(args: argparse.Namespace) -> List[List[str]]:
    """Rows of the networks that fit, best first where a metric is given."""

    def fits(model: Published) -> bool:
        return (
            all(word.lower() in model.name.lower() for word in args.words)
            and args.task.lower() in model.task.lower()
            and args.dataset.lower() in model.dataset.lower()
            and (args.metric is None or args.metric in model.metrics)
        )

    found = [model for models in zoo().values() for model in models if fits(model)]
    if args.metric:
        found.sort(key=lambda model: -float(model.metrics[args.metric]))
    rows = [['name', 'task', 'dataset', 'metrics']]
    for model in found:
        chosen = {args.metric: model.metrics[args.metric]} if args.metric else model.metrics
        rows.append([model.name, model.task, model.dataset, _pairs(chosen)])
    return rows


def _pairs(values: Dict[str, Any]) -> str:
    return ', '.join(f'{key} {value}' for key, value in values.items())


def info(name: str) -> List[List[str]]:
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


def check(path: str) -> List[List[str]]:
    """Rows of a classroom's mentors: what is adapted, or why one cannot teach.

    Builds the networks with random weights; nothing is downloaded.
    """
    cfg = Config.fromfile(path)
    rows = [['mentor', 'fits', 'adapted, or why not']]
    model = dict(cfg.model, mentors=[])
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        distiller = MODELS.build(model)
        for position, settings in enumerate(cfg.model.mentors):
            name = settings.get('name', settings.get('zoo', f'mentor{position}'))
            try:
                mentor = build_mentor(
                    {**settings, 'checkpoint': None}, position, distiller.data_preprocessor
                )
                distiller.task.admit(mentor)
                rows.append([name, 'yes', ', '.join(mentor.adaptations) or '-'])
            except (ValueError, TypeError, KeyError, ImportError, FileNotFoundError) as error:
                rows.append([name, 'NO', str(error)])
    return rows


def download(names: Sequence[str]) -> List[List[str]]:
    """Fetch the weights of zoo names and of whole classroom configs; rows of where they are."""
    rows = [['weights', 'file']]
    for name in names:
        if name.endswith('.py'):
            urls = [_url(mentor) for mentor in Config.fromfile(name).model.mentors]
        else:
            urls = [_url(dict(zoo=name))]
        for url in urls:
            if url and url.startswith('http'):
                rows.append([url, str(fetch(url, 'mentors.py download'))])
    return rows


def _url(mentor: Dict[str, Any]) -> Optional[str]:
    if 'checkpoint' in mentor:
        return mentor['checkpoint']
    return look_up(mentor['zoo'], 'mentors.py download').weights


def show(rows: List[List[str]]) -> None:
    """Print rows in columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; 1 where a mentor of ``check`` does not fit."""
    args = parse_args(argv)
    try:
        rows = {
            'search': lambda: search(args),
            'info': lambda: info(args.name),
            'check': lambda: check(args.config),
            'download': lambda: download(args.names),
        }[args.command]()
    except (ValueError, RuntimeError) as error:
        raise SystemExit(str(error)) from error
    show(rows)
    return int(args.command == 'check' and any(row[1] == 'NO' for row in rows))


if __name__ == '__main__':
    raise SystemExit(main())
