"""Third-party packages, built and installed: listing, training, conflicts and errors."""

import json
import os
import subprocess
import sys

import pytest
from third_party import STUDENT_T

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]

[project.entry-points."tfdgm.prior"]
{entry} = "{module}:{attribute}"
"""

DRIVER = """
import contextlib, io, json, sys
from tfdgm.cli.main import main

results = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    loaded_before = "tensorflow" in sys.modules
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    results.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "tensorflow": loaded_before})
print("RESULTS" + json.dumps(results))
"""

#: name, version, module, entry, attribute, source
PACKAGES = [
    ("student-priors", "1.2.3", "student_priors", "student_t", "StudentT", STUDENT_T),
    ("other-priors", "4.5", "other_priors", "gaussian", "StudentT", STUDENT_T),
    ("broken-priors", "0.7", "broken_priors", "shattered", "Shattered", "raise RuntimeError('it was never tested')"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the three packages in a folder."""
    root = tmp_path_factory.mktemp("third_party")
    sources = []
    for name, version, module, entry, attribute, source in PACKAGES:
        package = root / name / module
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(source)
        project = PROJECT.format(name=name, version=version, module=module, entry=entry, attribute=attribute)
        (root / name / "pyproject.toml").write_text(project)
        sources.append(str(root / name))
    target = root / "site"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", str(target), *sources], check=True)
    return target


@pytest.fixture(scope="module")
def results(installed, tmp_path_factory):
    """Run all commands in one process that sees the packages; return their results."""
    folder = tmp_path_factory.mktemp("runs")
    tiny = (
        "steps = 4\nexperiment.steps_per_loop = 2\nexperiment.batch_size = 8\nexperiment.latent_size = 2\n"
        "network.mlp.hidden = (8,)"
    )
    commands = {
        "list": ["plugins", "list"],
        "train": [
            "train", "--prior=student_t", f"--workdir={folder / 'run'}", f"--gin_bindings={tiny}",
            "--gin_bindings=prior.student_t.df = 7.5", "--gin_bindings=experiment.seed = 3",
        ],
        "typo": ["train", "--dry_run", "--gin_bindings=prior.student_t.fd = 7.5", "--prior=student_t"],
        "range": ["train", "--dry_run", "--gin_bindings=prior.student_t.df = -1.0", "--prior=student_t"],
        "conflict": ["train", "--dry_run", "--prior=gaussian"],
        "qualified": ["train", "--dry_run", "--prior=other-priors/gaussian"],
        "broken": ["train", "--dry_run", "--prior=shattered"],
        "check": ["plugins", "list", "--check"],
    }  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "200", "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(list(commands.values()))],
        capture_output=True, text=True, env=environment, cwd=folder, timeout=300,
    )  # fmt: skip
    assert "RESULTS" in done.stdout, done.stderr
    outputs = dict(zip(commands, json.loads(done.stdout.partition("RESULTS")[2]), strict=True))
    return outputs, folder


pytestmark = pytest.mark.slow


def test_installed_plugins_are_listed_with_their_packages_without_importing_them(results):
    outputs, _ = results
    listed = outputs["list"]
    assert listed["code"] == 0
    for words in ("student_t", "student-priors", "1.2.3", "broken-priors", "0.7", "prior.other_priors.gaussian",
                  "prior.tfdgm.gaussian"):  # fmt: skip
        assert words in listed["out"]
    assert not outputs["train"]["tensorflow"]  # the command after the listing still found no TensorFlow loaded


def test_a_run_with_the_plugin_records_its_version(results):
    outputs, folder = results
    assert outputs["train"]["code"] == 0, outputs["train"]["err"]
    assert "plugin prior.student_t of student-priors 1.2.3" in outputs["train"]["out"]
    facts = json.loads((folder / "run" / "run.json").read_text())
    assert facts["plugins"]["prior.student_t"] == {"distribution": "student-priors", "version": "1.2.3"}
    assert "prior.student_t.df = 7.5" in (folder / "run" / "config.gin").read_text()
    assert json.loads((folder / "run" / "eval.json").read_text())["step"] == 4


@pytest.mark.parametrize(
    "name, expected",
    [
        ("typo", ["prior.student_t has no parameter 'fd'", "Known: df"]),
        ("range", ["df must be positive, got -1.0"]),
        ("conflict", ["other-priors 4.5", "tfdgm 0", "prior.other_priors.gaussian", "prior.tfdgm.gaussian"]),
        ("broken", ["prior.shattered of broken-priors 0.7", "RuntimeError: it was never tested"]),
    ],
)
def test_its_errors_are_reported_in_one_message(results, name, expected):
    output = results[0][name]
    assert output["code"] == 2
    for words in expected:
        assert words in output["err"]
    assert "Traceback" not in output["err"]


def test_a_qualified_name_resolves_a_conflict(results):
    output = results[0]["qualified"]
    assert output["code"] == 0, output["err"]
    assert "prior.other_priors.gaussian" in output["out"]


def test_a_check_reports_the_broken_plugin_and_succeeds(results):
    output = results[0]["check"]
    assert output["code"] == 0
    assert "it was never tested" in " ".join(output["out"].split())
