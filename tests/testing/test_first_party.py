"""All installed plugins pass the kit, as a third party's would: with defaults, or what a plugin requires."""

import numpy as np
import pandas
import pytest
from PIL import Image

from tfdgm.contracts import registry
from tfdgm.testing.catalogue_of_checks import checks_of
from tfdgm.testing.checks import Subject, run

pytestmark = pytest.mark.slow


def npz(folder):
    np.savez(folder / "rows.npz", train=np.random.RandomState(0).rand(20, 3).astype(np.float32))
    return {"path": str(folder / "rows.npz")}


def images(folder):
    for number in range(20):
        pixels = np.random.RandomState(number).randint(256, size=(8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return {"path": str(folder), "size": 4}


def table(folder):
    pandas.DataFrame({"number": np.linspace(0, 1, 20), "name": ["a", "b", "c", None] * 5}).to_csv(folder / "rows.csv")
    return {"path": str(folder / "rows.csv"), "drop": ("Unnamed: 0",)}


def labelled(*shape):
    """Make images as Keras stores them."""

    def arrays(folder):
        random = np.random.RandomState(0)
        x = random.randint(256, size=(40, *shape)).astype(np.uint8)
        y = random.randint(10, size=40)
        np.savez(folder / "images.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
        return {"path": str(folder / "images.npz"), "num_validation": 7}

    return arrays


#: What the plugins without a default need, made in a folder.
REQUIRED = {
    "data.npz": npz,
    "data.image_folder": images,
    "data.table": table,
    "callback.mlflow": lambda folder: {"uri": f"sqlite:///{folder / 'store.db'}"},
    "callback.wandb": lambda folder: {"project": "kit", "mode": "offline"},
}
#: What stands in for a download.
DOWNLOADED = {
    "data.mnist": labelled(28, 28),
    "data.fashion_mnist": labelled(28, 28),
    "data.cifar10": labelled(32, 32, 3),
}
#: Requires data that TensorFlow Datasets has prepared; its own tests prepare some.
LEFT_OUT = {"data.tfds"}
PLUGINS = [plugin for plugin in registry.find() if plugin.gin_name not in LEFT_OUT]


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.gin_name)
def test_an_installed_plugin_passes_every_check_that_applies(plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDGM_CACHE", "off")
    settings = {**REQUIRED, **DOWNLOADED}.get(plugin.gin_name, lambda folder: {})(tmp_path)
    loaded = registry.load(plugin)
    subject = Subject(plugin.kind, lambda: loaded(**settings))
    outcomes = [run(check, subject) for check in checks_of(plugin.kind)]
    assert [f"{each.check.name}: {each.reason}" for each in outcomes if each.status == "fail"] == []
    passed = sum(each.status == "pass" for each in outcomes)
    assert passed >= 0.7 * len(outcomes)  # what is skipped says so with a reason, and is the smaller part


def test_only_a_plugin_without_a_default_is_given_settings():
    for name in REQUIRED:
        plugin = registry.select(name)
        with pytest.raises(Exception, match=r"path|uri|project"):
            registry.load(plugin)()


def labelled_npz(folder):
    rows, labels = np.random.RandomState(0).rand(20, 3).astype(np.float32), np.arange(20) % 4
    np.savez(folder / "rows.npz", train=rows, train_labels=labels)
    return {"path": str(folder / "rows.npz")}


def labelled_images(folder):
    for name in ("cats", "dogs"):
        (folder / name).mkdir()
        images(folder / name)
    return {"path": str(folder), "size": 4}


def learned(folder):
    return {"per_condition": True, "learned_mean": True}


@pytest.mark.parametrize(
    "name, settings, check",
    [
        ("prior.gaussian", learned, "prior_reads_its_condition"),  # which refuses a run without a condition
        ("data.npz", labelled_npz, "conditions_fit_the_spec"),
        ("data.image_folder", labelled_images, "conditions_fit_the_spec"),
    ],
)
def test_a_plugin_set_to_use_conditions_passes_every_check(tmp_path, name, settings, check):
    plugin = registry.select(name)
    loaded, given = registry.load(plugin), settings(tmp_path)
    subject = Subject(plugin.kind, lambda: loaded(**given))
    outcomes = {each.name: run(each, subject) for each in checks_of(plugin.kind)}
    assert {name: each.reason for name, each in outcomes.items() if each.status == "fail"} == {}
    assert outcomes[check].status == "pass"
