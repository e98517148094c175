"""Seeded pictures of articulated people, in COCO's and MPII's format.

Each scene is one person: a 3-D skeleton with limits at its joints, seen from any side, drawn as
capsules from back to front over clutter, some of it hidden by things in front or cut off by the
border. All randomness is uniform draws of PCG64 and all drawing integer arithmetic without
antialiasing, so that a seed gives the same files everywhere.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
from rich.console import Console
from scipy.io import savemat

from ..progress import progress_bar

Shape = tuple[float, str, tuple[str, ...], float, str]  # depth, shape, joints, size, colour
SPLITS = dict(train=2000, val=300, test=300)  # the demo's; its figures are of these pictures
COCO_NAMES = (
    'nose',
    'left_eye',
    'right_eye',
    'left_ear',
    'right_ear',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
MPII_NAMES = (
    'right_ankle',
    'right_knee',
    'right_hip',
    'left_hip',
    'left_knee',
    'left_ankle',
    'pelvis',
    'thorax',
    'upper_neck',
    'head_top',
    'right_wrist',
    'right_elbow',
    'right_shoulder',
    'left_shoulder',
    'left_elbow',
    'left_wrist',
)
# The body upright and facing the camera, in body heights: x to the person's left, y down, z
# towards the viewer, from the pelvis.
TORSO: dict[str, tuple[float, float, float]] = {
    'pelvis': (0, 0, 0),
    'thorax': (0, -0.30, 0),
    'upper_neck': (0, -0.34, 0),
    'head_top': (0, -0.52, 0),
    'head': (0, -0.43, 0),
    'nose': (0, -0.42, 0.085),
    'left_eye': (0.035, -0.45, 0.075),
    'right_eye': (-0.035, -0.45, 0.075),
    'left_ear': (0.075, -0.435, 0),
    'right_ear': (-0.075, -0.435, 0),
    'left_shoulder': (0.13, -0.29, 0),
    'right_shoulder': (-0.13, -0.29, 0),
    'left_hip': (0.08, 0.01, 0),
    'right_hip': (-0.08, 0.01, 0),
}
# limb: (its joints from the body outwards, lengths, ranges in degrees of abduction, swing, bend)
LIMBS = {
    'arm': (('shoulder', 'elbow', 'wrist'), (0.17, 0.16), (-5, 110), (-30, 60), (0, 100)),
    'leg': (('hip', 'knee', 'ankle'), (0.24, 0.24), (-4, 30), (-25, 50), (0, -70)),
}
# capsules: (from, to, thickness in body heights, which colour)
CAPSULES = tuple(
    (f'{side}_{a}', f'{side}_{b}', width, colour)
    for side in ('left', 'right')
    for a, b, width, colour in (
        ('shoulder', 'elbow', 0.065, 'shirt'),
        ('elbow', 'wrist', 0.05, 'skin'),
        ('hip', 'knee', 0.09, 'trousers'),
        ('knee', 'ankle', 0.07, 'trousers'),
    )
) + (('thorax', 'upper_neck', 0.07, 'skin'),)


@dataclass(frozen=True)
class Scene:
    """One picture and what is known of it.

    Attributes:
        image: uint8 ``(H, W, 3)``, BGR.
        points: Each joint's ``(x, y)`` in pixels.
        visibility: Each joint's COCO flag: 0 outside, 1 hidden, 2 seen.
        bbox: ``(x, y, w, h)`` of the silhouette in the picture, pixels.
        area: The silhouette's area in square pixels.
    """

    image: np.ndarray
    points: dict[str, np.ndarray]
    visibility: dict[str, int]
    bbox: tuple[int, int, int, int]
    area: int


def _rotation(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array(
        {
            'x': [[1, 0, 0], [0, c, -s], [0, s, c]],
            'y': [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            'z': [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def _limb(rng: np.random.Generator, side: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (3,) of a limb's middle and end joint from its first; side 1 left, -1 right."""
    _, lengths, abduction, swing, bend = LIMBS[kind]
    frame = _rotation('x', rng.uniform(*swing)) @ _rotation('z', -side * rng.uniform(*abduction))
    down = np.array([0, 1, 0])
    middle = frame @ down * lengths[0]
    low, high = sorted(bend)
    return middle, middle + frame @ _rotation('x', rng.uniform(low, high)) @ down * lengths[1]


def pose_skeleton(rng: np.random.Generator, yaw: float) -> dict[str, np.ndarray]:
    """A random pose: joints (3,) in body heights, x right, y down, z towards the viewer.

    Args:
        rng: Source of the pose.
        yaw: Degrees the person is turned; 0 faces the viewer, 180 shows the back.
    """
    lean = _rotation('z', rng.uniform(-10, 10)) @ _rotation('x', rng.uniform(-5, 15))
    build = rng.uniform([0.85, 0.95, 0.85], [1.25, 1.05, 1.25])
    body = {name: np.array(xyz) * build for name, xyz in TORSO.items()}
    upper = {name for name in body if 'hip' not in name and name != 'pelvis'}
    body = {name: lean @ xyz if name in upper else xyz for name, xyz in body.items()}
    for side, sign in (('left', 1), ('right', -1)):
        for kind, ((first, middle, last), *_) in LIMBS.items():
            offsets = _limb(rng, sign, kind)
            for joint, offset in zip((middle, last), offsets):
                body[f'{side}_{joint}'] = body[f'{side}_{first}'] + offset
    view = _rotation('z', rng.uniform(-12, 12)) @ _rotation('y', yaw)
    return {name: view @ xyz for name, xyz in body.items()}


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in rng.integers(20, 236, 3))
    return red, green, blue


def _complexion(rng: np.random.Generator) -> dict[str, tuple[int, int, int]]:
    tone, hair = int(rng.integers(90, 236)), int(rng.integers(10, 90))
    return dict(
        skin=(tone * 5 // 8, tone * 3 // 4, tone),
        hair=(hair // 2, hair * 3 // 4, hair),
        eye=(20, 20, 20),
    )


def _clutter(rng: np.random.Generator, image: np.ndarray, count: int) -> None:
    """Lines (they look like limbs), boxes and discs, in place."""
    height, width = image.shape[:2]
    for _ in range(count):
        a, b = (tuple(int(v) for v in rng.integers(0, (width, height))) for _ in range(2))
        kind, size = rng.integers(3), int(rng.integers(3, 10))
        if kind == 0:
            cv2.line(image, a, b, _colour(rng), size)
        elif kind == 1:
            cv2.rectangle(image, a, (a[0] + 3 * size, a[1] + 2 * size), _colour(rng), -1)
        else:
            cv2.circle(image, a, size, _colour(rng), -1)


def _background(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    coarse = rng.integers(30, 226, (4, 3, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    _clutter(rng, image, int(rng.integers(3, 9)))
    return image


def _draw(
    canvas: np.ndarray,
    ids: np.ndarray,
    shape: str,
    where: tuple,
    thickness: int,
    colour: tuple[int, int, int],
    part: int,
) -> None:
    value: Sequence[float]
    for target, value in ((canvas, colour), (ids, (part,))):
        if shape == 'line':
            cv2.line(target, where[0], where[1], value, thickness)
        elif shape == 'poly':
            cv2.fillConvexPoly(target, np.array(where, np.int32), value)
        else:
            cv2.circle(target, where[0], thickness, value, -1)


def _parts(body: dict[str, np.ndarray]) -> list[Shape]:
    """The body's shapes from back to front."""
    parts: list[Shape] = [
        (body[a][2] + body[b][2], 'line', (a, b), width, colour) for a, b, width, colour in CAPSULES
    ]
    trunk = ('left_shoulder', 'right_shoulder', 'right_hip', 'left_hip')
    parts.append((sum(body[j][2] for j in trunk) / 2, 'poly', trunk, 0, 'shirt'))
    parts.append((2 * body['head'][2] + 0.01, 'disc', ('head',), 0.075, 'skin'))
    face = body['nose'][2] - body['head'][2]
    # The hair covers the head from behind and the face is drawn last from the front: that is how
    # left and right can be told.
    if face > 0:
        parts += [
            (2 * body[j][2] + 0.02, 'disc', (j,), 0.014, 'eye')
            for j in ('nose', 'left_eye', 'right_eye')
        ]
    else:
        parts.append((2 * body['head'][2] + 0.02, 'disc', ('head',), 0.07, 'hair'))
    parts += [
        (2 * body[j][2] + 0.015, 'disc', (j,), 0.02, 'skin') for j in ('left_ear', 'right_ear')
    ]
    return sorted(parts)


def _seen(point: np.ndarray, joint: str, ids: np.ndarray, owners: dict[int, tuple]) -> int:
    x, y = point
    if not (0 <= x < ids.shape[1] and 0 <= y < ids.shape[0]):
        return 0
    owner = owners.get(int(ids[y, x]), ())
    on_head = joint in ('head_top', 'upper_neck') and 'head' in owner
    return 2 if joint in owner or on_head else 1


def make_scene(
    rng: np.random.Generator, size: tuple[int, int], yaw: Optional[float] = None
) -> Scene:
    """Draw one scene.

    Args:
        rng: Source of everything random.
        size: The picture's (width, height) in pixels.
        yaw: Degrees the person is turned; random if None.
    """
    image, ids = _background(rng, size), np.zeros(size[::-1], np.uint8)
    body = pose_skeleton(rng, rng.uniform(0, 360) if yaw is None else yaw)
    height = size[1] * rng.uniform(0.65, 0.95)
    centre = np.array(size) * rng.uniform([0.38, 0.42], [0.62, 0.62])
    points = {n: np.rint(centre + height * p[:2]).astype(int) for n, p in body.items()}
    colours = {name: _colour(rng) for name in ('shirt', 'trousers')}
    colours.update(_complexion(rng))
    owners = {}
    for part, (_, shape, joints, width, colour) in enumerate(_parts(body), 1):
        where = tuple(tuple(int(v) for v in points[j]) for j in joints)
        _draw(image, ids, shape, where, max(int(width * height), 1), colours[colour], part)
        owners[part] = joints
    x, y, w, h = cv2.boundingRect((ids > 0).astype(np.uint8))
    area = int((ids > 0).sum())
    _occlude(rng, image, ids, (x, y, w, h))
    noise = rng.integers(-12, 13, image.shape, dtype=np.int16)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    flags = {n: _seen(p, n, ids, owners) for n, p in points.items()}
    return Scene(image, points, flags, (x, y, w, h), area)


def _occlude(
    rng: np.random.Generator, image: np.ndarray, ids: np.ndarray, bbox: tuple[int, int, int, int]
) -> None:
    """Put up to two boxes in front of the person, in place; their part id is 255."""
    x, y, width, height = bbox
    for _ in range(int(rng.integers(0, 3))):
        corner = rng.integers((x, y), (x + width, y + height))
        other = corner + rng.integers(6, max(7, width // 3 + 6), 2)
        colour = _colour(rng)
        for target, value in ((image, colour), (ids, 255)):
            cv2.rectangle(target, [int(v) for v in corner], [int(v) for v in other], value, -1)


def _coco_record(scene: Scene, index: int) -> dict:
    flags = [scene.visibility[n] for n in COCO_NAMES]
    flat = [
        v
        for n, f in zip(COCO_NAMES, flags)
        for v in ((*(int(c) for c in scene.points[n]), f) if f else (0, 0, 0))
    ]
    return dict(
        id=index,
        image_id=index,
        category_id=1,
        iscrowd=0,
        area=scene.area,
        bbox=list(scene.bbox),
        keypoints=flat,
        num_keypoints=sum(f > 0 for f in flags),
    )


def _mpii_record(scene: Scene, name: str) -> dict:
    x, y, width, height = scene.bbox
    flags = [int(scene.visibility[n] > 0) for n in MPII_NAMES]
    # MpiiDataset shifts the centre down by 15/200 of the scale and takes it to be 1-based.
    scale = max(width, height) / 200
    return dict(
        image=name,
        scale=scale,
        center=[x + width / 2 + 1, y + height / 2 + 1 - 15 * scale],
        joints=[[float(v) for v in scene.points[n]] for n in MPII_NAMES],
        joints_vis=flags,
    )


def _head_box(scene: Scene) -> np.ndarray:
    ends = np.stack([scene.points['head_top'], scene.points['upper_neck']]).astype(float)
    return np.stack([ends.min(0) - 2, ends.max(0) + 2])


def _write_mpii(folder: Path, split: str, scenes: list[tuple[Scene, str]]) -> None:
    records = [_mpii_record(scene, name) for scene, name in scenes]
    (folder / f'mpii_{split}.json').write_text(json.dumps(records))
    savemat(
        folder / f'mpii_gt_{split}.mat',
        dict(
            dataset_joints=np.array([MPII_NAMES], dtype=object),
            headboxes_src=np.stack([_head_box(s) for s, _ in scenes], -1),
            jnt_missing=np.array(
                [[1 - int(s.visibility[n] > 0) for s, _ in scenes] for n in MPII_NAMES]
            ),
            pos_gt_src=np.stack([[s.points[n] for n in MPII_NAMES] for s, _ in scenes], -1),
        ),
    )


def _write_coco(folder: Path, split: str, scenes: list[tuple[Scene, str]]) -> None:
    category = dict(id=1, name='person', keypoints=list(COCO_NAMES), skeleton=[])
    images = [
        dict(id=i, file_name=name, height=s.image.shape[0], width=s.image.shape[1])
        for i, (s, name) in enumerate(scenes, 1)
    ]
    content = dict(
        images=images,
        categories=[category],
        annotations=[_coco_record(s, i) for i, (s, _) in enumerate(scenes, 1)],
    )
    (folder / f'person_keypoints_{split}.json').write_text(json.dumps(content))


def _write_split(root: Path, split: str, scenes: Iterable[Scene]) -> None:
    (root / split).mkdir(parents=True)
    (root / 'annotations').mkdir(exist_ok=True)
    named = []
    for index, scene in enumerate(scenes, 1):
        name = f'{index:06d}.png'
        cv2.imwrite(str(root / split / name), scene.image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        named.append((scene, name))
    _write_coco(root / 'annotations', split, named)
    _write_mpii(root / 'annotations', split, named)


def make_synthetic_people(
    out_dir: str,
    splits: Optional[dict[str, int]] = None,
    seed: int = 0,
    image_size: tuple[int, int] = (96, 128),
    progress: bool = True,
) -> Path:
    """Write the data set, unless it is already there.

    Files: ``{split}/000001.png``, ``annotations/person_keypoints_{split}.json`` (CocoDataset),
    ``annotations/mpii_{split}.json`` and ``mpii_gt_{split}.mat`` (MpiiDataset, its headbox_file).

    Args:
        out_dir: The data set's folder; a folder that this function did not write is refused.
        splits: Number of pictures of each split; `SPLITS` if None.
        seed: A sample depends on the seed, its split and its number alone.
        image_size: (width, height) in pixels.
        progress: Show a progress bar.

    Returns:
        The folder.

    Raises:
        FileExistsError: Where ``out_dir`` holds something else.
    """
    splits = splits or SPLITS
    root = Path(out_dir)
    marker = root / 'made_with.json'
    made_with = json.dumps(dict(splits=splits, seed=seed, image_size=list(image_size), version=1))
    if marker.is_file() and marker.read_text() == made_with:
        return root
    if root.exists() and not marker.is_file() and any(root.iterdir()):
        raise FileExistsError(f'out_dir={out_dir!r} holds files that are not this data set')
    console = Console(stderr=True, quiet=not progress)
    if marker.is_file():
        console.print(f'{out_dir} was made with {marker.read_text()}: drawn anew with {made_with}')
    with _moved_when_whole(root) as partial, progress_bar(console=console) as bar:
        task = bar.add_task('drawing people', total=sum(splits.values()))
        for split, count in splits.items():
            drawn = _scenes(seed, split, count, image_size, lambda: bar.advance(task))
            _write_split(partial, split, drawn)
        (partial / marker.name).write_text(made_with)
    return root


@contextmanager
def _moved_when_whole(root: Path) -> Iterator[Path]:
    """A folder beside, moved in one step: an interrupted run leaves no half data set."""
    partial = root.with_name(root.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    yield partial
    shutil.rmtree(root, ignore_errors=True)
    partial.rename(root)


def _scenes(
    seed: int, split: str, count: int, size: tuple[int, int], tell: Callable[[], None]
) -> Iterable[Scene]:
    for index in range(count):
        key = [seed, index, *split.encode()]
        yield make_scene(np.random.default_rng(np.random.SeedSequence(key)), size)
        tell()
