"""What holds of every part and function whatever the numbers are, tried on drawn ones."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classroomkd_mm.functional import (
    balance_gradient,
    batch_score,
    confidence_weights,
    decode_heatmaps,
    decode_simcc,
    dynamic_temperatures,
    entropy_weights,
    gradient_agreement,
    heatmap_marginals,
    keypoint_pck,
    keypoint_similarity,
    member_ranks,
    ordinal_positions,
    product_heatmap,
    project_gradient,
    resample_bins,
    resample_heatmaps,
    sample_score,
    true_class_probability,
)
from classroomkd_mm.parts import (
    AdaptiveMentoring,
    ConfidenceFilter,
    DISTDistillLoss,
    DKDDistillLoss,
    DTKDMentoring,
    EntropyFilter,
    FixedMentoring,
    KLDistillLoss,
    KnowledgeFilter,
    MSEDistillLoss,
    OKSScorer,
    PCKScorer,
    TrueClassScorer,
    UniformFilter,
)
from classroomkd_mm.structures import ClassTruth, PoseTruth, Scores

quick = settings(max_examples=20, deadline=None)
long = settings(max_examples=80, deadline=None)  # of all combinations
seeds = st.integers(0, 2**16)
few = st.integers(1, 4)

FILTERS = {
    'sample': KnowledgeFilter(),
    'batch': KnowledgeFilter('batch'),
    'keypoint': KnowledgeFilter('keypoint'),
    'ordinal': KnowledgeFilter(ranking='ordinal'),
    'strict': KnowledgeFilter(strict=True, min_score=0.3),
    'uniform': UniformFilter(),
    'confidence': ConfidenceFilter(),
    'entropy': EntropyFilter(),
    'shares': EntropyFilter('share'),
}
MENTORING = {
    'adaptive': AdaptiveMentoring(4.0),
    'fixed': FixedMentoring(2.0),
    'dtkd': DTKDMentoring(4.0),
}
LOSSES = {
    'kl': KLDistillLoss(),
    'anchored': KLDistillLoss(anchor=1.0),
    'mse': MSEDistillLoss(),
    'dkd': DKDDistillLoss(),
    'dist': DISTDistillLoss(),
}


parts, rules, losses = map(st.sampled_from, (sorted(FILTERS), sorted(MENTORING), sorted(LOSSES)))


class Class:
    """A drawn batch of a classroom: what its parts are shown."""

    def __init__(self, seed, mentors, samples, keypoints=3, places=6, scale=3.0):
        g = torch.Generator().manual_seed(seed)
        self.student = scale * torch.randn(samples, keypoints, places, generator=g)
        self.mentors = [
            scale * torch.randn(samples, keypoints, places, generator=g) for _ in range(mentors)
        ]
        labelled = torch.rand(samples, keypoints, generator=g) > 0.3
        target = torch.randint(0, places, (samples, keypoints), generator=g)
        values = torch.rand(1 + mentors, samples, keypoints, generator=g)
        self.scores = Scores(values, labelled, target=target)

    def taught(self, part, rule, loss):
        """The lesson, the loss and its gradient."""
        student = self.student.clone().requires_grad_()
        lesson = part(self.scores, self.mentors)
        tau = rule(lesson, student.detach(), self.mentors)
        told = lesson, tau, self.scores.heard, self.scores.target
        value = loss(student, self.mentors, *told)
        value.backward()
        return lesson, value.detach(), student.grad

    def of_mentors(self, order):
        rows = [0, *(1 + m for m in order)]
        self.scores = replace(self.scores, values=self.scores.values[rows])
        self.mentors = [self.mentors[m] for m in order]
        return self

    def of(self, samples, keypoints):
        """These samples and keypoints, in this order."""
        pick = lambda t: t[..., samples, :][..., keypoints]  # noqa: E731
        maps = lambda t: t[samples][:, keypoints]  # noqa: E731
        s = self.scores
        self.scores = replace(
            s, values=pick(s.values), labelled=pick(s.labelled), target=pick(s.target)
        )
        self.student, self.mentors = maps(self.student), [maps(each) for each in self.mentors]
        return self


def order(seed, length):
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed)).tolist()


@long
@given(parts, losses, seeds, few, few)
def test_mentors_in_another_order_give_the_same_lesson(part, loss, seed, mentors, samples):
    """Of an anchored loss the first mentor is another: it is left in its place."""
    rule = MENTORING['adaptive']
    said = Class(seed, mentors, samples).taught(FILTERS[part], rule, LOSSES[loss])
    other = order(seed, mentors)
    if loss == 'anchored':
        other = [0, *(m for m in other if m)]
    moved = Class(seed, mentors, samples).of_mentors(other)
    told = moved.taught(FILTERS[part], rule, LOSSES[loss])
    assert torch.equal(said[0].active[other], told[0].active)
    torch.testing.assert_close(said[0].weight[other], told[0].weight)
    torch.testing.assert_close(said[1:], told[1:], rtol=1e-4, atol=1e-5)


@long
@given(parts, losses, rules, seeds, few, few)
def test_samples_and_keypoints_in_another_order(part, loss, rule, seed, mentors, samples):
    chosen = FILTERS[part], MENTORING[rule], LOSSES[loss]
    said = Class(seed, mentors, samples).taught(*chosen)
    rows, columns = order(seed, samples), order(seed + 1, 3)
    told = Class(seed, mentors, samples).of(rows, columns).taught(*chosen)
    torch.testing.assert_close(said[1], told[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(said[2][rows][:, columns], told[2], rtol=1e-4, atol=1e-5)
    weight = said[0].weight[:, rows]
    by_keypoint = weight.shape[-1] > 1
    torch.testing.assert_close(weight[..., columns] if by_keypoint else weight, told[0].weight)


@long
@given(
    st.sampled_from(['sample', 'batch', 'keypoint', 'ordinal', 'uniform']),
    seeds,
    few,
    few,
    st.floats(1e-3, 1.0),
)
def test_scores_on_another_scale_give_the_same_lesson(part, seed, mentors, samples, factor):
    said, scaled = Class(seed, mentors, samples), Class(seed, mentors, samples)
    scaled.scores = replace(scaled.scores, values=scaled.scores.values * factor)
    a, b = (FILTERS[part](each.scores, each.mentors) for each in (said, scaled))
    close = (a.ranks[1:] - a.ranks[:1]).abs() < 1e-5  # as good as the student, but for rounding
    assert ((a.active == b.active) | close).all()
    torch.testing.assert_close(a.ranks, b.ranks, rtol=1e-4, atol=1e-6)


@long
@given(parts, st.sampled_from(['kl', 'mse', 'dkd', 'dist']), seeds, few, few)
def test_a_mentor_that_is_there_twice_teaches_as_its_double(part, loss, seed, mentors, samples):
    """Both have equal parts; of equal weights that sum to one, they are what one was."""
    one, two = (Class(seed, mentors, samples) for _ in range(2))
    two.of_mentors([*range(mentors), *range(mentors)])
    chosen = FILTERS[part], MENTORING['fixed'], LOSSES[loss]
    said, told = one.taught(*chosen), two.taught(*chosen)
    torch.testing.assert_close(told[0].weight[:mentors], told[0].weight[mentors:])
    assert torch.equal(told[0].active[:mentors], told[0].active[mentors:])
    if part not in ('ordinal', 'batch'):  # among more members a place, a mean is another
        assert torch.equal(told[0].active[:mentors], said[0].active)
    if part == 'uniform':
        torch.testing.assert_close(said[1:], told[1:], rtol=1e-4, atol=1e-5)


scales = st.sampled_from([1e-30, 1e-4, 1e2, 1e4])


@settings(long, max_examples=300)
@given(parts, losses, rules, seeds, scales, scales)
def test_whatever_the_logits_all_is_finite(part, loss, rule, seed, ours, theirs):
    drawn = Class(seed, 3, 3)
    drawn.student = drawn.student * ours
    drawn.mentors = [drawn.mentors[0] * theirs, drawn.mentors[1], drawn.mentors[2] * 0]
    lesson, value, gradient = drawn.taught(FILTERS[part], MENTORING[rule], LOSSES[loss])
    assert lesson.weight.isfinite().all() and (lesson.weight >= 0).all()
    assert value.isfinite() and gradient.isfinite().all()
    assert value >= -1e-4 * max(ours, theirs, 1)


@long
@given(parts, losses, rules, st.sampled_from([torch.float16, torch.bfloat16]))
def test_mentors_in_half_precision_teach_what_they_say(part, loss, rule, dtype):
    chosen = FILTERS[part], MENTORING[rule], LOSSES[loss]
    half, rounded = Class(0, 3, 3), Class(0, 3, 3)
    half.mentors = [each.to(dtype) for each in half.mentors]
    rounded.mentors = [each.to(dtype).float() for each in rounded.mentors]
    said, told = half.taught(*chosen), rounded.taught(*chosen)
    assert said[1].dtype is torch.float32
    torch.testing.assert_close(said[1:], told[1:], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize('samples, mentors', [(0, 2), (0, 0), (2, 0), (1, 1)])
@long
@given(parts, losses, rules)
def test_of_nothing_nothing_is_learnt(samples, mentors, part, loss, rule):
    drawn = Class(1, mentors, samples)
    lesson, value, gradient = drawn.taught(FILTERS[part], MENTORING[rule], LOSSES[loss])
    assert lesson.weight.shape[:2] == (mentors, samples)
    assert value.isfinite() and gradient.isfinite().all()
    if not samples or not mentors:
        assert value == 0 and not gradient.any()


@long
@given(parts, losses)
def test_where_nothing_is_labelled_all_teach_alike(part, loss):
    drawn = Class(2, 4, 3)
    nothing = torch.zeros_like(drawn.scores.labelled)
    drawn.scores = replace(drawn.scores, labelled=nothing)
    lesson, value, gradient = drawn.taught(FILTERS[part], MENTORING['adaptive'], LOSSES[loss])
    assert lesson.active.all() and value.isfinite() and gradient.isfinite().all()
    if part not in ('entropy', 'shares', 'confidence'):
        assert (lesson.weight == 0.25).all()


def people(seed, members, samples):
    g = torch.Generator().manual_seed(seed)
    points = 50 * torch.rand(samples, 17, 2, generator=g)
    guesses = points + 10 * torch.randn(1 + members, samples, 17, 2, generator=g)
    labelled = torch.rand(samples, 17, generator=g) > 0.3
    sides = 60 * torch.rand(samples, 2, generator=g)
    area = sides.prod(-1)
    if samples:
        area[0] = 0  # a person without any
    return guesses, PoseTruth(points, labelled, area=area, bbox=sides)


@pytest.mark.parametrize('scorer', [OKSScorer([0.0, *[0.05] * 16]), PCKScorer(0.1)])
@quick
@given(seeds, st.integers(0, 3), st.integers(0, 4))
def test_scores_of_people_are_shares_and_each_persons_own(scorer, seed, members, samples):
    guesses, truth = people(seed, members, samples)
    guesses[0] = truth.keypoints  # nobody is better, not even where a constant is 0
    scores = scorer(guesses, truth, {})
    assert scores.values.shape == (1 + members, samples, 17)
    assert ((scores.values >= 0) & (scores.values <= 1)).all()
    assert (scores.values[0, 1:] == 1).all()
    rows = order(seed, samples)
    moved = PoseTruth(
        truth.keypoints[rows], truth.labelled[rows], area=truth.area[rows], bbox=truth.bbox[rows]
    )
    torch.testing.assert_close(scorer(guesses[:, rows], moved, {}).values, scores.values[:, rows])


@pytest.mark.parametrize('soft', [False, True])
@quick
@given(seeds, st.sampled_from([1.0, 1e4]), st.booleans())
def test_the_true_classes_probability_is_one(soft, seed, scale, masked):
    g = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(3, 4, 6, generator=g)
    label = torch.randint(-1, 6, (4,), generator=g)
    if soft:
        label = torch.rand(4, 6, generator=g).softmax(-1) * (label >= 0)[:, None]
    if masked:
        logits[..., 5] = float('-inf')  # a class that a network never names
    scores = TrueClassScorer()(logits, ClassTruth(label))
    assert ((scores.values >= 0) & (scores.values <= 1)).all()
    rows = order(seed, 4)
    moved = TrueClassScorer()(logits[:, rows], ClassTruth(label[rows]))
    torch.testing.assert_close(moved.values, scores.values[:, rows])
    assert torch.equal(moved.labelled, scores.labelled[rows])


@quick
@given(seeds, few, few, st.sampled_from([1.0, 1e-12, 1e-38]))
def test_ranks_are_shares_of_the_mentors(seed, mentors, samples, scale):
    g = torch.Generator().manual_seed(seed)
    scores = scale * torch.rand(1 + mentors, samples, 2, generator=g)
    ranks = member_ranks(scores)
    torch.testing.assert_close(ranks.sum(0), torch.full_like(ranks[0], mentors))
    places = ordinal_positions(scores)
    assert torch.equal(places.argsort(0), scores.argsort(0))
    for geometric in (False, True):
        whole = batch_score(sample_score(scores, torch.ones_like(scores[0]).bool()), geometric)
        least = torch.finfo(scores.dtype).tiny  # below it a geometric mean does not tell
        assert (whole <= max(scores.max() * 1.001, least)).all() and whole.isfinite().all()


@quick
@given(seeds, few, st.sampled_from([1.0, 1e4, 1e-30]))
def test_weights_of_mentors_are_shares(seed, mentors, scale):
    g = torch.Generator().manual_seed(seed)
    scores = torch.rand(mentors, 3, 2, generator=g) * min(scale, 1)
    logits = [scale * torch.randn(3, 2, 5, generator=g) for _ in range(mentors)]
    for weight in (confidence_weights(scores), entropy_weights(logits)):
        assert (weight >= -1e-6).all()
        torch.testing.assert_close(weight.sum(0), torch.ones(3, 2))
    shares = entropy_weights(logits, form='share')
    assert shares.isfinite().all() and (shares >= -1e-6).all()


@quick
@given(seeds, st.floats(1e-44, 1e4), st.floats(1e-44, 1e4))
def test_dynamic_temperatures_are_positive_and_ask_who_is_surer(seed, ours, theirs):
    g = torch.Generator().manual_seed(seed)
    student, mentor = (torch.rand(2, 3, 5, generator=g) * scale for scale in (ours, theirs))
    tau_m, tau_s = dynamic_temperatures(student, [mentor], tau=4.0)
    assert (tau_m > 0).all() and (tau_s > 0).all()
    torch.testing.assert_close(tau_m + tau_s, torch.full_like(tau_m, 8.0))
    assert (student / tau_s[0, ..., None]).isfinite().all()


@quick
@given(seeds, st.sampled_from([1.0, 1e-6, 1e4]), st.sampled_from(['batch', 'sample']))
def test_gradients_that_are_corrected(seed, scale, per):
    """On any scale; what is projected once is not again; samples do not mix."""
    g = torch.Generator().manual_seed(seed)
    lesson, task = (
        [scale * torch.randn(4, 3, size, generator=g) for size in (6, 8)] for _ in range(2)
    )
    balanced, ratio = balance_gradient(lesson, task, 1.0, per)
    plain, same = balance_gradient(
        [each / scale for each in lesson], [each / scale for each in task], 1.0, per
    )
    torch.testing.assert_close(ratio, same, rtol=1e-3, atol=1e-6)
    for a, b in zip(balanced, plain):
        torch.testing.assert_close(a / scale, b, rtol=1e-3, atol=1e-5)
    projected, against = project_gradient(lesson, task)
    again, _ = project_gradient(projected, task)
    for once, twice in zip(projected, again):
        torch.testing.assert_close(once, twice, rtol=1e-3, atol=1e-5 * scale)
    for each in gradient_agreement(projected, task):
        assert (each >= -1e-4 * scale).all()
    rows = order(seed, 4)
    moved, _ = project_gradient([m[rows] for m in lesson], [m[rows] for m in task])
    assert all(torch.equal(a, b[rows]) for a, b in zip(moved, projected))


@quick
@given(seeds, st.sampled_from([1.0, 1e4, 1e-20]), few)
def test_maps_of_any_values_have_peaks_inside(seed, scale, height):
    g = torch.Generator().manual_seed(seed)
    maps = scale * torch.randn(2, 3, height, 5, generator=g)
    x, y = heatmap_marginals(maps)
    assert x.isfinite().all() and y.isfinite().all()
    product = product_heatmap(x, y)
    torch.testing.assert_close(product.flatten(2).exp().sum(-1), torch.ones(2, 3))
    for found in (decode_heatmaps(maps, (1.0, 1.0)), decode_simcc(x, y, (1.0, 1.0))):
        assert ((found >= -0.5) & (found <= torch.tensor([4.5, height - 0.5]))).all()
    finer = resample_heatmaps(maps, (4.0, 4.0), (8, 9), (2.0, 2.0))
    assert finer.isfinite().all()
    bins = resample_bins(x, 2.0, 10, 1.0), resample_bins(x, 1.0, 3, 2.0)
    assert all(each.isfinite().all() for each in bins)


@quick
@given(seeds, st.sampled_from([0.0, 1e-30, 1e20]))
def test_similarities_of_any_persons(seed, area):
    guesses, truth = people(seed, 2, 3)
    size = torch.full((3,), area)
    for value in (
        keypoint_similarity(guesses, truth.keypoints, size, torch.zeros(17)),
        keypoint_similarity(1e30 * guesses, truth.keypoints, size, torch.full((17,), 0.1)),
        keypoint_pck(guesses, truth.keypoints, size, 0.1),
    ):
        assert ((value >= 0) & (value <= 1)).all()


@quick
@given(seeds)
def test_soft_labels_of_one_class_are_that_class(seed):
    g = torch.Generator().manual_seed(seed)
    logits, label = torch.randn(5, 4, generator=g), torch.randint(0, 4, (5,), generator=g)
    soft = torch.nn.functional.one_hot(label, 4).float()
    torch.testing.assert_close(
        true_class_probability(logits, soft), true_class_probability(logits, label)
    )
