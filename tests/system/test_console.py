"""A command survives the loss of its terminal, pipe or disk, and prints texts literally."""

import io
import os
import sys

import pytest

from tfdgm.system.console import (
    Surviving,
    complain,
    detail,
    print_table,
    say,
    shows_progress,
    streams_for,
    verbosity,
    warn,
)


class Failing(io.StringIO):
    """A stream that fails after a number of writes."""

    def __init__(self, error, writes=0):
        super().__init__()
        self.error, self.writes = error, writes

    def write(self, text):
        if self.writes == 0:
            raise self.error
        self.writes -= 1
        return super().write(text)

    def fileno(self):
        raise io.UnsupportedOperation


@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(28, "No space left on device"), OSError(5, "I/O"), ValueError()]
)
def test_a_failing_stream_is_reported_once_and_later_output_is_discarded(error):
    report = io.StringIO()
    stream = Surviving(Failing(error, writes=1), report)
    for _ in range(3):
        assert stream.write("line\n") == 5
        stream.flush()
    assert report.getvalue().count("the output cannot be written") == 1 and not stream.isatty()


def test_both_streams_survive_within_the_block_and_are_restored_after_it(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))
    before = sys.stdout, sys.stderr
    with streams_for(result_is_printed=False):
        say("lost")
        warn("a warning")
        complain("an end")
    assert (sys.stdout, sys.stderr) == before
    assert capfd.readouterr().err.splitlines()[1:] == ["tfdgm: warning: a warning", "tfdgm: an end"]


def test_a_failing_output_ends_a_command_whose_only_result_it_is(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))
    with pytest.raises(BrokenPipeError), streams_for(result_is_printed=True):
        say("lost")


def test_closed_descriptors_are_opened_before_a_file_gets_their_number():
    kept = os.dup(2)
    try:
        os.close(2)
        with streams_for(result_is_printed=False):
            with open(os.devnull, "rb") as file:
                assert file.fileno() > 2
            warn("nowhere")
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_missing_streams_accept_output_within_the_block(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with streams_for(result_is_printed=False):
        say("nowhere")
        warn("nowhere")
        assert isinstance(sys.stdout, Surviving) and isinstance(sys.stderr, Surviving)
    assert sys.stdout is sys.stderr is None


def test_characters_missing_from_the_encoding_are_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    with streams_for(result_is_printed=False):
        say("± 変 \udcff")
    assert raw.getvalue() == "± ".encode("latin-1") + b"\\u5909 \\udcff\n"


def test_a_table_shows_markup_literally(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    rows = [("list[int]", "[/usr/lib/x]"), ("[red]x[/red]", ":smile:")]
    print_table(("[a]", "b"), rows, title="[/t]")
    printed = capsys.readouterr().out
    for text in ("[a]", "list[int]", "[/usr/lib/x]", "[red]x[/red]", ":smile:", "[/t]"):
        assert text in printed


def test_quiet_keeps_results_warnings_and_errors_and_verbose_adds_details(capsys):
    with verbosity(quiet=True):
        say("progress")
        warn("warning")
        complain("error")
        print_table(("column",), [("result",)])
        assert not shows_progress()
    printed = capsys.readouterr()
    assert "progress" not in printed.out and "result" in printed.out
    assert printed.err == "tfdgm: warning: warning\ntfdgm: error\n"
    with verbosity(verbose=True):
        say("progress")
        detail("detail")
    detail("after")
    assert capsys.readouterr() == ("progress\n", "tfdgm: detail\n")


def test_the_former_verbosity_returns_after_an_error(capsys):
    with pytest.raises(ZeroDivisionError), verbosity(quiet=True):
        raise ZeroDivisionError
    say("progress")
    assert capsys.readouterr().out == "progress\n"
