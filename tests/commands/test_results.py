"""What an evaluation leaves in the workdir."""

import json

import numpy as np
import pytest
from small import digits_experiment, gan_experiment
from tfdgm_data.ring import Ring
from tfdgm_posteriors.categorical import Categorical
from tfdgm_priors.uniform import Uniform

from tfdgm.commands.results import finish, print_scores, score
from tfdgm.evaluation.scores import _UNITS, unit
from tfdgm.workdir import Workdir


def test_the_distributions_over_codes_are_kept_beside_the_scores(tmp_path, capsys):
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


from tfdgm.commands.results import finish, print_scores, score
from tfdgm.evaluation.scores import _UNITS, unit
