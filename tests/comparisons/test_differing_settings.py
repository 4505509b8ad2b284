"""Which settings of runs differ, and how they are named."""

import pytest
from fabricated_runs import DEFAULTS, make_run

from tfdgm import UserError
from tfdgm.comparisons.differing_settings import differing_settings
from tfdgm.comparisons.recorded_settings import read_settings
from tfdgm.runs.workdir import Workdir


def of(*runs):
    return differing_settings([read_settings(Workdir(run)) for run in runs])


def test_runs_that_differ_in_the_seed_and_in_callbacks_have_no_differing_settings(tmp_path):
    one = make_run(tmp_path / "a", seed=1, config="experiment.keep_checkpoints = 9\n")
    other = make_run(tmp_path / "b", seed=2, config="callback.early_stopping.patience = 2\n")
    assert of(one, other) == [{}, {}]


def test_a_macro_and_an_unscoped_statement_are_listed_once(tmp_path):
    changed = "steps = 80\nnetwork.mlp.hidden = (64,)\n"
    other = make_run(tmp_path / "b", config=changed, defaults=DEFAULTS.replace("32", "64"))
    assert of(make_run(tmp_path / "a"), other) == [
        {"steps": "40", "mlp.hidden": "32"},
        {"steps": "80", "mlp.hidden": "64"},
    ]


def test_scopes_that_differ_are_named(tmp_path):
    other = make_run(tmp_path / "b", config="decoder/network.mlp.hidden = (8, 8)\n")
    assert of(make_run(tmp_path / "a"), other) == [{"decoder/mlp.hidden": "32"}, {"decoder/mlp.hidden": "8, 8"}]


def test_defaults_of_a_component_that_only_one_run_has_are_not_listed_but_its_settings_are(tmp_path):
    maf = "prior.maf.num_bijectors = 3\n"
    other = make_run(tmp_path / "b", prior="maf", config=maf, defaults=DEFAULTS + "prior.maf.hidden = (4,)\n")
    assert of(make_run(tmp_path / "a"), other) == [
        {"prior": "gaussian", "maf.num_bijectors": ""},
        {"prior": "maf", "maf.num_bijectors": "3"},
    ]


def test_a_run_that_has_not_ended_is_compared_by_what_the_configs_set(tmp_path):
    running = make_run(tmp_path / "b", config="experiment.latent_size = 2\n", defaults=None)
    assert of(make_run(tmp_path / "a"), running) == [{"latent_size": "default"}, {"latent_size": "2"}]


def test_a_default_that_one_config_states_is_no_difference(tmp_path):
    other = make_run(tmp_path / "b", config="experiment.latent_size = 8\n", defaults=DEFAULTS)
    assert of(make_run(tmp_path / "a"), other) == [{}, {}]


def test_an_absolute_path_of_data_is_no_setting(tmp_path):
    runs = [
        make_run(tmp_path / name, config=f"experiment.data = @data.npz()\ndata.npz.path = '/{name}/x.npz'\n")
        for name in "ab"
    ]
    assert of(*runs) == [{}, {}]


def test_a_damaged_config_is_refused(tmp_path):
    run = make_run(tmp_path / "a", config="experiment.steps = \n")
    with pytest.raises(UserError, match=r"config\.gin"):
        of(run)
