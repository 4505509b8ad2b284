"""Reading every file once: which files are read again, and what is remembered."""

import json
import os
import time

import pytest
from tfdgm_data import verified_files
from tfdgm_data.verified_files import find_unreadable

from tfdgm import UserError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDGM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Reader:
    """Reads files; those that contain "bad" cannot be read. Counts."""

    def __init__(self):
        self.names = []

    def __call__(self, file):
        self.names.append(file.name)
        if "bad" in file.read_text():
            raise UserError(f"{file.name} is bad")


def folder_of(tmp_path, **contents):
    folder = tmp_path / "files"
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_text(content)
    return folder


def read_again(folder, names="abc", reading="x"):
    """(Failures, names of the files that were read.)"""
    reader = Reader()
    failures = find_unreadable(folder, list(names), reader, reading)
    return failures, sorted(reader.names)


def test_all_failures_are_returned_in_order(tmp_path, cache):
    folder = folder_of(tmp_path, a="bad", b="good", c="bad")
    assert read_again(folder) == ({"a": "a is bad", "c": "c is bad"}, ["a", "b", "c"])
    assert list(read_again(folder, "cba")[0]) == ["c", "a"]


def test_what_was_read_is_not_read_again_unless_size_or_time_changed(tmp_path, cache):
    folder = folder_of(tmp_path, a="good", b="good", c="bad")
    assert read_again(folder)[1] == ["a", "b", "c"]
    assert read_again(folder) == ({"c": "c is bad"}, ["c"])  # one that failed may be mended
    (folder / "c").write_text("good")
    assert read_again(folder) == ({}, ["c"])
    assert read_again(folder) == ({}, [])
    (folder / "a").write_text("longer")
    os.utime(folder / "b", ns=(0, 1))
    assert read_again(folder) == ({}, ["a", "b"])


def test_other_folders_and_other_ways_of_reading_are_remembered_apart(tmp_path, cache):
    folder = folder_of(tmp_path, a="good", b="good", c="good")
    read_again(folder)
    assert read_again(folder, reading="y")[1] == ["a", "b", "c"]
    os.rename(folder, tmp_path / "moved")
    assert read_again(tmp_path / "moved")[1] == ["a", "b", "c"]


def test_files_that_are_gone_are_forgotten(tmp_path, cache):
    folder = folder_of(tmp_path, a="good", b="good", c="good")
    read_again(folder)
    (folder / "d").write_text("good")
    read_again(folder, "abd")
    (memory,) = (cache / "images").iterdir()
    assert set(json.loads(memory.read_text())) == set("abd")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 3}', "\x00"])
def test_a_damaged_memory_costs_another_reading(tmp_path, cache, content):
    folder = folder_of(tmp_path, a="good", b="bad", c="good")
    read_again(folder)
    (memory,) = (cache / "images").iterdir()
    memory.write_text(content)
    assert read_again(folder) == ({"b": "b is bad"}, ["a", "b", "c"])
    assert read_again(folder)[1] == ["b"]


def test_a_cache_that_cannot_be_written_does_not_matter(tmp_path, cache):
    folder = folder_of(tmp_path, a="good", b="bad", c="good")
    cache.write_text("a file where a folder should be")
    assert read_again(folder) == ({"b": "b is bad"}, ["a", "b", "c"])


def test_nothing_is_remembered_if_the_cache_is_off(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDGM_CACHE", "off")
    folder = folder_of(tmp_path, a="good", b="good", c="good")
    read_again(folder)
    assert read_again(folder)[1] == ["a", "b", "c"]


def test_a_missing_file_is_read_and_its_failure_returned(tmp_path, cache):
    folder = folder_of(tmp_path, a="good")

    def read(file):
        if not file.exists():
            raise UserError("missing")

    assert find_unreadable(folder, ["a", "b"], read, "x") == {"b": "missing"}
    assert find_unreadable(folder, ["a", "b"], read, "x") == {"b": "missing"}


def test_an_interrupted_reading_remembers_what_it_read(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(verified_files, "READERS", 1)
    folder = folder_of(tmp_path, **dict.fromkeys("abcdefgh", "good"))

    def interrupted(file):
        if file.name == "e":
            raise KeyboardInterrupt
        time.sleep(0.01)  # so that the results before it are taken first

    with pytest.raises(KeyboardInterrupt):
        find_unreadable(folder, list("abcdefgh"), interrupted, "x")
    assert set(read_again(folder, "abcdefgh")[1]) < set("abcdefgh")


def test_progress_is_shown_once_reading_takes_long(tmp_path, cache, monkeypatch, capsys):
    folder = folder_of(tmp_path, a="good", b="good", c="good")
    read_again(folder)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(verified_files, "_PATIENCE", -1.0)
    read_again(folder, reading="y")
    error = capsys.readouterr().err
    assert "reading every image once" in error and "3/3" in error and error.count("\n") == 1
