"""Configuration by gin. No other module imports it, but `statements` its parser.

A config is read twice. First its statements are read in order, later ones winning: names are resolved to plugins,
which are loaded only now, and every mistake is reported with its file and line. The statements give the canonical
text, which is what `config.gin` holds; gin itself then parses that text.
"""

import dataclasses
import inspect
import re
from collections.abc import Sequence
from typing import Any

import keras

import gin
from tfdgm.config_files import DEFAULT_CONFIG
from tfdgm.contracts.component import check_type
from tfdgm.distribution.strategies import Placement
from tfdgm.errors import UserError, did_you_mean
from tfdgm.experiment import Experiment, experiment
from tfdgm.registry import Plugin, load, select
from tfdgm.statements import Reference, Statements, flatten, located, no_parameter, read_statements


@dataclasses.dataclass
class Config:
    """A resolved configuration.

    Attributes:
      text: canonical gin, re-runnable as it stands.
      plugins: those that the experiment comes to.
      placement: where it says to run; known before anything is made, since optimizers are made for their devices.
    """

    text: str
    plugins: list[Plugin]
    placement: Placement

    def experiment(self) -> Experiment:
        """Calls `experiment` with everything bound.

        Raises:
          UserError: a value is refused, by the experiment or by a plugin.
        """
        gin.clear_config()
        gin.parse_config(self.text)
        try:
            return gin.get_configurable("tfdgm.experiment")()
        except UserError as error:
            raise UserError(_without_gin_trace(error)) from None
        except (TypeError, ValueError) as error:
            raise UserError(f"the configuration was refused: {_without_gin_trace(error)}") from None

    @staticmethod
    def operative() -> str:
        """The values that the last call of `experiment` used, defaults included; a config as well.

        gin's own `operative_config_str` shortens names so far that they do not say their kind.
        """
        statements = Statements()
        for (scope, selector), parameters in gin.config._OPERATIVE_CONFIG.items():
            used = {name: value for name, value in parameters.items() if gin.config._is_literally_representable(value)}
            if selector == "gin.macro":
                statements.macros[scope] = (used["value"], "")
                continue
            for name, value in used.items():
                statements.bindings[scope, selector.removeprefix("tfdgm."), name] = (value, "")
        return statements.text()


def read_config(files: Sequence[str], bindings: Sequence[str] = (), base: str | None = None) -> Config:
    """Files in order, then bindings; later statements win.

    Args:
      files: paths, or short paths of packaged configs.
      bindings: gin statements, one or more lines each.
      base: the text of a resolved configuration, before all of them.

    Raises:
      UserError: a name, parameter, macro or file is unknown, nothing reads a macro, or the syntax is wrong.
    """
    return resolve(read_statements(files, bindings, base))


def resolve(statements: Statements) -> Config:
    """Loads and registers what the statements name, and checks their parameters.

    Raises:
      UserError: a plugin does not load, a name or parameter is unknown, or a part of the experiment is not set.
    """
    plugins: dict[str, Plugin] = {}
    for (_, selector, parameter), (_, where) in statements.bindings.items():
        with located(where):
            _check_parameter(selector, _resolve(selector, plugins), parameter)
    for value, where in statements.values():
        with located(where):
            for item in flatten(value):
                if isinstance(item, Reference):
                    _resolve(item.selector, plugins)
    _register("experiment", experiment)
    bound = {parameter for _, selector, parameter in statements.bindings if selector == "experiment"}
    for name, argument in inspect.signature(experiment).parameters.items():
        if argument.default is argument.empty and name not in bound:
            raise UserError(f"experiment.{name} is not set; {DEFAULT_CONFIG} is an example of a whole config")
    if len(set(plugins.values())) < len(plugins):
        raise UserError("one plugin is named in two ways: " + ", ".join(sorted(plugins)))
    reachable = statements.reachable()
    used = [plugin for selector, plugin in plugins.items() if selector in reachable]
    return Config(statements.text(), used, _placement(statements))


def _placement(statements: Statements) -> Placement:
    chosen = {}
    for name, hint in inspect.get_annotations(Placement, eval_str=True).items():
        if ("", "experiment", name) in statements.bindings:
            chosen[name] = statements.value(name)
            with located(statements.bindings["", "experiment", name][1]):
                check_type(f"experiment.{name}", chosen[name], hint)
    return Placement(**chosen)


def _resolve(selector: str, plugins: dict[str, Plugin]) -> Any:
    """What a selector names: `experiment`, a plugin's class, or an optimizer, initialiser or schedule of Keras."""
    if selector == "experiment":
        return experiment
    if selector.startswith("keras."):
        configurable = _resolve_keras(selector)
    else:
        plugins.setdefault(selector, select(selector))
        configurable = load(plugins[selector])
    _register(selector, configurable)
    return configurable


def _resolve_keras(selector: str) -> Any:
    names = {f"keras.optimizers.{name}": value for name, value in _classes(keras.optimizers)}
    names |= {f"keras.optimizers.schedules.{name}": value for name, value in _classes(keras.optimizers.schedules)}
    if selector not in names:
        raise UserError(f"there is no {selector}. {did_you_mean(selector, names)}")
    return names[selector]


def _classes(module: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in vars(module).items() if inspect.isclass(value)]


_registered: dict[str, Any] = {}


def _register(selector: str, configurable: Any) -> None:
    if _registered.get(selector) is configurable:
        return
    module, _, name = f"tfdgm.{selector}".rpartition(".") if selector == "experiment" else selector.rpartition(".")
    gin.enter_interactive_mode()  # another class may have had this name before, in a long-lived process
    try:
        gin.external_configurable(configurable, name=name, module=module)
    finally:
        gin.exit_interactive_mode()
    _registered[selector] = configurable


def _check_parameter(selector: str, configurable: Any, name: str) -> None:
    known = [
        parameter.name
        for parameter in inspect.signature(configurable).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if name not in known:
        raise no_parameter(selector, name, known)


def _without_gin_trace(error: Exception) -> str:
    """The message without the lines in which gin tells its own calls."""
    return re.sub(r"\n\s*In call to configurable .*", "", str(error)).strip()
