"""How a run begins in its workdir: from settings, or from an experiment that was made in Python.

Each function makes the checks that do not require TensorFlow, and returns a function that does the rest.
"""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdgm.api.given_data import BINDINGS, FILE, fitting_config, given_splits, keep_arrays
from tfdgm.api.given_settings import Bindings, setting_statements, statements_of
from tfdgm.configuration.config_files import DEFAULT_CONFIG
from tfdgm.configuration.gin_parser import read_statements
from tfdgm.configuration.shorthand import shorthand_bindings
from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir

if TYPE_CHECKING:
    from tfdgm.configuration.resolve import Config
    from tfdgm.runs.experiment import Built, Experiment

#: The batch of the packaged configs for arrays; fewer examples are one batch.
_BATCH = 128

Begin = Callable[[], "tuple[Built, Config | None]"]


def from_settings(
    workdir: Workdir,
    data: Any,
    labels: Any,
    config: "str | Path | Sequence[str | Path]",
    bindings: Bindings,
    plugins: Mapping[str, Any],
    settings: Mapping[str, Any],
    extending: bool = False,
) -> Begin:
    """Read the settings of a run; see `tfdgm.train`.

    Raises:
      UserError: a setting is unknown, or the data is not numeric; or, from the function, a setting or the data is
        refused, or the workdir holds a run of other settings or data.
    """
    saved, arrays = workdir.saved_config(), None
    if data is not None and not isinstance(data, str):
        arrays = given_splits(data, labels)
    elif labels is not None:
        raise UserError("labels= belongs to arrays as data=; the labels of a data plugin are its own: condition=True")
    files = [os.fspath(path) for path in ([config] if isinstance(config, (str, Path)) else config)]
    base = saved if not files else None
    texts = [] if arrays is None else [BINDINGS]
    if not files and base is None:
        files = [DEFAULT_CONFIG if arrays is None else fitting_config(arrays)]
        if arrays is not None and len(arrays["train"]) < _BATCH:
            texts.append(f"experiment.batch_size = {len(arrays['train'])}")
    texts += [*shorthand_bindings(data=data if arrays is None else None, **plugins), *statements_of(bindings)]
    if labels is not None:
        settings = {"condition": True, **settings}
    before = read_statements(files, texts, base, workdir.recorded_package)
    statements = read_statements(files, [*texts, *setting_statements(settings, before)], base, workdir.recorded_package)

    def begin() -> "tuple[Built, Config]":
        from tfdgm.configuration.resolve import resolve

        resolved = resolve(statements)
        if resolved.placement.strategy == "multi_worker":
            raise UserError('experiment.strategy = "multi_worker" needs a process on each machine; use tfdgm train')
        workdir.admit(resolved.text, extending)
        if arrays is not None:
            keep_arrays(workdir.path, arrays, begun=saved is not None)
        devices = resolved.placement.devices()
        with devices.scope():
            built = _made(resolved, workdir.path).build(devices)
        return built, resolved

    return begin


def _made(config: "Config", workdir: Path) -> "Experiment":
    """Call `experiment`; a message about the file of the arrays is about the arrays."""
    try:
        return config.experiment(workdir)
    except UserError as error:
        raise UserError(str(error).replace(f"{workdir / FILE}", "the given arrays")) from None


def from_experiment(workdir: Workdir, experiment: "Experiment") -> Begin:
    """Take an experiment that was made in Python, which has no configuration.

    Raises:
      UserError: the workdir holds a run of a configuration.
    """
    if workdir.config.exists():
        raise UserError(f"{workdir.path} holds the run of a configuration; use another workdir for this experiment")

    def begin() -> "tuple[Built, None]":
        built = build_copy(experiment)
        workdir.samples.mkdir(exist_ok=True)
        return built, None

    return begin


def build_copy(experiment: "Experiment") -> "Built":
    """Build a copy of an experiment, so that its parts are not shared with another run of it; the data is shared."""
    shared = {id(part): part for part in (experiment.data, experiment.splits)}
    devices = experiment.placement.devices()
    with devices.scope():
        return copy.deepcopy(experiment, shared).build(devices)
