"""Are the mentors any good? Evaluates each before the first iteration."""

from functools import partial
from typing import Optional

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from torch import Tensor

from ..datasets import stated_metainfo
from ..distiller import ClassroomDistiller
from ..kinds import Closed, check_kinds
from ..members import Member
from ..progress import progress_bar
from ..registry import HOOKS
from ..runs import cutting_own_crops, same_random_state
from .classroom_hook import distiller_of

# Which metrics are better when they are larger, and which when smaller, by what their names hold.
LARGER = ('acc', 'top', 'auc', 'precision', 'recall', 'f1', 'pck', 'ap', 'ar')
SMALLER = ('loss', 'error', 'nme', 'epe', 'mpjpe', 'mrrpe', 'mae', 'mse')
KINDS: dict[str, object] = dict(
    min_metric=Optional[float], metric=Optional[str], max_metric=Optional[float]
)


def better(metric: str) -> Optional[str]:
    """Which of 'larger' and 'smaller' is better of a metric; None where its name does not say."""
    name = metric.split('/')[-1].lower()
    if any(key in name for key in SMALLER):
        return 'smaller'
    return 'larger' if any(key in name for key in LARGER) else None


@HOOKS.register_module()
class MentorEvalHook(Closed, Hook):
    """Evaluates every mentor with the run's own val data and metric, and prints one table.

    A mentor whose weights did not load is the commonest silent failure of distillation.

    Args:
        min_metric: Training does not start where a mentor is below this.
        metric: The metric compared, e.g. 'coco/AP'; the first that the evaluator reports if None.
        max_metric: Training does not start where a mentor is above this: for errors (NME, EPE,
            MPJPE), which are better when smaller.

    Raises:
        RuntimeError: Before training, where a mentor is beyond the bound.
        ValueError: Before training, where the run has no val loop, the metric is unknown, or the
            bound is on its wrong side.
    """

    def __init__(
        self,
        min_metric: Optional[float] = None,
        metric: Optional[str] = None,
        max_metric: Optional[float] = None,
    ) -> None:
        given = dict(min_metric=min_metric, metric=metric, max_metric=max_metric)
        check_kinds(given, KINDS, 'MentorEvalHook: ')
        self.min_metric = min_metric
        self.metric = metric
        self.max_metric = max_metric

    def before_train(self, runner: Runner) -> None:
        """Evaluate, unless the run is resumed."""
        model = distiller_of(runner, type(self).__name__)
        if runner.iter > 0:
            runner.logger.info('MentorEvalHook: skipped, the run is resumed')
            return
        if runner.val_loop is None:
            raise ValueError(
                'custom_hooks has MentorEvalHook, which needs val_dataloader, '
                'val_evaluator and val_cfg'
            )
        with same_random_state():
            # Which of a mentor's classes or keypoints are the data set's is known only now.
            model.prepare(runner.train_dataloader.dataset)
            with cutting_own_crops(model, runner.val_loop.dataloader):
                table = {m[0].name: self._evaluate(runner, model, m) for m in model.members}
        lacking = {mentor.name: bridge.lacks for mentor, bridge in model.members}
        runner.logger.info(format_table(table, lacking))
        for name, metrics in table.items():
            self._check(name, metrics, lacking[name])

    @torch.no_grad()
    def _evaluate(
        self, runner: Runner, model: ClassroomDistiller, member: Member
    ) -> dict[str, float]:
        mentor, bridge = member
        dataloader, evaluator = runner.val_loop.dataloader, runner.val_loop.evaluator
        evaluator.dataset_meta = stated_metainfo(dataloader.dataset)
        runner.logger.info(f'MentorEvalHook: evaluating mentor {mentor.name!r}')
        console = Console(stderr=True, quiet=not is_main_process())
        with progress_bar(console=console) as bar:
            for batch in bar.track(dataloader, description=mentor.name):
                data = model.data_preprocessor(batch, False)
                samples = data['data_samples']
                inputs = mentor.shown(data['inputs'], samples)
                there = bridge.moved(partial(Tensor.to, device=inputs.device))
                predictions = there.predict(mentor.network, inputs, samples)
                evaluator.process(data_samples=predictions, data_batch=batch)
        metrics = evaluator.evaluate(len(dataloader.dataset))
        # A metric of each class is an array: it has no place in the table.
        return {key: float(value) for key, value in metrics.items() if np.ndim(value) == 0}

    def _check(self, name: str, metrics: dict[str, float], lacks: Optional[str]) -> None:
        if self.metric is not None and self.metric not in metrics:
            raise ValueError(
                f'MentorEvalHook.metric={self.metric!r} is not reported; choose one of '
                f'{sorted(metrics)}'
            )
        bounds = dict(min_metric=self.min_metric, max_metric=self.max_metric)
        for setting, bound in bounds.items():
            if bound is None:
                continue
            metric = self._bounded(metrics, setting, bound)
            lower, value = setting == 'min_metric', metrics[metric]
            if not (value >= bound if lower else value <= bound):  # NaN is neither
                raise RuntimeError(
                    f'mentor {name!r} reaches {metric}={value:.4g}, '
                    f'{"below" if lower else "above"} MentorEvalHook.{setting}={bound}: '
                    + (f'it lacks {lacks}, which count as wrong here; ' if lacks else '')
                    + 'did its weights load, and do its keypoints and normalisation fit the data?'
                )

    def _bounded(self, metrics: dict[str, float], setting: str, bound: float) -> str:
        """The name of the metric that is compared with a bound."""
        metric = self.metric or next(iter(metrics), None)
        if metric is None:
            raise ValueError(
                f'MentorEvalHook.{setting}={bound} has nothing to be compared with: the evaluator '
                'reports no single number'
            )
        wrong, other = 'smaller', 'max_metric'
        if setting == 'max_metric':
            wrong, other = 'larger', 'min_metric'
        if better(metric) == wrong:
            raise ValueError(
                f'MentorEvalHook.{setting}={bound}: {metric} is better when it is {wrong}; use '
                f'{other}'
            )
        return metric


def format_table(
    table: dict[str, dict[str, float]], lacking: dict[str, Optional[str]]
) -> str:
    """One row per mentor, one column per metric; what it lacks stands beside its name.

    Args:
        table: Metrics by the mentor's name.
        lacking: What each does not have, and is counted as wrong; None where it has all.
    """
    metrics = list(next(iter(table.values()), {}))
    rows = [['mentor', *metrics]]
    for name, values in table.items():
        lacks = f' (lacks {lacking[name]})' if lacking[name] else ''
        rows.append([name + lacks, *(f'{values[m]:.4g}' for m in metrics)])
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return 'Mentors on the validation set:\n' + '\n'.join(
        '  '.join(cell.ljust(w) for cell, w in zip(row, width)) for row in rows
    )
