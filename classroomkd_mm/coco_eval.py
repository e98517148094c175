"""What MMPose takes from xtcocotools, on faster-coco-eval.

xtcocotools' wheel is built for numpy 1. Beside COCO's figures it has those of parts of a person,
of people without areas, and of crowds. Here such people are rewritten as plain COCO people, whom
faster-coco-eval judges, so the figures are the same. ``compat`` puts these classes in xtcocotools'
place, and only where xtcocotools itself does not import.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from faster_coco_eval import COCO as StockCOCO
from faster_coco_eval import COCOeval_faster
from faster_coco_eval.core.cocoeval import Params as StockParams

Id = Union[int, str]
Ids = Union[Id, Iterable[Id]]
Annotation = dict[str, Any]

# What is judged: the annotation's lists of keypoints that belong to it.
FIELDS: dict[str, tuple[str, ...]] = {
    'keypoints': ('keypoints',),
    'keypoints_body': ('keypoints',),
    'keypoints_crowd': ('keypoints',),
    'keypoints_foot': ('foot_kpts',),
    'keypoints_face': ('face_kpts',),
    'keypoints_lefthand': ('lefthand_kpts',),
    'keypoints_righthand': ('righthand_kpts',),
    'keypoints_wholebody': (
        'keypoints',
        'foot_kpts',
        'face_kpts',
        'lefthand_kpts',
        'righthand_kpts',
    ),
}
FROM_SOURCE = 'pip install --no-build-isolation --no-binary xtcocotools xtcocotools'
COVERED = 0.53  # of its box that a person without an area is taken to cover
# CrowdPose's easy, medium and hard pictures, by their crowdIndex.
CROWDING = ((-np.inf, 0.2), (0.2, 0.8), (0.8, np.inf))


def _listed(ids: Ids) -> list[Id]:
    """Ids as a list; there may be one alone."""
    return list(ids) if isinstance(ids, Iterable) and not isinstance(ids, str) else [ids]


class COCO:
    """The pictures and people of an annotation file, by their ids.

    Args:
        annotation_file: COCO's JSON. Who is not said to be a crowd is none.

    Attributes:
        dataset: What the file has.
        imgs, cats, anns: Its pictures, categories and annotations, by id.

    Raises:
        ValueError: If the file has no table of pictures and people.
    """

    def __init__(self, annotation_file: Optional[str] = None) -> None:
        self.dataset: dict[str, Any] = {}
        if annotation_file is not None:
            self.dataset = json.loads(Path(annotation_file).read_text())
        if not isinstance(self.dataset, dict):
            kind = type(self.dataset).__name__
            raise ValueError(f'{annotation_file} has a {kind}, it must have a dict as COCO has')
        for person in self.dataset.get('annotations', ()):
            person.setdefault('iscrowd', False)
        self.createIndex()

    def createIndex(self) -> None:
        """Find everything by its id."""
        kinds = ('images', 'categories', 'annotations')
        self.imgs, self.cats, self.anns = (
            {each['id']: each for each in self.dataset.get(kind, ())} for kind in kinds
        )
        self.imgToAnns: dict[Id, list[Annotation]] = defaultdict(list)
        for person in self.dataset.get('annotations', ()):
            self.imgToAnns[person['image_id']].append(person)

    def getImgIds(self) -> list[Id]:
        """All pictures' ids."""
        return list(self.imgs)

    def getCatIds(self) -> list[Id]:
        """All categories' ids."""
        return [category['id'] for category in self.dataset['categories']]

    def getAnnIds(self, imgIds: Ids = (), iscrowd: Optional[bool] = None) -> list[Id]:
        """Ids of annotations, picture by picture.

        Args:
            imgIds: Of these pictures; of all by default.
            iscrowd: Of crowds alone, or of single people alone; of both by default.
        """
        pictures = _listed(imgIds)
        found = [person for image in pictures for person in self.imgToAnns.get(image, ())]
        everybody = found if pictures else self.dataset['annotations']
        return [p['id'] for p in everybody if iscrowd is None or p['iscrowd'] == iscrowd]

    def loadImgs(self, ids: Ids = ()) -> list[dict[str, Any]]:
        """These pictures' entries."""
        return [self.imgs[each] for each in _listed(ids)]

    def loadCats(self, ids: Ids = ()) -> list[dict[str, Any]]:
        """These categories' entries."""
        return [self.cats[each] for each in _listed(ids)]

    def loadAnns(self, ids: Ids = ()) -> list[Annotation]:
        """These annotations."""
        return [self.anns[each] for each in _listed(ids)]

    def loadRes(self, resFile: Union[str, list[Annotation]]) -> 'COCO':
        """Predictions for these pictures.

        Args:
            resFile: Them, or the JSON file with them. There may be nobody.

        Raises:
            ValueError: For predictions of a picture that is none of these.
        """
        found = json.loads(Path(resFile).read_text()) if isinstance(resFile, str) else resFile
        strange = {person['image_id'] for person in found} - set(self.imgs)
        if strange:
            raise ValueError(f'predictions of image {min(strange)}, which the annotations lack')
        predicted = COCO()
        predicted.dataset = dict(self.dataset, annotations=[_with_box(p) for p in found])
        for number, person in enumerate(predicted.dataset['annotations'], 1):
            person['id'] = number
        predicted.createIndex()
        return predicted


def _with_box(person: Annotation) -> Annotation:
    """A prediction with its size: of its box, or of that around its keypoints."""
    box = person.get('bbox')
    if not box:
        x, y = person['keypoints'][::3], person['keypoints'][1::3]
        box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
    return dict(person, bbox=box, area=box[2] * box[3], iscrowd=0)


class Params(StockParams):
    """What is evaluated, and how.

    MMPose sets ``useSegm = None``, which must not turn keypoints into boxes.
    """

    useSegm: Optional[int] = None


class COCOeval(COCOeval_faster):
    """COCO's keypoint figures: of the body, of parts of it, or of crowds.

    Call ``evaluate``, ``accumulate`` and ``summarize``. Then ``stats`` has AP, AP .5, AP .75,
    AP (M), AP (L), AR, AR .5, AR .75, AR (M), AR (L); for ``keypoints_crowd`` AP, AP .5, AP .75,
    AR, AR .5, AR .75, and AP of the easy, medium and hard pictures. -1 is a figure of nobody.

    Args:
        cocoGt: The true people.
        cocoDt: The predicted ones, from ``cocoGt.loadRes``.
        iouType: What is judged, one of ``FIELDS``.
        sigmas: Of its keypoints; COCO's 17 by default.
        use_area: Whether a person's size is its ``area``, or 0.53 of its box.

    Raises:
        ImportError: For another ``iouType``, which takes xtcocotools itself.
        ValueError: For a true person without an area while ``use_area``, or a picture of a crowd
            without its ``crowdIndex``.
    """

    stats: np.ndarray

    def __init__(
        self,
        cocoGt: COCO,
        cocoDt: COCO,
        iouType: str = 'keypoints',
        sigmas: Optional[Sequence[float]] = None,
        use_area: bool = True,
    ) -> None:
        if iouType not in FIELDS:
            raise ImportError(f'COCOeval: {iouType!r} takes xtcocotools itself: {FROM_SOURCE}')
        self.judged = iouType
        self.pictures = cocoGt.loadImgs(sorted(cocoGt.getImgIds()))
        truth = [_true(person, iouType, use_area) for person in _people(cocoGt)]
        found = [_found(person, iouType) for person in _people(cocoDt)]
        super().__init__(
            _rewritten(cocoGt, truth),
            _rewritten(cocoGt, [person for person in found if person['num_keypoints']]),
            'keypoints',
            print_function=print,  # as xtcocotools does
        )
        self.params = Params('keypoints', sigmas)
        self.params.imgIds = list(self.cocoGt.imgs)
        self.params.catIds = list(self.cocoGt.cats)

    def summarize(self) -> None:
        """Print the figures and set ``stats``."""
        super().summarize()
        if self.judged == 'keypoints_crowd':
            whole = self.stats[[0, 1, 2, 5, 6, 7]]
            self.stats = np.append(whole, [self._precision(*bounds) for bounds in CROWDING])

    def _precision(self, low: float, high: float) -> float:
        """AP of pictures with ``low <= crowdIndex < high``, rounded as CrowdPose's."""
        unknown = [picture['id'] for picture in self.pictures if 'crowdIndex' not in picture]
        if unknown:
            raise ValueError(f'COCOeval: image {unknown[0]} has no crowdIndex, see CrowdPose')
        part = COCOeval_faster(self.cocoGt, self.cocoDt, 'keypoints')
        part.params = deepcopy(self.params)
        part.params.imgIds = [
            number
            for number, picture in enumerate(self.pictures, 1)
            if low <= picture['crowdIndex'] < high
        ]
        if not part.params.imgIds:
            return -1.0
        part.evaluate()
        part.accumulate()
        return round(float(np.mean(part.eval['precision'][:, :, :, 0])), 4)


def _people(coco: COCO) -> list[Annotation]:
    """All annotations; by their ids, because MMPose's converters exchange them there alone."""
    return coco.loadAnns(coco.getAnnIds())


def _body(person: Annotation, judged: str) -> Annotation:
    """Somebody whose ``keypoints`` are those that are judged."""
    points = [value for field in FIELDS[judged] for value in person[field]]
    return dict(person, keypoints=points, num_keypoints=sum(seen > 0 for seen in points[2::3]))


def _true(person: Annotation, judged: str, use_area: bool) -> Annotation:
    """A true person as COCO's: one without keypoints is neither found nor missed."""
    body = _body(person, judged)
    if judged == 'keypoints_crowd':  # CrowdPose counts the visible ones alone
        body['num_keypoints'] = person['num_keypoints']
    if not use_area:
        body['area'] = person['bbox'][2] * person['bbox'][3] * COVERED
    elif 'area' not in person:
        raise ValueError(
            f'COCOeval: annotation {person["id"]} has no area: give the metric use_area=False'
        )
    return body


def _found(person: Annotation, judged: str) -> Annotation:
    """A prediction as COCO's, with the score of the part that is judged where it has one."""
    body = _body(person, judged)
    if FIELDS[judged] != ('keypoints',):
        part = judged.replace('keypoints_', '')
        body['score'] = person.get(f'{part}_score', person['score'])
    return body


def _rewritten(truth: COCO, people: list[Annotation]) -> StockCOCO:
    """People on the true pictures, of the true categories, all numbered from 1 in their order.

    To faster-coco-eval 0 is nobody, and a picture's name is no id.
    """
    images, kinds = (
        {each: number for number, each in enumerate(sorted(ids), 1)}
        for ids in (truth.getImgIds(), truth.getCatIds())
    )
    known = [p for p in people if p['image_id'] in images and p['category_id'] in kinds]
    annotations = [
        dict(p, id=number, image_id=images[p['image_id']], category_id=kinds[p['category_id']])
        for number, p in enumerate(known, 1)
    ]
    pictures, categories = ([dict(id=n) for n in each.values()] for each in (images, kinds))
    return StockCOCO(dict(images=pictures, categories=categories, annotations=annotations))
