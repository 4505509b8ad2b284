"""Toys: moments, densities and modes against their formulas; splits that never change."""

import inspect
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal, norm
from sklearn.datasets import make_moons, make_swiss_roll
from small import context
from tfdgm_data.banana import Banana
from tfdgm_data.grid import Grid
from tfdgm_data.moons import Moons
from tfdgm_data.parallel_lines import ParallelLines
from tfdgm_data.ring import Ring
from tfdgm_data.sampled_splits import SampledSplits, with_split_sizes
from tfdgm_data.swiss_roll import SwissRoll
from tfdgm_data.toy import Toy

from tfdgm import UserError
from tfdgm.configuration.config_files import Packaged
from tfdgm.configuration.resolve import read_config
from tfdgm.evaluation.modes import mode_scores

TOYS = [Ring, Grid, ParallelLines, Banana, SwissRoll, Moons]
MIXTURES = [Ring, Grid, lambda: Ring(modes=5, radius=3.0, sigma=0.4), lambda: Grid(side=2, extent=1.0, sigma=0.1)]
EVERY_TOY = pytest.mark.parametrize("toy", TOYS)


def train(toy):
    return toy.splits()["train"].rows.astype(np.float64)


def assert_mean(values, expected):
    """Means of independent rows `[n, ...]` within five standard errors, taken from the rows."""
    error = values.std(0) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(0) - expected) <= 5 * error + 1e-6)  # float32 rows


@EVERY_TOY
def test_the_splits_have_the_documented_sizes(toy):
    splits = toy().splits()
    assert {name: len(source) for name, source in splits.items()} == {
        "train": 100_000,
        "validation": 2_000,
        "test": 10_000,
    }
    assert toy().describe()["examples"] == {name: len(source) for name, source in splits.items()}
    for source in splits.values():
        assert source.shape == (2,) == toy().spec.shape and source.dtype == np.float32
        assert np.all(np.isfinite(source.rows))
    assert (toy().spec.low, toy().spec.high, toy().spec.levels) == (-math.inf, math.inf, None)


@EVERY_TOY
def test_the_points_depend_on_their_seed_alone(toy):
    sizes = {"num_train": 300, "num_validation": 200, "num_test": 300}
    first, again, other = (toy(sample_seed=seed, **sizes).splits() for seed in (4, 4, 5))
    for name in first:
        np.testing.assert_array_equal(first[name].rows, again[name].rows)
        assert not np.any(np.all(first[name].rows == other[name].rows, axis=1))


@EVERY_TOY
def test_the_splits_are_different_streams(toy):
    splits = toy(num_train=300, num_validation=300, num_test=300).splits()
    rows = np.concatenate([source.rows for source in splits.values()])
    assert len(np.unique(rows, axis=0)) == 900
    a, b, c = (source.rows for source in splits.values())
    for one, other in [(a, b), (a, c), (b, c)]:
        assert not np.any(np.all(one == other, axis=1))


@EVERY_TOY
def test_a_split_of_no_points_does_not_exist(toy):
    data = toy(num_train=10, num_validation=0, num_test=0)
    assert set(data.splits()) == set(data.describe()["examples"]) == {"train"}


def test_the_first_points_never_change():
    # RandomState's streams are frozen, so another value means another protocol
    np.testing.assert_allclose(Ring().splits()["test"].rows[0], [-0.7121567, -0.7045726], atol=1e-6)  # float32
    np.testing.assert_allclose(Banana().splits()["test"].rows[0], [-0.1695405, -0.3116711], atol=1e-6)


def test_x_is_the_row():
    rows = tf.constant(Ring().splits()["test"].rows[:5])
    np.testing.assert_array_equal(Ring().observe(rows, context()), rows)


@pytest.mark.parametrize("modes", [1, 2, 3, 8, 100])
def test_the_ring_has_as_many_centres_as_it_says_evenly_spaced(modes):
    ring = Ring(modes=modes, radius=2.0)
    assert len(np.unique(ring.centres.round(9), axis=0)) == modes == ring.modes().count
    np.testing.assert_allclose(np.linalg.norm(ring.centres, axis=1), 2.0)
    gaps = np.linalg.norm(ring.centres - np.roll(ring.centres, 1, axis=0), axis=1)
    np.testing.assert_allclose(gaps, 4 * np.sin(np.pi / modes), atol=1e-12)  # the last to the first as well


def test_the_grid_has_the_published_centres():
    published = [(-4 + 2 * i, -4 + 2 * j) for i in range(5) for j in range(5)]
    np.testing.assert_allclose(Grid().centres, published)


@pytest.mark.parametrize("toy", MIXTURES)
def test_draws_from_a_mixture_have_its_mean_and_covariance(toy):
    toy = toy()
    x = train(toy)
    assert_mean(x, toy.centres.mean(0))
    spread = toy.centres - toy.centres.mean(0)
    covariance = spread.T @ spread / len(spread) + toy.sigma**2 * np.eye(2)
    centred = x - toy.centres.mean(0)
    assert_mean(np.einsum("ni,nj->nij", centred, centred), covariance)


@pytest.mark.parametrize("toy", MIXTURES)
def test_the_density_of_a_mixture_is_the_mean_of_its_gaussians(toy):
    toy = toy()
    x = np.concatenate([train(toy)[:200], toy.centres, 3 * np.random.RandomState(0).randn(200, 2)])
    variance = toy.sigma**2 * np.eye(2)
    terms = [multivariate_normal(centre, variance).logpdf(x) for centre in toy.centres]
    expected = np.logaddexp.reduce(terms, axis=0) - np.log(len(terms))
    density = toy.density()
    assert density.event_shape == (2,) and density.batch_shape == () and density.dtype == tf.float32
    # float32: a rounding error of 5e-7 in x - c, at a distance of r sigma, moves the exponent by 5e-7 r / sigma
    np.testing.assert_allclose(density.log_prob(x.astype(np.float32)), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("toy", MIXTURES)
def test_every_mode_is_drawn_and_the_share_of_high_quality_is_that_of_three_sigma(toy):
    toy = toy()
    x = train(toy)
    mode, good = toy.modes().assign(x)
    share = np.bincount(mode, minlength=len(toy.centres)) / len(x)
    even = 1 / len(share)
    assert np.all(np.abs(share - even) <= 5 * np.sqrt(even * (1 - even) / len(x)))  # five standard errors
    exact = 1 - np.exp(-4.5)  # 98.89 %: |e|^2 is exponential with mean 2 in two dimensions
    assert abs(good.mean() - exact) <= 4 * np.sqrt(exact * (1 - exact) / len(x))  # four; 0.13 percentage points
    assert toy.modes().expected_high_quality == pytest.approx(exact)
    assert mode_scores(x, toy.modes())["modes"] == len(toy.centres)


def test_where_gaussians_overlap_the_share_of_high_quality_is_not_known():
    assert Ring(modes=1).modes().expected_high_quality == pytest.approx(1 - np.exp(-4.5))
    assert Ring(sigma=0.2).modes().expected_high_quality is None


@pytest.mark.parametrize("toy", [Ring, Grid])
def test_samples_belong_to_the_nearest_centre_and_are_good_within_three_sigma(toy):
    toy = toy()
    number = np.arange(len(toy.centres))
    towards = np.array([0.6, 0.8]) * toy.sigma
    for steps, good in [(0.0, True), (2.999, True), (3.001, False)]:
        mode, high_quality = toy.modes().assign((toy.centres + steps * towards).astype(np.float32))
        np.testing.assert_array_equal(mode, number)
        assert np.all(high_quality == good)


def grid_integral(density, low, high, cells):
    """Integral over [low, high] `[2]`, by the midpoints of cells^2 cells."""
    edges = [np.linspace(a, b, cells + 1) for a, b in zip(low, high, strict=True)]
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    points = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)
    volume = np.prod([edge[1] - edge[0] for edge in edges])
    return np.sum(np.exp(density.log_prob(points).numpy().astype(np.float64))) * volume


@pytest.mark.parametrize(
    "density, low, high",
    [
        # cells at most half a standard deviation wide, where the midpoint rule is exact for Gaussians to 1e-8;
        # six standard deviations on each side
        (Ring(sigma=0.05).density(), (-1.3, -1.3), (1.3, 1.3)),
        (Grid(sigma=0.2).density(), (-5.2, -5.2), (5.2, 5.2)),
        (Banana().density(), (-6.0, -12.0), (42.0, 12.0)),
    ],
    ids=["ring", "grid", "banana"],
)
def test_the_density_integrates_to_one(density, low, high):
    assert grid_integral(density, low, high, 200) == pytest.approx(1, abs=1e-4)  # float32 exponents


def test_the_banana_is_a_bent_gaussian():
    x1, x2 = train(Banana()).T
    e = x1 - x2**2 / 4
    assert_mean(np.stack([x2, x2**2, e, e**2, e * x2, e * x2**2], axis=1), [0, 4, 0, 1, 0, 0])
    assert_mean(np.stack([x1, x1**2], axis=1), [1, 4])  # E x2^4 / 16 = 3 * 16 / 16, and 1


def test_the_density_of_the_banana_is_the_product_of_its_factors():
    x = np.random.RandomState(0).randn(300, 2).astype(np.float32) * [3, 3]
    expected = norm(0, 2).logpdf(x[:, 1]) + norm(x[:, 1] ** 2 / 4, 1).logpdf(x[:, 0])
    density = Banana().density()
    compiled = tf.function(density.log_prob, jit_compile=True)
    for found in (density.log_prob(x.astype(np.float32)), compiled(x.astype(np.float32))):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # float32
    draws = density.sample(20_000, seed=[0, 1]).numpy().astype(np.float64)
    assert_mean(np.stack([draws[:, 1] ** 2, (draws[:, 0] - draws[:, 1] ** 2 / 4) ** 2], axis=1), [4, 1])


def test_the_entropy_of_the_banana_is_the_mean_negative_log_density():
    assert Banana().describe()["entropy_nats"] == 3.5310
    surprise = -Banana().density().log_prob(train(Banana()).astype(np.float32)).numpy().astype(np.float64)
    # the surprise is 1/2 chi-squared with 2 degrees of freedom and a constant: variance 1; four standard errors
    assert surprise.mean() == pytest.approx(3.5310, abs=4 / np.sqrt(len(surprise)))


def test_the_line_is_uniform_at_theta():
    x = train(ParallelLines(theta=-0.25))
    assert np.all(x[:, 0] == -0.25)
    u = x[:, 1]
    assert u.min() >= 0 and u.max() <= 1
    assert_mean(np.stack([u, u**2, u**3], axis=1), [1 / 2, 1 / 3, 1 / 4])


@pytest.mark.parametrize("toy", [ParallelLines, SwissRoll, Moons])
def test_toys_without_a_density_say_so(toy):
    assert toy().density() is None and toy().modes() is None and toy().features() is None


def test_the_roll_is_that_of_scikit_learn():
    roll = SwissRoll(dimensions=3, noise=0.2, num_train=500, sample_seed=7)
    expected, _ = make_swiss_roll(500, noise=0.2, random_state=np.random.RandomState([7, 0]))
    np.testing.assert_array_equal(train(roll), expected.astype(np.float32))
    assert roll.spec.shape == (3,)
    flat = SwissRoll(noise=0.2, num_train=500, sample_seed=7)
    np.testing.assert_array_equal(train(flat), train(roll)[:, [0, 2]])


def test_the_roll_without_noise_is_the_spiral():
    x = train(SwissRoll(noise=0.0))
    t = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(x, t[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1), atol=1e-5)  # float32
    assert_mean(np.stack([t, t**2], axis=1), [3 * np.pi, 9.75 * np.pi**2])  # uniform on [3 pi / 2, 9 pi / 2]


def test_moons_without_noise_are_the_half_circles_of_scikit_learn():
    x = train(Moons(noise=0.0, num_train=20_000))
    theirs, _ = make_moons(20_000, shuffle=False)
    distance = np.linalg.norm(x[::20, None] - theirs[None, ::4], axis=-1).min(axis=1)
    assert distance.max() < 1e-3  # their points are 1.3e-3 apart
    on_upper = np.abs(np.linalg.norm(x, axis=1) - 1) < 1e-6  # float32
    assert_mean(on_upper.astype(float), 0.5)
    np.testing.assert_allclose(np.linalg.norm(x[~on_upper] - [1, 0.5], axis=1), 1, atol=1e-6)
    # uniform angles: E sin t = 2 / pi, E cos t = 0
    assert_mean(x[on_upper], [0, 2 / np.pi])
    assert_mean(x[~on_upper], [1, 0.5 - 2 / np.pi])


def test_noise_is_of_the_given_scale():
    noisy, clean = train(Moons(noise=0.3)), train(Moons(noise=0.0))
    assert_mean((noisy - clean) ** 2, 0.09)


@pytest.mark.parametrize(
    "toy, settings, message",
    [
        (Ring, {"modes": 0}, "modes must be at least 1, got 0"),
        (Ring, {"radius": 0.0}, "radius must be positive, got 0.0"),
        (Ring, {"sigma": -0.1}, "sigma must be positive, got -0.1"),
        (Ring, {"sigma": math.nan}, "sigma must be float, got nan"),
        (Ring, {"modes": 8.0}, "modes must be int, got 8.0"),
        (Grid, {"side": 1}, "side must be at least 2, got 1"),
        (Grid, {"extent": math.inf}, "extent must be float, got inf"),
        (ParallelLines, {"theta": math.nan}, "theta must be float, got nan"),
        (SwissRoll, {"noise": -1.0}, "noise must not be negative, got -1.0"),
        (SwissRoll, {"dimensions": 4}, "dimensions must be 2 or 3, got 4"),
        (Moons, {"noise": math.inf}, "noise must be float, got inf"),
        *[(toy, {"num_train": 0}, "num_train must be at least 1, got 0") for toy in TOYS],
        *[(toy, {"num_validation": -1}, "num_validation must not be negative, got -1") for toy in TOYS],
        *[(toy, {"num_test": -1}, "num_test must not be negative, got -1") for toy in TOYS],
        *[(toy, {"sample_seed": -1}, r"sample_seed must be from 0 to 2\^32 - 1, got -1") for toy in TOYS],
    ],
)
def test_settings_out_of_range_are_refused(toy, settings, message):
    with pytest.raises(UserError, match=message):
        toy(**settings)


@EVERY_TOY
def test_split_sizes_are_parameters_with_one_documentation(toy):
    parameters = inspect.signature(toy).parameters
    sizes = {name: parameters[name].default for name in inspect.signature(SampledSplits).parameters}
    assert sizes == {"num_train": 100_000, "num_validation": 2_000, "num_test": 10_000, "sample_seed": 0}
    shared = inspect.cleandoc(SampledSplits.__doc__).partition("\nArgs:\n")[2]
    assert toy.__doc__.count("\nArgs:\n") == 1 and toy.__doc__.endswith(shared)


def test_gin_sets_split_sizes_and_records_their_defaults():
    config = read_config([Packaged("toy/ring.gin")], ["data.ring.num_train = 700"])
    assert config.experiment().data.counts == {"train": 700, "validation": 2_000, "test": 10_000}
    assert {"data.ring.num_train = 700", "data.ring.num_test = 10000"} <= set(config.operative.splitlines())


def test_a_class_may_change_the_defaults_of_its_split_sizes():
    @with_split_sizes(num_train=7, num_test=0)
    class Uniform(Toy):
        """U[0, 1]."""

        def __init__(self, *, width: float = 1.0) -> None:
            super().__init__(dimensions=1)
            self.width = width

        def draw(self, random, count):
            return self.width * random.uniform(size=(count, 1))

    assert {name: len(source) for name, source in Uniform(width=2.0).splits().items()} == {
        "train": 7,
        "validation": 2_000,
    }
    assert Uniform(num_train=3, num_test=1).counts == {"train": 3, "validation": 2_000, "test": 1}
    with pytest.raises(UserError, match="unexpected keyword argument 'num_trian'"):
        Uniform(num_trian=3)
    with pytest.raises(UserError, match=r"num_train must be int, got 3\.5"):
        Uniform(num_train=3.5)
