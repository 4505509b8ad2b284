"""Modes covered, high quality and reverse KL."""

import numpy as np
import pytest

from tfdgm import Modes
from tfdgm.evaluation.modes import kl_to_uniform, mode_scores, too_narrow

MEANS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


def assign(x):
    distance = np.linalg.norm(x[:, None] - MEANS, axis=-1)
    return distance.argmin(axis=1), distance.min(axis=1) <= 3


FOUR = Modes(4, assign)


def test_the_scores_are_those_counted_by_hand():
    # two good samples at the first mode, one good and one bad at the second, two bad at the third, none at the fourth
    x = np.array([[0, 0], [1, 1], [10, 2], [10, -4], [-4, 10], [0, 14]], np.float32)
    scores = mode_scores(x, FOUR)
    assert scores["modes"] == 2  # the third has no sample of high quality
    assert scores["high_quality"] == 0.5
    assert scores["reverse_kl"] == pytest.approx(np.log(4) - np.log(3))  # all samples count: a third at each of three


def test_no_sample_of_high_quality_is_no_mode():
    scores = mode_scores(np.full((5, 2), 4.0), FOUR)
    assert (scores["modes"], scores["high_quality"]) == (0, 0.0)
    assert scores["reverse_kl"] == pytest.approx(np.log(4))  # all at one of four


def test_even_counts_have_no_divergence_and_one_mode_has_the_most():
    assert kl_to_uniform(np.full(7, 30)) == pytest.approx(0, abs=1e-15)
    assert kl_to_uniform(np.array([0, 9, 0])) == pytest.approx(np.log(3))
    assert kl_to_uniform(np.array([1, 3])) == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))


def test_a_perfect_sampler_has_the_documented_shares_and_bias():
    random = np.random.RandomState(0)
    repeats, n, scores = 400, 2_500, []
    for _ in range(repeats):
        x = MEANS[random.randint(4, size=n)] + random.randn(n, 2)
        scores.append(mode_scores(x, FOUR))
    # a radius of 3 sigma holds 1 - exp(-9/2) in 2-D; four binomial standard errors
    exact = 1 - np.exp(-4.5)
    error = np.sqrt(exact * (1 - exact) / (n * repeats))
    assert np.mean([score["high_quality"] for score in scores]) == pytest.approx(exact, abs=4 * error)
    # 2 n KL is chi-squared with M - 1 = 3 degrees of freedom: mean 3, variance 6; four standard errors
    bias = np.mean([score["reverse_kl"] for score in scores])
    assert bias == pytest.approx(3 / (2 * n), abs=4 * np.sqrt(6 / repeats) / (2 * n))


@pytest.mark.parametrize("spread, narrow", [(1.0, False), (1.1, False), (0.85, True), (0.0, True)])
def test_samples_that_vary_less_than_the_data_are_reported(spread, narrow):
    random = np.random.RandomState(0)
    known = Modes(4, assign, 1 - np.exp(-4.5))
    # within 3 sigma are 1 - exp(-4.5 / spread^2): 0.9757, 0.9889, 0.9980; the bound is 0.9889 + 3 * 0.0021
    x = MEANS[random.randint(4, size=2_500)] + spread * random.randn(2_500, 2)
    scores = mode_scores(x, known) | {"mode_samples": 2_500}
    remark = too_narrow(scores, known)
    assert (remark is not None) == narrow
    if remark:
        assert f"high_quality is {scores['high_quality']:.4f} over 2500 samples, but 0.9889 for draws" in remark


def test_nothing_is_reported_if_a_share_of_high_quality_is_unknown():
    assert too_narrow({"high_quality": 1.0, "mode_samples": 2_500}, FOUR) is None
    assert too_narrow({"high_quality": 1.0, "mode_samples": 2_500}, None) is None
    assert too_narrow({"finite_samples": 3}, Modes(4, assign, 0.5)) is None
