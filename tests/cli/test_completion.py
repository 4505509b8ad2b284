"""`tfdgm completion`: the words that fit, and the scripts in the shells that are installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small import command

from tfdgm.cli.completed_words import candidates
from tfdgm.cli.completion import SCRIPTS
from tfdgm.cli.main import COMMANDS, parser
from tfdgm.contracts.registry import find


def test_the_first_word_is_a_command():
    assert set(COMMANDS) < set(candidates([""]))
    assert candidates(["tra"]) == ["train"]
    assert candidates(["nothing", ""]) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_of_every_command_is_completed(name):
    _, values = parser(name)
    expected = {f"--{flag}" for flag in values if not flag.startswith("no")} - {"--help"}
    assert {found.rstrip("=") for found in candidates([name, "--"])} >= expected


@pytest.mark.parametrize(
    "words, expected",
    [
        (["train", "--gin_file=digits/vq"], ["--gin_file=digits/vqvae.gin"]),
        (["train", "--gin_file", "digits/vq"], ["digits/vqvae.gin"]),
        (["train", "--prior=ma"], ["--prior=maf"]),
        (["train", "--posterior", "no"], ["none"]),
        (["matrix", "--posteriors=none,fs"], ["--posteriors=none,fsq"]),
        (["eval", "--split=v"], ["--split=validation"]),
        (["eval", "--scores=nll"], ["--scores=nll_iwae"]),
        (["train", "--gin_bindings=experiment.steps_"], ["--gin_bindings=experiment.steps_per_loop="]),
        (["plugins", "sh"], ["show"]),
        (["plugins", "check", "prior.ma"], ["prior.maf"]),
        (["plugins", "--check", "new", "pri"], ["prior."]),
        (["lab", "prior_"], ["prior_gap"]),
        (["cache", "c"], ["clear"]),
        (["completion", "z"], ["zsh"]),
        (["train", "--nothing=x"], []),
        (["train", "word"], []),
    ],
)
def test_values_and_arguments_are_completed(words, expected):
    assert candidates(words) == expected


def test_all_plugins_are_offered():
    assert set(candidates(["plugins", "show", ""])) == {plugin.gin_name for plugin in find()}


def test_paths_are_completed_where_a_flag_takes_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("run a", ".hidden"):
        Path(name).mkdir()
    for name in ("rule.gin", "run.txt"):
        Path(name).touch()
    assert candidates(["eval", "--workdir=ru"]) == ["--workdir=run a/", "--workdir=rule.gin", "--workdir=run.txt"]
    assert candidates(["train", "--gin_file=ru"]) == ["--gin_file=run a/", "--gin_file=rule.gin"]
    assert candidates(["eval", "--workdir", f"{tmp_path}/.h"]) == [f"{tmp_path}/.hidden/"]
    assert candidates(["eval", "--workdir=nowhere/"]) == []
    assert candidates(["sample", "--num="]) == []
    assert candidates(["compare", "ru"]) == ["run a/"]


def test_another_shell_is_refused(capsys):
    assert command("completion", "bsh") == 2
    assert "takes the name of a shell. Did you mean 'bash'" in capsys.readouterr().err
    assert command("completion") == 2
    assert command("completion", "words", "--", "train", "--help") == 0  # completes the word, and prints no help


#: By shell, commands that print what it offers at the end of the line $LINE, one on each line.
ASK = {
    "bash": """source script 2>/dev/null; compopt() { :; }; COMP_LINE=$LINE; COMP_POINT=${#LINE}; _tfdgm
               printf '%s\\n' "${COMPREPLY[@]}" """,
    "zsh": """compdef() { :; }; compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- $@; }
              source ./script; words=(${(z)LINE}); [[ $LINE == *' ' ]] && words+=(''); CURRENT=${#words}; _tfdgm""",
    "fish": "source ./script; complete --do-complete $LINE",
}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_completes_in_its_shell(tmp_path, capsys, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert command("completion", shell) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    program = tmp_path / "tfdgm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tfdgm "$@"\n')
    program.chmod(0o755)

    def offered(line):
        env = {**os.environ, "LINE": line, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run([shell, "-c", ASK[shell]], cwd=tmp_path, env=env, text=True, capture_output=True)
        assert done.stderr == ""
        return [found for found in done.stdout.splitlines() if found]

    assert offered("tfdgm tra") == ["train"]
    assert set(offered("tfdgm ")) >= set(COMMANDS)
    assert offered("tfdgm plugins show prior.ma") == ["prior.maf"]
    # bash replaces the part of the word that follows the last =
    assert offered("tfdgm train --gin_file=digits/vq") == [
        "digits/vqvae.gin" if shell == "bash" else "--gin_file=digits/vqvae.gin"
    ]
