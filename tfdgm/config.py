"""Configuration by gin. No other module imports it.

A config is read twice. First its statements are scanned in order, later ones winning: names are resolved to plugins,
which are loaded only now, and every mistake is reported with its file and line. The scan gives the canonical text,
which is what `config.gin` holds; gin itself then parses that text.
"""

import dataclasses
import inspect
import pprint
import re
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

import gin
from gin import config_parser
from tfdgm.config_files import DEFAULT_CONFIG, find_file
from tfdgm.contracts.component import check_type
from tfdgm.distribution.strategies import Placement
from tfdgm.errors import UserError, did_you_mean
from tfdgm.experiment import Experiment, experiment
from tfdgm.registry import KINDS, Plugin, find, load, select


@dataclasses.dataclass(frozen=True)
class Reference:
    """`@name()` as it stands in a config."""

    name: str
    evaluate: bool

    def __repr__(self) -> str:
        return f"@{self.name}{'()' if self.evaluate else ''}"


@dataclasses.dataclass(frozen=True)
class Macro:
    """`%name` as it stands in a config."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


class _Delegate(config_parser.ParserDelegate):
    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        return Reference(scoped_configurable_name, evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)


@dataclasses.dataclass
class Config:
    """A resolved configuration.

    Attributes:
      text: canonical gin, re-runnable as it stands.
      plugins: the plugins that it names.
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
        scan = _Scan()
        for (scope, selector), parameters in gin.config._OPERATIVE_CONFIG.items():
            used = {name: value for name, value in parameters.items() if gin.config._is_literally_representable(value)}
            if selector == "gin.macro":
                scan.macros[scope] = (used["value"], "")
                continue
            for name, value in used.items():
                scan.bindings[scope, selector.removeprefix("tfdgm."), name] = (value, "")
        return scan.text()


def read_config(files: Sequence[str], bindings: Sequence[str] = ()) -> Config:
    """Files in order, then bindings; later statements win.

    Args:
      files: paths, or short paths of packaged configs.
      bindings: gin statements, one or more lines each.

    Raises:
      UserError: a name, parameter, macro or file is unknown, or the syntax is wrong.
    """
    scan = _Scan()
    for name in files:
        scan.read_file(find_file(name))
    for text in bindings:
        scan.read(text, "--gin_bindings", None)
    return scan.resolve()


class _Scan:
    """The statements of a config, the last of each key."""

    def __init__(self) -> None:
        self.macros: dict[str, tuple[Any, str]] = {}
        self.bindings: dict[tuple[str, str, str], tuple[Any, str]] = {}
        self.including: list[Path] = []

    def read_file(self, path: Path) -> None:
        if path.resolve() in self.including:
            raise UserError(f"{path} includes itself")
        self.including.append(path.resolve())
        try:
            self.read(path.read_text(), str(path), path.parent)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path} cannot be read: {error}") from None
        self.including.pop()

    def read(self, text: str, source: str, beside: Path | None) -> None:
        try:
            for statement in config_parser.ConfigParser(text, _Delegate()):
                where = f"{source}:{statement.location.line_num}: {statement.location.line_content.strip()}"
                if isinstance(statement, config_parser.IncludeStatement):
                    self.read_file(find_file(statement.filename, beside))
                elif isinstance(statement, config_parser.ImportStatement):
                    raise UserError(f"{where}\n  a config may not import; plugins are found by their entry points")
                elif isinstance(statement, config_parser.BindingStatement):
                    self._bind(statement, where)
        except SyntaxError as error:
            raise UserError(_syntax_message(error, source, text)) from None
        except (StopIteration, tokenize.TokenError):
            raise UserError(
                f"{source}: {text.strip().splitlines()[-1]}\n  the last statement is not complete"
            ) from None

    def _bind(self, statement: Any, where: str) -> None:
        if not statement.arg_name:
            name = f"{statement.scope}/{statement.selector}" if statement.scope else statement.selector
            self.macros[name] = (statement.value, where)
        else:
            self.bindings[statement.scope, statement.selector, statement.arg_name] = (statement.value, where)

    def resolve(self) -> Config:
        """Checks every name, registers what is named, and writes the canonical text."""
        plugins: dict[str, Plugin] = {}
        for (_, selector, parameter), (_, where) in self.bindings.items():
            with _located(where):
                _check_parameter(selector, _resolve(selector, plugins), parameter)
        for value, where in [*self.macros.values(), *self.bindings.values()]:
            with _located(where):
                for item in _flatten(value):
                    if isinstance(item, Macro) and item.name not in self.macros:
                        raise UserError(f"there is no macro %{item.name}. {did_you_mean(item.name, self.macros)}")
                    if isinstance(item, Reference):
                        _check_reference(item, plugins)
        _register("experiment", experiment)
        bound = {parameter for _, selector, parameter in self.bindings if selector == "experiment"}
        for name, argument in inspect.signature(experiment).parameters.items():
            if argument.default is argument.empty and name not in bound:
                raise UserError(f"experiment.{name} is not set; {DEFAULT_CONFIG} is an example of a whole config")
        unique = dict.fromkeys(plugins.values())
        if len(unique) < len(plugins):
            raise UserError("one plugin is named in two ways: " + ", ".join(sorted(plugins)))
        return Config(self.text(), list(unique), self._placement())

    def _placement(self) -> Placement:
        chosen = {}
        for name, hint in inspect.get_annotations(Placement, eval_str=True).items():
            if ("", "experiment", name) in self.bindings:
                value, where = self.bindings["", "experiment", name]
                chosen[name] = self.macros[value.name][0] if isinstance(value, Macro) else value
                with _located(where):
                    check_type(f"experiment.{name}", chosen[name], hint)
        return Placement(**chosen)

    def text(self) -> str:
        """The statements as canonical gin: macros, the experiment, then the rest by name."""
        lines = [_format(name, value) for name, (value, _) in sorted(self.macros.items())]
        groups: dict[tuple[str, str], list[str]] = {}
        for (scope, selector, parameter), (value, _) in self.bindings.items():
            key = f"{scope}/{selector}.{parameter}" if scope else f"{selector}.{parameter}"
            groups.setdefault((selector, scope), []).append(_format(key, value))
        for _, group in sorted(groups.items(), key=lambda item: (item[0][0] != "experiment", item[0])):
            lines += ["", *sorted(group)] if lines else sorted(group)
        return "\n".join(lines) + "\n"


def _format(key: str, value: Any) -> str:
    text = pprint.pformat(value, width=110 - len(key), compact=True, sort_dicts=False)
    return f"{key} = {text}" if "\n" not in text else f"{key} = \\\n    " + text.replace("\n", "\n    ")


def _flatten(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (*_flatten(key), *_flatten(item))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flatten(item)
    else:
        yield value


class _located:
    """Within it a `UserError` is told where in the config it arose."""

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, UserError):
            raise UserError(f"{self.where}\n  {error}") from None


def _resolve(selector: str, plugins: dict[str, Plugin]) -> Any:
    """What a selector names: `experiment`, a plugin's class, or an optimizer, initialiser or schedule of Keras."""
    if selector == "experiment":
        return experiment
    head = selector.partition(".")[0]
    if head in KINDS:
        plugins.setdefault(selector, select(selector))
        configurable = load(plugins[selector])
    elif head == "keras":
        configurable = _resolve_keras(selector)
    else:
        known = ["experiment", *(plugin.gin_name for plugin in find())]
        raise UserError(f"{selector!r} is not configurable. {did_you_mean(selector, known)}")
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
        raise UserError(f"{selector} has no parameter {name!r}. {did_you_mean(name, known)}")


def _check_reference(reference: Reference, plugins: dict[str, Plugin]) -> None:
    name = reference.name.rpartition("/")[2]
    _resolve(name, plugins)
    if not reference.evaluate:
        raise UserError(f"{reference} names a class; write @{reference.name}() for an instance of it")


def _syntax_message(error: SyntaxError, source: str, text: str) -> str:
    message, location = error.args[0], error.args[1] if len(error.args) > 1 else None
    line_number = getattr(location, "line_num", None) or (location[1] if isinstance(location, tuple) else 1)
    lines = text.splitlines()
    line = lines[line_number - 1].strip() if 0 < line_number <= len(lines) else text.strip()
    hint = ""
    if message.startswith("malformed node"):  # what Python's literal_eval says of a name
        message = "the value is no literal, @reference() or %macro"
    match = re.fullmatch(r"([\w./]+)\s*=\s*([^\"'\[({%@].*)", line)
    if match:
        hint = f'\n  Strings need quotes, as in {match[1]} = "{match[2].strip()}"'
    return f"{source}:{line_number}: {line}\n  {message}{hint}"


def _without_gin_trace(error: Exception) -> str:
    """The message without the lines in which gin tells its own calls."""
    return re.sub(r"\n\s*In call to configurable .*", "", str(error)).strip()
