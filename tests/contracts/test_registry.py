"""Plugins are found by metadata and loaded by name."""

import inspect
import sys
import types

import pytest

import tfdgm
from tfdgm import UserError
from tfdgm.contracts.registry import KINDS, Plugin, find, load, select

FIRST_PARTY = [plugin for plugin in find() if plugin.package == "tfdgm"]


def student_t(kind="prior", name="student_t", package="pkg-a", version="1.2", target="pkg_a:StudentT"):
    return Plugin(kind, name, package, version, target)


@pytest.fixture
def module(monkeypatch):
    """An empty third-party module, for the test to fill."""
    made = types.ModuleType("third_party")
    monkeypatch.setitem(sys.modules, "third_party", made)
    return made


def refused(plugin):
    with pytest.raises(UserError) as raised:
        load(plugin)
    return str(raised.value)


def test_every_kind_has_a_first_party_plugin():
    assert {plugin.kind for plugin in FIRST_PARTY} == set(KINDS)


@pytest.mark.parametrize("plugin", FIRST_PARTY, ids=lambda plugin: plugin.gin_name)
def test_a_first_party_plugin_loads_and_documents_every_parameter(plugin):
    loaded = load(plugin)
    assert issubclass(loaded, getattr(tfdgm, KINDS[plugin.kind]))
    for parameter in inspect.signature(loaded).parameters.values():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert f"{parameter.name}:" in loaded.__doc__ or f"{parameter.name}, " in loaded.__doc__, parameter.name


def test_plugins_are_listed_by_kind_then_name():
    order = [(list(KINDS).index(plugin.kind), plugin.name) for plugin in find()]
    assert order == sorted(order)


def test_an_unknown_name_is_refused_with_the_most_similar():
    with pytest.raises(UserError, match=r"no prior named 'gausian'\. Did you mean 'gaussian'\?.*installed"):
        select("prior.gausian")


def test_an_unknown_name_similar_to_none_is_refused_with_all_of_its_kind():
    plugins = [student_t(name="maf"), student_t(name="gaussian"), student_t(kind="data", name="digits")]
    with pytest.raises(UserError, match="Known: gaussian, maf") as raised:
        select("prior.zzzzzz", plugins)
    assert "digits" not in str(raised.value)


def test_an_unknown_kind_is_refused_with_the_most_similar():
    with pytest.raises(UserError, match=r"no plugin kind 'priors'\. Did you mean 'prior'"):
        select("priors.gaussian")


def test_an_ambiguous_name_is_refused_with_both_packages_and_their_qualified_names_resolve():
    first, second = student_t(), student_t(package="pkg.b", version="3.4", target="pkg_b:T")
    with pytest.raises(UserError) as raised:
        select("prior.student_t", [first, second])
    assert "prior.student_t is ambiguous" in str(raised.value)
    for words in ("pkg-a 1.2", "pkg.b 3.4", "prior.pkg_a.student_t", "prior.pkg_b.student_t"):
        assert words in str(raised.value)
    assert select("prior.pkg_a.student_t", [first, second]) is first
    assert select("prior.pkg_b.student_t", [first, second]) is second


def test_a_unique_name_resolves_bare_and_qualified():
    plugin = student_t()
    assert select("prior.student_t", [plugin]) is select("prior.pkg_a.student_t", [plugin]) is plugin


@pytest.mark.parametrize(
    "target, error",
    [("there_is_no_such:Thing", "ModuleNotFoundError"), ("third_party:Missing", "AttributeError")],
)
def test_an_import_error_is_reported_with_package_and_version(module, target, error):
    message = refused(student_t(target=target))
    assert "prior.student_t of pkg-a 1.2 cannot be loaded" in message and error in message


def test_an_error_raised_on_import_is_reported_with_package_and_version(tmp_path, monkeypatch):
    (tmp_path / "raising_plugin.py").write_text("raise RuntimeError('no such device')")
    monkeypatch.syspath_prepend(tmp_path)
    message = refused(student_t(target="raising_plugin:Thing"))
    assert "pkg-a 1.2 cannot be loaded: RuntimeError: no such device" in message


def test_a_class_of_another_kind_is_refused(module):
    module.Thing = type("Thing", (tfdgm.Network,), {})
    assert "is not a subclass of tfdgm.Prior" in refused(student_t(target="third_party:Thing"))


def test_a_function_is_refused(module):
    module.thing = lambda: None
    assert "is not a subclass of tfdgm.Prior" in refused(student_t(target="third_party:thing"))


def test_a_class_that_lacks_a_method_of_its_contract_is_refused(module):
    module.Thing = type("Thing", (tfdgm.Prior,), {})
    assert "does not define distribution, which tfdgm.Prior requires" in refused(student_t(target="third_party:Thing"))


@pytest.mark.parametrize(
    "contract, methods",
    {
        "Prior": {"distribution"},
        "Posterior": {"latent_spec", "feature_shape", "distribution", "__call__"},
        "Likelihood": {"output_shape", "distribution"},
        "Objective": {"model_loss"},
        "Network": {"build", "__call__"},
        "Data": {"splits"},
        "Source": {"__len__", "gather"},
        "Callback": set(),
    }.items(),
)
def test_a_contract_requires_these_methods(contract, methods):
    assert getattr(tfdgm, contract).__abstractmethods__ == methods


@pytest.mark.parametrize(
    "contract, name, near",
    [
        ("Prior", "ovr", "over"),
        ("Prior", "need_posterior", "needs_posterior"),
        ("Prior", "conditionl", "conditional"),
        ("Prior", "distribtion", "distribution"),
        ("Prior", "update_statistic", "update_statistics"),
        ("Prior", "plugin_apis", "plugin_api"),
    ],
)
def test_a_misspelt_name_of_the_contract_is_refused(module, contract, name, near):
    module.Thing = type("Thing", (getattr(tfdgm, contract),), {name: True})
    message = refused(student_t(target="third_party:Thing"))
    assert f"defines {name!r}, which tfdgm.{contract} does not have; did you mean {near!r}?" in message


def test_a_class_that_defines_both_names_or_a_private_one_misspells_neither(module):
    module.Thing = type("Thing", (tfdgm.Prior,), {"distribution": None, "over": "latent", "overs": 1, "_ovr": 2})
    assert load(student_t(target="third_party:Thing")) is module.Thing


def test_another_version_of_the_contracts_is_refused(module):
    module.Thing = type("Thing", (tfdgm.Prior,), {"plugin_api": tfdgm.PLUGIN_API + 1})
    message = refused(student_t(target="third_party:Thing"))
    assert f"written for version {tfdgm.PLUGIN_API + 1}" in message and f"has version {tfdgm.PLUGIN_API}" in message


def test_the_present_version_of_the_contracts_is_accepted(module):
    module.Thing = type("Thing", (tfdgm.Prior,), {"plugin_api": tfdgm.PLUGIN_API, "distribution": None})
    assert load(student_t(target="third_party:Thing")) is module.Thing


def test_arbitrary_keywords_are_refused(module):
    class Thing(tfdgm.Prior):
        distribution = None

        def __init__(self, **settings):
            pass

    module.Thing = Thing
    assert "takes **settings" in refused(student_t(target="third_party:Thing"))


def test_a_target_inside_a_class_is_found(module):
    inner = type("Inner", (tfdgm.Prior,), {"distribution": None})
    module.Outer = type("Outer", (), {"Inner": inner})
    assert load(student_t(target="third_party:Outer.Inner")) is inner
