"""The base of all plugins: checked hyperparameters, named variables, two hooks for learning without gradients."""

import functools
import inspect
import math
import re
import types
import typing
from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

import keras
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.guard import guard_methods, guarded
from tfdgm.contracts.made_variables import Made, variables_made
from tfdgm.contracts.schedule import Schedule, scheduled
from tfdgm.errors import PluginFault, UserError


class Component(ABC):  # noqa: B024  (each contract has its own abstract methods)
    """Base class of every contract.

    Hyperparameters are keyword arguments of `__init__`, checked against its annotations. Variables are created later,
    in `build`. Calls are pure functions of their arguments and the variables.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        contracts = [base for base in cls.__mro__[1:] if Component in base.__bases__]
        if contracts and "_results" in vars(contracts[-1]):
            guard_methods(cls, contracts[-1], vars(contracts[-1])["_results"])
        if "__init__" in cls.__dict__:
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]

    #: Defined by a contract whose methods are guarded: by method, a function that returns what its result should be if
    #: it is something else.
    _results: ClassVar[Mapping[str, Callable[[Any], str | None]]] = {}

    #: `KIND.NAME`, set when the registry loads the class; messages use it.
    plugin_name: ClassVar[str | None] = None

    @classmethod
    def display_name(cls) -> str:
        """Return the name to use in messages: the plugin's name in a config, or else the class's."""
        return vars(cls).get("plugin_name") or cls.__name__

    def require(self, condition: bool, message: str) -> None:
        """Raise `tfdgm.UserError`, naming this plugin, unless `condition` holds."""
        if not condition:
            raise UserError(f"{self.display_name()}: {message}")

    def require_positive(
        self, name: str, value: Schedule, *, low: float = 1e-6, high: float = 1e6, steps: int | None = None
    ) -> None:
        """Raise `tfdgm.UserError` if a hyperparameter is outside [`low`, `high`], with `low` > 0.

        The default bounds suit a number that is once a factor, a divisor, squared, or in an exponential's argument: at
        either bound, with all other factors of order 1, float32 values and the optimizers' squared gradients stay
        finite.

        Args:
          name: the parameter's name, for the message.
          value: a number, or a schedule, which is checked only if `steps` is given.
          low, high: the bounds, inclusive.
          steps: number of steps of the run (`BuildContext.steps`); a schedule is checked at 101 of them.
        """
        self._require_between(name, value, low, high, steps)

    def require_not_negative(self, name: str, value: Schedule, *, high: float = 1e6, steps: int | None = None) -> None:
        """Raise `tfdgm.UserError` if a hyperparameter is outside [0, `high`]; see `require_positive`."""
        self._require_between(name, value, 0.0, high, steps)

    def _require_between(self, name: str, value: Schedule, low: float, high: float, steps: int | None) -> None:
        if isinstance(value, (int, float)):
            self.require(low <= value <= high, f"{name} {_bound(value, low, high)}, got {value}")
        elif steps is not None:
            for step in sorted({round(steps * share / 100) for share in range(101)}):
                at = float(scheduled(value, tf.constant(step, tf.int64)))
                self.require(
                    low <= at <= high, f"{name} {_bound(at, low, high)}, but its schedule gives {at:g} at step {step}"
                )

    def trainable_variables(self) -> list[Any]:
        """Return the trainable variables below this component, in a fixed order."""
        return list(trainable(named_variables(self)).values())

    def update_statistics(self, totals: dict[str, tf.Tensor], context: Context) -> None:  # noqa: B027
        """Update variables once a step, from the global batch's totals of statistics passed to `context.collect`."""

    def project(self) -> None:  # noqa: B027
        """Project variables onto their feasible set after an optimizer's step (weight clipping, data range)."""


def _bound(value: float, low: float, high: float) -> str:
    """Return which of the two bounds a value violates."""
    if not math.isfinite(value):
        return "must be finite"
    if value > high:
        return f"must be at most {high:g}"
    if low == 0:
        return "must not be negative"
    return "must be positive" if value <= 0 else f"must be at least {low:g}"


def _checked(init: Any) -> Any:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked_init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise UserError(f"{self.display_name()}: {error}") from None
        hints = typing.get_type_hints(init, include_extras=True)
        for name, value in list(bound.arguments.items())[1:]:
            if name in hints:
                check_type(f"{self.display_name()}.{name}", value, hints[name])
        with variables_made() as made:
            guarded(init, "__init__")(self, *args, **kwargs)
        if made and type(self).__init__ is checked_init:
            _refuse_early_variables(self, made)

    # gin reads parameters and defaults from this signature; it does not unwrap.
    checked_init.__signature__ = signature  # type: ignore[attr-defined]
    return checked_init


def _refuse_early_variables(component: Component, made: list[Made]) -> None:
    """Refuse variables that a plugin's constructor made, other than an optimizer's: its devices are not known yet.

    Data have no `build`: their constructors may make variables, of a classifier for example.
    """
    if hasattr(component, "splits"):
        return
    holders = (holder for _, holder in _holders(component, "", set()))
    optimizers = (holder for holder in holders if isinstance(holder, keras.optimizers.Optimizer))
    allowed = {id(raw(variable)) for optimizer in optimizers for variable in optimizer.variables}
    early = [str(each) for each in made if id(each.variable) not in allowed]
    guarded_bases = [base for base in type(component).__mro__[1:] if base is not Component and "_results" in vars(base)]
    if early and guarded_bases:
        raise PluginFault(f"{component.display_name()}: __init__ makes {early[0]}; make it in build")


#: The annotation of a float that may be NaN, infinite or outside the range of float32.
AnyFloat: TypeAlias = Annotated[float, "not finite too"]

_INT64 = range(-(2**63), 2**63)
_LARGEST_FLOAT32 = 3.4028234663852886e38


def check_type(name: str, value: Any, hint: Any) -> None:
    """Raise `UserError` unless `value` fits the annotation `hint`.

    An int is accepted as a float. Ints must fit into int64. Floats must be finite in float32, unless the annotation is
    `AnyFloat`.
    """
    if not fits(value, hint):
        raise UserError(f"{name} must be {_spell(hint)}, got {value!r} ({type(value).__name__}){_beyond(value)}")


def fits(value: Any, hint: Any) -> bool:
    if hint is Any or hint is inspect.Parameter.empty:
        return True
    if hint is AnyFloat:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Annotated:
        return fits(value, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in arguments)
    if origin is typing.Literal:
        return any(value == option and type(value) is type(option) for option in arguments)  # 1 == True == 1.0
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, typing.Sequence)):
        # gin writes lists and tuples alike
        return isinstance(value, (list, tuple)) and all(fits(item, arguments[0]) for item in value)
    if origin is not None:
        return isinstance(value, origin) if inspect.isclass(origin) else True
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST_FLOAT32
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and value in _INT64
    if hint is None:
        return value is None
    return isinstance(value, hint) if inspect.isclass(hint) else True


def _beyond(value: Any) -> str:
    """Return why a number of the right type is refused, or an empty string."""
    if isinstance(value, float) and not abs(value) <= _LARGEST_FLOAT32:
        return ", which is not finite in float32"
    if isinstance(value, int) and value not in _INT64:
        return ", which does not fit into int64"
    return ""


def _spell(hint: Any) -> str:
    if hint is type(None):
        return "None"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _spell(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spell(option) for option in arguments)
    if origin is typing.Literal:
        return " or ".join(repr(option) for option in arguments)
    if origin in (list, tuple) or (inspect.isclass(origin) and issubclass(origin, typing.Sequence)):
        return f"a list of {_spell(arguments[0])}"
    return getattr(hint, "__name__", str(hint))


Variable = Any  # keras.Variable or tf.Variable


def named_variables(root: Any, prefix: str = "") -> dict[str, Variable]:
    """Return all variables below `root`, by a structural path that is independent of creation order elsewhere.

    Searches components, Keras layers and optimizers, lists, tuples and dicts. A variable with several paths is listed
    under the first.
    """
    found: dict[str, Variable] = {}
    seen: set[int] = set()
    for path, holder in _holders(root, prefix, set()):
        for name, variable in _own_variables(holder):
            if id(variable) not in seen:
                seen.add(id(variable))
                found[f"{path}{name}"] = variable
    return found


def name_layers(root: Any) -> None:
    """Name all Keras layers and optimizers below `root` after their path.

    Keras numbers them across the whole process, and their names are in the programs that they are compiled to.
    """
    for path, holder in _holders(root, "", set()):
        if isinstance(holder, (keras.Layer, keras.optimizers.Optimizer)):
            holder.name = re.sub(r"[^A-Za-z0-9]", "_", path)


def _own_variables(holder: Any) -> Iterator[tuple[str, Variable]]:
    """Yield (end of the path, variable) of a variable, layer or optimizer."""
    if isinstance(holder, keras.optimizers.Optimizer):
        # Keras names these after its layers, which it numbers across the whole process.
        for position, variable in enumerate(holder.variables):
            yield f"/{position}", variable
    elif isinstance(holder, keras.Layer):
        for position, variable in enumerate(holder.variables):
            name = getattr(variable, "name", "variable").split(":")[0].rsplit("/", 1)[-1]
            yield f"/{position}_{name}", variable
    else:
        yield "", holder


def _holders(node: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield (path, variable, layer or optimizer) below a node."""
    if isinstance(node, (keras.Variable, tf.Variable, keras.Layer, keras.optimizers.Optimizer)):
        yield path, node
        return
    if id(node) in visited:
        return
    if isinstance(node, Component):
        children = list(vars(node).items())
    elif isinstance(node, dict):
        children = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, (list, tuple)):
        children = [(str(position), value) for position, value in enumerate(node)]
    else:
        return
    visited.add(id(node))
    for name, child in children:
        yield from _holders(child, f"{path}/{name.lstrip('_')}" if path else name.lstrip("_"), visited)


def trainable(variables: dict[str, Variable]) -> dict[str, Variable]:
    """Return the variables that are trainable."""
    return {path: variable for path, variable in variables.items() if variable.trainable}


def raw(variable: Variable) -> tf.Variable:
    """Return the TensorFlow variable behind a Keras one."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def components(root: Any) -> list[Component]:
    """Return all components below `root`, including `root`, each once."""
    found: list[Component] = []

    def visit(node: Any) -> None:
        if isinstance(node, Component):
            if any(node is other for other in found):
                return
            found.append(node)
            for child in vars(node).values():
                visit(child)
        elif isinstance(node, dict):
            for child in node.values():
                visit(child)
        elif isinstance(node, (list, tuple)):
            for child in node:
                visit(child)

    visit(root)
    return found
