"""Without xtcocotools the figures are its own; what cannot be given says what to install."""

import json

import numpy as np
import pytest

pytest.importorskip('faster_coco_eval', reason='faster-coco-eval is not installed')

from classroomkd_mm.coco_eval import COCO, FIELDS, COCOeval
from classroomkd_mm.compat import EVALUATION

POINTS = dict(keypoints=17, foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21)
CROWD = 'keypoints_crowd'
real = pytest.mark.skipif(bool(EVALUATION), reason='xtcocotools does not import here')


def one_person(rng, image, category, areas):
    """A true person, and the same with an error of its own."""
    size, (x, y) = float(np.exp(rng.uniform(np.log(15), np.log(300)))), rng.uniform(0, 300, 2)
    true = dict(image_id=image, category_id=category, bbox=[x, y, size, 1.5 * size])
    found = dict(image_id=image, category_id=category)
    error = size * np.exp(rng.uniform(np.log(0.002), np.log(0.15)))
    if areas:
        true['area'] = size**2 * rng.uniform(0.4, 1.2)
    if rng.random() < 0.9:
        true['iscrowd'] = int(rng.random() < 0.15)
    for field, number in POINTS.items():
        seen = rng.integers(0, 3, number) * (rng.random() < 0.85)  # some have none: ignored
        points = [x, y] + rng.uniform(0, size, (number, 2))
        true[field] = np.c_[points, seen].ravel().tolist()
        score = rng.uniform(0.1, 1, number) * (rng.random() < 0.95)
        found[field] = np.c_[points + rng.normal(0, error, (number, 2)), score].ravel().tolist()
    true['num_keypoints'] = sum(value == 2 for value in true['keypoints'][2::3])
    return true, found


def crowd_of(seed, images=16, categories=1, areas=True, own_scores=False, name=int):
    """True and predicted people; predictions share scores, some come twice, some not at all.

    A last category and a last picture have nobody.
    """
    rng = np.random.default_rng(seed)
    truth, predictions = [], []
    for image in range(1, images):
        for _ in range(rng.integers(0, 6)):
            true, found = one_person(rng, name(image), int(rng.integers(1, categories + 1)), areas)
            truth.append(dict(true, id=len(truth)))  # the first is number 0
            for _ in range(rng.integers(0, 3)):
                scores = {f'{part}_score': rng.random() for part in ('foot', 'body', 'wholebody')}
                predictions.append(dict(found, score=round(rng.random(), 1)))
                if own_scores:
                    box = [1.0, 2.0, *rng.uniform(20, 200, 2)]
                    predictions[-1].update(scores, bbox=box)
    pictures = [
        dict(id=name(image), width=640, height=480, crowdIndex=rng.random())
        for image in range(1, images + 1)
    ]
    kinds = [dict(id=category, name=str(category)) for category in range(1, categories + 2)]
    return dict(images=pictures, categories=kinds, annotations=truth), predictions


def figures(kinds, folder, data, judged, sigmas=None, use_area=True):
    """What a pair of classes (COCO, COCOeval) says, called as MMPose does."""
    files = [folder / 'truth.json', folder / 'predictions.json']
    for file, content in zip(files, data):
        file.write_text(json.dumps(content))
    truth = kinds[0](str(files[0]))
    evaluation = kinds[1](truth, truth.loadRes(str(files[1])), judged, sigmas, use_area)
    evaluation.params.useSegm = None
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return np.array(evaluation.stats)


OURS = (COCO, COCOeval)


def theirs():
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    return COCO, COCOeval


def sigmas_of(judged, dtype=float):
    number = sum(POINTS[field] for field in FIELDS[judged])
    return np.random.default_rng(number).uniform(0.02, 0.12, number).astype(dtype)


@real
@pytest.mark.parametrize('use_area', [True, False])
@pytest.mark.parametrize('judged', FIELDS)
def test_the_figures_are_xtcocotools(judged, use_area, tmp_path):
    for seed in range(4):
        data = crowd_of(seed, 10, 1 + 2 * (seed % 2), areas=use_area, own_scores=seed > 1)
        sigmas = sigmas_of(judged, [float, np.float32][seed % 2])  # MMPose's are float32
        want, got = (
            figures(kinds, tmp_path, data, judged, sigmas, use_area) for kinds in (theirs(), OURS)
        )
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
        assert got.shape == ((9,) if judged == CROWD else (10,)) and (got[:3] > 0.02).all()


# By xtcocotools 1.14.3: crowd_of(7), and sigmas_of.
RECORDED = {
    'keypoints': [0.3294538, 0.4934509, 0.2671067, 0.5074257, 0.3164356]
    + [0.4615385, 0.5769231, 0.4230769, 0.5857143, 0.4],
    CROWD: [0.3294538, 0.4934509, 0.2671067, 0.4615385, 0.5769231, 0.4230769]
    + [-0.1238, -0.3511, -0.3713],  # a category without anybody counts as -1
    'keypoints_foot': [0.3683147, 0.4537559, 0.3682588, 0.2838284, 0.3869307]
    + [0.4964286, 0.5714286, 0.5, 0.4375, 0.4625],
    'keypoints_wholebody': [0.3826458, 0.5195332, 0.3843015, 0.3074965, 0.538282]
    + [0.5294118, 0.6470588, 0.5294118, 0.4666667, 0.65],
}


@pytest.mark.parametrize('judged', RECORDED)
def test_the_figures_are_those_that_xtcocotools_once_gave(judged, tmp_path):
    got = figures(OURS, tmp_path, crowd_of(7), judged, sigmas_of(judged))
    np.testing.assert_allclose(got, RECORDED[judged], rtol=0, atol=1e-6)


@real
@pytest.mark.parametrize('judged', ['keypoints', CROWD])
def test_pictures_with_names_nobody_found_and_nobody_there(judged, tmp_path):
    truth, predictions = crowd_of(3, name='picture {}'.format)
    for data in [(truth, predictions), (truth, []), (dict(truth, annotations=[]), predictions)]:
        want, got = (figures(kinds, tmp_path, data, judged) for kinds in (theirs(), OURS))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@real
def test_a_file_reads_as_with_xtcocotools(tmp_path):
    (tmp_path / 'truth.json').write_text(json.dumps(crowd_of(0, categories=2)[0]))
    ours, stock = (kind(str(tmp_path / 'truth.json')) for kind in (COCO, theirs()[0]))
    assert ours.dataset == stock.dataset and ours.imgs == stock.imgs and ours.anns == stock.anns
    assert ours.getImgIds() == stock.getImgIds() and ours.getCatIds() == stock.getCatIds()
    assert ours.loadCats(ours.getCatIds()) == stock.loadCats(stock.getCatIds())
    assert ours.loadImgs(3) == stock.loadImgs(3) and ours.getAnnIds() == stock.getAnnIds()
    for image in (1, [5, 2], []):
        for crowd in (None, True, False):
            want = stock.getAnnIds(imgIds=image, iscrowd=crowd)
            assert ours.getAnnIds(imgIds=image, iscrowd=crowd) == want
            assert ours.loadAnns(want) == stock.loadAnns(want)


@real
def test_masks_are_xtcocotools():
    import xtcocotools.mask as stock
    from faster_coco_eval.core import mask

    rng = np.random.default_rng(0)
    for corners in (3, 5, 40):
        polygons = [rng.uniform(-5, 90, 2 * corners).tolist() for _ in range(3)]
        want, got = (m.decode(m.merge(m.frPyObjects(polygons, 60, 80))) for m in (stock, mask))
        np.testing.assert_array_equal(got, want)
        assert got.shape == (60, 80) and got.dtype == want.dtype and 0 < got.mean() < 1


# Refusals


def test_what_takes_xtcocotools_itself_says_how_to_get_it():
    with pytest.raises(ImportError, match="'segm' takes xtcocotools itself: pip install"):
        COCOeval(COCO(), COCO(), 'segm')


def test_people_without_areas_are_told_of_the_other_way(tmp_path):
    with pytest.raises(ValueError, match='annotation 0 has no area: give the metric use_area=F'):
        figures(OURS, tmp_path, crowd_of(0, areas=False), 'keypoints')


def test_pictures_of_a_crowd_need_their_index(tmp_path):
    data = crowd_of(0)
    del data[0]['images'][4]['crowdIndex']
    with pytest.raises(ValueError, match='image 5 has no crowdIndex'):
        figures(OURS, tmp_path, data, CROWD)


def test_files_that_do_not_belong_together(tmp_path):
    truth, predictions = crowd_of(0)
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    predictions[2]['image_id'] = 99
    with pytest.raises(ValueError, match='predictions of image 99, which the annotations lack'):
        COCO(str(tmp_path / 'truth.json')).loadRes(predictions)
    (tmp_path / 'list.json').write_text('[1, 2]')
    with pytest.raises(ValueError, match=r'list.json has a list, it must have a dict'):
        COCO(str(tmp_path / 'list.json'))


# In xtcocotools' place

BROKEN = 'raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")'

METRICS = """
import json, sys
import numpy as np
import classroomkd_mm
from mmpose.evaluation.metrics import CocoMetric, CocoWholeBodyMetric

def samples(predictions, fields):
    for number, person in enumerate(predictions):
        points = np.array([v for field in fields for v in person[field]]).reshape(1, -1, 3)
        yield dict(
            id=number, img_id=person['image_id'], gt_instances=dict(bbox_scores=[person['score']]),
            pred_instances=dict(keypoints=points[..., :2], keypoint_scores=points[..., 2]))

def figures(folder):
    predictions, found = json.load(open(f'{folder}/predictions.json')), {}
    parts = ('keypoints', 'foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts')
    for kind, iou, fields in [(CocoMetric, 'keypoints', parts[:1]),
                              (CocoMetric, 'keypoints_crowd', parts[:1]),
                              (CocoWholeBodyMetric, 'keypoints', parts)]:
        metric = kind(ann_file=f'{folder}/truth.json', iou_type=iou, nms_mode='none')
        number = 17 if len(fields) == 1 else 133
        metric.dataset_meta = dict(
            dataset_name='coco', num_keypoints=number, sigmas=np.linspace(0.03, 0.1, number))
        for sample in samples(predictions, fields):
            metric.process(None, [sample])
        found[f'{kind.__name__} {iou}'] = list(metric.evaluate(len(predictions)).values())
    return found
"""


def without_xtcocotools(folder, substitute=True):
    """Its wheel as it is under numpy 2; and perhaps nothing to stand in for it."""
    for package in ['xtcocotools'] if substitute else ['xtcocotools', 'faster_coco_eval']:
        (folder / package).mkdir()
        (folder / package / '__init__.py').touch()
        (folder / package / 'mask.py').write_text(BROKEN)
    return folder


def test_mmposes_metrics_say_the_same(tmp_path, fresh_python):
    truth, predictions = crowd_of(1)
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    (tmp_path / 'predictions.json').write_text(json.dumps(predictions))
    space = {}
    exec(METRICS, space)
    want = space['figures'](tmp_path)
    told = f'print("\\n" + json.dumps([figures({str(tmp_path)!r}), CocoMetric.__init__.__globals__'
    code = f'{METRICS}\n{told}["COCO"].__module__]))'
    result = fresh_python(code, without_xtcocotools(tmp_path))
    assert result.returncode == 0, result.stderr
    got, module = json.loads(result.stdout.splitlines()[-1])
    assert module == 'classroomkd_mm.coco_eval'
    assert got.keys() == want.keys() and [len(each) for each in got.values()] == [10, 9, 10]
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=1e-6, err_msg=name)
        assert values[0] > 0.1


IMPORTS = (
    'import classroomkd_mm\n'
    'from classroomkd_mm import doctor\n'
    'doctor.print_environment()\n'
    'import {module}\n'
)


def test_the_doctor_says_what_stands_in(tmp_path, fresh_python):
    code = IMPORTS.format(module='mmpose.datasets, xtcocotools.mask as m; print(m.__name__)')
    result = fresh_python(code, without_xtcocotools(tmp_path))
    line = 'evaluation   xtcocotools is provided on faster-coco-eval (ValueError: numpy.dtype size'
    assert line in result.stdout, result.stdout + result.stderr
    assert result.stdout.strip().endswith('faster_coco_eval.core.mask'), result.stderr


@pytest.mark.parametrize('module', ['mmpose.evaluation', 'xtcocotools.mask'])
def test_with_neither_one_sentence_says_what_to_install(module, tmp_path, fresh_python):
    folder = without_xtcocotools(tmp_path, substitute=False)
    result = fresh_python(IMPORTS.format(module=module), folder)
    said = 'xtcocotools is unavailable: pip install "faster-coco-eval>=1.8", which takes its place '
    assert f'evaluation   {said}' in result.stdout, result.stdout + result.stderr
    assert f'ModuleNotFoundError: {said}' in result.stderr.splitlines()[-1]


def test_without_either_classification_goes_on(tmp_path, fresh_python):
    folder = without_xtcocotools(tmp_path, substitute=False)
    code = 'from classroomkd_mm.doctor import train_one_step as t; print(t("classification"))'
    assert fresh_python(code, folder).stdout.strip() == 'None'


def test_an_xtcocotools_that_imports_is_used(tmp_path, fresh_python):
    folder = tmp_path / 'xtcocotools'
    folder.mkdir()
    (folder / '__init__.py').touch()
    (folder / 'mask.py').touch()
    code = 'import classroomkd_mm as c, xtcocotools as x; print(x.__file__, c.compat.EVALUATION)'
    assert fresh_python(code, tmp_path).stdout.strip() == str(folder / '__init__.py')
