"""The flags of `tfdgm train`, and errors before any file is written."""

import inspect
import json
import subprocess
import sys

import pytest
from small import command

from tfdgm.cli.main import COMMANDS
from tfdgm.runs.experiment_arguments import experiment_arguments


def test_a_dry_run_prints_a_config_that_can_be_run_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--dry_run", "--workdir=run", "--gin_bindings=network.mlp.hidden = (9,)"]
    assert command(*arguments) == 0
    first = capsys.readouterr().out
    assert "network.mlp.hidden = (9,)" in first and "trainable parameters" in first
    assert list(tmp_path.iterdir()) == []
    text = first[: first.index("\ndata ")]
    (tmp_path / "again.gin").write_text(text)
    assert command("train", "--dry_run", "--gin_file=again.gin") == 0
    assert capsys.readouterr().out == first


def test_bindings_override_shorthand_flags(capsys):
    arguments = ["--prior=gaussian", "--posterior=gaussian", "--objective=elbo", "--objective=elbo", "--data=digits"]
    assert command("train", "--dry_run", *arguments) == 0
    assert "experiment.objectives = [@objective.elbo(), @objective.elbo()]" in capsys.readouterr().out
    assert command("train", "--dry_run", *arguments, "--gin_bindings=experiment.objectives = [@objective.elbo()]") == 0
    assert "experiment.objectives = [@objective.elbo()]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--prior=gausian"], "Did you mean 'gaussian'"),
        (["--prior=nobody/gaussian"], "no prior named"),
        (["--posterior=none"], "needs a posterior"),
        (["--gin_file=digits/vea.gin"], "digits/vae.gin"),
        (["--gin_bindings=network.mlp.hiden = (3,)"], "Did you mean 'hidden'"),
        (["--gin_bindings=experiment.batch_size = 100_000"], "larger than the training split"),
        (["--gin_bindings=experiment.data = @data.npz()", "--gin_bindings=data.npz.path = 'no.npz'"], "no.npz"),
        (["--gin_bindings=experiment.data = @data.npz()"], "path"),
        (["--gin_binding=experiment.seed = 1"], "gin_binding"),
        (["--gin_bindings=steps", "=", "500"], "argument '='; did you mean --gin_bindings='steps = 500'?"),
        (["--gin_bindings", "steps", "=", "500"], "did you mean --gin_bindings='steps = 500'?"),
        (["--gin_bindings=steps", "=500", "--dry_run"], "did you mean --gin_bindings='steps =500'?"),
        (["--gin_bindings=steps = 5", "--gin_bindings=a/b.c", "=", "%steps"], "--gin_bindings='a/b.c = %steps'?"),
        (["steps=500"], "argument 'steps=500'; did you mean --gin_bindings='steps=500'?"),
        (["small.gin"], "takes no argument 'small.gin'; flags begin with --"),
        (["--seed=3"], "there is no flag --seed; use --gin_bindings='experiment.seed = 3'"),
        (["--seed", "3"], "use --gin_bindings='experiment.seed = 3'"),
        (["--batch_size=64"], "use --gin_bindings='experiment.batch_size = 64'"),
        (["--strategy=mirrored"], "use --gin_bindings='experiment.strategy = ...'"),
        (["--objectives=elbo"], "Did you mean: objective"),
    ],
)
def test_a_user_error_is_one_message_and_code_2_and_starts_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert command("train", "--workdir=run", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error and "In call to configurable" not in error
    assert list(tmp_path.iterdir()) == []


ERRORS = [
    ["train", "--gin_bindings=step = 500"],
    ["train", "--gin_bindings=steps = "],
    ["train", "--gin_bindings=experiment.batchsize = 5"],
    ["train", "--gin_bindings=experiment.prior = @prior.gausian()"],
    ["train", "--gin_file=digits/vea.gin"],
    ["train", "--seed=3"],
    ["matrix", "--gin_bindings=step = 500"],
    ["matrix", "--gin_file=digits/vea.gin"],
]


def test_most_user_errors_are_reported_without_importing_tensorflow():
    source = (
        "import json, sys; from tfdgm.cli.main import main\n"
        "codes = [main(arguments) for arguments in json.loads(sys.argv[1])]\n"
        "print('CODES', codes, {'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", source, json.dumps(ERRORS)], capture_output=True, text=True)
    assert f"CODES {[2] * len(ERRORS)} set()" in done.stdout, done.stdout + done.stderr


def test_the_arguments_of_experiment_are_known_without_importing_it():
    from tfdgm import experiment

    assert list(experiment_arguments()) == list(inspect.signature(experiment).parameters)


def test_an_unknown_command_suggests_the_nearest(capsys):
    assert command("trian") == 2
    assert "no command 'trian'. Did you mean 'train'" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_flags(name, capsys):
    assert command(name, "--help") == 0
    assert f"tfdgm {name}: {COMMANDS[name]}" in capsys.readouterr().out


def test_without_a_command_the_usage_is_printed_with_code_2(capsys):
    assert command() == 2
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
