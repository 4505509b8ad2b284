"""Labs without training: all checks pass, and the figures are legible."""

import csv

import numpy as np
import pytest
from pictures import assert_readable
from scipy.stats import norm
from small import command, silent

from tfdgm.labs import disjoint_supports, earth_mover, gumbel_softmax, likelihood_vs_samples, parallel_lines
from tfdgm.labs.figures import slides
from tfdgm.labs.lab import LabSettings, above, below, load_lab, near


def settings(tmp_path, *bindings):
    return LabSettings(tmp_path, 0, bindings, silent)


def run(name, tmp_path, *bindings):
    with slides():
        return load_lab(name).run(settings(tmp_path, *bindings))


def failures(outcome):
    return [f"{check.what}: {check.result}, not {check.expected}" for check in outcome.checks if not check.passed]


def test_checks_compare_with_their_limits():
    assert near("x", 1.05, 1.0, 0.1).passed and not near("x", 1.2, 1.0, 0.1).passed
    assert near("x", np.inf, np.inf, 0.0).passed and not near("x", 5.0, np.inf, 0.0).passed
    assert not near("x", np.nan, 1.0, 10.0).passed
    assert below("x", 1.0, 1.0).passed and not below("x", 1.1, 1.0).passed and not below("x", np.nan, 1.0).passed
    assert above("x", 1.0, 1.0).passed and not above("x", 0.9, 1.0).passed and not above("x", np.nan, 1.0).passed


def test_earth_mover_finds_plans_that_the_dual_proves(tmp_path):
    outcome = run("earth_mover", tmp_path)
    assert failures(outcome) == []
    assert_readable(outcome.figure)
    line = [row for row in outcome.rows if row["example"] == "line"]
    assert sum(row["mass"] * row["distance"] for row in line) == pytest.approx(3.25, abs=1e-9)


def test_earth_mover_detects_mass_that_is_not_moved(monkeypatch, tmp_path):
    transport = earth_mover.transport

    def lossy(p, q, cost):
        found = transport(p, q, cost)
        return type(found)(0.9 * found.plan, 0.9 * found.cost, found.u, found.v)

    monkeypatch.setattr(earth_mover, "transport", lossy)
    failed = failures(run("earth_mover", tmp_path))
    assert any("rows sum" in text for text in failed) and any("value of the prices" in text for text in failed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mode_covering", "likelihood_vs_samples", "gumbel_softmax", "straight_through"])
def test_an_exact_lab_passes_its_checks(name, tmp_path):
    outcome = run(name, tmp_path)
    assert failures(outcome) == []
    assert_readable(outcome.figure)


@pytest.mark.slow
def test_unexpected_data_fails_a_check_and_is_reported(tmp_path, capsys):
    # modes so wide that the model of 99 % noise has samples among the data
    arguments = ("likelihood_vs_samples", "--check", f"--output={tmp_path}", "--gin_bindings=data.ring.sigma = 1.5")
    assert command("lab", *arguments) == 1
    assert "99 % noise: precision" in capsys.readouterr().err
    with open(tmp_path / "likelihood_vs_samples.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(likelihood_vs_samples.DIMENSIONS) * 3


def test_parallel_lines_are_infinitely_far_in_kl_log_2_in_jsd_and_theta_in_w(tmp_path):
    row = parallel_lines.exact(settings(tmp_path), -0.25)
    assert row == {"theta": -0.25, "kl_nats": np.inf, "jsd_nats": pytest.approx(np.log(2)),
                   "wasserstein": pytest.approx(0.25, abs=1e-6)}  # fmt: skip


def test_the_gradient_at_the_best_discriminator_is_that_of_finite_differences():
    # d/dg of E log(1 - D*(g + s e)) with D* held fixed, by quadrature at g = +-h
    scale, h = 0.4, 1e-4
    x = disjoint_supports.points(scale)
    loss = np.log(norm.pdf(x, 0.0, scale) / (norm.pdf(x, 1.0, scale) + norm.pdf(x, 0.0, scale)))
    moved = [np.sum(norm.pdf(x, g, scale) * loss) * (x[1] - x[0]) for g in (h, -h)]
    expected = abs(moved[0] - moved[1]) / (2 * h)
    assert disjoint_supports.exact(scale)["gradient"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_relaxed_draws_are_colder_nearer_to_the_corners(monkeypatch, tmp_path):
    monkeypatch.setattr(gumbel_softmax, "TEMPERATURES", (0.1, 1.0, 5.0))
    monkeypatch.setattr(gumbel_softmax, "_SHOWN", (0.1, 1.0, 5.0))
    monkeypatch.setattr(gumbel_softmax, "_DRAWS", 2_000)
    rows = run("gumbel_softmax", tmp_path).rows
    largest = [row["largest_entry"] for row in rows]
    assert 1 > largest[0] > largest[1] > largest[2] > 1 / 3
