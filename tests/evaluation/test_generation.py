"""Which scores of samples apply to a run, and which examples and draws they use."""

import functools

import numpy as np
import pytest
from linear_gaussian import linear_gaussian, rows
from small import Points, digits_experiment, gan_experiment, points_experiment
from tfdgm_scores.wasserstein import ExactWasserstein

from tfdgm import Modes
from tfdgm.contracts.data import evenly
from tfdgm.evaluation import comparison, split_evaluation
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.chosen import examples
from tfdgm.evaluation.comparison import SampleComparison
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.evaluation.frechet import frechet_distance
from tfdgm.evaluation.mmd import median_distance, mmd
from tfdgm.evaluation.modes import mode_scores
from tfdgm.evaluation.precision_recall import precision_recall
from tfdgm.evaluation.score_set import ScoreSet
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.evaluation.transport import sliced_wasserstein, wasserstein
from tfdgm.numerics.randomness import integer_seed
from tfdgm.trained.sampling import Sampler, draw

NEIGHBOURS = {"precision", "recall", "density", "coverage"}
TRANSPORT = {"wasserstein", "sliced_wasserstein"}
COUNTS = {"generation_samples", "wasserstein_samples"}
ALWAYS = NEIGHBOURS | TRANSPORT | COUNTS | {"mmd"}
MODES = {"modes", "high_quality", "reverse_kl", "mode_samples"}
HALVES = Modes(2, lambda x: ((x[:, 0] > 0).astype(int), np.linalg.norm(x, axis=1) < 2))


class Known(Points):
    """Points of R^3 with two modes, and features in R^2."""

    def modes(self):
        return HALVES

    def features(self):
        return lambda x: np.stack([x.sum(axis=1), x[:, 0] ** 2], axis=1)


#: The plugins of these scores.
NAMES = ["modes", "precision_recall", "frechet_distance", "mmd", "wasserstein", "sliced_wasserstein", "sample_counts"]


def generation_scores(built, run=None):
    """The scores of samples against the test split."""
    scores = ScoreSet(built.experiment)
    scores.scores = [each for each in scores.scores if each.name in NAMES]
    return scores.compute(run or SplitEvaluation(built, "test"))


@functools.cache
def untrained():
    return points_experiment().build()


def sample_scores(real, fake, features):
    """The scores of made-up samples against as many made-up examples."""
    run = SplitEvaluation(untrained(), "test")
    run._results["comparison"] = SampleComparison(lambda: (fake, None), lambda: real, len(real), features)
    return generation_scores(untrained(), run)


def random_rows(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(count, size).astype(np.float32)


@pytest.fixture(scope="module")
def known():
    return points_experiment(data=Known(rows=random_rows(100, 3)), seed=3).build()


@pytest.mark.slow
def test_data_with_modes_and_features_has_every_score_from_the_same_draws(known):
    scores = evaluate(known, "test", 2)
    assert set(scores) >= ALWAYS | MODES | {"frechet_distance"}
    fake = draw(known, 2_500, integer_seed(3, "generation")).x
    expected = mode_scores(fake, HALVES) | {"mode_samples": 2_500, "generation_samples": 40, "wasserstein_samples": 40}
    real, fake = known.experiment.splits["test"].rows, fake[:40]
    features = [known.experiment.data.features()(x) for x in (real, fake)]
    expected |= precision_recall(*features)
    expected["frechet_distance"] = frechet_distance(*features)
    expected["mmd"] = mmd(*features, median_distance(features[0]))
    expected |= {"wasserstein": wasserstein(real, fake), "sliced_wasserstein": sliced_wasserstein(real, fake)}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-9)  # float64


def test_other_data_has_the_scores_that_need_neither_modes_nor_features():
    built = linear_gaussian()
    assert set(generation_scores(built)) == ALWAYS


def test_a_model_without_a_posterior_has_them_too():
    scores = evaluate(gan_experiment().build())
    assert set(scores) == ALWAYS | {"step", "seed", "data_split", "num_examples"}


def test_the_true_model_scores_as_a_perfect_sampler():
    built = linear_gaussian(data=rows(5_000))
    scores = generation_scores(built)
    assert scores["generation_samples"] == 2_000
    # Naeem et al. 2020, section 3. Ten pairs of samples of this size had deviations of 0.016, 0.006 and 0.0003;
    # five of them
    assert scores["density"] == pytest.approx(1, abs=0.08)
    assert scores["coverage"] == pytest.approx(1 - 0.5**5, abs=0.03)
    assert scores["mmd"] == pytest.approx(0, abs=0.0016)


def test_the_chosen_examples_are_observed_as_the_bounds_observe_them():
    built = digits_experiment().build()
    train = built.experiment.splits["train"]  # binarised anew at each observation
    observed = np.concatenate([x.numpy()[:count] for _, x, count in Draws(built, train).chunks()])
    np.testing.assert_array_equal(examples(Draws(built, train), len(train)), observed)


def test_fewer_examples_are_spread_evenly_over_the_split():
    built = linear_gaussian()
    source = built.experiment.splits["test"]
    np.testing.assert_array_equal(examples(Draws(built, source), 4), source.rows[[0, 8, 15, 23]])
    np.testing.assert_array_equal(evenly(5, 5), np.arange(5))


@pytest.mark.slow
def test_large_examples_are_compared_in_smaller_numbers(monkeypatch):
    built = linear_gaussian()
    built.experiment.scores.append(ExactWasserstein(samples=9))
    monkeypatch.setattr(comparison, "_SAMPLES", 20)
    counts = generation_scores(built)
    assert (counts["generation_samples"], counts["wasserstein_samples"]) == (20, 9)
    monkeypatch.setattr(comparison, "_VALUES", 7 * 5 + 4)  # of R^5
    counts = generation_scores(built)
    assert (counts["generation_samples"], counts["wasserstein_samples"]) == (7, 7)


@pytest.mark.parametrize(
    "n, keys",
    [(1, TRANSPORT | COUNTS), (2, TRANSPORT | COUNTS | {"mmd"}), (5, ALWAYS - NEIGHBOURS), (6, ALWAYS)],
)
def test_scores_that_need_more_examples_are_absent(n, keys):
    scores = sample_scores(random_rows(n, 3), random_rows(n, 3, 1), None)
    assert set(scores) == keys
    assert all(np.isfinite(value) for value in scores.values())


def test_examples_that_are_all_equal_have_the_scores_that_apply_and_a_note_of_the_others():
    scores = sample_scores(np.tile(random_rows(1, 700), (40, 1)), random_rows(40, 700), None)
    assert set(scores) == (ALWAYS - {"mmd", "precision", "density", "coverage"}) | {"generation_note"}
    assert scores["generation_note"] == (
        "all examples equal 5 or more others in the features, so precision, density and coverage do not apply; "
        "at least half of the distances between examples are 0, so mmd does not apply"
    )


def test_draws_that_are_all_equal_have_no_recall():
    scores = sample_scores(random_rows(40, 700), np.tile(random_rows(1, 700), (40, 1)), None)
    assert set(scores) == (ALWAYS - {"recall"}) | {"generation_note"}
    assert scores["generation_note"] == "all draws equal 5 or more others in the features, so recall does not apply"
    assert scores["wasserstein"] > 0 and scores["mmd"] > 0


def test_equal_examples_and_equal_draws_leave_the_transport_between_them():
    real, fake = np.tile(random_rows(1, 700), (40, 1)), np.tile(random_rows(1, 700, 1), (40, 1))
    scores = sample_scores(real, fake, None)
    assert set(scores) == TRANSPORT | COUNTS | {"generation_note"}
    assert scores["wasserstein"] == pytest.approx(np.linalg.norm(real[0] - fake[0]))
    assert sample_scores(real, real, None)["wasserstein"] == 0


def test_a_note_gives_the_share_of_duplicate_points():
    real, fake = random_rows(50, 3), random_rows(50, 3, 1)
    real[:8], fake[:12] = real[0], fake[0]
    scores = sample_scores(real, fake, None)
    assert set(scores) == ALWAYS | {"generation_note"}
    assert scores["generation_note"] == (
        "16.00% of the examples equal 5 or more others in the features, so the balls around them have radius 0 in "
        "precision, density and coverage; "
        "24.00% of the draws equal 5 or more others in the features, so the balls around them have radius 0 in recall"
    )
    fake[5:12] = random_rows(7, 3, 2)  # five equal draws, four others of each: no ball is empty
    assert "draws" not in sample_scores(real, fake, None)["generation_note"]


def test_features_that_overflow_are_counted_and_leave_the_scores_in_x():
    real, fake = random_rows(20, 3), random_rows(20, 3, 1)
    fake[4, 0] = 1e30
    scores = sample_scores(real, fake, lambda x: (x.astype(np.float32) * 1e10) ** 2)
    assert set(scores) == TRANSPORT | COUNTS | {"generation_note"}
    assert scores["generation_note"] == "the features of 1 of the draws are not finite, so no score uses features"


def test_a_note_says_that_the_frechet_distance_has_fewer_samples_than_features():
    for size, expected in ((30, False), (40, True), (70, True)):
        scores = sample_scores(random_rows(40, size), random_rows(40, size, 1), lambda x: x)
        assert np.isfinite(scores["frechet_distance"])
        assert ("generation_note" in scores) == expected
    assert scores["generation_note"] == "frechet_distance is mostly bias: there are 40 samples of 70 features"


def test_a_transport_that_was_not_solved_is_left_out(monkeypatch):
    def unsolved(*arguments):
        raise ArithmeticError("no optimal transport plan found: too many steps")

    monkeypatch.setattr("tfdgm_scores.wasserstein.wasserstein", unsolved)
    scores = sample_scores(random_rows(20, 3), random_rows(20, 3, 1), None)
    assert set(scores) == (ALWAYS - {"wasserstein", "wasserstein_samples"}) | {"generation_note"}
    assert scores["generation_note"].startswith("wasserstein does not apply: no optimal transport plan")


def test_draws_that_are_not_finite_are_counted_and_not_scored(monkeypatch, known):
    class Broken(Sampler):
        def __call__(self, seed):
            samples = super().__call__(seed)
            samples.x[7, 1] = np.inf
            return samples

    monkeypatch.setattr(split_evaluation, "Sampler", Broken)
    scores = generation_scores(known)
    assert scores == {"generation_samples": 2_500, "finite_samples": 2_499}


def test_features_are_computed_a_block_at_a_time():
    sizes = []

    def features(x):
        sizes.append(len(x))
        return x

    sample_scores(random_rows(1_100, 2), random_rows(1_100, 2, 1), features)
    assert sizes == 2 * [500, 500, 100]


def test_scores_of_samples_have_units_of_their_own_and_numbers_of_samples_have_none():
    counts = COUNTS | {"mode_samples"}
    quantities = ScoreSet(untrained().experiment).quantities
    assert {(quantities[name].unit, quantities[name].count) for name in counts} == {("", True)}
    units = {quantities[name].unit for name in (ALWAYS | MODES | {"frechet_distance"}) - counts}
    assert not units & {"", "nats per example"}
    assert quantities["reverse_kl"].unit == "nats"
