"""Configuration by gin. Only this module imports gin, and `gin_grammar` its parser.

A config is read twice. First tfdgm reads its statements in order, later ones overriding earlier ones, resolves names to
plugins, loads these, and reports every error with file and line. The statements give the canonical text, which is
written to `config.gin`. Then gin parses that text.
"""

import dataclasses
import inspect
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gin.selector_map import SelectorMap

import gin
from tfdgm.configuration import keras_objects
from tfdgm.configuration.config_files import DEFAULT_CONFIG
from tfdgm.configuration.file_paths import file_parameters, make_paths_absolute
from tfdgm.configuration.gin_grammar import Reference, parse_value
from tfdgm.configuration.gin_parser import (
    Preference,
    Statements,
    flatten,
    located,
    no_parameter,
    read_statements,
)
from tfdgm.contracts.component import check_type
from tfdgm.contracts.data import Data
from tfdgm.contracts.registry import Plugin, load
from tfdgm.errors import UserError, described
from tfdgm.parallel.strategies import Placement
from tfdgm.runs.experiment import Experiment
from tfdgm.runs.placed import placed
from tfdgm.runs.settings import experiment


@dataclasses.dataclass
class Config:
    """A resolved configuration.

    Attributes:
      text: canonical gin, re-runnable as it stands.
      plugins: the plugins that the experiment uses.
      placement: where to run; needed first, since optimizers are created for their devices.
      operative: all values that the last call of `experiment` used, defaults included, as a config.
    """

    text: str
    plugins: list[Plugin]
    placement: Placement
    operative: str = ""

    def experiment(self, workdir: Path | None = None, data: Data | None = None) -> Experiment:
        """Call `experiment` with all bindings.

        Args:
          workdir: folder of the run, to which values that begin with `{workdir}` refer.
          data: replaces the data that is configured, which then is not read.

        Raises:
          UserError: the experiment or a plugin refuses a value.
        """
        with own_gin():
            made = _called("tfdgm.experiment", self.text if workdir is None else placed(self.text, workdir), data)
            self.operative = _operative()
        return made


def _called(selector: str, text: str, data: Data | None = None) -> Any:
    """Return what a configurable makes of a configuration, with other data than the configured, if given.

    Raises:
      UserError: it refuses a value.
    """
    try:
        gin.parse_config(text)
        if data is None:
            return gin.get_configurable(selector)()
        gin.bind_parameter(f"{selector}.data", None)  # gin would create it even if a call replaces it
        return gin.get_configurable(selector)(data=data)
    except UserError as error:
        raise UserError(_without_gin_trace(error)) from None
    except Exception as error:
        raise UserError(_refusal(error)) from error


def _operative() -> str:
    """Return the used values; gin's `operative_config_str` would shorten names so much that they lose their kind."""
    statements = Statements()
    for (scope, selector), parameters in _GIN._OPERATIVE_CONFIG.items():
        for name, value in parameters.items():
            try:
                literal = parse_value(repr(value))
            except UserError:  # an object that is a default
                continue
            if selector == "gin.macro":
                statements.macros[scope] = (literal, "")
            else:
                statements.bindings[scope, selector.removeprefix("tfdgm."), name] = (literal, "")
    return statements.text()


def read_config(
    files: Sequence[str],
    bindings: Sequence[str] = (),
    base: str | None = None,
    prefer: Preference = lambda name: None,
) -> Config:
    """Read and resolve files in order, then bindings; later statements override earlier ones.

    Args:
      files: paths, or short paths of packaged configs.
      bindings: gin statements, one or more lines each.
      base: the text of a resolved configuration, read first.
      prefer: the package to choose for the name of a plugin that several provide.

    Raises:
      UserError: a name, parameter, macro or file is unknown, a macro is unused, or the syntax is invalid.
    """
    return resolve(read_statements(files, bindings, base, prefer))


def resolve(statements: Statements) -> Config:
    """Load and register everything that the statements name, and check their parameters.

    Raises:
      UserError: a plugin does not load, a name or parameter is unknown, or a required argument is not set.
    """
    plugins = _load_all(statements)
    bound = {parameter for _, selector, parameter in statements.bindings if selector == "experiment"}
    for name, argument in inspect.signature(experiment).parameters.items():
        if argument.default is argument.empty and name not in bound:
            raise UserError(f"experiment.{name} is not set; {DEFAULT_CONFIG} is an example of a complete config")
    if len(set(plugins.values())) < len(plugins):
        raise UserError("the same plugin is used under two names: " + ", ".join(sorted(plugins)))
    reachable = statements.reachable()
    used = [plugin for selector, plugin in plugins.items() if selector in reachable]
    make_paths_absolute(statements, _file_parameters(plugins))
    return Config(statements.text(), used, _placement(statements))


def plugin_factory(selector: str, bindings: Sequence[str] = ()) -> Callable[[], Any]:
    """Return a function that creates instances of one plugin with the hyperparameters that gin statements bind.

    Args:
      selector: `KIND.NAME` or `KIND.PACKAGE.NAME`.
      bindings: gin statements, one or more lines each.

    Raises:
      UserError: a statement is invalid or binds nothing that the plugin uses; or, from the function, the plugin refuses
        a value.
    """
    statements = read_statements([], bindings)
    for name in statements.bindings:
        if name[1] == "experiment":
            raise UserError(f"experiment.{name[2]} has no effect on {selector} alone; bind its own parameters")
    kind = selector.partition(".")[0]
    if kind in ("objective", "score", "callback"):
        parameter, value = f"{kind}s", "[@{}()]"
    else:
        parameter, value = "encoder" if kind == "network" else kind, "@{}()"
    statements.read(f"experiment.{parameter} = {value.format(selector)}", "the command", None)
    _load_all(statements)
    unused = sorted({name for _, name, _ in statements.bindings} - statements.reachable())
    if unused:
        raise UserError(f"{', '.join(unused)}: bound, but {selector} does not use it")
    text = statements.text()

    def make() -> Any:
        with own_gin():
            return _called(selector, text)

    return make


def _load_all(statements: Statements) -> dict[str, Plugin]:
    """Load and register everything that the statements name, check the parameters, and return the plugins by name."""
    plugins: dict[str, Plugin] = {}
    for (_, selector, parameter), (_, where) in statements.bindings.items():
        with located(where):
            _check_parameter(selector, _resolve(selector, plugins, statements), parameter)
    for value, where in statements.values():
        with located(where):
            for item in flatten(value):
                if isinstance(item, Reference):
                    _resolve(item.selector, plugins, statements)
    _register("experiment", experiment)
    return plugins


def _file_parameters(plugins: dict[str, Plugin]) -> set[tuple[str, str]]:
    """Return (selector, parameter) of everything that is annotated as a path of the user."""
    configurables: dict[str, Any] = {
        "experiment": experiment,
        **{selector: load(plugin) for selector, plugin in plugins.items()},
    }
    return {(selector, name) for selector, each in configurables.items() for name in file_parameters(each)}


def _placement(statements: Statements) -> Placement:
    chosen = {}
    for name, hint in inspect.get_annotations(Placement, eval_str=True).items():
        if ("", "experiment", name) in statements.bindings:
            chosen[name] = statements.value(name)
            with located(statements.bindings["", "experiment", name][1]):
                check_type(f"experiment.{name}", chosen[name], hint)
    return Placement(**chosen)


def _resolve(selector: str, plugins: dict[str, Plugin], statements: Statements) -> Any:
    """Return `experiment`, the class of a plugin, or the constructor of a Keras object for a selector."""
    if selector == "experiment":
        return experiment
    if selector.startswith("keras."):
        configurable = keras_objects.find_configurable(selector)
    else:
        plugins.setdefault(selector, statements.plugin(selector))
        configurable = load(plugins[selector])
    _register(selector, configurable)
    return configurable


_registered: dict[str, Any] = {}


def _register(selector: str, configurable: Any) -> None:
    if _registered.get(selector) is configurable:
        return
    module, _, name = f"tfdgm.{selector}".rpartition(".") if selector == "experiment" else selector.rpartition(".")
    with own_gin(), _GIN.interactive_mode():  # in a long-lived process, another class may have had this name
        gin.external_configurable(configurable, name=name, module=module)
    _registered[selector] = configurable


_GIN = gin.config
_gin_lock = threading.RLock()


def _gin_globals() -> dict[str, Any]:
    """Return new values of gin's global state, as after its import."""
    built_in = {selector: made for selector, made in _GIN._REGISTRY.items() if selector.startswith("gin.")}
    registry, constants = SelectorMap(), SelectorMap()
    for selector, made in built_in.items():
        registry[selector] = made
    constants["gin.REQUIRED"] = gin.REQUIRED
    return {
        "_REGISTRY": registry,
        "_INVERSE_REGISTRY": {made.wrapped: made for made in built_in.values()},
        "_RENAMED_SELECTORS": {},
        "_CONFIG": {},
        "_CONFIG_IS_LOCKED": False,
        "_INTERACTIVE_MODE": False,
        "_IMPORTS": set(),
        "_OPERATIVE_CONFIG": {},
        "_CONSTANTS": constants,
        "_SINGLETONS": {},
        "_PARSE_CONTEXTS": [_GIN.ParseContext()],
    }


#: What `_register` adds to; a program that uses gin has a registry of its own, in which names would be ambiguous.
_registries = {name: value for name, value in _gin_globals().items() if "REGISTRY" in name}


@contextmanager
def own_gin() -> Iterator[None]:
    """Give gin an empty configuration within the block, outside all scopes, and restore the caller's after it."""
    with _gin_lock:
        own = _gin_globals() | _registries
        kept = {name: getattr(_GIN, name) for name in own}
        vars(_GIN).update(own)
        try:
            with gin.config_scope(None):
                yield
        finally:
            vars(_GIN).update(kept)


def _check_parameter(selector: str, configurable: Any, name: str) -> None:
    known = [
        parameter.name
        for parameter in inspect.signature(configurable).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if name not in known:
        raise no_parameter(selector, name, known)


#: gin appends a line to the message of an exception for each call that it passes, the innermost first.
_GIN_TRACE = re.compile(r"\n\s*In call to configurable '([^']*)'.*")


def _without_gin_trace(error: Exception) -> str:
    return _shortened(_GIN_TRACE.sub("", str(error)).strip())


def _refusal(error: Exception) -> str:
    """Return the message about another exception: the configurable, and the place unless it is about a value."""
    called = _GIN_TRACE.search(str(error))
    refused = f"{called[1] if called else 'the experiment'} refused the configuration: "
    message = _without_gin_trace(error)
    return refused + (message if isinstance(error, (TypeError, ValueError)) and message else described(error, message))


def _shortened(message: str, longest: int = 1_000) -> str:
    """Cut the middle out of a long message."""
    if len(message) <= longest:
        return message
    return f"{message[: longest * 2 // 3]} ... {message[-longest // 3 :]}"
