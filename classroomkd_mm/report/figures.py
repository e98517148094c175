"""The page's figures as pictures, for whatever shows pictures beside a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .classroom import Asked
from .curves import OF_MENTORS, Group, lesson_curves
from .findings import disagreement, right_by_class, right_where_wrong
from .gallery import class_name, skeleton
from .standing import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which the colour-blind tell apart, and two of the kind; the ninth member
# is drawn like the first, but dashed (hatched).
COLOURS = (
    *('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#7F3C8D', '#8A8A00'),
)
STUDENT = '#111111'
LINES, HATCHES = ('-', '--', ':', '-.'), ('', '///', '...', 'xxx')
MANY = 9  # members; with more the numbers in a square would run into each other
SHOWN = 16  # samples, those on which the members are most apart
Curves = Mapping[str, Any]


def drawn(
    draw: Callable[[Axes], None], size: tuple[float, float] = (7, 4), dpi: int = 100
) -> np.ndarray:
    """A picture, uint8 ``(H, W, 3)`` in RGB.

    Args:
        draw: What fills its axes.
        size: Inches, (w, h).
        dpi: Pixels an inch.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(size, dpi=dpi, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def figures(group: Group, asked: Asked | None) -> Iterator[tuple[str, np.ndarray]]:
    """All of a group's, by name; without ``asked`` those of the logs alone."""
    curves = lesson_curves(group)
    yield 'who_taught', drawn(lambda axes: who_taught(axes, group, curves))
    for key in OF_MENTORS[1:-1]:
        yield key, drawn(lambda axes, key=key: lines(axes, group, curves, key))  # type: ignore
    if asked is None:
        return
    looked = asked.looked
    names = ('student', *looked.names)
    yield 'right', drawn(lambda axes: contest(axes, right_where_wrong(looked), names), (6, 5))
    yield 'cost', drawn(lambda axes: cost(axes, asked), (7, 2.5))
    links: Sequence[Sequence[int]] = ()
    if not looked.is_pose:
        yield 'right_by_class', drawn(lambda axes: by_class(axes, asked), (9, 4))
    else:
        body: Curves = skeleton(looked, asked.metainfo)
        links = body['links']
        for place, name in enumerate(looked.names):
            picture = drawn(lambda axes, i=place: keypoints(axes, body, i), (4, 5))  # type: ignore
            yield f'keypoints/{name}', picture
    for place in np.argsort(-disagreement(looked), kind='stable')[:SHOWN]:
        picture = drawn(lambda axes, i=place: sample(axes, asked, i, links), (6, 6))  # type: ignore
        yield f'gallery/{looked.numbers[place]}', picture


def who_taught(axes: Axes, group: Group, curves: Curves) -> None:
    """The mentors' shares over training, one upon the other."""
    rows = [_on_all_steps(curves['mentors'][name]['active'], curves) for name in group.mentors]
    steps = curves['student_score']['x']
    faces = axes.stackplot(steps, *rows, colors=[colour(i) for i in range(len(rows))], alpha=0.7)
    for place, (face, name) in enumerate(zip(faces, group.mentors)):
        face.set_hatch(HATCHES[place // len(COLOURS) % len(HATCHES)])
        face.set_label(name)
    what = 'keypoint' if group.by_keypoint else 'sample'
    axes.set(xlabel=curves['step'], ylabel=f'mentors that taught a {what}', ylim=(0, None))
    _legend(axes)


def lines(axes: Axes, group: Group, curves: Curves, key: str) -> None:
    """The mentors' means over training; of scores the student's, too."""
    if key == 'score':
        whole = curves['student_score']
        axes.plot(whole['x'], whole['mean'], color=STUDENT, linewidth=3, label='student')
    for place, name in enumerate(group.mentors):
        points = curves['mentors'][name][key]
        style = LINES[place // len(COLOURS) % len(LINES)]
        axes.plot(points['x'], points['mean'], style, color=colour(place), label=name)
        if 'low' in points:
            band = (points['x'], points['low'], points['high'])
            axes.fill_between(*band, color=colour(place), alpha=0.15, linewidth=0)
    axes.set(xlabel=curves['step'], ylabel=f'mean {key}')
    _legend(axes)


def contest(axes: Axes, shares: np.ndarray, names: Sequence[str]) -> None:
    """Who is right where another is wrong."""
    axes.imshow(shares, cmap='cividis', vmin=0)
    middle = shares.max() / 2
    for (row, column), share in np.ndenumerate(shares):
        if row != column and len(names) <= MANY:
            ink = 'white' if share < middle else 'black'
            axes.text(column, row, percent(share), ha='center', va='center', color=ink)
    ticks = range(len(names))
    axes.set_xticks(ticks, [_short(name) for name in names], rotation=30, ha='right')
    axes.set_yticks(ticks, [_short(name) for name in names])
    axes.set(xlabel='wrong', ylabel='right')


def by_class(axes: Axes, asked: Asked) -> None:
    """Which share of each class's samples the members are right on."""
    classes, shares, _ = right_by_class(asked.looked)
    names = ('student', *asked.looked.names)
    axes.imshow(shares, cmap='cividis', vmin=0, vmax=1, aspect='auto')
    words = [class_name(each, asked.metainfo) for each in classes]
    axes.set_xticks(range(len(classes)), [_short(each) for each in words], rotation=60, ha='right')
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set(xlabel='true class')


def cost(axes: Axes, asked: Asked) -> None:
    """What a step takes."""
    spent = asked.cost
    names = ('student', *asked.looked.names, 'lesson and loss')
    times = (spent.student, *spent.mentors, spent.rest)
    inks = (STUDENT, *(colour(place) for place in range(len(spent.mentors))), '#9aa5b1')
    start = 0.0
    for name, taken, ink in zip(names, times, inks):
        axes.barh(0, 1000 * taken, left=start, color=ink, label=name)
        start += 1000 * taken
    axes.set(xlabel=f'milliseconds of a step of {spent.batch} samples on {spent.device}', yticks=[])
    _legend(axes)


def keypoints(axes: Axes, body: Curves, mentor: int) -> None:
    """How often a mentor taught each keypoint, on a skeleton."""
    at = np.array(body['places'], dtype=float)
    for a, b in body['links']:
        axes.plot(*at[[a, b]].T, color='#c2cad3', zorder=1)
    shares = np.array(body['taught'][mentor], dtype=float)
    dots = axes.scatter(
        at[:, 0], at[:, 1], c=shares, cmap='cividis', vmin=0, vmax=1, s=110, edgecolors='k'
    )
    axes.figure.colorbar(dots, ax=axes, format=lambda share, _: percent(share), shrink=0.6)
    axes.invert_yaxis()
    axes.set_aspect('equal')
    axes.set_axis_off()


def sample(axes: Axes, asked: Asked, place: int, links: Sequence[Sequence[int]]) -> None:
    """One training sample, and what each member says to it."""
    looked = asked.looked
    axes.imshow(looked.pictures[place])
    names = ('student', *looked.names)
    if looked.is_pose:
        for member in reversed(range(len(names))):
            ink = STUDENT if member == 0 else colour(member - 1)
            points = looked.guesses[member, place]
            for a, b in links:
                axes.plot(*points[[a, b]].T, color=ink, linewidth=1)
            axes.scatter(
                points[:, 0], points[:, 1], color=ink, edgecolors='white', s=18, label=names[member]
            )
    height, width = looked.pictures[place].shape[:2]
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_axis_off()
    words = [f'{_short(names[i])}: {_said(asked, i, place)}' for i in range(len(names))]
    axes.set_title('\n'.join(words), loc='left', fontsize=8, parse_math=False)
    if looked.is_pose:
        _legend(axes)


def _said(asked: Asked, member: int, place: int) -> str:
    looked = asked.looked
    right = ('right' if looked.right[member, place] else 'wrong') if looked.known[place] else '-'
    words = [f'{looked.scores[member, place]:.2f}', right]
    if not looked.is_pose:
        words.append(class_name(int(looked.guesses[member, place].argmax()), asked.metainfo))
    if member and looked.taught[member - 1, place].any():
        words.append(f'taught at {looked.temperatures[member - 1, place]:.1f}')
    return ', '.join(words)


def colour(place: int) -> str:
    """Of the mentor at this place."""
    return COLOURS[place % len(COLOURS)]


def _on_all_steps(points: Curves, curves: Curves) -> list[float]:
    """A mentor's curve; 0 where it was no mentor yet, or no longer."""
    found = dict(zip(points['x'], points['mean']))
    return [found.get(step) or 0.0 for step in curves['student_score']['x']]


def _legend(axes: Axes) -> None:
    legend = axes.legend(fontsize=8, loc='upper left', bbox_to_anchor=(1, 1))  # beside the axes
    for text in legend.get_texts():
        text.set(text=_short(text.get_text()), parse_math=False)


def _short(name: str) -> str:
    return name if len(name) <= 28 else f'{name[:27]}...'
