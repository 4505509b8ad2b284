"""The methods of a run."""

import sys

import numpy as np
import pytest
import tensorflow as tf
from small import gan_experiment, normal_rows, points_experiment
from tfdgm_networks.mlp import MLP
from tfdgm_posteriors.iaf import IAF
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.uniform import Uniform

import tfdgm
from tfdgm import UserError

ROWS = normal_rows(count=520, size=3, seed=7)


def quick(experiment=None, **settings):
    return tfdgm.train(experiment=experiment, progress=False, **settings)


@pytest.fixture(scope="module")
def run():
    """A VAE with affine maps on points in R^3, latents in R^2."""
    return quick(points_experiment(steps=20))


def parameters(run):
    return {name: variable.numpy() for name, variable in run._built.parameters().items()}


def affine(run, part):
    kernel, bias = (value for name, value in parameters(run).items() if name.startswith(f"model/{part}/"))
    return lambda rows: rows @ kernel + bias


def test_encode_and_decode_are_the_affine_maps_of_the_networks(run):
    x = ROWS[:6]
    z = run.encode(x)
    np.testing.assert_allclose(z, affine(run, "encoder")(x)[:, :2], atol=1e-5)  # float32
    np.testing.assert_allclose(run.decode(z), affine(run, "decoder")(z), atol=1e-5)
    np.testing.assert_allclose(run.reconstruct(x), affine(run, "decoder")(z), atol=1e-5)


def test_the_number_of_rows_does_not_matter(run):
    """520 rows are two programs' worth, of 512; one row is a program of one."""
    z = run.encode(ROWS)
    assert z.shape == (520, 2)
    for rows in (slice(0, 1), slice(515, 520)):
        np.testing.assert_allclose(run.encode(ROWS[rows]), z[rows], atol=1e-6)


def test_draws_depend_on_the_seed_alone(run):
    first = run.encode(ROWS[:40], seed=1)
    np.testing.assert_array_equal(run.encode(ROWS[:40], seed=1), first)
    assert np.all(run.encode(ROWS[:40], seed=2) != first)
    residual = run.decode(np.zeros((400, 2)), seed=3) - run.decode(np.zeros((400, 2)))
    assert residual.std() == pytest.approx(0.5, rel=0.1)  # the likelihood's scale; 1,200 draws: 5 sigma
    np.testing.assert_allclose(run.reconstruct(ROWS[:40], seed=1), run.decode(first), atol=1e-6)


def test_log_prob_is_that_of_the_linear_gaussian_model():
    """x = A z + b + 0.5 e is N(b, A A' + 0.25 I). With q(z|x) = p(z), 2,000 importance samples have a spread of about
    0.1 nats for each of 50 examples, and a bias of half its square."""
    run = quick(points_experiment(steps=10))
    for name, variable in run._built.parameters().items():
        if name.startswith("model/encoder/"):  # means 0, and scales softplus(log(e - 1)) = 1
            variable.assign(np.resize([0, 0, np.log(np.e - 1), np.log(np.e - 1)], variable.shape) * ("bias" in name))
    x = ROWS[:50]
    kernel, bias = (value for name, value in parameters(run).items() if name.startswith("model/decoder/"))
    covariance = kernel.T @ kernel + 0.25 * np.eye(3)
    centred = x - bias
    exact = -0.5 * np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    exact -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    bound = run.log_prob(x, samples=2_000)
    assert bound.shape == (50,)
    assert np.mean(bound) == pytest.approx(np.mean(exact), abs=0.02)
    np.testing.assert_array_equal(run.log_prob(x, samples=2_000), bound)
    assert np.mean(run.log_prob(x, samples=1)) < np.mean(exact)


def test_interpolations_are_lines_between_reconstructions(run):
    """The decoder is affine, so that a line in z is one in x."""
    lines = run.interpolate(ROWS[:4], ROWS[4:8], steps=5)
    assert lines.shape == (4, 5, 3)
    ends = run.reconstruct(ROWS[:4]), run.reconstruct(ROWS[4:8])
    np.testing.assert_allclose(lines[:, 0], ends[0], atol=1e-5)
    np.testing.assert_allclose(lines[:, -1], ends[1], atol=1e-5)
    np.testing.assert_allclose(lines[:, 2], (ends[0] + ends[1]) / 2, atol=1e-5)


def test_metrics_are_a_table_by_step(run):
    assert list(run.metrics.index) == [10, 20] and run.metrics.index.name == "step"
    assert {"loss", "elbo", "rate"} <= set(run.metrics.columns)


def test_metrics_without_pandas_name_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match=r"requires pandas: pip install .tfdgm\[notebook\]"):
        run.metrics  # noqa: B018


def test_figures_of_points_that_have_no_picture_are_the_curves(run):
    figures = run.figures()
    assert list(figures) == ["curves"] and len(figures["curves"].axes) >= 3


def test_examples_are_those_of_the_split(run):
    x, labels = run.examples(5)
    assert labels is None and x.shape == (5, 3)
    assert all(any(np.array_equal(row, other) for other in normal_rows()[60:]) for row in x)
    with pytest.raises(UserError, match="no split 'tst'; it has train, test"):
        run.examples(split="tst")


def test_the_line_that_shows_a_run_says_what_it_is(run):
    text = repr(run)
    assert "gaussian" in text.lower() and "step 20 of 20" in text and str(run.workdir) in text
    assert run.config is None and run.experiment.steps == 20


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda run: run.encode(ROWS[0]), "x must have shape [n, 3] of floats, got float32 (3,); for one example"),
        (lambda run: run.encode(ROWS[:, :2]), "got float32 (520, 2)"),
        (lambda run: run.encode(np.ones((2, 3), int)), "of floats, got int64 (2, 3)"),
        (lambda run: run.encode(ROWS[:0]), "x has no examples"),
        (lambda run: run.encode([["a"]]), "x must be numbers"),
        (lambda run: run.encode(ROWS[:2] * np.nan), "x has NaN or infinity, the first at [0, 0]"),
        (lambda run: run.encode(np.full((1, 3), 1e300)), "x has NaN or infinity"),
        (lambda run: run.decode(np.zeros(2)), "the latent is a vector in R^2, got (2,); for one z give z[None]"),
        (lambda run: run.decode([[0, np.inf]]), "z has NaN or infinity"),
        (lambda run: run.encode(ROWS[:2], labels=[1, 2]), "not conditioned on labels"),
        (lambda run: run.sample(2, label=1), "not conditioned on labels"),
        (lambda run: run.sample(0), "at least 1, got 0"),
        (lambda run: run.log_prob(ROWS[:2], samples=0), "samples must be at least 1, got 0"),
        (lambda run: run.interpolate(ROWS[:2], ROWS[:3]), "same number of examples, got 2 and 3"),
        (lambda run: run.interpolate(ROWS[:2], ROWS[:2], steps=1), "steps must be at least 2, got 1"),
        (lambda run: run.scores(split="validation"), "validation"),
    ],
)
def test_bad_input_is_one_message(run, call, message):
    with pytest.raises(UserError) as raised:
        call(run)
    assert message in str(raised.value)


def test_codes_are_encoded_decoded_and_interpolated_by_their_embeddings():
    posterior = VQ(positions=(2,), num_codes=4)
    run = quick(points_experiment(posterior=posterior, prior=Uniform(), encoder=MLP(hidden=()), steps=10))
    codes = run.encode(ROWS[:30])
    assert codes.shape == (30, 2) and codes.dtype == np.int32 and set(codes.reshape(-1)) <= set(range(4))
    np.testing.assert_array_equal(run.encode(ROWS[:30], seed=3), codes)  # q(z|x) is a point
    np.testing.assert_allclose(run.reconstruct(ROWS[:30]), run.decode(codes), atol=1e-6)
    assert run.interpolate(ROWS[:2], ROWS[2:4], steps=3).shape == (2, 3, 3)
    with pytest.raises(UserError, match=r"z must be codes, integers in 0..3, got int64"):
        run.decode(np.full((1, 2), 4))
    with pytest.raises(UserError, match="z must be codes"):
        run.decode(np.zeros((1, 2)))


def test_a_posterior_without_a_mean_asks_for_a_seed():
    run = quick(points_experiment(posterior=IAF(), steps=10))
    with pytest.raises(UserError, match="no mean in closed form; give a seed"):
        run.encode(ROWS[:3])
    assert run.encode(ROWS[:3], seed=0).shape == (3, 2)


def test_a_model_without_a_posterior_samples_and_decodes_but_reads_no_x():
    run = quick(gan_experiment(steps=10))
    drawn = run.sample(5)
    np.testing.assert_allclose(run.decode(drawn.z), drawn.x, atol=1e-6)
    for method in (run.encode, run.reconstruct, run.log_prob):
        with pytest.raises(UserError, match="no posterior q"):
            method(ROWS[:2])


@pytest.fixture(scope="module")
def of_labels():
    """Grey images of 4 x 4 with labels 0 to 2."""
    random = np.random.RandomState(0)
    labels = random.randint(3, size=200)
    images = np.clip(random.normal(60 * labels[:, None, None], 20, (200, 4, 4)), 0, 255).astype(np.uint8)
    bindings = {"network.mlp.hidden": (16,)}
    run = quick(
        data=images, labels=labels, bindings=bindings, steps=60, steps_per_loop=20, latent_size=2, batch_size=50
    )
    return run, images, labels


def test_labels_choose_what_is_drawn_and_are_needed_to_read_x(of_labels):
    run, images, labels = of_labels
    assert run.conditional and run.experiment.data.spec.levels == 256
    np.testing.assert_array_equal(run.sample(5, label=2).y, [2] * 5)
    np.testing.assert_array_equal(run.sample(3, label=["0", "2", "1"]).y, [0, 2, 1])
    bright, dark = (run.sample(40, label=label).mean.mean() for label in (2, 0))
    assert bright > dark
    z = run.encode(images[:9], labels[:9])
    assert run.decode(z, labels[:9]).shape == (9, 4, 4)
    assert run.decode(z, 1).shape == (9, 4, 4)
    with pytest.raises(UserError, match="give the conditions y of the examples as labels="):
        run.encode(images[:9])
    with pytest.raises(UserError, match=r"labels must have shape \[9\], one for each example, got \[3\]"):
        run.encode(images[:9], [0, 1, 2])
    with pytest.raises(UserError, match="there is no label '3'"):
        run.sample(3, label=3)


def test_integers_are_read_as_in_the_data_and_floats_as_the_model_sees_them(of_labels):
    run, images, labels = of_labels
    z = run.encode(images[:9], labels[:9])
    np.testing.assert_allclose(run.encode((images[:9] / 255).astype(np.float32), labels[:9]), z, atol=1e-6)
    np.testing.assert_array_equal(run.encode(images[:9].astype(np.int64), labels[:9]), z)
    with pytest.raises(UserError, match=r"x has values in \[0, 300\], outside those of uint8"):
        run.encode(np.full((1, 4, 4), [[0, 0, 0, 300]] * 4), 0)
    with pytest.raises(UserError, match=r"outside the range \[0, 1\] of the data"):
        run.encode(images[:9].astype(np.float32), labels[:9])


def test_figures_of_images_are_samples_reconstructions_interpolations_and_curves(of_labels):
    run, _, _ = of_labels
    figures = run.figures()
    assert list(figures) == ["samples", "reconstructions", "interpolations", "curves"]
    for figure in figures.values():
        figure.canvas.draw()
        assert np.asarray(figure.canvas.buffer_rgba()).std() > 10


@pytest.mark.slow
def test_condition_vectors_are_labels_too():
    vectors = normal_rows(count=520, size=2)
    run = quick(data=ROWS, labels=vectors, bindings={"network.mlp.hidden": (8,)}, steps=10, steps_per_loop=10)
    np.testing.assert_array_equal(run.sample(3, label=[0.5, 1.0]).y, np.array([[0.5, 1.0]] * 3, np.float32))
    assert run.encode(ROWS[:3], vectors[:3]).shape == (3, 8)
    with pytest.raises(UserError, match=r"labels must have shape \[3, 2\], one for each example, got \[3\]"):
        run.encode(ROWS[:3], [1, 2, 3])


def test_moving_averages_are_used_where_there_are_any():
    run = quick(points_experiment(ema_decay=0.9, steps=10))
    with run._built.state.averaged():
        expected = affine(run, "encoder")(ROWS[:4])[:, :2]
    np.testing.assert_allclose(run.encode(ROWS[:4]), expected, atol=1e-5)
    assert not np.allclose(affine(run, "encoder")(ROWS[:4])[:, :2], expected, atol=1e-4)


def test_methods_accept_what_numpy_converts(run):
    z = run.encode(ROWS[:2])
    np.testing.assert_array_equal(run.encode(ROWS[:2].tolist()), z)
    np.testing.assert_array_equal(run.encode(tf.constant(ROWS[:2])), z)
