"""Labs with training: identities that hold at any step, and whole labs as slow tests."""

import math

import numpy as np
import pytest
from pictures import assert_readable
from small import silent

from tfdgm.labs import four_priors as priors
from tfdgm.labs import gan_optimality, mode_collapse, parallel_lines, prior_gap
from tfdgm.labs.figures import slides
from tfdgm.labs.lab import LabSettings, load_lab
from tfdgm.labs.line_generator import line_at
from tfdgm.labs.trainings import Run, build

#: Trainings of two loops, for what needs no success of them.
SHORT = ("steps = 20", "experiment.steps_per_loop = 10", "experiment.batch_size = 32")


def settings(tmp_path, *bindings):
    return LabSettings(tmp_path, 0, bindings, silent)


def run(name, tmp_path, *bindings):
    with slides():
        return load_lab(name).run(settings(tmp_path, *bindings))


def passed(outcome, text):
    """Return whether all checks whose name contains `text` passed; there must be one."""
    checks = [check for check in outcome.checks if text in check.what]
    assert checks, text
    return all(check.passed for check in checks)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train a short GAN of Gaussians, built as in the lab."""
    folder = tmp_path_factory.mktemp("run")
    made = Run(settings(folder, *SHORT), build(settings(folder, *SHORT), "gan_optimality.gin"), "gan")
    return made, made.train()


def test_a_run_leaves_its_metrics_and_a_frame_of_every_loop(trained):
    made, metrics = trained
    assert [line["step"] for line in metrics] == [10, 20]
    biases = []
    for step in made.frames():
        assert int(made.built.state.step.numpy()) == step
        biases.append(made.built.model.decoder.layers[0].bias.numpy())
    assert len(biases) == 3
    assert np.any(biases[0] != biases[1]) and np.any(biases[1] != biases[2])


def test_a_repeated_training_is_identical_and_depends_on_the_initial_values(trained):
    made, metrics = trained
    again = made.train()
    assert [line["loss"] for line in again] == [line["loss"] for line in metrics]
    (bias,) = (name for name in made.first if name.startswith("model/decoder/") and name.endswith("bias"))
    moved = made.train({bias: np.array([1.0, -1.0], np.float32)})
    assert [line["loss"] for line in moved] != [line["loss"] for line in metrics]


def test_the_generated_density_matches_the_samples(trained):
    made, _ = trained
    from tfdgm.trained.sampling import draw

    kernel, bias = made.built.model.decoder.layers[0].kernel, made.built.model.decoder.layers[0].bias
    kernel.assign([[1.0, 0.5], [-0.3, 2.0]])
    bias.assign([3.0, -1.0])
    density, x = gan_optimality.generated_density(made.built), draw(made.built, 20_000).x
    # four standard errors of means and covariances of size 4
    np.testing.assert_allclose(x.mean(axis=0), density.mean(), atol=4 * math.sqrt(4.3 / 20_000))
    np.testing.assert_allclose(np.cov(x.T), density.covariance(), atol=4 * 4.3 * math.sqrt(2 / 20_000))


def test_the_line_generator_samples_its_line_almost_uniformly(tmp_path):
    from tfdgm.trained.sampling import draw

    built = build(settings(tmp_path), "parallel_lines.gin")
    built.state.assign(built.state.read() | line_at(built, -0.25))
    x = draw(built, 4_000).x
    np.testing.assert_allclose(x[:, 0], -0.25, atol=1e-6)
    uniform = (np.arange(4_000) + 0.5) / 4_000
    # 0.0095 of the sigmoid, and the 99.9 % point of the Kolmogorov-Smirnov distance of 4,000 draws
    assert np.max(np.abs(np.sort(x[:, 1]) - uniform)) < 0.0095 + 1.95 / math.sqrt(4_000)


@pytest.mark.slow
def test_elbo_surgery_holds_its_identities_at_any_step(monkeypatch, tmp_path):
    monkeypatch.setattr(priors, "_cache", {})
    for prior in (priors.PSEUDO, priors.MAF):
        monkeypatch.delitem(priors.FILES, prior)
    outcome = run("elbo_surgery", tmp_path, *SHORT)
    assert passed(outcome, "ELBO = reconstruction") and passed(outcome, "log n")
    assert {row["step"] for row in outcome.rows} == {0, 10, 20}
    assert_readable(outcome.figure)


def test_prior_gap_checks_the_last_step(monkeypatch, tmp_path):
    def found(test_of_exact):
        elbos = {priors.GAUSSIAN: (-12, -13), priors.EXACT: (-8, test_of_exact), priors.PSEUDO: (-10, -11),
                 priors.MAF: (-10, -11)}  # fmt: skip
        return [
            {"prior": prior, "split": split, "step": step, "elbo": elbo - 5.0 * (step < 20), "reconstruction": -9.0,
             "rate": 2.0, "marginal_kl": 1.0 if prior == priors.GAUSSIAN else 0.2, "mutual_information": 2.0}
            for prior, both in elbos.items() for split, elbo in zip(("train", "test"), both, strict=True)
            for step in ((0, 20) if split == "train" else (20,))
        ]  # fmt: skip

    monkeypatch.setattr(prior_gap, "study", lambda settings: found(-15))
    outcome = run("prior_gap", tmp_path)
    assert [check for check in outcome.checks if not check.passed] == []
    assert {row["step"] for row in outcome.rows} == {20} and len(outcome.rows) == 8
    assert_readable(outcome.figure)
    monkeypatch.setattr(prior_gap, "study", lambda settings: found(-8.2))  # as good on the test split: no overfitting
    assert not passed(run("prior_gap", tmp_path), "gap over the largest")


@pytest.mark.slow
def test_mode_collapse_shows_every_cure_at_the_same_steps(tmp_path):
    outcome = run("mode_collapse", tmp_path, *SHORT)
    steps = {cure: [row["step"] for row in outcome.rows if row["cure"] == cure] for cure in mode_collapse.FILES}
    assert set(map(tuple, steps.values())) == {(0, 10, 20)}
    assert not passed(outcome, "most modes")  # nothing covers the ring in 20 steps
    assert_readable(outcome.figure)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["disjoint_supports", "gan_optimality"])
def test_a_lab_on_critics_passes_its_checks(name, tmp_path):
    outcome = run(name, tmp_path)
    assert [check for check in outcome.checks if not check.passed] == []
    assert_readable(outcome.figure)


@pytest.mark.slow
def test_critics_learn_the_distance_of_parallel_lines(monkeypatch, tmp_path):
    monkeypatch.setattr(parallel_lines, "LEARNED", (0.0, 0.5))
    outcome = run("parallel_lines", tmp_path)
    assert [check for check in outcome.checks if not check.passed] == []
    assert_readable(outcome.figure)
