"""The flags of `tfdgm train`, and errors before any file is written."""

import inspect
import json
import re
import shlex
import subprocess
import sys

import pytest
from small import command

from tfdgm.cli import train
from tfdgm.cli.command_help import required_flags
from tfdgm.cli.main import COMMANDS, parser
from tfdgm.configuration.gin_parser import read_statements
from tfdgm.contracts.registry import select
from tfdgm.labs import LABS
from tfdgm.runs.experiment_arguments import experiment_arguments
from tfdgm.studies.varied import read_varied
from tfdgm.training.trainer import TrainingResult


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
        (["steps=500"], "argument 'steps=500'; did you mean --gin_bindings=steps=500?"),
        (["small.gin"], "takes no argument 'small.gin'; flags begin with --"),
        (["steps = 5's"], """did you mean --gin_bindings='steps = 5'"'"'s'?"""),
        (["--steps=100"], "there is no flag --steps; use --gin_bindings='steps = 100'"),  # the schedule reads it too
        (["--steps=5", "--gin_bindings=experiment.steps = 9"], "use --gin_bindings='experiment.steps = 5'"),
        (["--batch_size=5", "--gin_file=digits/vea.gin"], "use --gin_bindings='experiment.batch_size = 5'"),
        (["--gin_bindings=steps = %steps"], "%steps refers to itself: %steps -> %steps"),
        (["--gin_bindings=include 'nowhere.gin'"], "--gin_bindings:1: include 'nowhere.gin'"),
        (["--quiet", "--verbose"], "--quiet and --verbose exclude each other"),
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


@pytest.mark.parametrize("kind", ["train", "matrix", "lab", "export"])
def test_a_file_in_place_of_the_folder_is_called_a_file(tmp_path, capsys, kind):
    file, run = tmp_path / "file", tmp_path / "run"
    file.write_text("")
    arguments = {
        "train": [f"--workdir={file}"],
        "matrix": [f"--workdir={file}"],
        "lab": ["prior_gap", f"--output={file}"],
        "export": [f"--workdir={run}", f"--output={file}"],
    }
    assert command(kind, *arguments[kind]) == 2
    error = capsys.readouterr().err
    assert str(file) in error and "Errno" not in error
    assert "is a file, not a folder" in error or "is not an empty folder" in error


def test_a_flag_that_the_config_of_the_workdir_takes_from_a_macro_names_the_macro(tmp_path, capsys):
    (tmp_path / "config.gin").write_text("total = 7\nexperiment.steps = %total\n")
    assert command("train", f"--workdir={tmp_path}", "--steps=9") == 2
    assert "use --gin_bindings='total = 9'" in capsys.readouterr().err


def test_a_binding_that_leaves_a_macro_to_others_is_remarked(capsys):
    assert command("train", "--dry_run", "--gin_bindings=experiment.steps = 500") == 0
    error = capsys.readouterr().err
    assert "CosineDecay.decay_steps still reads %steps = 10000; to change it too, bind steps = 500" in error
    assert command("train", "--dry_run", "--gin_bindings=steps = 500\nexperiment.seed = 2") == 0
    assert capsys.readouterr().err == ""


def test_a_quiet_dry_run_prints_the_config_alone_and_a_verbose_one_what_it_reads(tmp_path, capsys):
    (tmp_path / "own.gin").write_text("include 'digits/vae.gin'")
    assert command("train", "--dry_run", "--quiet", f"--gin_file={tmp_path / 'own.gin'}") == 0
    config = capsys.readouterr().out
    assert config.startswith("steps = 10000\n") and "trainable parameters" not in config
    assert command("train", "--dry_run", "--verbose", f"--gin_file={tmp_path / 'own.gin'}") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(config) and "trainable parameters" in printed.out
    assert f"tfdgm: config {tmp_path / 'own.gin'}\n" in printed.err and "digits/vae.gin, included" in printed.err


@pytest.mark.parametrize(
    "rate, made, words",
    [(0.0, 0, "no steps were made"), (0.0, 20, "20 step(s) in one loop"), (50.0, 20, "50 steps/s, 20000 us/step")],
)
def test_the_last_line_says_how_fast_the_steps_were(rate, made, words):
    assert train._rate(TrainingResult(made, None, rate, steps_made=made)) == words


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_flags(name, capsys):
    assert command(name, "--help") == 0
    printed = capsys.readouterr().out
    assert f"tfdgm {name}: {COMMANDS[name]}" in printed and "\nexamples:\n" in printed
    module, _ = parser(name)
    for flag in required_flags(module):
        assert f" --{flag}=..." in printed.partition("\n\n")[2].partition("\n")[0]  # the usage
        assert printed.count("(required)") == len(required_flags(module))


@pytest.mark.parametrize("name", COMMANDS)
def test_without_a_required_flag_the_message_names_it(name, capsys):
    required = required_flags(parser(name)[0])
    for flag in required:
        assert command(name, *(f"--{other}=x" for other in required if other != flag)) == 2
        assert f"--{flag} is required: " in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_in_the_help_have_existing_flags_configs_and_plugins(name):
    module, _ = parser(name)
    for example in module.EXAMPLES:
        (line,) = re.findall(r"tfdgm (?:'[^']*'|[^#>)'])*", example)
        program, called, *arguments = shlex.split(line)
        _, values = parser(called)
        words = values([program, *arguments])[1:]
        assert (program, called) == ("tfdgm", name)
        files = values.gin_file if "gin_file" in values else []
        statements = read_statements(files, values.gin_bindings if "gin_bindings" in values and files else [])
        assert statements.bindings or not files
        if called == "plugins" and words[0] in ("show", "check"):
            select(words[1])
        if called == "sweep":
            assert read_varied(values.vary)
        if called == "lab" and words:
            assert words[0] in LABS
        for flag, kind in {"objective": "objective", "scores": "score"}.items():
            for listed in values[flag].value if flag in values else []:
                for plugin in listed.split(","):
                    select(f"{kind}.{plugin}")


def test_without_a_command_the_usage_is_printed_with_code_2(capsys):
    assert command() == 2
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
