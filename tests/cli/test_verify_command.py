"""`tfdgm verify`: its table, its choice of oracles, and its exit codes."""

import os
import re
import subprocess
import sys

import pytest
from small import command

from tfdgm.cli import verify
from tfdgm.cli.command_help import help_of
from tfdgm.cli.main import parser
from tfdgm.errors import UserError
from tfdgm.verification import catalogue
from tfdgm.verification.oracle import Finding, Oracle


def given(monkeypatch, **checks):
    """Replace the oracles."""
    oracles = [Oracle(f"theme.{name}", check) for name, check in checks.items()]
    monkeypatch.setattr(catalogue, "ORACLES", oracles)


def right():
    """Two and two."""
    yield Finding("sum", 4.0, 4.0, 0.0, "by hand")
    yield Finding("bound", 5.0, 4.0, 0.0, "by hand", "<=")


def wrong():
    """Two and three."""
    yield Finding("sum", 5.0, 4.5, 0.25, "by a bad hand")


def breaking():
    """Nothing."""
    yield Finding("first", 1.0, 1.0, 0.0, "by hand")
    raise ZeroDivisionError("by zero")


def test_all_as_expected_exits_with_0(monkeypatch, capsys):
    given(monkeypatch, right=right)
    assert command("verify") == 0
    head, first, second, last = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "expected", "got", "tolerance", "estimator", "ok"]
    assert first.split() == ["theme.right", "sum", "4", "4", "0.0e+00", "by", "hand", "yes"]
    assert "<= 5" in second and second.endswith("yes")
    assert re.fullmatch(r"2 numbers of 1 oracles in \d+ s: all as expected", last)


def test_one_miss_exits_with_1_and_is_named(monkeypatch, capsys):
    given(monkeypatch, right=right, wrong=wrong)
    assert command("verify") == 1
    out = capsys.readouterr().out
    assert "theme.wrong sum" in out and out.count(" NO") == 1
    assert out.splitlines()[-1].endswith("1 missed: theme.wrong")


def test_an_oracle_that_raises_has_missed_and_the_others_continue(monkeypatch, capsys):
    given(monkeypatch, breaking=breaking, right=right)
    assert command("verify") == 1
    out = capsys.readouterr().out
    assert "theme.breaking first" in out and "ZeroDivisionError: by zero" in out and "theme.right bound" in out


def test_a_missing_plugin_is_a_user_error(monkeypatch, capsys):
    def missing():
        """None."""
        raise UserError("there is no prior named 'maf'")
        yield

    given(monkeypatch, missing=missing)
    assert command("verify") == 2
    assert "there is no prior named 'maf'" in capsys.readouterr().err


def test_only_selects_by_any_part_of_the_name(monkeypatch, capsys):
    given(monkeypatch, right=right, wrong=wrong)
    assert command("verify", "--only=rig") == 0
    assert "theme.wrong" not in capsys.readouterr().out
    assert command("verify", "--only=right", "--only=wr*") == 1
    assert "2 oracles" in capsys.readouterr().out
    assert command("verify", "--only=theme.*") == 1


def test_the_patterns_that_the_help_names_select_oracles():
    _, values = parser("verify")
    patterns = re.search("such as (.*) or (.*?);", help_of(values["only"])).groups()
    example = re.findall(r"--only='?([^ ']+)", " ".join(verify.EXAMPLES))
    assert len(patterns) == 2 and len(example) == 2
    for pattern in [*patterns, *example]:
        assert verify.chosen(catalogue.ORACLES, [pattern])


def test_a_pattern_far_from_all_names_lists_some_of_them(capsys):
    assert command("verify", "--only=zzzzz") == 2
    assert f"and {len(catalogue.ORACLES) - 20} others." in capsys.readouterr().err


def test_a_pattern_without_a_match_suggests_the_nearest_name(monkeypatch, capsys):
    given(monkeypatch, right=right)
    assert command("verify", "--only=theme.rihgt") == 2
    assert "no oracle has 'theme.rihgt' in its name. Did you mean 'theme.right'?" in capsys.readouterr().err


def test_the_list_has_the_formulas_and_runs_no_oracle(monkeypatch, capsys):
    given(monkeypatch, breaking=breaking, right=right)
    assert command("verify", "--list") == 0
    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["theme.breaking", "Nothing."], ["theme.right", "Two and two."],
    ]  # fmt: skip


@pytest.mark.slow
def test_every_oracle_holds_and_no_file_is_left_behind(tmp_path):
    (tmp_path / "temporary").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "tfdgm", "verify"],
        cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path / "temporary")}, text=True, capture_output=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    for oracle in catalogue.ORACLES:
        assert f"\n{oracle.name} " in run.stdout
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
