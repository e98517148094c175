"""What the tasks have in common."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from torch import Tensor, nn


@contextmanager
def replayed(head: nn.Module, output: Tensor) -> Iterator[None]:
    """Let ``head.loss`` see an output that is already computed instead of computing it again."""
    head.forward = lambda feats: output
    try:
        yield
    finally:
        del head.forward


class Task:
    """What the method must know of a task.

    Attributes:
        default_scorer: Config of the scorer that fits.
        truth: The kind of ground truth that a scorer for this task takes.
        dataset_meta: The training set's metainfo, once it is known.
    """

    default_scorer: dict[str, Any]
    truth: type
    dataset_meta: Optional[dict] = None

    def meet(self, data_samples: Sequence[Any]) -> None:
        """Look at a batch before its lesson; nothing by default."""

    def check_filter(self, knowledge_filter: nn.Module) -> None:
        """Refuse a filter whose task weights the student's loss cannot take; none by default."""

    def check_loss(self, distill_loss: nn.Module) -> None:
        """Refuse a loss that cannot compare what the members give; none by default."""

    def check_scorer(self, scorer: nn.Module) -> None:
        """Refuse another task's scorer.

        Raises:
            ValueError: Naming the scorer and one that fits.
        """
        if getattr(scorer, 'truth', self.truth) is not self.truth:
            raise ValueError(
                f'scorer={type(scorer).__name__} does not fit the student; use '
                f'{self.default_scorer["type"]}'
            )
