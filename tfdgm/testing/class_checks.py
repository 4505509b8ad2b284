"""Checks that read the class and its constructor."""

import inspect
import typing
from typing import Any, ClassVar

import tfdgm
from tfdgm.contracts.component import fits, named_variables
from tfdgm.contracts.made_variables import variables_made
from tfdgm.contracts.registry import KINDS
from tfdgm.contracts.spelling import misspelt
from tfdgm.testing.checks import Subject, check
from tfdgm.version import PLUGIN_API

EVERY = tuple(KINDS)
#: Attributes with a finite set of values, by kind.
_VALUES = {("prior", "over"): ("vectors", "codes", "latent")}


def _contract(subject: Subject) -> Any:
    return getattr(tfdgm, KINDS[subject.kind])


@check(*EVERY, cure="Subclass the contract of the kind, define its abstract methods, and return instances.")
def factory_gives_fresh_instances(subject: Subject) -> None:
    """The factory returns a fresh instance of the kind's contract in every call."""
    first, second = subject.make(), subject.make()
    contract = _contract(subject)
    subject.require(isinstance(first, contract), "", f"the factory returned {first!r}", f"a tfdgm.{contract.__name__}")
    subject.require(first is not second, "", "the factory returned one object twice", "a fresh instance per call")


@check(*EVERY, cure="Annotate every parameter of __init__, and name every hyperparameter instead of **kwargs.")
def parameters_are_annotated(subject: Subject) -> None:
    """Every parameter of `__init__` is named and annotated."""
    for parameter in inspect.signature(type(subject.make())).parameters.values():
        variadic = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        subject.require(not variadic, "__init__", f"it takes {parameter}", "named hyperparameters only")
        annotated = parameter.annotation is not parameter.empty
        subject.require(annotated, "__init__", f"{parameter.name} has no annotation", "an annotation, which is checked")


@check(*EVERY, cure="Give the parameter a default of the annotated type, or widen the annotation.")
def defaults_fit_their_annotations(subject: Subject) -> None:
    """Every default of `__init__` is a value that its annotation allows."""
    cls = type(subject.make())
    hints = typing.get_type_hints(inspect.unwrap(cls.__init__), include_extras=True)
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.default is not parameter.empty and parameter.name in hints:
            good = fits(parameter.default, hints[parameter.name])
            wanted = f"a value of {inspect.formatannotation(hints[parameter.name])}"
            subject.require(good, "__init__", f"the default of {parameter.name} is {parameter.default!r}", wanted)


@check(*EVERY, cure=f"Set plugin_api = {PLUGIN_API} once the plugin implements that version of the contracts.")
def plugin_api_is_this_version(subject: Subject) -> None:
    """`plugin_api`, where a class declares it, is the version of this package's contracts."""
    version = getattr(type(subject.make()), "plugin_api", PLUGIN_API)
    subject.require(version == PLUGIN_API, "plugin_api", f"it is {version!r}", f"{PLUGIN_API}")


@check(*EVERY, cure="Spell the attribute as the contract does, or choose a name that is less like it.")
def no_attribute_is_misspelt(subject: Subject) -> None:
    """No attribute or method has almost the name of one of the contract, which it would not override."""
    plugin = subject.make()
    found = misspelt(type(plugin), _contract(subject), vars(plugin))
    if found is not None:
        subject.fail(found[0], "the contract has no such name", f"{found[1]!r}, or another name")


@check(*EVERY, cure="Set the attribute to a value that the contract's documentation allows.")
def attributes_have_the_contracts_types(subject: Subject) -> None:
    """The contract's attributes have values of the documented types."""
    plugin = subject.make()
    for name, hint in typing.get_type_hints(_contract(subject), include_extras=True).items():
        if hasattr(plugin, name):
            value = getattr(plugin, name)
            plain = typing.get_args(hint)[0] if typing.get_origin(hint) is ClassVar else hint
            wanted = f"a value of {inspect.formatannotation(plain)}"
            allowed = _VALUES.get((subject.kind, name))
            if allowed is not None:
                wanted = " or ".join(map(repr, allowed))
            good = value in allowed if allowed is not None else fits(value, plain)
            subject.require(good, name, f"it is {value!r}", wanted)
    subject.require(getattr(plugin, "critic_steps", 0) >= 0, "critic_steps", "it is negative", "0 or more")
    if getattr(plugin, "critic_steps", 0):
        subject.require(plugin.optimizer is not None, "optimizer", "it is None", "the adversary's Keras optimizer")


@check(*EVERY, cure="Make variables in `build`, which runs on the devices of the run and knows all shapes.")
def constructor_makes_no_variables(subject: Subject) -> None:
    """`__init__` makes no variable, except those of optimizers."""
    with variables_made() as made:
        plugin = subject.make()
    optimizer = getattr(plugin, "optimizer", None)
    allowed = {id(variable.value) for variable in getattr(optimizer, "variables", ())}
    found = [str(each) for each in made if id(each.variable) not in allowed]
    found += [] if found else [name for name in named_variables(plugin) if not name.startswith("optimizer")]
    subject.require(not found, "__init__", f"it makes {'; '.join(found)}", "no variable before `build`")
