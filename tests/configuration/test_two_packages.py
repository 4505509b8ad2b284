"""Two installed packages that provide one name: what ran before goes on, and only a new, ambiguous name is refused."""

import json

import pytest
from small import TINY_BINDINGS, command
from third_party import STUDENT_T, install

from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.registry import find
from tfdgm.errors import UserError

NEW = "experiment.prior = @prior.gaussian()"


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Installs a package whose prior has the name of one of ours."""

    def add():
        install(tmp_path / "other_priors", "other_priors", "tfdgm.prior", {"gaussian": "StudentT"}, STUDENT_T)
        monkeypatch.syspath_prepend(tmp_path / "other_priors")
        find.cache_clear()

    yield add
    find.cache_clear()


def prior_of(config):
    (plugin,) = (plugin for plugin in config.plugins if plugin.kind == "prior")
    return plugin.package


def test_a_packaged_config_means_our_own_plugins_and_a_binding_must_say_which(other):
    other()
    assert prior_of(read_config(["digits/vae.gin"])) == "tfdgm"
    message = "prior.gaussian is ambiguous: it is provided by other_priors 1.2 .*other_priors.gaussian.* and tfdgm"
    for bindings in ([NEW], ["prior.gaussian.learned_mean = True"]):
        with pytest.raises(UserError, match=message):
            read_config(["digits/vae.gin"], bindings)
    for package in ("tfdgm", "other_priors"):
        chosen = f"experiment.prior = @prior.{package}.gaussian()"
        assert prior_of(read_config(["digits/vae.gin"], [chosen])) == package


def test_a_file_of_the_user_must_say_which(other, tmp_path):
    other()
    file = tmp_path / "mine.gin"
    file.write_text(f"include 'digits/vae.gin'\n{NEW}\n")
    with pytest.raises(UserError, match=r"mine\.gin:2.*\n.*prior\.gaussian is ambiguous"):
        read_config([str(file)])


@pytest.mark.slow
def test_a_run_goes_on_with_the_package_that_it_recorded(other, tmp_path, capsys):
    workdir = tmp_path / "run"
    bindings = f"--gin_bindings={TINY_BINDINGS}"
    assert command("train", f"--workdir={workdir}", bindings, "--prior=gaussian") == 0
    other()
    record = json.loads((workdir / "run.json").read_text())
    assert record["plugins"]["prior.gaussian"]["distribution"] == "tfdgm"
    assert command("eval", f"--workdir={workdir}") == 0
    assert command("train", f"--workdir={workdir}") == 0
    capsys.readouterr()
    assert command("train", f"--workdir={tmp_path / 'new'}", bindings, "--prior=gaussian") == 2
    assert "prior.gaussian is ambiguous" in capsys.readouterr().err
