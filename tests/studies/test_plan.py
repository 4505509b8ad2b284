"""The cells that are refused before training, and the configurations that a folder accepts."""

import dataclasses
import sys

import pytest
from third_party import STUDENT_T, install

from tfdgm import UserError
from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.registry import find, load, select
from tfdgm.studies import validator
from tfdgm.studies.cells import CellSettings
from tfdgm.studies.combinations import MATRIX, MatrixCell, chosen, combine, objective_lists
from tfdgm.studies.config_overrides import read_files_by_choice
from tfdgm.studies.dry_run import cell_lines, describe_plan
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.plan import check_settings, make_plan, traits_of_objectives
from tfdgm.studies.validator import Validator, answer, config_request, objective_request
from tfdgm.studies.write_reports import write_reports

SETTINGS = CellSettings(["digits/vae.gin"], ["network.mlp.hidden = (8,)\nexperiment.latent_size = 2"])
BROKEN = (
    STUDENT_T
    + """

class Broken(StudentT):
    def build(self, context):
        raise ZeroDivisionError("it was never tested")
"""
)


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Install two third-party priors; building the second raises an error."""
    entries = {"student_t": "StudentT", "broken": "Broken"}
    install(tmp_path / "site", "student_priors", "tfdgm.prior", entries, BROKEN)
    monkeypatch.syspath_prepend(tmp_path / "site")
    find.cache_clear()
    yield
    find.cache_clear()
    sys.modules.pop("student_priors", None)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "matrix", MATRIX)
    with made.held():
        yield made


def vae(prior, posterior="gaussian", seed=0):
    return MatrixCell(posterior, prior, ("elbo",), seed)


def statuses(plan):
    return {cell.combination[:2]: result.status for cell, result in plan.results.items()}


def test_invalid_cells_are_refused_with_the_reason_and_third_party_priors_are_trained(folder, third_party):
    cells = combine(["none", "gaussian", "vq"], ["student_t", "uniform"], [("elbo",)], [0])
    assert {cell.prior for cell in cells} < set(chosen("prior", []))
    plan = make_plan(cells, SETTINGS, folder, answer)
    assert statuses(plan) == {
        ("none", "student_t"): "refused",
        ("none", "uniform"): "refused",
        ("gaussian", "student_t"): "unfinished",
        ("gaussian", "uniform"): "refused",
        ("vq", "student_t"): "unfinished",
        ("vq", "uniform"): "unfinished",
    }
    assert plan.waiting == [vae("student_t"), vae("student_t", "vq"), vae("uniform", "vq")]
    assert "objective.elbo needs a posterior" in plan.results[vae("student_t", "none")].reason
    assert "prior.uniform is over codes" in plan.results[vae("uniform")].reason
    command = plan.results[vae("student_t")].command
    assert command.startswith("tfdgm train --workdir=") and "--prior=student_t" in command
    reason = plan.results[vae("uniform")].reason
    assert list(describe_plan(plan)) == [
        "to train:",
        "  posterior gaussian; prior student_t; objectives elbo; seed 0",
        "  posterior vq; prior student_t, uniform; objectives elbo; seed 0",
        "refused:",
        f"  2: {plan.results[vae('student_t', 'none')].reason}",
        "    posterior none; prior student_t, uniform; objectives elbo; seed 0",
        f"  1: {reason}",
        "    posterior gaussian; prior uniform; objectives elbo; seed 0",
        "3 to train, 3 refused; --commands prints the command of each cell to train",
    ]
    assert not reason.startswith("the prior prior")
    assert f"  {command}" in describe_plan(plan, commands=True)


def test_cells_are_described_by_few_lines_each_cell_by_one():
    cells = combine(["a", "b"], ["p", "q", "r"], [("x",), ("x", "y")], [0, 1])
    assert cell_lines(cells) == ["posterior a, b; prior p, q, r; objectives x, x+y; seed 0, 1"]
    assert set(cell_lines(cells[1:])) == {
        "posterior a; prior p; objectives x; seed 1",
        "posterior a; prior q, r; objectives x; seed 0, 1",
        "posterior a; prior p, q, r; objectives x+y; seed 0, 1",
        "posterior b; prior p, q, r; objectives x, x+y; seed 0, 1",
    }
    assert cell_lines([]) == []


def test_cells_with_other_errors_are_trained_so_that_the_full_error_is_shown(folder, third_party):
    plan = make_plan([vae("broken")], SETTINGS, folder, answer)
    assert plan.waiting == [vae("broken")]
    (error,) = plan.build_errors.values()
    assert list(plan.build_errors) == [vae("broken")] and "raised ZeroDivisionError: it was never tested (file" in error
    assert "it was never tested" in "\n".join(describe_plan(plan))


def test_a_combination_is_built_for_one_seed_and_finished_ones_not_at_all(folder):
    asked = []

    def ask(request):
        asked.append(request["build"])
        return {"text": ""}

    cells = [vae("gaussian", seed=seed) for seed in (0, 1, 2)] + [vae("maf")]
    workdir = folder.workdir(cells[3])
    workdir.mkdir()
    for name in ("eval.json", "report.html"):
        (workdir / name).touch()
    write_reports(folder, [Result(cells[3], "done")])
    assert make_plan(cells, SETTINGS, folder, ask).waiting == cells[:3]
    assert asked == [True, False, False, False]


def test_other_cells_of_the_folder_stay_in_its_tables(folder):
    write_reports(folder, [Result(vae("maf", seed=5), "failed", "NaN")])
    plan = make_plan([vae("gaussian")], SETTINGS, folder, lambda request: {"text": ""})
    assert statuses(plan) == {("gaussian", "gaussian"): "unfinished", ("gaussian", "maf"): "failed"}
    assert plan.waiting == [vae("gaussian")]


def test_a_folder_of_runs_of_another_configuration_is_refused_with_the_lines_that_differ(folder):
    cell = vae("gaussian", seed=4)
    workdir = folder.workdir(cell)
    workdir.mkdir()
    bindings = ["experiment.seed = 4", *SETTINGS.bindings]
    (workdir / "config.gin").write_text(answer(config_request(SETTINGS.files, bindings, build=False))["text"])
    assert make_plan([cell], SETTINGS, folder, answer).waiting == [cell]
    other = CellSettings(SETTINGS.files, [*SETTINGS.bindings, "experiment.latent_size = 3"])
    with pytest.raises(UserError, match="another configuration") as raised:
        make_plan([cell, vae("maf")], other, folder, answer)
    assert "-experiment.latent_size = 2" in str(raised.value) and "+experiment.latent_size = 3" in str(raised.value)


def test_an_error_in_the_shared_settings_is_reported_once(third_party):
    check_settings(SETTINGS, answer)
    with pytest.raises(UserError, match="no parameter 'stepz'"):
        check_settings(CellSettings(SETTINGS.files, ["experiment.stepz = 3"]), answer)


def test_an_error_in_the_file_of_a_choice_is_reported_once(tmp_path):
    (tmp_path / "vq.gin").write_text("posterior.vq.num_code = 3")
    with pytest.raises(UserError, match="Did you mean 'num_codes'"):
        check_settings(CellSettings(SETTINGS.files, [], {"posterior.vq": [str(tmp_path / "vq.gin")]}), answer)


def test_objectives_have_traits_and_first_party_objectives_pair():
    traits = traits_of_objectives(answer)
    for name, found in traits.items():
        loaded = load(select(f"objective.{name}"))
        assert dataclasses.asdict(found) == {trait: getattr(loaded, trait) for trait in dataclasses.asdict(found)}
    lists = set(objective_lists(traits))
    assert {("elbo", "jsd"), ("elbo", "wasserstein"), ("elbo", "mmd"), ("iwae", "hinge"), ("iwae", "fgan")} < lists
    assert not {("mmd", "jsd"), ("elbo", "iwae")} & lists


@pytest.mark.slow
def test_first_party_combinations_on_the_digits_are_refused_only_if_they_are_invalid(folder):
    settings = CellSettings(SETTINGS.files, SETTINGS.bindings, read_files_by_choice(["digits/matrix"]))
    priors = [plugin.name for plugin in find() if plugin.kind == "prior" and plugin.package == "tfdgm"]
    cells = combine(chosen("posterior", []), priors, objective_lists(traits_of_objectives(answer)), [0])

    def ask(request):
        try:
            read_config(request["files"], request["bindings"]).experiment()
        except UserError as error:
            return {"refused": str(error)}
        return {"text": ""}

    plan = make_plan(cells, settings, folder, ask)
    assert len(plan.waiting) > len(cells) / 2
    for result in plan.results.values():
        reasons = ("needs a posterior", "is over codes", "no objective trains")
        assert result.status != "refused" or any(reason in result.reason for reason in reasons), result


# ---- the process that answers


@pytest.mark.slow
def test_the_validator_survives_output_of_plugins_and_is_restarted_when_it_dies(tmp_path, monkeypatch):
    source = (
        STUDENT_T
        + """
import os

class Printing(StudentT):
    def build(self, context):
        print("hello")
        super().build(context)

class Deadly(StudentT):
    def build(self, context):
        os._exit(7)
"""
    )
    entries = {"printing": "Printing", "deadly": "Deadly"}
    install(tmp_path, "odd_priors", "tfdgm.prior", entries, source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def request(prior):
        return config_request(["digits/vae.gin"], [f"experiment.prior = @prior.{prior}()"], build=True)

    with Validator() as validating:
        traits = {"needs_posterior": True, "adversarial": False, "trains_decoder": True}
        assert validating.ask(objective_request("elbo")) == traits
        assert "@prior.printing()" in validating.ask(request("printing"))["text"]
        assert validating.ask(request("deadly"))["raised"].startswith("exit code 7")
        assert "no prior named 'nothing'" in validating.ask(request("nothing"))["refused"]
        process = validating.process
    assert process.poll() is not None


def test_a_validator_that_does_not_start_is_reported(monkeypatch):
    monkeypatch.setattr(validator.sys, "executable", "/bin/false")
    with Validator() as validating, pytest.raises(UserError, match="could not be validated: exit code 1"):
        validating.ask(objective_request("elbo"))
