"""`run.json`: the first start of a run, the versions of the libraries, the plugins, and every later start."""

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
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


#: Parts of a start that versions before them did not record.
_START_OPTIONAL: dict[str, Check] = {"step": _is_number, "other_data": _is_list_of_text}
_CONFIG: dict[str, Check] = {"step": _is_number, "config": _is_text}
_START: dict[str, Check] = {"argv": _is_list_of_text, "started": _is_text, "git_commit": _is_text_or_none}
_RECORD: dict[str, Check] = {
    **_START,
    "seed": _is_number,
    "data": _is_object,
    "fingerprint": _is_object,
    "initial": _is_object,
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
    for name, needed, optional in (("starts", _START, _START_OPTIONAL), ("configs", _CONFIG, {})):
        if name in value:
            items = value[name] if isinstance(value[name], list) else []
            kept = [_valid(item, {**needed, **optional}, lambda text: None) for item in items if isinstance(item, dict)]
            record[name] = [item for item in kept if set(needed) <= set(item)]
            if items is not value[name] or len(record[name]) < len(items):
                warn(f"{name!r} is damaged; its invalid parts are ignored")
    return record


def _valid(value: Mapping[str, Any], checks: Mapping[str, Check], warn: Callable[[str], None]) -> dict[str, Any]:
    for name in checks:
        if name in value and not checks[name](value[name]):
            warn(f"{name!r} has the wrong type; it is ignored")
    return {name: value[name] for name in checks if name in value and checks[name](value[name])}


def describe_run(
    plugins: list[Plugin],
    seed: int,
    data: Mapping[str, Any],
    units: Mapping[str, str],
    history: Mapping[str, Any],
    *,
    fingerprint: Mapping[str, Any],
    config: str | None,
    step: int = 0,
    other_data: Sequence[str] = (),
    initial: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the content of `run.json` for a start at this moment.

    Args:
      plugins: the plugins of the run.
      seed: the run's seed.
      data: the facts of `Data.describe`.
      units: units of the objectives' metrics and estimates, by name.
      history: the record before this start, empty for a new run.
      fingerprint: of the data, by split.
      config: the configuration of this start; None for an experiment that was made in Python.
      step: of the checkpoint from which it continues.
      other_data: in what the data differs from that of the checkpoint.
      initial: what a new run took from another.
    """
    start = {
        "argv": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "git_commit": describe_commit(Path()),
        "step": step,
        **({"other_data": list(other_data)} if other_data else {}),
    }
    starts = [*history.get("starts", []), start]
    configs = history.get("configs", [])
    if config is not None and (not configs or configs[-1]["config"] != config):
        configs = [*configs, {"step": step, "config": config}]
    initial = initial or history.get("initial")
    return {
        **{name: starts[0][name] for name in _START},
        "seed": seed,
        "data": dict(data),
        "units": dict(units),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: _version(name) for name in _VERSIONS},
        "plugins": {p.gin_name: {"distribution": p.package, "version": p.version} for p in plugins},
        "fingerprint": dict(fingerprint),
        **({"initial": dict(initial)} if initial else {}),
        "starts": starts,
        "configs": configs,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
