"""The bounds on log p(x), on a model whose log p(x) is known."""

import numpy as np
import pytest
from linear_gaussian import VARIANCES, exact_log_prob, linear_gaussian, posterior_mean

from tfdgm import UserError
from tfdgm.evaluation import bounds
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.evaluation.validation import Validation


def test_rows(built):
    return built.experiment.splits["test"].rows


test_rows.__test__ = False


def exact_nll(built):
    return -exact_log_prob(test_rows(built)).mean()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(bounds, "_VALUES_AT_ONCE", 600 * 5)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [1, 10])
def test_with_the_true_posterior_every_bound_is_exact(samples, small_blocks):
    built = linear_gaussian()
    scores = evaluate(built, "test", samples)
    exact = exact_nll(built)
    # every importance weight is p(x) itself, so no Monte Carlo error is left, only float32: 1e-6 of terms of size 50
    assert scores["nll_iwae"] == pytest.approx(exact, abs=1e-3)
    assert scores["elbo"] == pytest.approx(-exact, abs=1e-3)
    assert scores["nll_iwae_samples"] == samples
    assert scores["num_examples"] == 24 and scores["data_split"] == "test" and scores["step"] == 0


def test_with_another_posterior_the_bound_falls_with_the_samples_towards_the_exact_value(small_blocks):
    built = linear_gaussian(widen=1.5)
    draws = Draws(built, built.experiment.splits["test"])
    one, some, many = (draws.importance_weighted_nll(samples) for samples in (1, 25, 5_000))
    # weights have variance of order 1: 24 x S draws leave an error near 1 / sqrt(24 S), and a bias near 1 / (2 S);
    # for one draw the excess is the KL of 0.44 nats, with a standard error of 0.2
    assert one > some + 0.1
    assert some == pytest.approx(exact_nll(built) + 0.02, abs=5 * 0.04)
    assert many == pytest.approx(exact_nll(built), abs=0.015)


@pytest.mark.slow
def test_the_elbo_falls_short_by_the_kl_to_the_true_posterior(small_blocks):
    built = linear_gaussian(widen=1.5)
    scores = evaluate(built, "test", 4_000)
    gap = 2 * (1.5**2 / 2 - 0.5 - np.log(1.5))  # KL between Gaussians of scales 1.5 s and s, two dimensions
    # 24 x 4,000 draws of a quantity with standard deviation below 2: error 0.006, five of them
    assert scores["elbo"] == pytest.approx(-exact_nll(built) - gap, abs=0.03)
    assert scores["nll_iwae"] < -scores["elbo"]


@pytest.mark.slow
def test_the_rate_is_that_of_the_closed_form(small_blocks):
    built = linear_gaussian()
    mean = posterior_mean(test_rows(built).astype(np.float64))
    exact = np.mean(np.sum(0.5 * (mean**2 + VARIANCES - 1 - np.log(VARIANCES)), axis=1))
    # the evaluation draws: standard deviation of log q / p below 2, over 24 x 4,000 draws 0.006, five of them
    assert evaluate(built, "test", 4_000)["rate"] == pytest.approx(exact, abs=0.03)


def test_chunks_and_blocks_of_any_size_give_the_exact_value_all_the_same(monkeypatch):
    built = linear_gaussian()
    monkeypatch.setattr(bounds, "_EXAMPLES_AT_ONCE", 7)  # 24 = 3 x 7 + 3: the last chunk is filled up
    monkeypatch.setattr(bounds, "_VALUES_AT_ONCE", 28 * 5)  # 4 draws a block, 6 asked for: the last block is cut
    draws = Draws(built, built.experiment.splits["test"])
    assert (draws.chunk, draws.per_block) == (7, 4)
    assert [count for _, _, count in draws.chunks()] == [7, 7, 7, 3]
    assert draws.importance_weighted_nll(6) == pytest.approx(exact_nll(built), abs=1e-3)  # float32, as above


@pytest.mark.parametrize("draws, size", [(1, 1), (2, 2), (3, 10), (10, 10), (25, 10)])
def test_a_block_is_less_than_four_times_the_draws_that_are_wanted(monkeypatch, draws, size):
    monkeypatch.setattr(bounds, "_VALUES_AT_ONCE", 10 * 24 * 5)
    built = linear_gaussian()
    over = Draws(built, built.experiment.splits["test"])
    assert over.per_block == 10 and over._block_size(draws) == size


@pytest.mark.slow
def test_few_draws_are_the_first_of_many(monkeypatch):
    monkeypatch.setattr(bounds, "_VALUES_AT_ONCE", 10 * 24 * 5)
    built = linear_gaussian()
    over = Draws(built, built.experiment.splits["test"])
    few, many = (np.concatenate([block.value for _, _, block in over.blocks(count)]) for count in (2, 10))
    assert few.shape[0] == 2 and many.shape[0] == 10
    np.testing.assert_allclose(few, many[:2], rtol=1e-6)


def test_the_chunks_hold_every_example_once_and_in_order(monkeypatch):
    built = linear_gaussian()
    monkeypatch.setattr(bounds, "_EXAMPLES_AT_ONCE", 7)
    seen = [x.numpy()[:count] for _, x, count in Draws(built, built.experiment.splits["test"]).chunks()]
    np.testing.assert_array_equal(np.concatenate(seen), test_rows(built))


def test_exactly_num_samples_draws_are_used(monkeypatch):
    built = linear_gaussian(widen=1.5)
    monkeypatch.setattr(bounds, "_VALUES_AT_ONCE", 24 * 4 * 5)
    draws = Draws(built, built.experiment.splits["test"])
    blocks = [block for number, _, block in draws.blocks(6) if number == 0]
    assert [len(block.value) for block in blocks] == [4, 2]
    values = np.concatenate([block.value for block in blocks])
    assert len(np.unique(values[:, 0, 0])) == 6  # every block draws anew


@pytest.mark.slow
def test_two_evaluations_of_the_same_weights_agree(small_blocks):
    first, second = (evaluate(linear_gaussian(widen=1.5), "test", 5) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_evaluation_uses_the_moving_averages_where_there_are_any(small_blocks):
    from small import points_experiment

    built = points_experiment(ema_decay=0.9).build()
    before = evaluate(built, "test", 5)
    built.model.decoder.layers[0].bias.assign([9.0, 9.0, 9.0])  # the average has not followed yet
    assert evaluate(built, "test", 5) == before


@pytest.mark.parametrize("split, samples, expected", [("test", 0, "at least 1"), ("tset", 5, "no split 'tset'")])
def test_invalid_arguments_of_evaluate_are_refused(split, samples, expected):
    with pytest.raises(UserError, match=expected):
        evaluate(linear_gaussian(), split, samples)


@pytest.mark.slow
def test_validation_gives_the_elbo_with_the_closed_form_rate():
    from tfdgm import ArraySource

    built = linear_gaussian()
    built.experiment.splits["validation"] = ArraySource(test_rows(built))
    scores = Validation(built)()
    mean = posterior_mean(test_rows(built).astype(np.float64))
    rate = np.mean(np.sum(0.5 * (mean**2 + VARIANCES - 1 - np.log(VARIANCES)), axis=1))
    assert scores["validation_rate"] == pytest.approx(rate, rel=1e-5)  # float32
    bound = scores["validation_reconstruction"] - scores["validation_rate"]
    assert scores["validation_elbo"] == pytest.approx(bound, rel=1e-6)  # a float32 difference
    assert Validation(built)() == scores


def test_without_a_validation_split_there_is_no_validation():
    assert Validation(linear_gaussian())() == {}
