"""The settings in which runs differ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfdgm.comparisons.recorded_settings import Key, RecordedSettings, shown_value

#: In place of the value of a parameter that a configuration does not set, where the default was not recorded.
DEFAULT = "default"
_ABSENT = ""


def differing_settings(runs: Sequence[RecordedSettings | None]) -> list[dict[str, str]]:
    """Return for each run the values of the settings that are not the same in all.

    A parameter of a component that not every run has (a setting of MAF, where another prior is Gaussian) counts if a
    configuration sets it; its defaults come with the component. A setting that several parameters read from one
    macro, or that several scopes share, is listed once.

    Args:
      runs: their settings; None for a run without a configuration, whose values are unknown.

    Returns:
      Texts by the name of the setting, the same names in the same order for every run; empty where a run does not
      have the component, or its settings are unknown.
    """
    known = [run for run in runs if run is not None]
    complete = all(run.used is not None for run in known)
    columns: dict[Key, tuple[str, ...]] = {}
    keys = _keys(known, complete)
    for key in keys:
        texts = tuple(_ABSENT if run is None else _text(run, key, complete) for run in runs)
        of_known = {text for run, text in zip(runs, texts, strict=True) if run is not None}
        is_set = any(
            run is not None and text != _ABSENT and run.statement(key) is not None
            for run, text in zip(runs, texts, strict=True)
        )
        if len(of_known - {_ABSENT}) > 1 or (len(of_known) > 1 and is_set):
            columns[key] = texts
    columns = _once(columns, known)
    names = _short_names(columns, keys)
    return [{names[key]: texts[number] for key, texts in columns.items()} for number in range(len(runs))]


def _keys(runs: Sequence[RecordedSettings], complete: bool) -> list[Key]:
    """Return the parameters that any run has: those of the experiment first, then by name."""
    keys = {key for run in runs for key in (run.used if complete and run.used is not None else run.config)}
    return sorted(keys, key=lambda key: (key[1] != "experiment", key[1], key[2], key[0]))


def _text(run: RecordedSettings, key: Key, complete: bool) -> str:
    if complete and run.used is not None:
        return shown_value(run.used[key]) if key in run.used else _ABSENT
    if (statement := run.statement(key)) is not None:
        return shown_value(run.config[statement])
    return DEFAULT if key[1] in run.selectors else _ABSENT


def _once(columns: Mapping[Key, tuple[str, ...]], runs: Sequence[RecordedSettings]) -> dict[Key, tuple[str, ...]]:
    """Return the columns without those that another macro or scope repeats."""
    kept: dict[Key, tuple[str, ...]] = {}
    seen: set[tuple[Any, ...]] = set()
    for key, texts in columns.items():
        scopes = [other for other in columns if other[1:] == key[1:]]
        shared = len(scopes) > 1 and all(columns[other] == texts for other in scopes)
        macros = {run.macro(key) for run in runs}
        marks = {("values", *key[1:], texts)} | {
            ("macro", macro, texts) for macro in macros if len(macros) == 1 and macro
        }
        if not marks & seen:
            kept[("", *key[1:]) if shared else key] = texts
        seen |= marks
    return kept


def _short_names(shown: Iterable[Key], keys: Sequence[Key]) -> dict[Key, str]:
    """Return the arguments of the experiment by their names, others as `maf.hidden`, longer where that is ambiguous."""
    names = {}
    for scope, selector, parameter in shown:
        last = selector.rpartition(".")[2]
        alike = [other for other in keys if other[1].rpartition(".")[2] == last and other[2] == parameter]
        name = f"{last if len({other[1] for other in alike}) == 1 else selector}.{parameter}"
        if selector == "experiment":
            name = parameter
        elif scope and len({other[0] for other in alike}) > 1:
            name = f"{scope}/{name}"
        names[scope, selector, parameter] = name
    return names
