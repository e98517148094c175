"""What wrappers, distillers and averages put before a network's parameter names, taken off again.

Names come in chains: ``module.student.backbone.conv1.weight`` is a distiller's student within
DistributedDataParallel. Whether a chain is to be taken off is decided by the network's own names.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping

from torch import Tensor, nn

Weights = Mapping[str, Tensor]

# Never a part of a clean network; and what is one in some networks.
WRAPPERS = (
    'module',
    'student',
    'architecture',
    'teacher',
    '_orig_mod',
    'ema',
    'ema_model',
    'model_ema',
    '_fsdp_wrapped_module',
)
NAMES = frozenset({*WRAPPERS, 'model', 'backbone'})
INNER = re.compile(r'(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.')
COUNTS = frozenset({'steps', 'n_averaged'})  # of updates, which averages keep beside the weights
SHOWN_KEYS = 5


def chains(keys: Iterable[str], names: Iterable[str] = NAMES) -> list[str]:
    """Every chain of prefixes that a key starts with, the empty one first.

    >>> chains(['module.student.conv.weight', 'steps'])
    ['', 'module.', 'module.student.']
    """
    found = {chain for key in keys for chain in _chains_of(key, frozenset(names))}
    return sorted(found, key=lambda chain: (len(chain), chain))


def _chains_of(key: str, names: frozenset[str]) -> Iterator[str]:
    chain = ''
    yield chain
    for name in key.split('.')[:-1]:
        if name not in names:
            return
        chain += f'{name}.'
        yield chain


def without(weights: Weights, chain: str) -> OrderedDict[str, Tensor]:
    """The weights whose names start with a chain, under the rest of their names."""
    kept = OrderedDict(
        (key[len(chain) :], value) for key, value in weights.items() if key.startswith(chain)
    )
    # Layers' versions, by which torch and MMPose know what to convert.
    versions = getattr(weights, '_metadata', None)
    if isinstance(versions, dict):
        kept._metadata = {  # type: ignore[attr-defined]
            key[len(chain) :]: value
            for key, value in versions.items()
            if f'{key}.'.startswith(chain)
        }
    return kept


def unwrapped(weights: Weights) -> Weights:
    """The weights without the names that torch.compile and FSDP put before parts of a network."""
    named = OrderedDict((INNER.sub('', key), value) for key, value in weights.items())
    # As it was where there are none, with its layers' versions, or where two would have one name.
    return named if len(named) == len(weights) and named.keys() != weights.keys() else weights


def fitting(
    network: nn.Module,
    weights: Weights,
    what: str,
    rename: Callable[[OrderedDict[str, Tensor]], Weights] = lambda weights: weights,
) -> tuple[Weights, str]:
    """The weights with the one chain of prefixes taken off that a network's own names ask for.

    A chain fits if the network's names are all there once it is off, batch counters aside. Of two
    that fit, the one whose shapes fit as well is meant. What does not start with it is left out.

    Args:
        network: Whose names and shapes count.
        weights: By names with or without prefixes.
        what: Names the weights in errors.
        rename: How names without prefixes become the network's.

    Returns:
        The weights, renamed, as they were if no chain fits; and what was done, empty if nothing.

    Raises:
        ValueError: Where two chains fit.
    """
    inner = 'the names that torch.compile or FSDP gave parts are taken off its keys'
    for said, named in (('', weights), (inner, unwrapped(weights))):
        fit = _fits(network, named, rename)
        if '' in fit:
            return fit[''], said
        if len(fit) > 1:
            raise ValueError(
                f'{what} holds more than one network of these keys, under '
                f'{" and ".join(map(repr, fit))}: write the one that is meant to a file of its own '
                f'with tools/extract.py FILE OUT --prefix {next(iter(fit))}'
            )
        if fit:
            chain, found = next(iter(fit.items()))
            return found, '; '.join(filter(None, (told(chain, named), said)))
    return rename(without(weights, '')), ''


def _fits(
    network: nn.Module,
    weights: Weights,
    rename: Callable[[OrderedDict[str, Tensor]], Weights],
) -> dict[str, Weights]:
    own = {k: v.shape for k, v in network.state_dict().items() if 'num_batches_tracked' not in k}
    candidates = {chain: rename(without(weights, chain)) for chain in chains(weights)}
    fit = {chain: named for chain, named in candidates.items() if own.keys() <= named.keys()}
    if '' in fit or len(fit) < 2:
        return fit
    shaped = {
        chain: named
        for chain, named in fit.items()
        if all(named[key].shape == shape for key, shape in own.items())
    }
    return shaped or fit


def told(chain: str, weights: Weights) -> str:
    """What is done where a chain is taken off."""
    others = [key for key in weights if not key.startswith(chain)]
    said = f'the prefix {chain!r} is taken off its keys' if chain else ''
    if others:
        more = ', ...' if len(others) > SHOWN_KEYS else ''
        said += f'; {len(others)} without it are left out ({", ".join(others[:SHOWN_KEYS])}{more})'
    return said


def common(weights: Weights, what: str) -> str:
    """The chain that no clean network has and all keys share, for want of a network to ask.

    Raises:
        ValueError: Where keys have different ones.
    """
    found = Counter(chains([key], WRAPPERS)[-1] for key in weights if key not in COUNTS)
    if len(found) > 1:
        counts = ', '.join(f'{number} under {chain!r}' for chain, number in found.items())
        raise ValueError(
            f'{what} holds keys of more than one network ({counts}): choose with --prefix, or give '
            "the network's --config"
        )
    return next(iter(found), '')
