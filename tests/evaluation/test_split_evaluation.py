"""What scores share is computed once, anew for new weights, and is what its parts compute."""

import numpy as np
import pytest
from linear_gaussian import linear_gaussian, posterior_mean
from small import points_experiment
from tfdgm_posteriors.vq import VQ

from tfdgm import UserError
from tfdgm.evaluation import split_evaluation
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.numerics.gaussians import gaussian_log_densities
from tfdgm.numerics.randomness import integer_seed
from tfdgm.trained.sampling import draw


@pytest.fixture(scope="module")
def built():
    return linear_gaussian()


def test_shared_results_are_computed_once_and_again_after_a_refresh(built, monkeypatch):
    calls = []
    for name in ("elbo_surgery", "posterior_means", "examples"):
        monkeypatch.setattr(
            split_evaluation, name, lambda *arguments, name=name: calls.append(name) or np.zeros((2, 3))
        )
    run = SplitEvaluation(built, "test")
    for times in (1, 2):
        for _ in range(3):
            assert run.surgery is not None and run.means is not None and run.comparison.examples is not None
        assert sorted(calls) == sorted(times * ["elbo_surgery", "posterior_means", "examples"])
        run.refresh()


def test_a_refresh_gives_the_numbers_of_the_new_weights():
    built = linear_gaussian()
    run, again = (SplitEvaluation(built, "test") for _ in range(2))
    before = run.means, run.comparison.x, run.one_draw_bound()
    for variable in (built.model.encoder.layers[0].kernel, built.model.decoder.layers[0].kernel):
        variable.assign(0.5 * variable)
    assert run.means is before[0]
    run.refresh()
    np.testing.assert_array_equal(run.means, again.means)
    np.testing.assert_array_equal(run.comparison.x, again.comparison.x)
    assert run.one_draw_bound() == again.one_draw_bound() != before[2]
    assert not np.allclose(run.means, before[0]) and not np.allclose(run.comparison.x, before[1])


def test_means_and_the_aggregated_density_are_those_of_the_model(built):
    run = SplitEvaluation(built, "test")
    np.testing.assert_allclose(run.means, posterior_mean(run.source.rows), rtol=1e-4, atol=1e-5)  # float32
    z = np.random.RandomState(0).randn(7, 2).astype(np.float32)
    posterior = built.model.infer(run.source.rows, run.draws.context(run.draws.place(0)))
    pairs = gaussian_log_densities(z, posterior.mean(), posterior.stddev()).numpy().astype(np.float64)
    expected = np.log(np.mean(np.exp(pairs), axis=1))
    np.testing.assert_allclose(run.aggregated_log_prob(z), expected, atol=1e-3)  # its documented precision


def test_samples_are_those_of_the_seed_beside_as_many_examples(built):
    comparison = SplitEvaluation(built, "test").comparison
    number = len(built.experiment.splits["test"])
    np.testing.assert_array_equal(comparison.x, draw(built, number, integer_seed(0, "generation")).x)
    examples, generated = comparison.flat()
    np.testing.assert_array_equal(examples, built.experiment.splits["test"].rows)
    np.testing.assert_array_equal(generated, comparison.generated)
    assert examples.dtype == generated.dtype == np.float64
    few = comparison.flat(4)
    np.testing.assert_array_equal(few[0], examples[[0, 8, 15, 23]])  # of 24
    np.testing.assert_array_equal(few[1], generated[:4])
    assert comparison.problem is None and not comparison.has_features and len(comparison.mode_draws) == 0


def test_another_split_is_of_the_same_model(built):
    run = SplitEvaluation(built, "test", 7)
    train = run.on("train")
    assert train is run.on("train") and run.on("test") is run and train.num_samples == 7
    rows = built.experiment.splits["train"].rows
    np.testing.assert_allclose(train.means, posterior_mean(rows), rtol=1e-4, atol=1e-5)  # float32
    kept = train.means
    run.refresh()
    assert train.means is not kept
    with pytest.raises(UserError, match="no split 'tset'"):
        run.on("tset")


def test_a_point_mass_is_drawn_once():
    assert SplitEvaluation(points_experiment(posterior=VQ(num_codes=4)).build(), "test", 50).num_samples == 1
