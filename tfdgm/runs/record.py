"""`run.json`: the first start of a run, the versions of the libraries, the plugins, and every later start."""

import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfdgm.contracts.registry import Plugin
from tfdgm.system.git_commit import describe_commit

_VERSIONS = (
    "tfdgm",
    "tensorflow",
    "tensorflow-probability",
    "tf-keras",
    "keras",
    "gin-config",
    "numpy",
    "scikit-learn",
)

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_plugin(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_text(value.get(name)) for name in ("distribution", "version"))


_START: dict[str, Check] = {"argv": _is_list_of_text, "started": _is_text, "git_commit": _is_text_or_none}
_RECORD: dict[str, Check] = {
    **_START,
    "seed": _is_number,
    "data": _is_object,
    "python": _is_text,
    "platform": _is_text,
}
#: Objects whose values are checked individually.
_MAPPINGS: dict[str, Check] = {"versions": _is_text_or_none, "plugins": _is_plugin, "units": _is_text}


def checked_record(value: Any, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the valid parts of a `run.json`, and warn of the others.

    Args:
      value: parsed JSON.
      warn: shows a sentence about each part that `describe_run` could not have written.
    """
    if not isinstance(value, dict):
        warn("is not a JSON object; it is ignored")
        return {}
    record = _valid(value, _RECORD, warn)
    for name, check in _MAPPINGS.items():
        if name in value:
            items = value[name] if isinstance(value[name], dict) else {}
            if items is not value[name]:
                warn(f"{name!r} is not an object; it is ignored")
            record[name] = _valid(items, dict.fromkeys(items, check), warn)
    if "starts" in value:
        starts = value["starts"] if isinstance(value["starts"], list) else []
        kept = [_valid(start, _START, lambda text: None) for start in starts if isinstance(start, dict)]
        record["starts"] = [start for start in kept if set(start) == set(_START)]
        if starts is not value["starts"] or len(record["starts"]) < len(starts):
            warn("'starts' is damaged; its invalid parts are ignored")
    return record


def _valid(value: Mapping[str, Any], checks: Mapping[str, Check], warn: Callable[[str], None]) -> dict[str, Any]:
    for name in checks:
        if name in value and not checks[name](value[name]):
            warn(f"{name!r} has the wrong type; it is ignored")
    return {name: value[name] for name in checks if name in value and checks[name](value[name])}


def describe_run(
    plugins: list[Plugin], seed: int, data: Mapping[str, Any], units: Mapping[str, str], history: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `run.json` for a start at this moment.

    Args:
      plugins: the plugins of the run.
      seed: the run's seed.
      data: the facts of `Data.describe`.
      units: units of the objectives' metrics and estimates, by name.
      history: the record before this start, empty for a new run.
    """
    start = {
        "argv": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "git_commit": describe_commit(Path()),
    }
    starts = [*history.get("starts", []), start]
    return {
        **starts[0],
        "seed": seed,
        "data": dict(data),
        "units": dict(units),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _VERSIONS},
        "plugins": {p.gin_name: {"distribution": p.package, "version": p.version} for p in plugins},
        "starts": starts,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
