"""The runs of a benchmark: what each is, where it lives, and which it waits for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from mmengine.config import Config

from . import runs
from .closed import known
from .configs import (
    as_text,
    best_config,
    changed_config,
    choices,
    max_epochs,
    moved,
    run_config,
    strings,
)
from .record import FAILED, METRICS, begin, ended, failed
from .spec import Benchmark, Cell, First, Options, filled
from .standin import StandIn, stand_in
from .study_file import Run

DONE, TODO, PARTLY, BROKEN = 'done', 'to do', 'begun', 'failed'
STATES = (DONE, TODO, PARTLY, BROKEN)
EPOCH = re.compile(r'epoch_(\d+)\.pth$')
MENTORS = 'mentors'  # folder of those that are trained on stand-in data


@dataclass(frozen=True)
class Place:
    """Where a benchmark's runs live.

    Attributes:
        root: Folder of the cells' work dirs, ``ROW/COLUMN/seed_N``.
        processes: How many train a cell together, None for as many as the file says.
        stand_in: What takes the data's place, for a rehearsal.
    """

    root: Path
    stand_in: StandIn | None = None
    processes: int | None = None


@dataclass(frozen=True)
class Job:
    """A run: of a cell and seed, or one that others wait for.

    Attributes:
        name: As it is told of.
        run: What is trained.
        folder: Its work dir.
        metric: Of its evaluation.
        seed: Its seed, None for its config's own.
        row: Of its cell; empty for one that others wait for.
        column: Likewise.
        split: Which it is evaluated on.
        checkpoint: Which of its checkpoints is.
        keep: Whether its checkpoints stay.
        makes: Its last checkpoint, as configs name it; empty for a cell.
        moved: Where the checkpoints that configs name are, if elsewhere.
        needs: The names of those that it waits for.
        stand_in: What takes its data's place.
        processes: How many train it together.
        meant: For how many its learning rate is; where they are others it is scaled.
    """

    name: str
    run: Run
    folder: Path
    metric: str
    seed: int | None = None
    row: str = ''
    column: str = ''
    split: str = 'test'
    checkpoint: str = 'last'
    keep: bool = False
    makes: str = ''
    moved: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    stand_in: StandIn | None = None
    processes: int = 1
    meant: int = 1

    @property
    def weights(self) -> Path:
        """The checkpoint that others wait for."""
        return Path(self.moved.get(self.makes, self.makes))

    @property
    def checkpoints(self) -> dict[str, str]:
        """Those of all its epochs, as configs name them, and where they are.

        A rehearsal makes fewer; its last stands for each.
        """
        epochs = EPOCH.search(self.makes)
        if epochs is None:
            return {}
        names = [f'{self.makes[: epochs.start()]}epoch_{i + 1}.pth' for i in range(int(epochs[1]))]
        return {name: name if self.stand_in is None else str(self.weights) for name in names}

    @property
    def last_epoch(self) -> int | None:
        """The epoch of the checkpoint that others wait for; None for a cell."""
        epoch = EPOCH.search(str(self.weights))
        return epoch and int(epoch[1])

    @property
    def warm(self) -> bool:
        """Whether its processes are forked: a rehearsal's, which imports for longer than it trains.

        Not where there is a GPU: what a process asked CUDA its forks cannot ask again.
        """
        return self.stand_in is not None and not torch.cuda.is_available()

    @property
    def quoted(self) -> str:
        """Which evaluation its figure is of, see :func:`~.runs.complete`."""
        chosen = self.checkpoint == 'best' and self.split == 'test'
        return 'best, test' if chosen else self.checkpoint

    def config(self) -> Config:
        """Its whole config.

        Raises:
            FileNotFoundError: Where there is no such file.
            ValueError: Where its settings do not fit together.
        """
        if self.makes:
            cfg = changed_config(self.run, self.seed)
        elif self.checkpoint == 'best':
            cfg = best_config(self.run, self.seed or 0, self.metric)
        else:
            cfg = run_config(self.run, self.seed or 0, self.split)
        if self.moved:
            cfg = Config(moved(cfg.to_dict(), self.moved), filename=cfg.filename)
        if self.processes != self.meant:  # MMEngine scales the learning rate by the real batch
            batch = self.meant * int(cfg.train_dataloader.batch_size)
            cfg.auto_scale_lr = dict(enable=True, base_batch_size=batch)
        return cfg if self.stand_in is None else stand_in(cfg, self.stand_in)

    def state(self) -> str:
        """Whether it is done, as far as its files say."""
        if self.weights.is_file() if self.makes else (self.folder / METRICS).is_file():
            return DONE
        if (self.folder / FAILED).is_file():
            return BROKEN
        return PARTLY if (self.folder / 'last_checkpoint').is_file() else TODO

    def facts(self) -> dict[str, object]:
        """What is kept of it."""
        kept: dict[str, object] = dict(seed=self.seed, metric=self.metric, config=self.run.config)
        if self.makes:
            return kept
        return dict(
            kept,
            row=self.row,
            column=self.column,
            split=self.split,
            checkpoint=self.checkpoint,
            rehearsal=self.stand_in is not None,
        )


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``done``, ``failed`` or ``busy``; its figure or its error's last line."""

    name: str
    state: str
    told: str


def execute(job: Job, environment: Mapping[str, str] | None = None) -> Outcome:
    """Do a job unless it is done; an error is told and kept, not raised.

    Args:
        job: What to do.
        environment: Variables for its processes.
    """
    try:
        if job.makes:
            _first(job, environment)
            return Outcome(job.name, DONE, str(job.weights))
        how = runs.How(job.processes, environment, warm=job.warm)
        keep = dict(facts=job.facts(), keep=job.keep, how=how)
        cfg = job.config()
        value = runs.complete(cfg, job.folder, job.metric, job.quoted, **keep)  # type: ignore[arg-type]
        return Outcome(job.name, DONE, f'{job.metric} {value:.4f}')
    except runs.Busy as error:
        return Outcome(job.name, 'busy', str(error))
    except runs.Stopped as error:  # by somebody: it goes on the next time
        return Outcome(job.name, BROKEN, runs.last_line(str(error)))
    except (ValueError, RuntimeError, OSError, KeyError, TypeError) as error:
        told = runs.last_line(str(error))
        failed(job.folder, told)
        return Outcome(job.name, BROKEN, told)


def _first(job: Job, environment: Mapping[str, str] | None) -> None:
    """Train a run that others wait for, as tools/train.py alone would."""
    with runs.only_process(job.folder) as lock:
        if job.weights.is_file():
            return
        config, started = job.folder.with_name(f'{job.folder.name}.py'), time.time()
        cfg = job.config()
        runs.refuse_other(cfg, config, job.folder)
        job.folder.mkdir(parents=True, exist_ok=True)
        config.write_text(as_text(cfg))
        begin(job.folder, job.facts(), runs.weights_of(cfg))
        runs.train(config, job.folder, runs.How(1, environment, lock, job.warm))
        ended(job.folder, started)
    if not job.weights.is_file():
        raise ValueError(f'{job.folder} was trained and has no {job.weights.name}')


def benchmark_jobs(bench: Benchmark, place: Place) -> dict[str, Job]:
    """All runs of a benchmark, by name, each after those that it waits for.

    Raises:
        ValueError: Where a config is missing, a cell cannot be made, or runs wait for each other.
    """
    first = {
        job.name: job for job in (_first_job(one, bench, place) for one in bench.first.values())
    }
    where = {path: at for job in first.values() for path, at in job.checkpoints.items()}
    makers = {path: job.name for job in first.values() for path in job.checkpoints}
    found = {
        name: _waiting(job, changed_config(job.run), makers, where) for name, job in first.items()
    }
    for row, column in bench.places:
        told = f'{row}, {column}' if column else row
        run = cell_run(bench, row, column)
        with _placed(bench, told):
            named = changed_config(run)
        _refuse_choices(named, bench, told)
        # One seed of a rehearsal: the others are trained by the same code.
        for seed in bench.seeds if place.stand_in is None else bench.seeds[:1]:
            job = _waiting(_cell_job(bench, place, (row, column), run, seed), named, makers, where)
            found[job.name] = job
    return in_order(_shared(found))


@contextmanager
def _placed(bench: Benchmark, where: str) -> Iterator[None]:
    """Say in errors of a config where the benchmark asks for it."""
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        raise ValueError(f'{bench.path}: the config of {where}: {error}') from error


def _shared(jobs: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs; one that is another's very run, as students alone can be, takes its folder."""
    seen: dict[str, Job] = {}
    found = {}
    for name, job in jobs.items():
        same = seen.setdefault(f'{job.run} {job.seed} {job.makes}', job)
        if same is not job:
            job = replace(job, folder=same.folder, needs=(same.name,))
        found[name] = job
    return found


def _refuse_choices(cfg: Config, bench: Benchmark, name: str) -> None:
    if bench.checkpoint == 'last':
        cfg.train_cfg.val_interval = cfg.train_cfg.get('max_epochs', 1)  # as the run will
    found = choices(cfg, bench.split, bench.checkpoint)
    if found:
        raise ValueError(f'{name}: {"; ".join(found)}: its figure cannot enter a table')


def _first_job(one: First, bench: Benchmark, place: Place) -> Job:
    run = Run(one.config, one.options)
    with _placed(bench, f'train_first.{one.name}'):
        epochs = max_epochs(changed_config(run), run)
    makes = f'{one.work_dir}/epoch_{epochs}.pth'
    job = Job(f'mentor {one.name}', run, Path(one.work_dir), bench.metric, one.seed, makes=makes)
    if place.stand_in is None:
        return job
    # One stands for all seeds here as well.
    like = [each.name for each in bench.first.values() if _alike(each, one)]
    folder = place.root / MENTORS / like[0]
    at = str(folder / f'epoch_{place.stand_in.epochs}.pth')
    return replace(job, folder=folder, moved={makes: at}, stand_in=place.stand_in)


def _alike(one: First, other: First) -> bool:
    """Whether two differ in their seed and place alone."""
    return (one.config, one.options) == (other.config, other.options)


def _cell_job(bench: Benchmark, place: Place, at: tuple[str, str], run: Run, seed: int) -> Job:
    row, column = at
    return Job(
        name=', '.join(filter(None, (row, column, f'seed {seed}'))),
        run=run,
        folder=cell_folder(place, row, column) / f'seed_{seed}',
        metric=bench.metric,
        seed=seed,
        row=row,
        column=column,
        split=bench.split,
        checkpoint=bench.checkpoint,
        keep=bench.keep_checkpoints,
        stand_in=place.stand_in,
        processes=1 if place.stand_in else place.processes or bench.processes,
        meant=1 if place.stand_in else bench.processes,
    )


def cell_folder(place: Place, row: str, column: str) -> Path:
    """Where the runs of a cell live."""
    return place.root / row / column


def _waiting(job: Job, cfg: Config, makers: Mapping[str, str], where: Mapping[str, str]) -> Job:
    """The job, waiting for those whose checkpoints its config names."""
    used = dict.fromkeys(each for each in strings(cfg.to_dict()) if each in makers)
    paths = {path: where[path] for path in (*used, job.makes) if path and path != where[path]}
    return replace(job, needs=tuple(dict.fromkeys(makers[path] for path in used)), moved=paths)


def in_order(jobs: Mapping[str, Job]) -> dict[str, Job]:
    """The jobs in their own order, but each after those that it waits for.

    Raises:
        ValueError: Where some wait for each other.
    """
    ordered: dict[str, Job] = {}
    left = dict(jobs)
    while left:
        ready = [name for name, job in left.items() if set(job.needs) <= set(ordered)]
        if not ready:
            circle = ' -> '.join(_circle(left))
            raise ValueError(f'runs wait for each other: {circle}')
        ordered.update((name, left.pop(name)) for name in ready)
    return ordered


def _circle(jobs: Mapping[str, Job]) -> list[str]:
    """A way along those that wait for each other, back to where it began."""
    way = [next(iter(jobs))]
    while way.count(way[-1]) < 2:
        way.append(next(need for need in jobs[way[-1]].needs if need in jobs))
    return way[way.index(way[-1]) :]


def cell_run(bench: Benchmark, row: str, column: str) -> Run:
    """What is trained in a place of the table: what the cell says wins over its row and column.

    Raises:
        ValueError: Where nothing says which config, or a mentor is unknown.
    """
    line, head = bench.rows[row], bench.columns[column]
    where = f'{row}, {column}' if column else row
    parts = [head.cell, line.cell, (line.cells or {}).get(column, Cell())]
    values = {key: value for part in parts for key, value in part.values.items()}
    options: Options = {
        key: value
        for source in (bench.options, *(part.options for part in parts))
        for key, value in source.items()
    }
    config = next((part.config for part in reversed(parts) if part.config), None)
    if config is None:
        raise ValueError(f'{where}: nothing says which config')
    names = _mentor_names(parts, where)
    lesson = next((part.lesson for part in reversed(parts) if part.lesson is not None), {})
    return Run(
        str(filled(config, values, where)),
        filled(options, values, where),  # type: ignore[arg-type]
        [_entry(bench, str(filled(name, values, where)), where) for name in names],
        filled(lesson, values, where),  # type: ignore[arg-type]
    )


def _mentor_names(parts: Sequence[Cell], where: str) -> list[str]:
    """Who teaches: the cell's or the row's, who may take all or the first of the column's."""
    head, line, cell = parts
    said = cell.mentors if cell.mentors is not None else line.mentors
    if said is None or not isinstance(said, str):
        return list(said or ())
    offered = list(head.mentors or ())
    if not offered:
        raise ValueError(f'{where}: mentors: {said}, but the column has none')
    return offered if said == 'all' else offered[:1]


def _entry(bench: Benchmark, name: str, where: str) -> dict[str, object]:
    """A mentor's entry in a config."""
    if name in bench.mentors:
        return {'name': name, **bench.mentors[name]}
    if name not in bench.first:
        known(f'{where}: mentors', name, [*bench.first, *bench.mentors])
    one = bench.first[name]
    epochs = max_epochs(changed_config(Run(one.config, one.options)), Run(one.config))
    return dict(name=name, config=one.config, checkpoint=f'{one.work_dir}/epoch_{epochs}.pth')


def chosen(
    jobs: Mapping[str, Job],
    rows: Iterable[str] | None,
    columns: Iterable[str] | None,
    seeds: Sequence[int | None] | None,
) -> dict[str, Job]:
    """The jobs of some cells and seeds, and those that they wait for; None stands for all."""
    wanted = {
        name
        for name, job in jobs.items()
        if job.row
        and (rows is None or job.row in rows)
        and (columns is None or job.column in columns)
        and (seeds is None or job.seed in seeds)
    }
    if rows is None and columns is None and seeds is None:
        wanted = set(jobs)
    for name in reversed(list(jobs)):  # those that others wait for come first
        if name in wanted:
            wanted.update(jobs[name].needs)
    return {name: job for name, job in jobs.items() if name in wanted}


def needless(jobs: Mapping[str, Job]) -> list[str]:
    """Those whose checkpoint is not there, and that only jobs wait for that are done."""
    undone = [name for name, job in jobs.items() if job.state() != DONE]
    left = set(undone)
    for name in reversed(undone):  # who waits for it comes after it
        waiting = {each for each, job in jobs.items() if name in job.needs}
        if waiting and not waiting & left:
            left.remove(name)
    return [name for name in undone if name not in left]
