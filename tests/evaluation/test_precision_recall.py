"""Precision, recall, density and coverage against their definitions, expectations and published values."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfdgm.evaluation import distances
from tfdgm.evaluation.precision_recall import precision_recall


def by_definition(real, fake, k):
    """Ball by ball."""
    between, inside, fake_inside = cdist(real, fake), cdist(real, real), cdist(fake, fake)
    real_radii = [np.sort(np.delete(row, i))[k - 1] for i, row in enumerate(inside)]
    fake_radii = [np.sort(np.delete(row, j))[k - 1] for j, row in enumerate(fake_inside)]
    n, m = len(real), len(fake)
    pairs = [(i, j) for i in range(n) for j in range(m) if between[i, j] <= real_radii[i]]
    recalled = {i for i in range(n) for j in range(m) if between[i, j] <= fake_radii[j]}
    return {
        "precision": len({j for _, j in pairs}) / m,
        "recall": len(recalled) / n,
        "density": len(pairs) / (k * m),
        "coverage": len({i for i, _ in pairs}) / n,
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_the_scores_are_those_of_the_definition(monkeypatch, k):
    monkeypatch.setattr(distances, "_AT_ONCE", 70)  # blocks of 2 rows, the last of 1
    random = np.random.RandomState(0)
    real, fake = random.randn(41, 2), random.randn(30, 2) + np.array([2, 0])
    found = precision_recall(real, fake, k)
    assert found == pytest.approx(by_definition(real, fake, k), abs=1e-12)
    assert 0 < found["precision"] < 1 and 0 < found["recall"] < 1  # nothing trivial was compared


def test_a_ball_holds_its_boundary():
    real, fake = np.array([[0.0], [1.0], [2.0]]), np.array([[3.0], [3.0]])
    scores = precision_recall(real, fake, 1)
    # every ball around a real point has radius 1; those around the samples have radius 0 and tell nothing
    assert scores == {"precision": 1.0, "density": 1.0, "coverage": 1 / 3}


def test_balls_of_radius_0_around_all_points_of_a_set_tell_nothing():
    same, others = np.ones((8, 2)), np.random.RandomState(0).randn(8, 2)
    assert set(precision_recall(same, others)) == {"recall"}
    assert set(precision_recall(others, same)) == {"precision", "density", "coverage"}
    assert precision_recall(same, same) == {}


def test_samples_that_are_the_data_are_precise_and_complete():
    points = np.random.RandomState(0).randn(50, 3)
    scores = precision_recall(points, points)
    assert (scores["precision"], scores["recall"], scores["coverage"]) == (1, 1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("n, m, size, pairs", [(60, 40, 8, 400), (500, 500, 1_000, 40)])
def test_in_expectation_a_perfect_sampler_has_density_1_and_a_coverage_that_is_known(n, m, size, pairs):
    k, random = 5, np.random.RandomState(0)
    scores = [precision_recall(random.randn(n, size), random.randn(m, size), k) for _ in range(pairs)]
    # Naeem et al. 2020, section 3
    steps = np.arange(1, k + 1)
    expected = {"density": 1.0, "coverage": 1 - np.prod((n - steps) / (n + m - steps))}
    for name, exact in expected.items():
        values = [score[name] for score in scores]
        assert np.mean(values) == pytest.approx(exact, abs=4 * np.std(values) / np.sqrt(pairs)), name  # standard errors


@pytest.mark.parametrize("n, m", [(5, 20), (20, 5)])
def test_sets_without_a_kth_neighbour_are_refused(n, m):
    with pytest.raises(ValueError, match="5 neighbours"):
        precision_recall(np.zeros((n, 2)), np.zeros((m, 2)))


@pytest.mark.slow
def test_in_a_thousand_dimensions_two_samples_of_one_gaussian_score_as_published():
    random = np.random.RandomState(5)
    scores = precision_recall(*(random.randn(10_000, 1_000).astype(np.float32) for _ in range(2)))
    # Three standard deviations over draws of both sets, from seven seeds: 0.010, 0.011 and 0.009. Density varies by
    # 0.09, since few points are in the balls of very many others there; its mean is tested above.
    assert scores["precision"] == pytest.approx(0.477, abs=0.03)
    assert scores["recall"] == pytest.approx(0.471, abs=0.033)
    assert scores["coverage"] == pytest.approx(0.974, abs=0.027)
