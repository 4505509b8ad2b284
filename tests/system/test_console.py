"""A command outlives the terminal, pipe or disk that it prints to, and prints texts as they are."""

import io
import os
import sys

import pytest

from tfdgm.system.console import Surviving, complain, print_table, say, streams_for, warn


class Failing(io.StringIO):
    """A stream whose reader is gone after a number of writes."""

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
def test_a_stream_that_fails_is_given_up_once_and_the_work_goes_on(error):
    told = io.StringIO()
    stream = Surviving(Failing(error, writes=1), told)
    for _ in range(3):
        assert stream.write("line\n") == 5
        stream.flush()
    assert told.getvalue().count("the output cannot be written") == 1 and not stream.isatty()


def test_within_the_block_both_streams_survive_and_come_back_after(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))
    before = sys.stdout, sys.stderr
    with streams_for(result_is_printed=False):
        say("lost")
        warn("a warning")
        complain("an end")
    assert (sys.stdout, sys.stderr) == before
    assert capfd.readouterr().err.splitlines()[1:] == ["tfdgm: warning: a warning", "tfdgm: an end"]


def test_where_the_output_is_the_result_its_failure_ends_the_command(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Failing(BrokenPipeError()))
    with pytest.raises(BrokenPipeError), streams_for(result_is_printed=True):
        say("lost")


def test_closed_descriptors_are_opened_before_a_file_takes_their_number():
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


def test_streams_that_python_has_not_opened_take_what_is_printed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with streams_for(result_is_printed=False):
        say("nowhere")
        warn("nowhere")


def test_characters_that_the_encoding_lacks_are_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    with streams_for(result_is_printed=False):
        say("± 変 \udcff")
    assert raw.getvalue() == "± ".encode("latin-1") + b"\\u5909 \\udcff\n"


def test_a_table_shows_what_looks_like_markup_as_it_is(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    rows = [("list[int]", "[/usr/lib/x]"), ("[red]x[/red]", ":smile:")]
    print_table(("[a]", "b"), rows, title="[/t]")
    printed = capsys.readouterr().out
    for text in ("[a]", "list[int]", "[/usr/lib/x]", "[red]x[/red]", ":smile:", "[/t]"):
        assert text in printed
