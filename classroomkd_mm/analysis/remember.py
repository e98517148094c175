"""Fill a classroom's memory ahead of its runs, check it, describe it or prune it.

The mentors of CONFIG, whose model has memory=dict(dir=...), are asked for every view of every
training sample that is not there yet. Interrupted, it goes on where it stopped. Under torchrun each
process takes its share, so do several calls with --part. A run of the config needs neither the
mentors' weights nor their configs afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.runner import set_random_seed
from rich.progress import Progress, TextColumn
from torch.utils.data import DataLoader, Subset

from ..arguments import fraction, not_negative, positive
from ..datasets import FixedViews, find_fixed_views, view_numbers
from ..distiller import ClassroomDistiller
from ..mentors.memory import Codec, RememberedMentor, plan, size
from ..mentors.memory.store import ANSWERS, FACTS
from ..progress import progress_bar
from ..runs import read_classroom
from ..runs.options import merge_options
from ..structures import Answer
from .check import build_classroom, training_set
from .fidelity import Batch, Fidelity, add_batch, fidelity_table
from .tables import Rows, text

EXAMPLES = """examples:
  python -m classroomkd_mm remember CONFIG                    # all views
  python -m classroomkd_mm remember CONFIG --views 0:4        # the first four
  torchrun --nproc_per_node 2 -m classroomkd_mm remember CONFIG
  python -m classroomkd_mm remember CONFIG --check 0.01       # ask a hundredth again, and compare
  python -m classroomkd_mm remember CONFIG --keeps 32 64 128  # error and bytes of some keep=
  python -m classroomkd_mm remember CONFIG --info
  python -m classroomkd_mm remember CONFIG --prune            # what this config does not use"""
MEASURED = 64  # samples on which the loss by remembering is measured when it begins


def remembering(
    cfg: Config, device: str, asks: bool = True
) -> tuple[ClassroomDistiller, FixedViews]:
    """The classroom, its memories open, and its training data.

    Args:
        cfg: Its whole config.
        device: Where mentors are asked.
        asks: Whether they are tried, and answer their first sample.

    Raises:
        ValueError: Where its model has no memory, or it is another's.
    """
    if not cfg.model.get('memory'):
        raise ValueError(
            "the config's model has no memory; set model.memory=dict(dir=FOLDER), on the command "
            'line --cfg-options model.memory.dir=FOLDER'
        )
    # Of the run's seed: mentors with random weights are then the run's, and figures are repeatable.
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)
    model = build_classroom(cfg, memory=cfg.model.memory).to(device).eval()
    dataset = training_set(cfg, 'a memory')
    model.prepare(dataset)
    model.cut_own_crops(dataset, remembered=False)  # what is asked here is missing, or asked again
    if asks:
        model.try_mentors(dataset)
    fixed = find_fixed_views(dataset)
    assert fixed is not None  # prepare refuses all else
    return model, fixed


def missing(model: ClassroomDistiller, numbers: Sequence[int]) -> list[int]:
    """Those of the numbers that some mentor has not answered."""
    there = np.array([memory.there(numbers) for memory in model.memories])
    return [number for number, all_there in zip(numbers, there.all(0)) if not all_there]


def batches(
    model: ClassroomDistiller,
    fixed: FixedViews,
    numbers: Sequence[int],
    args: argparse.Namespace,
) -> Iterator[Batch]:
    """Preprocessed batches of the samples with these numbers."""
    loader: DataLoader = DataLoader(
        Subset(fixed, numbers),  # type: ignore[arg-type]  # it is map-style
        batch_size=args.batch_size,
        num_workers=args.workers,
        collate_fn=pseudo_collate,
    )
    for batch in loader:
        yield model.data_preprocessor(batch, False)


@torch.no_grad()
def fill(model: ClassroomDistiller, data: Iterable[Batch], progress: Progress, total: int) -> None:
    """Ask all mentors, whose memories keep what they say.

    Raises:
        OSError: Where a memory takes no more answers.
    """
    task = progress.add_task('asking', total=total, kept='')
    for batch in data:
        numbers = view_numbers(batch['data_samples'])
        for mentor in model.mentors:
            mentor(batch['inputs'], numbers, batch['data_samples'])
        refusing = [memory.name for memory in model.memories if not memory.takes]
        if refusing:
            raise OSError(f'the memory takes no more answers of {", ".join(refusing)}; see above')
        kept = size(len(numbers) * sum(memory.record_size for memory in model.memories))
        progress.update(task, advance=len(numbers), kept=f'{kept} a batch')


def compare(model: ClassroomDistiller, data: Iterable[Batch]) -> dict[str, Fidelity]:
    """The remembered answers against those of the live mentors, by mentor."""
    found = {memory.name: Fidelity(memory.record_size) for memory in model.memories}
    for batch in data:
        inputs, samples = batch['inputs'], batch['data_samples']
        numbers = view_numbers(samples)
        for i, mentor in enumerate(model.mentors):
            if isinstance(mentor, RememberedMentor):
                live = mentor.live(inputs, samples=samples)
                answers = live, mentor(inputs, numbers, samples)
                add_batch(found[mentor.name], model, i, batch, answers)
    return found


def compare_keeps(
    model: ClassroomDistiller, data: Iterable[Batch], keeps: Sequence[int]
) -> dict[str, Fidelity]:
    """What other ``keep`` would lose, by mentor and keep; nothing is kept."""
    found: dict[str, Fidelity] = {}
    for batch in data:
        for i, mentor in enumerate(model.mentors):
            live = mentor.live if isinstance(mentor, RememberedMentor) else mentor
            answer = live(batch['inputs'], samples=batch['data_samples'])
            for keep in keeps:
                codec = Codec(tuple(tuple(part.shape[1:]) for part in answer.parts), keep)
                kept = Answer(codec.decode(codec.encode(answer.parts)), answer.finite)
                name = f'{mentor.name}, keep={keep}'
                found.setdefault(name, Fidelity(codec.nbytes))
                add_batch(found[name], model, i, batch, (answer, kept))
    return found


def info(model: ClassroomDistiller, fixed: FixedViews) -> Rows:
    """Rows of the memory's table: what each mentor has answered, view by view."""
    length, views = len(fixed), fixed.views or 1
    rows = [['mentor', 'bytes an answer', 'on disk', *(f'view {v}' for v in range(views))]]
    for memory in model.memories:
        counts = [
            sum(memory.there(range(view * length, (view + 1) * length))) for view in range(views)
        ]
        path = memory.folder / ANSWERS
        used = path.stat().st_blocks * 512 if path.is_file() else 0
        shares = [f'{count / length:.0%}' for count in counts]
        rows.append([memory.name, str(memory.record_size), size(used), *shares])
    return rows


def prune(model: ClassroomDistiller, fixed: FixedViews) -> list[str]:
    """Remove what the config does not use; what was removed, in words.

    Mentors that it does not have, and views that its data do not have.
    """
    told, own = [], {memory.name for memory in model.memories}
    root = model.memories[0].folder.parent
    for folder in sorted(root.iterdir()):
        # Nothing but a mentor's memory: the folder may be shared with other things.
        if folder.name not in own and (folder / FACTS).is_file():
            told.append(f'mentor {folder.name!r}: {size(_disk(folder))}')
            shutil.rmtree(folder)
    for memory in model.memories:
        path = memory.folder / ANSWERS
        wanted = memory.record_size * len(fixed) * (fixed.views or 1)
        if path.is_file() and path.stat().st_size > wanted:
            told.append(f'mentor {memory.name!r}: {size(path.stat().st_size - wanted)} of views')
            os.truncate(path, wanted)
    return told


def _disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def share(numbers: Sequence[int], args: argparse.Namespace) -> list[int]:
    """The numbers that this process asks."""
    rank, world = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    part, parts = args.part
    return list(numbers)[rank + world * part :: world * parts]


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm remember',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('config', help="a classroom's, with model.memory and FixedViews")
    parser.add_argument('--views', type=_span, metavar='A:B', help='views A to B - 1 (default all)')
    parser.add_argument(
        '--part', type=_part, default=(0, 1), metavar='I/N', help='the I-th of N shares, from 0'
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        '--check', type=fraction, metavar='SHARE', help='ask this share of what is there again'
    )
    what.add_argument(
        '--keeps', type=positive, nargs='+', metavar='K', help='what some keep= would lose'
    )
    what.add_argument('--info', action='store_true', help='what is there')
    what.add_argument('--prune', action='store_true', help='remove what the config does not use')
    parser.add_argument('--batch-size', type=positive, default=32)
    parser.add_argument(
        '--workers', type=not_negative, default=2, help='that load pictures (default 2)'
    )
    parser.add_argument('--device', default=_device(), help='(default %(default)s)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', default={}
    )
    return parser


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    return make_parser().parse_args(argv)


def _device() -> str:
    """This process's own GPU; the CPU where there is none."""
    if not torch.cuda.is_available():
        return 'cpu'
    return f'cuda:{int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()}'


def _span(argument: str) -> range:
    first, _, last = argument.partition(':')
    if not (first.isdigit() and last.isdigit() and int(first) < int(last)):
        raise argparse.ArgumentTypeError(f'{argument} is not A:B with A below B')
    return range(int(first), int(last))


def _part(argument: str) -> tuple[int, int]:
    part, _, parts = argument.partition('/')
    if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise argparse.ArgumentTypeError(f'{argument} is not I/N with I below N')
    return int(part), int(parts)


def _numbers(args: argparse.Namespace, fixed: FixedViews) -> list[int]:
    """Of all samples in the views that are asked for.

    Raises:
        ValueError: For a view that there is not.
    """
    views = args.views or range(fixed.views or 1)
    if views[-1] >= (fixed.views or 1):
        raise ValueError(f'--views {views[0]}:{views[-1] + 1}: FixedViews has {fixed.views}')
    return [i + len(fixed) * view for view in views for i in range(len(fixed))]


def _fill(model: ClassroomDistiller, fixed: FixedViews, args: argparse.Namespace) -> Rows:
    """Fill, with a progress bar; the table of what is lost."""
    numbers = missing(model, share(_numbers(args, fixed), args))
    print(plan(model.memories, len(fixed), fixed.views or 1, None))
    with progress_bar(TextColumn('{task.fields[kept]}')) as progress:
        fill(model, batches(model, fixed, numbers, args), progress, len(numbers))
    measured = (numbers or _numbers(args, fixed))[:MEASURED]
    return fidelity_table(compare(model, batches(model, fixed, measured, args)))


def _check(model: ClassroomDistiller, fixed: FixedViews, args: argparse.Namespace) -> Rows:
    numbers = _numbers(args, fixed)
    lacking = set(missing(model, numbers))
    there = [number for number in numbers if number not in lacking]
    count = max(1, round(args.check * len(there)))
    if not there:
        raise ValueError('--check: there is no answer yet')
    drawn = np.random.default_rng().choice(there, size=count, replace=False)
    print(f'{count} of {len(there)} answers are asked for again')
    return fidelity_table(compare(model, batches(model, fixed, sorted(drawn.tolist()), args)))


def _keeps(model: ClassroomDistiller, fixed: FixedViews, args: argparse.Namespace) -> Rows:
    data = batches(model, fixed, _numbers(args, fixed)[:MEASURED], args)
    return fidelity_table(compare_keeps(model, data, args.keeps))


def run(cfg: Config, args: argparse.Namespace) -> None:
    """What the command line asks for.

    Raises:
        ValueError: See :func:`remembering`; for views that there are not.
        OSError: Where nothing more can be kept.
    """
    looks = args.check or args.info or args.prune
    folder = cfg.model.memory.dir if cfg.model.get('memory') else None
    if looks and folder and not Path(folder).expanduser().is_dir():
        at = Path(folder).expanduser().absolute()
        raise ValueError(f'memory.dir={folder!r} is not there: nothing has been remembered in {at}')
    model, fixed = remembering(cfg, args.device, asks=not (looks or args.keeps))
    if args.prune:
        print('\n'.join(f'removed {each}' for each in prune(model, fixed)) or 'nothing to remove')
        return
    asked: Mapping[str, Any] = dict(check=_check, keeps=_keeps)
    kind = next((each for name, each in asked.items() if getattr(args, name)), _fill)
    print(text(info(model, fixed) if args.info else kind(model, fixed, args)))


def main(argv: Sequence[str] | None = None) -> int:
    """Fill a memory, or see to it."""
    args = parse_args(argv)
    cfg = read_classroom(args.config)
    merge_options(cfg, args.cfg_options, '--cfg-options', args.config)
    run(cfg, args)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
