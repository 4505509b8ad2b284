"""tfdgm plugins [list]          list the installed plugins with package and version
tfdgm plugins show KIND.NAME   show the documentation and gin parameters of a plugin
tfdgm plugins check KIND.NAME  run the conformance checks of tfdgm.testing on one plugin; exit code 1 if one fails
tfdgm plugins new KIND.NAME    create a package for a new plugin, ready to install
"""

import inspect
import keyword
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from tfdgm.contracts.quantity import Quantity
from tfdgm.contracts.registry import KINDS, find, load, select
from tfdgm.errors import UserError, did_you_mean
from tfdgm.system.console import print_table
from tfdgm.system.runtime import import_tensorflow

POSITIONAL = True
EXAMPLES = (
    "tfdgm plugins show prior.maf",
    "tfdgm plugins check prior.maf --gin_bindings='prior.maf.num_bijectors = 2'",
    "tfdgm plugins new likelihood.cauchy --output=plugins",
)
_ACTIONS = ("list", "show", "check", "new")


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_bool("check", False, "with list: check that every plugin can be imported", flag_values=values)
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "with check: gin statement with hyperparameters, such as prior.maf.num_bijectors = 2; may be repeated",
        flag_values=values,
    )
    flags.DEFINE_string("output", ".", "with new: the folder in which to create the package", flag_values=values)


def complete(words: Sequence[str]) -> list[str]:
    """Return what may follow `tfdgm plugins`: an action, then the name of a plugin, or for a new one its kind."""
    if not words:
        return list(_ACTIONS)
    if words == ["new"]:
        return [f"{kind}." for kind in KINDS]
    return list(dict.fromkeys(plugin.gin_name for plugin in find())) if words in (["show"], ["check"]) else []


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    action, *names = positional or ["list"]
    if action not in _ACTIONS:
        raise UserError(f"there is no command 'tfdgm plugins {action}'. {did_you_mean(action, _ACTIONS)}")
    if len(names) != (0 if action == "list" else 1):
        raise UserError(f"tfdgm plugins {action} takes {'no argument' if action == 'list' else 'one KIND.NAME'}")
    if values.gin_bindings and action != "check":
        raise UserError(f"--gin_bindings has no effect on tfdgm plugins {action}; tfdgm plugins check takes it")
    if action == "list":
        return list_plugins(values.check)
    if action == "check":
        return check(names[0], values.gin_bindings)
    return show(names[0]) if action == "show" else new(names[0], Path(values.output))


def list_plugins(check: bool) -> int:
    """Print all plugins. A broken one is reported in its row, and the exit code is 0 all the same."""
    if check:
        import_tensorflow()
    rows = []
    for plugin in find():
        problem = plugin.problem()
        if check and problem is None:
            try:
                load(plugin)
            except UserError as error:
                problem = str(error)
        clash = sum(other.gin_name == plugin.gin_name for other in find()) > 1
        name = plugin.qualified_name if clash else plugin.gin_name
        rows.append((name, plugin.package, plugin.version, problem or ("loads" if check else "found")))
    print_table(("plugin", "package", "version", "status"), rows)
    return 0


def show(name: str) -> int:
    """Print the documentation and the parameters of one plugin, and the numbers that a score reports."""
    plugin = select(name)
    import_tensorflow()
    loaded = load(plugin)
    print(f"{plugin}  ({plugin.target})\n\n{inspect.cleandoc(loaded.__doc__ or 'No documentation.')}\n")
    parameters = inspect.signature(loaded).parameters.values()
    rows = []
    for parameter in parameters:
        hint = (
            "" if parameter.annotation is parameter.empty else _readable(inspect.formatannotation(parameter.annotation))
        )
        default = "required" if parameter.default is parameter.empty else repr(parameter.default)
        rows.append((f"{plugin.gin_name}.{parameter.name}", hint, default))
    print_table(("binding", "type", "default"), rows, "gin parameters")
    if plugin.kind == "score":
        quantities: Mapping[str, Quantity] = getattr(loaded, "quantities", {})
        facts = [(key, q.unit, q.better or "", q.formula, q.samples, q.bias) for key, q in quantities.items()]
        print_table(("key", "unit", "better", "formula", "samples", "bias"), facts, "numbers")
    return 0


def check(name: str, bindings: Sequence[str]) -> int:
    """Print the outcome of every conformance check of one plugin; return 1 if one fails."""
    plugin = select(name)
    import_tensorflow()
    from tfdgm.configuration.resolve import plugin_factory
    from tfdgm.parallel.strategies import logical_cpus
    from tfdgm.testing.catalogue_of_checks import checks_of
    from tfdgm.testing.checks import Subject, run

    logical_cpus(2)  # for the check of two devices
    load(plugin)
    subject = Subject(plugin.kind, plugin_factory(name, bindings))
    subject.make()  # a value that it refuses ends the command
    print(f"{plugin}  ({plugin.target})")
    counts = Counter[str]()
    stopped: dict[str, list[str]] = {}
    for each in checks_of(plugin.kind):
        outcome = run(each, subject)
        if outcome.error is not None and outcome.reason in stopped:  # what stopped an earlier check stops this one too
            stopped[outcome.reason].append(each.name)
            continue
        if outcome.error is not None:
            stopped[outcome.reason] = []
        counts[outcome.status] += 1
        print(f"{outcome.status:<4}  {each.name}: {outcome.reason or each.demand}", flush=True)
        if outcome.status == "fail":
            print(f"      demand: {each.demand}\n      cure: {each.cure}", flush=True)
    for reason, names in stopped.items():
        if names:
            print(f"for the same reason, {reason!r}, {len(names)} other check(s) did not run: {', '.join(names)}")
    ran = counts["pass"] + counts["fail"]
    kept = f"; {sum(map(len, stopped.values()))} did not run" if any(stopped.values()) else ""
    print(f"{ran} checks ran: {counts['pass']} passed, {counts['fail']} failed; {counts['skip']} skipped{kept}")
    return 1 if counts["fail"] else 0


def _readable(annotation: str) -> str:
    """Return a type in plain words, if its full name hides which values are valid."""
    annotation = re.sub(r"typing\.Annotated\[str, 'a file or folder'\]", "path", annotation)  # FilePath
    return re.sub(r"float \| keras\.[\w.]*\.LearningRateSchedule", "number or schedule", annotation)


def new(name: str, parent: Path) -> int:
    """Write a package with one plugin of the kind, its entry point, its tests and an example of its use."""
    from tfdgm.cli.scaffold import class_name, write_package

    kind, _, plain = name.partition(".")
    if kind not in KINDS:
        raise UserError(f"{name!r} does not begin with a plugin kind. {did_you_mean(kind, KINDS)}")
    if not plain.isidentifier() or plain != plain.lower():
        raise UserError(f"the plugin's name must be a lower-case Python identifier, got {plain!r}")
    if not class_name(plain).isidentifier() or keyword.iskeyword(class_name(plain)):
        raise UserError(f"the plugin's name {plain!r} gives no name of a class; choose another")
    if not parent.is_dir():
        raise UserError(f"--output: there is no folder {parent}")
    folder = parent / f"tfdgm-{plain.replace('_', '-')}"
    if folder.exists():
        raise UserError(f"{folder} already exists")
    write_package(folder, kind, plain)
    print(f"{folder} written; install it with: {shlex.join(['pip', 'install', '-e', str(folder)])}")
    print(f"then: tfdgm plugins check {name}")
    print(f"and: {shlex.join(['tfdgm', 'train', f'--gin_file={folder}/examples/{plain}.gin'])}")
    return 0
