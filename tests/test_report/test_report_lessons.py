"""What is asked anew: against the distiller's own record, and plain loops."""

import copy
from itertools import combinations

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from classroomkd_mm.parts import Filter, Mentoring, build_part
from classroomkd_mm.report.classroom import How, ask, rebuilt
from classroomkd_mm.report.findings import (
    ahead_by_keypoint,
    alone_right,
    disagreement,
    right_by_class,
    right_where_wrong,
    taught_by_keypoint,
)
from classroomkd_mm.report.gallery import as_data, places
from classroomkd_mm.report.lessons import Looked, fixed_numbers, look, one_batch, picture
from classroomkd_mm.report.logs import read_work_dir


def opened(folder, **parts):
    """A run's classroom with other parts, its data, and the samples of a page."""
    run = read_work_dir(str(folder))
    model, dataset = rebuilt(Config(copy.deepcopy(dict(run.cfg))), run.checkpoint, 'cpu')
    for key, value in parts.items():
        setattr(model, key, value)
    return model, dataset, fixed_numbers(dataset, 8)


def check_against_the_record(folder, granularity):
    rule = build_part(dict(type='KnowledgeFilter', granularity=granularity), Filter)
    gentle = build_part(dict(type='AdaptiveMentoring', alpha=3.0), Mentoring)
    model, dataset, numbers = opened(folder, knowledge_filter=rule, mentoring=gentle)
    looked = look(model, dataset, numbers, batch_size=8)
    batch = pseudo_collate([dataset[number] for number in numbers])
    model.loss(**model.data_preprocessor(batch, False))
    record = model.record.line()
    counted, taught = looked.counted, looked.taught
    assert record['student_score'] == pytest.approx(np.nanmean(looked.by_keypoint[0]), rel=1e-5)
    for m, row in enumerate(record['mentors'].values()):
        assert row['active'] == pytest.approx(taught[m].sum() / counted[m].sum(), rel=1e-5)
        assert row['score'] == pytest.approx(np.nanmean(looked.by_keypoint[1 + m]), rel=1e-5)
        if granularity != 'keypoint':
            assert row['rank'] == pytest.approx(looked.ranks[1 + m].mean(), rel=1e-5)
            warmth = looked.temperatures[m]
            mean = np.nanmean(warmth) if np.isfinite(warmth).any() else 1
            assert row['temperature'] == pytest.approx(mean, rel=1e-5)
    assert not model.training


@pytest.mark.parametrize('granularity', ['sample', 'batch', 'keypoint'])
def test_of_poses_it_is_what_the_distiller_records(pose_run, granularity):
    check_against_the_record(pose_run, granularity)


class TestClasses:
    @pytest.fixture(autouse=True)
    def default_scope(self):
        from mmengine.registry import DefaultScope

        with DefaultScope.overwrite_default_scope('mmpretrain'):
            yield

    @pytest.mark.parametrize('granularity', ['sample', 'batch'])
    def test_it_is_what_the_distiller_records(self, class_run, granularity):
        check_against_the_record(class_run, granularity)

    def test_probabilities_labels_and_who_is_right(self, class_run):
        model, dataset, numbers = opened(class_run)
        looked = look(model, dataset, numbers, batch_size=3)  # several batches, the last smaller
        assert not looked.is_pose and looked.guesses.shape == (5, 8, 10)
        labels = [dataset[number]['data_samples'].gt_label.item() for number in numbers]
        assert looked.truth.tolist() == labels and looked.known.all()
        np.testing.assert_allclose(looked.guesses.sum(-1), 1, rtol=1e-5)
        for member in range(5):
            for i, label in enumerate(labels):
                guess = looked.guesses[member, i]
                assert looked.right[member, i] == (guess.argmax() == label)
                assert looked.scores[member, i] == pytest.approx(guess[label], rel=1e-4)
        data = as_data(looked, model.task.metainfo)
        assert data['classes'][0] == 'T-shirt/top' and data['samples'][0]['truth'] == labels[0]
        best, share = data['samples'][0]['members'][2]['top'][0]
        assert best == looked.guesses[2, 0].argmax()
        assert share == pytest.approx(looked.guesses[2, 0].max(), rel=1e-4)

    def test_of_a_sample_without_a_label_nobody_is_judged(self, class_run):
        model, dataset, numbers = opened(class_run)
        samples = [dataset[number] for number in numbers]
        del samples[0]['data_samples'].gt_label
        found = one_batch(model.eval(), model.data_preprocessor(pseudo_collate(samples)), 0.5)
        assert found['known'].tolist() == [False] + [True] * 7
        for key in ('scores', 'ranks', 'by_keypoint'):
            unknown = np.isnan(found[key]).reshape(5, 8)
            assert unknown[:, 0].all() and not unknown[:, 1:].any()
        means = found['scores'][:, 1:].mean(1)  # who is ahead on the others teaches
        assert (found['taught'][:, 0, 0] == (means[1:] >= means[0])).all()
        assert not found['right'][:, 0].any() and found['taught'][:, 0].any()


def test_a_mentor_whose_outputs_are_not_finite_teaches_nobody(pose_run):
    everybody = build_part(dict(type='UniformFilter'), Filter)
    model, dataset, numbers = opened(pose_run, knowledge_filter=everybody)
    for parameter in model.mentors[1].network.parameters():
        parameter.fill_(float('nan'))
    looked = look(model, dataset, numbers)
    assert looked.taught.any((1, 2)).tolist() == [True, False, True]
    assert np.isnan(looked.temperatures[1]).all()
    assert as_data(looked, model.task.metainfo)['samples'][0]['members'][2]['tau'] is None


def test_the_crop_is_what_the_student_sees_and_always_the_same(pose_run):
    model, dataset, numbers = opened(pose_run)
    first, second = (look(model, dataset, numbers, batch_size=b) for b in (8, 5))
    assert numbers == fixed_numbers(dataset, 8) and len(fixed_numbers(dataset, 999)) == 24
    for a, b, number in zip(first.pictures, second.pictures, numbers):
        assert a.shape == (64, 48, 3) and (a == b).all()
        inputs = dataset[number]['inputs'].numpy()  # read by OpenCV
        assert (a[..., 0] == inputs[2]).all() and (a[..., 2] == inputs[0]).all()
    np.testing.assert_allclose(first.guesses, second.guesses, atol=1e-3)
    np.testing.assert_array_equal(first.taught, second.taught)


def test_the_students_guess_is_its_own_prediction(pose_run):
    model, dataset, numbers = opened(pose_run)
    looked = look(model, dataset, numbers)
    data = model.data_preprocessor(pseudo_collate([dataset[n] for n in numbers]), False)
    with torch.no_grad():
        heatmaps = model.export().eval()(data['inputs'], None, mode='tensor')
    width = heatmaps.shape[-1]
    for i in range(len(numbers)):
        for k, place in enumerate(heatmaps[i].flatten(1).argmax(-1).tolist()):
            cell = np.array([place % width, place // width])
            assert np.abs(looked.guesses[0, i, k] / 2 - cell).max() <= 1.5
        truth = dataset[numbers[i]]['data_samples'].gt_instances.transformed_keypoints[0]
        np.testing.assert_allclose(looked.truth[i], truth, atol=1e-4)


def made_up(pose, members=4, samples=9, seed=0):
    """Answers that nobody gave."""
    rng = np.random.default_rng(seed)
    mentors, keypoints = members - 1, 5
    by = rng.random((members, samples, keypoints))
    labelled = rng.random((samples, keypoints)) > 0.3
    labelled[0] = False
    by[:, ~labelled] = np.nan
    by[2, :, 4] = np.nan  # a keypoint that a mentor lacks
    shape = (members, samples, keypoints, 2) if pose else (members, samples, 6)
    guesses = rng.random(shape) * (40 if pose else 1)
    return Looked(
        names=tuple('abcdef'[:mentors]),
        numbers=np.arange(samples),
        pictures=tuple(np.zeros((30, 40, 3), np.uint8) for _ in range(samples)),
        scores=rng.random((members, samples)),
        right=rng.random((members, samples)) > 0.5,
        known=labelled.any(-1),
        ranks=rng.random((members, samples)),
        temperatures=rng.random((mentors, samples)),
        taught=rng.random((mentors, samples, keypoints)) > 0.5,
        counted=np.ones((mentors, samples, keypoints), bool),
        guesses=guesses if pose else guesses / guesses.sum(-1, keepdims=True),
        truth=rng.random((samples, keypoints, 2)) if pose else rng.integers(0, 3, samples),
        labelled=labelled,
        by_keypoint=by,
    )


def test_findings_are_those_of_plain_loops():
    looked = made_up(pose=True)
    members, samples = looked.right.shape
    known = [i for i in range(samples) if looked.known[i]]
    alone, contest = [0] * members, np.zeros((members, members))
    for i in known:
        right = [m for m in range(members) if looked.right[m, i]]
        if len(right) == 1:
            alone[right[0]] += 1
        for a in right:
            for b in range(members):
                contest[a, b] += (b not in right) / len(known)
    assert alone_right(looked).tolist() == alone and sum(alone)
    np.testing.assert_allclose(right_where_wrong(looked), contest)
    taught, ahead = taught_by_keypoint(looked), ahead_by_keypoint(looked)
    for m in range(members - 1):
        for k in range(5):
            at = [i for i in range(samples) if not np.isnan(looked.by_keypoint[1 + m, i, k])]
            if not at:
                assert m == 1 and k == 4 and np.isnan(taught[m, k]) and np.isnan(ahead[m, k])
                continue
            own, student = looked.by_keypoint[1 + m, :, k], looked.by_keypoint[0, :, k]
            assert taught[m, k] == pytest.approx(np.mean([looked.taught[m, i, k] for i in at]))
            assert ahead[m, k] == pytest.approx(np.mean([own[i] > student[i] for i in at]))


@pytest.mark.parametrize('pose', [True, False])
def test_disagreement_is_the_mean_of_all_pairs(pose):
    looked = made_up(pose)
    found = disagreement(looked)
    for i in range(len(looked.numbers)):
        apart = []
        for a, b in combinations(looked.guesses[:, i], 2):
            if pose:
                kept = looked.labelled[i] if looked.labelled[i].any() else np.ones(5, bool)
                apart.append(np.linalg.norm(a - b, axis=-1)[kept].mean() / 50)
            else:
                apart.append(np.abs(a - b).sum() / 2)
        assert found[i] == pytest.approx(np.mean(apart))


def test_right_by_class_counts_what_has_a_label():
    looked = made_up(pose=False)
    classes, shares, counts = right_by_class(looked)
    for place, each in enumerate(classes):
        at = [i for i in range(9) if looked.known[i] and looked.truth[i] == each]
        assert counts[place] == len(at)
        np.testing.assert_allclose(shares[:, place], looked.right[:, at].mean(1))
    assert sum(counts) == looked.known.sum()


def test_a_skeleton_is_drawn_by_names_or_as_a_sample_lies():
    looked = made_up(pose=True)
    names = ['nose', 'left_wrist', 'right_wrist', 'left_ankle', 'neck']
    drawn = places(names, looked)
    assert drawn[1, 0] > drawn[0, 0] > drawn[2, 0] and drawn[3, 1] == drawn[:, 1].max() == 1
    strange = places([*names[:4], 'antenna'], looked)
    most = looked.labelled.sum(-1).argmax()
    assert (np.isnan(strange[:, 0]) == ~looked.labelled[most]).all()
    assert np.nanmin(strange) == 0 and np.nanmax(strange) == 1


def test_pictures_of_any_kind_are_shown():
    grey = picture(torch.arange(12, dtype=torch.uint8).view(1, 3, 4), None)
    assert grey.shape == (3, 4, 3) and (grey[..., 0] == grey[..., 2]).all()
    normal = picture(torch.randn(3, 3, 4), 'rgb')
    assert normal.dtype == np.uint8 and normal.min() == 0 and normal.max() == 255


def test_what_it_costs_is_measured_and_adds_up(pose_run):
    done = []
    asked = ask(read_work_dir(str(pose_run)), How(samples=6, advance=done.append))
    cost = asked.cost
    assert sum(done) == How(samples=6).work
    whole = cost.student + sum(cost.mentors) + cost.rest
    assert whole >= cost.step > 0 and all(each > 0 for each in cost.mentors)
    assert cost.shares[0] == pytest.approx(cost.mentors[0] / max(whole, cost.step))
    assert cost.remembered == (None, None, None) and cost.samples == 6
    sizes = [file.stat().st_size for file in sorted(pose_run.parent.glob('?.pth'))]
    for known, size in zip(cost.weights[1:], sizes):
        assert known == pytest.approx(size, rel=0.1)
