"""Where a user's caches are, and that clearing the compiled programs leaves the others."""

import pytest

from tfdgm import user_cache
from tfdgm.system import program_cache


def test_the_variable_sets_the_folder_or_switches_caches_off(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDGM_CACHE", str(tmp_path))
    assert user_cache("images") == tmp_path / "images"
    monkeypatch.setenv("TFDGM_CACHE", "off")
    assert user_cache("images") is None


@pytest.mark.parametrize("value", [None, ""])
def test_without_it_the_folder_is_the_user_s(monkeypatch, tmp_path, value):
    monkeypatch.delenv("TFDGM_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("TFDGM_CACHE", value)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name, appauthor: str(tmp_path / name))
    assert user_cache("images") == tmp_path / "tfdgm" / "images"
    assert program_cache.root() == user_cache("programs")


def test_other_caches_beside_the_compiled_programs_are_neither_shown_nor_cleared(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDGM_CACHE", str(tmp_path))
    base = program_cache.root()
    for folder in (program_cache.store_name(), "images"):
        (base / folder).mkdir()
        (base / folder / "x.pb").write_bytes(b"123")
    assert list(program_cache.stores(base)) == [(program_cache.store_name(), 1, 3)]
    program_cache.clear(base)
    assert [path.name for path in base.iterdir()] == ["images"]
