"""The files of an evaluation."""

import json

import numpy as np
import pytest
from small import digits_experiment, gan_experiment
from tfdgm_data.ring import Ring
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.jsd import JSD
from tfdgm_posteriors.categorical import Categorical
from tfdgm_priors.uniform import Uniform

from tfdgm.cli.results import finish, print_scores, score
from tfdgm.evaluation.score_set import ScoreSet
from tfdgm.evaluation.units import units_of
from tfdgm.reporting.run_page import curves
from tfdgm.runs.workdir import Workdir


@pytest.mark.slow
def test_the_distributions_over_codes_are_written_beside_the_scores(tmp_path, capsys):
    posterior = Categorical(positions=(3,), num_categories=4)
    built = digits_experiment(posterior=posterior, prior=Uniform()).build()
    scores = score(Workdir(tmp_path), built, "test", 5)
    codes = np.load(tmp_path / "codes.npz")
    aggregated = codes["aggregated"]
    assert aggregated.shape == (3, 4) and codes["prior"] == pytest.approx(1 / 4)
    np.testing.assert_allclose(aggregated.sum(axis=1), 1, rtol=1e-5)  # float32 probabilities
    divergence = np.sum(aggregated * np.log(aggregated * 4))
    assert scores["code_marginal_kl"] == pytest.approx(divergence, abs=1e-6)
    assert json.loads((tmp_path / "eval.json").read_text()) == scores
    assert "share of the codes" in capsys.readouterr().out


@pytest.mark.parametrize("share, reported", [(0.9889, False), (1.0, True)])
def test_samples_that_vary_too_little_are_reported_in_one_line_and_on_the_page(
    tmp_path, capsys, monkeypatch, share, reported
):
    scores = {"high_quality": share, "mode_samples": 2_500, "step": 0, "data_split": "test", "num_examples": 40}
    monkeypatch.setattr("tfdgm.evaluation.evaluate.score_split", lambda *arguments: scores)
    monkeypatch.setattr("tfdgm.cli.results.draw_pictures", lambda *arguments: {})
    monkeypatch.setattr("tfdgm.reporting.run_page.draw_curves", lambda *arguments: b"")
    workdir = Workdir(tmp_path)
    workdir.write_json("run.json", {})
    finish(workdir, gan_experiment(data=Ring(num_train=40, num_validation=0, num_test=40)).build())
    for text in (capsys.readouterr().out, (tmp_path / "report.html").read_text()):
        assert text.count("the samples vary too little") == reported
    assert json.loads((tmp_path / "eval.json").read_text()) == scores


def test_no_line_of_the_table_of_scores_is_wrapped(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    quantities = ScoreSet(gan_experiment()).quantities
    scores = dict.fromkeys(("latent_wasserstein_estimate", *quantities), 1000.0)
    about = {"step": 40, "data_split": "test", "num_examples": 300, "binarization": "static: " + "x" * 60}
    print_scores({**scores, **about}, quantities)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "1000.0000" in line]) == len(scores)
    for name, quantity in quantities.items():
        (line,) = (line for line in lines if f" {name} " in line)
        assert quantity.unit in line and quantity.arrow in line
    assert lines[-1] == f"binarization: {about['binarization']}"


def test_every_logged_quantity_has_a_panel_with_its_unit():
    lines = [
        {"step": 10, "loss": 3.0, "elbo": -2.0, "jsd/discriminator_real": 0.6, "steps_per_second": 9.0},
        {"step": 20, "loss": 2.0, "elbo": -1.0, "validation_elbo": -1.5, "validation_jsd_estimate": 0.1},
    ]
    units = units_of([JSD(network=MLP(hidden=()))])
    axes = {each.get_ylabel(): each for each in curves(lines, ScoreSet(gan_experiment()).quantities, units).axes}
    assert set(axes) == {
        "loss", "elbo (nats per example)", "jsd/discriminator_real (probability)", "jsd_estimate (nats)",
    }  # fmt: skip
    labels = [line.get_label() for line in axes["elbo (nats per example)"].lines]
    assert labels == ["elbo", "validation_elbo"]
    (points,) = axes["jsd_estimate (nats)"].lines
    assert points.get_xydata().tolist() == [[20, 0.1]]
