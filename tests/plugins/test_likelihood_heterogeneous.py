"""The heterogeneous likelihood against SciPy, family by family, and what missing values do to it."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from small import Points, points_experiment
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_likelihoods.heterogeneous import Heterogeneous
from tfdgm_likelihoods.student_t import StudentT

from tfdgm import BuildContext, Column, DataSpec, LatentSpec, TableSpec, UserError

TABLE = TableSpec(
    (
        Column("height", missing=True),
        Column("city", "categorical", ("Oslo", "Paris", "Rome"), missing=True),
        Column("visits", "count", center=1.0, scale=0.5, missing=True),
        Column("rating", "ordinal", (1, 2, 3, 4), missing=True),
        Column("smokes", "categorical", (False, True), missing=True),
        Column("weight", missing=True),
    )
)
SPEC = DataSpec(shape=(TABLE.size,), table=TABLE)
OUTPUTS = np.random.RandomState(0).randn(5, 8).astype(np.float32)
#: The numbers of one row in x, each column's in its place, and the codes or values that they stand for.
VISITS, RATING, CITY, SMOKES = 4, 2, 1, 1
ROW = np.array([0.7, 0, 1, 0, (np.log1p(VISITS) - 1) / 0.5, 2 * RATING / 3 - 1, SMOKES, -1.2], np.float32)


def built(spec=SPEC, **settings):
    likelihood = Heterogeneous(**settings)
    rows = np.random.RandomState(1).randn(50, *spec.shape).astype(np.float32) * 3
    likelihood.build(BuildContext(spec, LatentSpec(2), 50, lambda indices: rows[indices], 0))
    return likelihood, rows


def log_prob(likelihood, observed):
    x = tf.constant(np.concatenate([ROW, observed]), tf.float32)
    return likelihood.distribution(tf.constant(OUTPUTS)).log_prob(x).numpy()


def only(place):
    return np.eye(6)[place]


def expected(likelihood, rows):
    """By SciPy, the log-probability of each column of ROW, `[6, 5]`."""
    deviations = rows.std(axis=0)[[0, 7]]
    log_mean = 1 + 0.5 * OUTPUTS[:, 4].astype(float)
    cuts = np.array([-1.0, 0.0, 1.0])
    above = np.r_[scipy.special.expit(cuts[None] - OUTPUTS[:, 5:6]).T, [np.ones(5)]].T
    below = np.c_[np.zeros(5), above[:, :-1]]
    return np.stack(
        [
            scipy.stats.norm(OUTPUTS[:, 0], deviations[0]).logpdf(ROW[0]),
            scipy.special.log_softmax(OUTPUTS[:, 1:4].astype(float), axis=1)[:, CITY],
            scipy.stats.nbinom(1, 1 / (1 + np.exp(log_mean))).logpmf(VISITS),
            np.log(above - below)[:, RATING],
            scipy.special.log_expit(OUTPUTS[:, 6].astype(float)),
            scipy.stats.norm(OUTPUTS[:, 7], deviations[1]).logpdf(ROW[7]),
        ]
    )


@pytest.mark.parametrize("place", range(6), ids=[column.name for column in TABLE.columns])
def test_a_column_alone_has_scipys_probability(place):
    likelihood, rows = built()
    np.testing.assert_allclose(log_prob(likelihood, only(place)), expected(likelihood, rows)[place], rtol=1e-4)


def test_the_sum_is_over_what_is_observed_and_the_numbers_of_missing_values_do_not_count():
    likelihood, rows = built()
    terms = expected(likelihood, rows)
    for observed in ([1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0]):
        np.testing.assert_allclose(log_prob(likelihood, observed), observed @ terms, rtol=1e-4)
    p = likelihood.distribution(tf.constant(OUTPUTS))
    missing = np.concatenate([ROW, np.zeros(6)]).astype(np.float32)
    np.testing.assert_array_equal(p.log_prob(missing), p.log_prob(np.where(np.arange(14) < 8, 0, missing)))


def test_students_t_and_poisson_are_scipys():
    likelihood, rows = built(numeric="student_t", counts="poisson", df=3.0)
    t = scipy.stats.t(3.0, OUTPUTS[:, 0], rows.std(axis=0)[0]).logpdf(ROW[0])
    np.testing.assert_allclose(log_prob(likelihood, only(0)), t, rtol=1e-4)
    poisson = scipy.stats.poisson(np.exp(1 + 0.5 * OUTPUTS[:, 4].astype(float))).logpmf(VISITS)
    np.testing.assert_allclose(log_prob(likelihood, only(2)), poisson, rtol=1e-4)


def test_the_masses_of_all_categories_and_counts_sum_to_one():
    likelihood, _ = built()
    p = likelihood.distribution(tf.constant(OUTPUTS[0]))

    def total(place, rows):
        x = np.tile(ROW, (len(rows), 1))
        x[:, TABLE.places[place]] = rows
        x = np.concatenate([x, np.tile(only(place), (len(rows), 1))], axis=1).astype(np.float32)
        return np.exp(p.log_prob(x).numpy().astype(float)).sum()

    assert total(1, np.eye(3)) == pytest.approx(1, abs=1e-5)
    assert total(3, 2 * np.arange(4)[:, None] / 3 - 1) == pytest.approx(1, abs=1e-5)
    assert total(4, [[0], [1]]) == pytest.approx(1, abs=1e-5)
    counts = (np.log1p(np.arange(2_000)) - 1) / 0.5  # beyond, less than 1e-9 at this mean
    assert total(2, counts[:, None]) == pytest.approx(1, abs=1e-4)


def test_draws_are_complete_and_have_the_frequencies_of_their_probabilities():
    likelihood, _ = built()
    p = likelihood.distribution(tf.constant(OUTPUTS[0]))
    draws = p.sample(8_000, seed=[1, 2]).numpy()
    assert (draws[:, 8:] == 1).all()
    mean = p.mean().numpy()
    # 5 standard errors of 8,000 draws of numbers with a standard deviation of at most 3.5
    places = [0, 1, 2, 3, 5, 6, 7]
    bound = 5 * draws[:, places].std(axis=0) / np.sqrt(8_000)
    assert (np.abs(draws[:, places].mean(axis=0) - mean[places]) < bound).all()
    restored = TABLE.restore(draws)
    assert set(restored["city"]) == {"Oslo", "Paris", "Rome"} and set(restored["rating"]) == {1, 2, 3, 4}
    log_mean = 1 + 0.5 * float(OUTPUTS[0, 4])
    counts = restored["visits"]
    assert abs(counts.mean() - np.exp(log_mean)) < 5 * counts.std() / np.sqrt(8_000)


def test_the_gradient_is_finite_far_out():
    likelihood, _ = built()
    outputs = tf.constant(100 * OUTPUTS)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        p = likelihood.distribution(outputs)
        loss = tf.reduce_sum(p.log_prob(tf.constant(np.concatenate([ROW, np.ones(6)]), tf.float32)))
    assert np.isfinite(loss) and np.isfinite(tape.gradient(loss, outputs)).all()


def test_a_scale_never_falls_below_its_share_of_the_columns_deviation():
    likelihood, rows = built(smallest_scale=0.1)
    likelihood.log_scale.assign([-100.0, 0.0])
    likelihood.project()
    p = likelihood.distribution(tf.zeros([8]))
    scales = p._groups[0].distribution.scale.numpy()
    assert scales == pytest.approx([0.1 * rows.std(axis=0)[0], 1.0], rel=1e-4)


def test_plain_vectors_are_columns_of_numbers():
    rows = np.random.RandomState(0).randn(100, 3) * [1, 2, 3]
    built = points_experiment(data=Points(rows=rows), likelihood=Heterogeneous()).build()
    assert [column.kind for column in built.model.likelihood.table.columns] == ["numeric"] * 3
    with pytest.raises(UserError, match="requires a table, or vectors of real numbers"):
        Heterogeneous().check(DataSpec(shape=(4, 4)))


@pytest.mark.parametrize("plain", [Gaussian, StudentT])
def test_a_likelihood_of_plain_numbers_refuses_other_columns(plain):
    with pytest.raises(UserError, match=r"column 'height' has missing values; use likelihood\.heterogeneous"):
        plain().check(SPEC)
    with pytest.raises(UserError, match="column 'city' is categorical"):
        plain().check(DataSpec(shape=(14,), table=TableSpec(TABLE.columns[1:])))
    plain().check(DataSpec(shape=(2,), table=TableSpec((Column("a"), Column("b")))))
