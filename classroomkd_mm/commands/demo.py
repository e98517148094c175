"""The main job on embedded data: three mentors, then a student alone, with AVER, with ClassroomKD.

Each run is the commands `train` and `test` on a shipped config, as a user would run them on COCO.
Data and runs lie in the working directory. An interrupted demo goes on where it stopped.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from ..analysis.tables import text
from ..datasets import make_synthetic_people
from ..report.page import missing_libraries
from ..runs import last_checkpoint
from ..shipped import PACKAGE
from .errors import INTERRUPTED

WORK = Path('work_dirs/demo')
MENTORS = ('mentor_large', 'mentor_medium', 'mentor_small')
STUDENTS = ('alone', 'aver', 'classroom')
METRICS = ('coco/AP', 'coco/AP .5', 'coco/AR')


def call(command: str, *args: str) -> None:
    """Run one of this project's commands, in a process of its own.

    Raises:
        RuntimeError: Where it fails.
    """
    environment = dict(os.environ, OMP_NUM_THREADS=os.environ.get('OMP_NUM_THREADS', '1'))
    started = [sys.executable, '-m', PACKAGE, command, *args]
    with subprocess.Popen(started, env=environment) as process:
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C reaches it as well: it ends its workers, and keeps what it has
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
    if status:
        raise RuntimeError(f'{command} {" ".join(args)} ended with status {status}')


def train_and_test(name: str) -> dict:
    """Train a demo config unless it is done, test its last checkpoint, return what is known."""
    folder = WORK / name
    result = folder / 'demo.json'
    if not result.is_file():
        config = f'{PACKAGE}::demo/{name}.py'
        resumed, started = last_checkpoint(folder) is not None, time.time()
        call('train', config, '--work-dir', str(folder), '--resume')
        seconds = None if resumed else time.time() - started  # of the last start only
        last, out = str(last_checkpoint(folder)), str(folder / 'm.json')
        call('test', config, last, '--work-dir', str(folder), '--out', out)
        metrics = json.loads((folder / 'm.json').read_text())
        result.write_text(json.dumps(dict(metrics, seconds=seconds)))
    return json.loads(result.read_text())


def lessons(name: str) -> list[dict]:
    """The run's classroom.jsonl, empty for a run without mentors."""
    path = WORK / name / 'classroom.jsonl'
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def table(results: dict[str, dict]) -> str:
    """One row per run; figures on the test split."""
    rows = [['run', 'AP', 'AP50', 'AR', 'seconds', 'share of lessons taught (all epochs)']]
    for name, result in results.items():
        shares = [f'{mentor} {share:.0%}' for mentor, share in taught(lessons(name)).items()]
        seconds = f'{result["seconds"]:.0f}' if result['seconds'] else 'resumed'
        figures = (f'{result[metric]:.3f}' for metric in METRICS)
        rows.append([name, *figures, seconds, ', '.join(shares) or '-'])
    return text(rows)


def taught(epochs: list[dict]) -> dict[str, float]:
    """Each mentor's share of the lessons of all epochs."""
    return {
        mentor: sum(epoch['mentors'][mentor]['active'] for epoch in epochs) / len(epochs)
        for mentor in (epochs[0]['mentors'] if epochs else {})
    }


def val_curve(name: str) -> list[list[float]]:
    """Epochs and validation AP of a run, from MMEngine's scalars file."""
    points = {}
    for path in sorted((WORK / name).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if 'coco/AP' in record:
                points[record['step']] = record['coco/AP']
    return [list(points), list(points.values())]


def plot(path: Path) -> None:
    """Validation AP of the students, and who taught in ClassroomKD, over the epochs."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout='constrained')
    for name in STUDENTS:
        left.plot(*val_curve(name), marker='o', label=name)
    left.set(title='student on the validation split', xlabel='epoch', ylabel='AP')
    for mentor, curve in taught_curves('classroom').items():
        right.plot(*curve, marker='o', label=mentor)
    right.set(
        title='who taught (ClassroomKD)', xlabel='epoch', ylabel='% of samples', ylim=(0, 100)
    )
    for axis in (left, right):
        axis.legend()
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def taught_curves(name: str) -> dict[str, list[list[float]]]:
    """Epochs and the per cent of samples that each mentor of a run taught in them."""
    epochs = lessons(name)
    return {
        mentor: [
            [epoch['epoch'] for epoch in epochs],
            [100 * epoch['mentors'][mentor]['active'] for epoch in epochs],
        ]
        for mentor in epochs[0]['mentors']
    }


def make_parser() -> argparse.ArgumentParser:
    """The command line, without arguments."""
    return argparse.ArgumentParser(
        prog='python -m classroomkd_mm demo',
        description=__doc__,
        epilog='example:\n  mkdir demo && cd demo && python -m classroomkd_mm demo',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the demo."""
    make_parser().parse_args(argv)
    try:
        run()
    except KeyboardInterrupt:
        print('\nInterrupted; the same command goes on from here.', file=sys.stderr)
        return INTERRUPTED
    return 0


def run() -> None:
    """Make the data, train and evaluate what is not there yet, and say how it came out."""
    print('Making the data set')
    make_synthetic_people('data/synthetic_people')
    results = {}
    for step, name in enumerate((*MENTORS, *STUDENTS), 1):
        print(f'\n===== run {step} of {len(MENTORS + STUDENTS)}: {name} =====', flush=True)
        results[name] = train_and_test(name)
    plot(WORK / 'demo.png')
    report = table(results)
    (WORK / 'demo.txt').write_text(report + '\n')
    print(f'\nTest split, one seed, on {os.cpu_count()} cores:\n{report}\n\nPlot: {WORK}/demo.png')
    tell_page()


def tell_page() -> None:
    """Make the page about the students, where there is what it is made with."""
    if missing_libraries():
        print(f'For a page about who taught what: pip install {" ".join(missing_libraries())}')
        return
    folders = [str(WORK / name) for name in reversed(STUDENTS)]
    call('report', *folders, '--out', str(WORK / 'report.html'))
