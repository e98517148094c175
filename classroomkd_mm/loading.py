"""Loading what fits of a checkpoint: what does not is told in one line, or is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from mmengine.logging import MMLogger
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys
from torch.utils.hooks import RemovableHandle

SHOWN_KEYS = 5
LEAST = 0.5  # of a backbone's parameters; with less the file is one of another network
SHAPES = re.compile(r'size mismatch for ([^:]+): .*Size\((\[.*?\])\).*Size\((\[.*?\])\)', re.DOTALL)


@dataclass(frozen=True)
class Misfit:
    """What of a file did not fit in one load into a network.

    Attributes:
        missing: The network's names that the file lacks, batch counters aside.
        unexpected: The file's names that the network lacks.
        wrong: What has another shape, by the name; both shapes in words.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong: dict[str, str]

    @classmethod
    def of(cls, missing: Sequence[str], unexpected: Sequence[str], errors: Sequence[str]) -> Misfit:
        """From the lists that torch fills while it loads."""
        named = {error: SHAPES.search(error) for error in errors}
        wrong = {
            found[1] if found else error: f'{found[2]}, not {found[3]}' if found else ''
            for error, found in named.items()
        }
        missed = tuple(key for key in missing if 'num_batches_tracked' not in key)
        return cls(missed, tuple(unexpected), wrong)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.wrong)

    def __str__(self) -> str:
        shapes = [f'{key}: {shape}' if shape else key for key, shape in self.wrong.items()]
        kinds = {'missing': self.missing, 'unexpected': self.unexpected, 'wrongly shaped': shapes}
        return ', '.join(_named(kind, keys) for kind, keys in kinds.items() if keys)

    def loaded(self, network: nn.Module) -> tuple[int, int]:
        """How many of a network's weights fitted, and of how many, batch counters aside."""
        own = [key for key in network.state_dict() if 'num_batches_tracked' not in key]
        lost = {*self.missing, *self.wrong}
        return sum(key not in lost for key in own), len(own)

    def share(self, network: nn.Module, part: nn.Module) -> float | None:
        """Which share of a part's parameters (numbers, not tensors) fitted.

        Args:
            network: What was loaded into.
            part: The part; only what lies within the network counts. None where nothing does.
        """
        within = {id(parameter) for parameter in part.parameters()}
        sizes = {key: p.numel() for key, p in network.named_parameters() if id(p) in within}
        lost = {*self.missing, *self.wrong}
        total = sum(sizes.values())
        return sum(n for key, n in sizes.items() if key not in lost) / total if total else None


def _named(kind: str, keys: Sequence[str]) -> str:
    more = ', ...' if len(keys) > SHOWN_KEYS else ''
    return f'{len(keys)} {kind} keys ({", ".join(keys[:SHOWN_KEYS])}{more})'


@contextmanager
def what_fits(network: nn.Module, what: str, part: nn.Module) -> Iterator[None]:
    """Let loads into a network take what fits, and tell in one warning what does not.

    As MMEngine's loader, which lists all keys; torch's own would raise for shapes.

    Args:
        network: What is loaded into.
        what: Names the file in the log and in errors.
        part: The backbone.

    Raises:
        RuntimeError: Where less than half of the backbone's parameters fit.
    """
    handles = _watch(network, lambda misfit: _tell(misfit, network, what, part))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def only_whole(network: nn.Module, what: str) -> None:
    """Make each load into a network that leaves out a weight an error, not MMEngine's warning.

    Args:
        network: What is loaded into, from now on.
        what: Names the file in errors.
    """

    def refuse(misfit: Misfit) -> None:
        if misfit:
            raise RuntimeError(
                f'{what} does not fit the model: {misfit}; half-loaded weights would be evaluated'
            )

    _watch(network, refuse)


def _watch(network: nn.Module, judge: Callable[[Misfit], None]) -> tuple[RemovableHandle, ...]:
    """Hear of each load whose root is the network, through torch's loader or MMEngine's."""
    lists: list[list[str]] = []

    def begin(state: object, prefix: str, metadata: object, strict: bool, *told: list[str]) -> None:
        if not prefix:  # else it is a part of what is loaded into
            lists[:] = told

    def end(module: nn.Module, keys: _IncompatibleKeys) -> None:
        if lists:
            misfit = Misfit.of(*lists)
            for each in lists:
                each.clear()  # torch would raise for the last, MMEngine tell them all once more
            lists.clear()
            judge(misfit)

    # The public name gives a module first, and is not in every torch that is supported.
    return (
        network._register_load_state_dict_pre_hook(begin),
        network.register_load_state_dict_post_hook(end),
    )


def _tell(misfit: Misfit, network: nn.Module, what: str, part: nn.Module) -> None:
    if not misfit:
        return
    share = misfit.share(network, part)
    of_part = '' if share is None else f" and {share:.0%} of its backbone's parameters"
    loaded, count = misfit.loaded(network)
    if share is not None and share < LEAST:
        raise RuntimeError(
            f'{what} is not of this backbone: only {share:.0%} of its parameters fit ({misfit}). '
            'Give a checkpoint of this network; weights of a backbone alone belong in the '
            "backbone's init_cfg=dict(type='Pretrained', checkpoint=...), with prefix= where their "
            'names begin with one, and tools/extract.py takes other prefixes off'
        )
    MMLogger.get_current_instance().warning(
        f'{what} fits in part: {loaded} of {count} weights{of_part} are loaded, the rest stays as '
        f'it was initialised; what does not fit: {misfit}'
    )
