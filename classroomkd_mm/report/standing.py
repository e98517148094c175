"""Which mentor should go? What is known of each, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .costs import Cost
from .curves import Group, last_share, mean_share
from .findings import alone_right
from .lessons import Looked

LITTLE_TAUGHT = 0.1  # of the last epoch's samples
HARDLY_ALONE = 0.02  # of the samples that were looked at
SAVES_NOTHING = 0.005  # of a step, as where answers are remembered
DROP, TRY, KEEP = 'drop it', 'try without it', 'keep it'


@dataclass(frozen=True)
class Standing:
    """What one mentor does for its student.

    Attributes:
        mentor: Its name.
        taught_last: Share of the last epoch's samples (or keypoints) that it taught.
        taught: Share of all epochs'.
        alone: On how many of the samples looked at it was right, and no other member.
        samples: How many these are, those without a label aside; None where none was looked at.
        cost: Its share of a training step; None where it was not measured.
        what: It taught: samples, or keypoints where each is filtered by itself.
    """

    mentor: str
    taught_last: float | None
    taught: float | None
    alone: int | None = None
    samples: int | None = None
    cost: float | None = None
    what: str = 'samples'

    @property
    def alone_share(self) -> float | None:
        """Share of samples on which it alone was right."""
        if self.alone is None or not self.samples:
            return None
        return self.alone / self.samples

    @property
    def verdict(self) -> str:
        """Drop a mentor that teaches little and is hardly ever alone right.

        One that teaches, but is right only where others are right too, is worth a run without it.
        """
        little = self.taught_last is not None and self.taught_last < LITTLE_TAUGHT
        alone = self.alone_share
        if alone is None:
            return DROP if little else KEEP
        if alone > HARDLY_ALONE:
            return KEEP
        return DROP if little else TRY

    @property
    def facts(self) -> str:
        """What the verdict rests on."""
        found = []
        if self.taught_last is not None:
            found.append(f'taught {percent(self.taught_last)} of the {self.what} of the last epoch')
        if self.alone_share is not None:
            found.append(
                f'was alone right on {percent(self.alone_share)} '
                f'({self.alone} of {self.samples} looked at)'
            )
        return ' and '.join(found) or 'has no lesson in the log'

    @property
    def saving(self) -> str:
        """What a step without it would save; empty where that is next to nothing."""
        little = self.cost is None or self.cost < SAVES_NOTHING
        return '' if little else f' to save {percent(self.cost or 0)} of a step'


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.004), percent(0.237)
    ('0.4 %', '24 %')
    """
    return f'{share:.1%}'.replace('%', ' %') if 0 < share < 0.01 else f'{share:.0%}'[:-1] + ' %'


def standings(group: Group, looked: Looked | None, cost: Cost | None) -> list[Standing]:
    """What is known of each mentor of a group, in the order of its config."""
    alone = {} if looked is None else dict(zip(looked.names, alone_right(looked)[1:].tolist()))
    shares = {} if cost is None or looked is None else dict(zip(looked.names, cost.shares))
    samples = None if looked is None else int(looked.known.sum())
    what = 'keypoints' if group.by_keypoint else 'samples'
    return [
        Standing(
            mentor=name,
            taught_last=last_share(group, name),
            taught=mean_share(group, name),
            alone=alone.get(name),
            samples=samples,
            cost=shares.get(name),
            what=what,
        )
        for name in group.mentors
    ]


def candidate(found: Sequence[Standing]) -> Standing:
    """The mentor to drop first: by verdict, then what it costs, then how little it taught."""
    order = (DROP, TRY, KEEP)
    return min(
        found,
        key=lambda each: (
            order.index(each.verdict),
            each.alone_share or 0 if each.verdict == KEEP else 0,
            -(each.cost or 0),
            each.taught_last or 0,
        ),
    )


def answer(found: Sequence[Standing]) -> str:
    """Which mentor should go, in one or two sentences.

    Args:
        found: At least one mentor's.
    """
    first = candidate(found)
    begin = f'Mentor {first.mentor} {first.facts}'
    if first.verdict == DROP:
        said = f'{begin}: drop it{first.saving}.'
    elif first.verdict == TRY:
        said = (
            f'{begin}: wherever it is right another member mostly is, too. '
            f'Try a run without it{first.saving}.'
        )
    else:
        said = f'Keep all mentors. The least needed is {first.mentor}: it {first.facts}.'
    others = [each.mentor for each in found if each is not first and each.verdict == first.verdict]
    if others and first.verdict != KEEP:
        said += f' The same may hold for {", ".join(others)}: drop one, then look again.'
    return said
