"""Are the mentors any good? Evaluates each before the first iteration."""

from typing import Any, Optional

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from ..registry import HOOKS
from .classroom_hook import distiller_of, same_random_state


@HOOKS.register_module()
class MentorEvalHook(Hook):
    """Evaluates every mentor with the run's own val data and metric, and prints one table.

    A mentor whose weights did not load is the commonest silent failure of distillation.

    Args:
        min_metric: Training does not start where a mentor is below this.
        metric: The metric compared, e.g. 'coco/AP'; the first that the evaluator reports if None.

    Raises:
        RuntimeError: Before training, where a mentor is below ``min_metric``.
        ValueError: Before training, where the run has no val loop or the metric is unknown.
    """

    def __init__(self, min_metric: Optional[float] = None, metric: Optional[str] = None) -> None:
        self.min_metric = min_metric
        self.metric = metric

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
            model.task.check_data(model.scorer, runner.train_dataloader.dataset)
            table = {mentor.name: self._evaluate(runner, model, mentor) for mentor in model.mentors}
        runner.logger.info(format_table(table))
        for name, metrics in table.items():
            self._check(name, metrics)

    @torch.no_grad()
    def _evaluate(self, runner: Runner, model: Any, mentor: Any) -> dict[str, float]:
        dataloader, evaluator = runner.val_loop.dataloader, runner.val_loop.evaluator
        evaluator.dataset_meta = dataloader.dataset.metainfo
        runner.logger.info(f'MentorEvalHook: evaluating mentor {mentor.name!r}')
        bar = ProgressBar(len(dataloader)) if is_main_process() else None
        for batch in dataloader:
            data = model.data_preprocessor(batch, False)
            predictions = mentor.predict(data['inputs'], data['data_samples'])
            evaluator.process(data_samples=predictions, data_batch=batch)
            if bar:
                bar.update()
        metrics = evaluator.evaluate(len(dataloader.dataset))
        # A metric of each class is an array: it has no place in the table.
        return {key: float(value) for key, value in metrics.items() if np.ndim(value) == 0}

    def _check(self, name: str, metrics: dict[str, float]) -> None:
        metric = self.metric or next(iter(metrics))
        if metric not in metrics:
            raise ValueError(
                f'MentorEvalHook.metric={metric!r} is not reported; choose one of {sorted(metrics)}'
            )
        if self.min_metric is not None and not metrics[metric] >= self.min_metric:
            raise RuntimeError(
                f'mentor {name!r} reaches {metric}={metrics[metric]:.4g}, below '
                f'MentorEvalHook.min_metric={self.min_metric}: did its weights load, and do its '
                'keypoints and normalisation fit the data?'
            )


def format_table(table: dict[str, dict[str, float]]) -> str:
    """One row per mentor, one column per metric."""
    metrics = list(next(iter(table.values()), {}))
    rows = [['mentor', *metrics]]
    rows += [[name, *(f'{values[m]:.4g}' for m in metrics)] for name, values in table.items()]
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return 'Mentors on the validation set:\n' + '\n'.join(
        '  '.join(cell.ljust(w) for cell, w in zip(row, width)) for row in rows
    )
