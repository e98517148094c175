"""One page about runs: who taught how much, who was right, what it cost, whom to drop.

The page is made from what a run leaves in its work dir: classroom.jsonl, MMEngine's scalars, the
dumped config, the last checkpoint. Of the classroom it asks, for some training samples, what each
mentor says, who is right and who teaches; and it times student and mentors. Where mentors cannot be
built any more, the page is made from the logs alone and says so. Runs that differ in their seed
alone are drawn as one, with a band; a student that was trained alone can be compared.

The page is one file without links to others: it opens from disk, can be sent and printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ..analysis.check import TOLD
from ..arguments import fraction, positive
from ..progress import progress_bar
from .backends import backend_config, hand_over
from .classroom import Asked, How, ask
from .curves import Group, grouped
from .lessons import RIGHT
from .logs import LESSONS, WorkDir, read_work_dir
from .page import Told, check_libraries, chosen_metric, data_of, page

EXAMPLES = """examples:
  python -m classroomkd_mm report work_dirs/classroom                    # -> report.html
  python -m classroomkd_mm report work_dirs/classroom work_dirs/alone    # against a student alone
  python -m classroomkd_mm report runs/classroom/seed_* runs/aver/seed_* # seeds, with bands
  python -m classroomkd_mm report WORK_DIR --no-gallery                  # logs alone, a second
  python -m classroomkd_mm report WORK_DIR --to tensorboard              # pictures there, too
  python -m classroomkd_mm report WORK_DIR --samples 256 --metric PCK --out pages/run.html"""
LACKS = 'no gallery, no keypoints or classes, nobody alone right, no times of mentors'
NOTHING_ASKED = f'{LACKS}: --no-gallery was given'


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm report',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        'work_dirs', nargs='+', metavar='WORK_DIR', help='of finished or running trainings'
    )
    parser.add_argument('--out', type=Path, default=Path('report.html'), help='(%(default)s)')
    parser.add_argument('--title', help="of the page; says the first run's name by default")
    parser.add_argument(
        '--metric', help='that is drawn first, e.g. coco/AP; the page can change it'
    )
    parser.add_argument(
        '--to',
        action='append',
        default=[],
        metavar='BACKEND',
        help='give the figures to a visualisation backend of MMEngine as well: tensorboard, wandb '
        'or the\nname of its class; can be repeated',
    )
    _add_asking(parser)
    return parser


def _add_asking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--samples',
        type=positive,
        default=64,
        metavar='N',
        help='training samples that are looked at, always the same ones (%(default)s)',
    )
    parser.add_argument(
        '--no-gallery', action='store_true', help='ask and time nothing: logs alone, quick'
    )
    parser.add_argument(
        '--right',
        type=fraction,
        default=RIGHT,
        metavar='SCORE',
        help='from which score on a pose counts as right (%(default)s); a class is right if it is '
        'the top one',
    )
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='(%(default)s)'
    )


def read_groups(work_dirs: Sequence[str]) -> list[Group]:
    """The runs, those of one recipe together; groups with mentors first.

    Raises:
        ValueError: For what is no work dir; where no run had mentors.
    """
    named: dict[Path, str] = {}
    for folder in work_dirs:
        named.setdefault(Path(folder).resolve(), folder)
    groups = grouped([read_work_dir(folder) for folder in named.values()])
    if not any(group.taught for group in groups):
        raise ValueError(
            f'WORK_DIR {" ".join(work_dirs)}: none has lessons in {LESSONS}; give the work dir of '
            'a classroom, and others to compare it with'
        )
    return sorted(groups, key=lambda group: not group.taught)


def ask_all(groups: Sequence[Group], how: How) -> tuple[list[Told], list[str]]:
    """Ask each group's classroom; what was left out, and why."""
    told, left_out = [], []
    for group in groups:
        asked, why = _ask_one(group, how) if group.taught else (None, '')
        told.append(Told(group, asked))
        if why:
            left_out.append(f'{group.name}: {LACKS}: {why}')
    return told, left_out


def _ask_one(group: Group, how: How) -> tuple[Asked | None, str]:
    """One run's classroom: of several seeds the first that has a checkpoint."""
    run: WorkDir = next((each for each in group.runs if each.checkpoint), group.runs[0])
    try:
        with _bar(f'asking the mentors of {group.name}', how.work) as advance:
            return ask(run, How(how.samples, how.right, how.device, advance)), ''
    except Exception as error:  # whatever it is, the page says it, and shows the logs all the same
        name = '' if isinstance(error, TOLD) else f'{type(error).__name__}: '
        return None, name + ' '.join(str(error).split())


@contextmanager
def _bar(words: str, total: int) -> Iterator[Callable[[int], None]]:
    with progress_bar() as progress:
        task = progress.add_task(words, total=total)
        yield lambda done: progress.update(task, advance=done)
        progress.update(task, completed=total)  # of fewer samples, where there are not so many


def _make_place(out: Path) -> None:
    if out.is_dir():
        raise ValueError(f'--out {out} is a folder: name a file, e.g. {out}/report.html')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f'--out {out}: {error.filename} is a file, no folder') from error


def main(argv: Sequence[str] | None = None) -> int:
    """Make the page."""
    args = make_parser().parse_args(argv)
    # What is wrong is told before anything is asked.
    check_libraries()
    _make_place(args.out)
    for name in args.to:
        backend_config(name, None)
    groups = read_groups(args.work_dirs)
    chosen_metric(groups, args.metric)
    told, left_out = [Told(group) for group in groups], [NOTHING_ASKED]
    if not args.no_gallery:
        told, left_out = ask_all(groups, How(args.samples, args.right, args.device))
    data = data_of(told, left_out, args.metric, args.right)
    args.out.write_text(page(data, args.title or f'{groups[0].name}: who taught what'))
    for group, asked in [
        (each.group, each.asked) for each in told if args.to and each.group.taught
    ]:
        print(f'{group.name}: figures in {hand_over(group, asked, args.to)}')
    for words in left_out:
        print(f'left out: {words}')
    print(f'{args.out}: {data["groups"][0]["answer"]}')  # type: ignore[index]
    return 0
