"""Commands that read a trained workdir: eval, sample, export; and the files of training."""

import json
import os
import re
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from small import command

from tfdgm import DataSpec
from tfdgm.cli.results import command_on
from tfdgm.reporting.pictures import grid, save_examples
from tfdgm.runs.workdir import Workdir

KEYS = {
    "elbo", "reconstruction", "rate", "mutual_information", "marginal_kl", "nll_iwae", "nll_iwae_samples",
    "active_units", "step", "seed", "data_split", "num_examples",
}  # fmt: skip


@pytest.fixture(scope="module")
def exported(trained_workdir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "model"
    assert command("export", f"--workdir={trained_workdir}", f"--output={folder}", "--num_samples=50") == 0
    return folder


@pytest.fixture(scope="module")
def copied(trained_workdir, tmp_path_factory):
    """Copy the workdir, so that other tests do not see the files written."""
    return shutil.copytree(trained_workdir, tmp_path_factory.mktemp("copied") / "elsewhere")


@pytest.fixture(scope="module")
def scores(copied):
    assert command("eval", f"--workdir={copied}", "--num_samples=50") == 0
    return json.loads((copied / "eval.json").read_text())


def test_a_run_writes_the_documented_files(trained_workdir):
    names = {path.name for path in trained_workdir.iterdir()}
    assert {"config.gin", "operative_config-40.gin", "run.json", "checkpoints", "metrics.jsonl", "samples", "eval.json",
            "scores.json", "report.html"} <= names  # fmt: skip
    assert not list(trained_workdir.rglob("*.tmp"))


def test_run_json_records_versions_seed_and_plugins(trained_workdir):
    facts = json.loads((trained_workdir / "run.json").read_text())
    assert facts["seed"] == 0
    assert facts["versions"]["tensorflow"] == tf.__version__
    assert facts["plugins"]["prior.gaussian"]["distribution"] == "tfdgm"


@pytest.mark.slow
def test_restarting_a_finished_run_keeps_its_files_and_records_the_start(
    trained_workdir, tmp_path, monkeypatch, capsys
):
    folder = shutil.copytree(trained_workdir, tmp_path / "run")
    first = json.loads((folder / "run.json").read_text())
    before = {name: (folder / name).read_bytes() for name in ("eval.json", "report.html")}
    monkeypatch.setattr(sys, "argv", ["tfdgm", "again"])
    assert command("train", f"--workdir={folder}") == 0
    printed = capsys.readouterr().out
    assert (
        f"step 40 has already been scored, in {folder / 'eval.json'}" in printed and "tfdgm eval --workdir" in printed
    )
    assert {name: (folder / name).read_bytes() for name in before} == before
    facts = json.loads((folder / "run.json").read_text())
    assert facts["argv"] == first["argv"] != ["tfdgm", "again"] and facts["started"] == first["started"]
    assert [start["argv"] for start in facts["starts"]] == [first["argv"], ["tfdgm", "again"]]
    assert all(set(start) == {"argv", "started", "git_commit", "step"} for start in facts["starts"])

    (folder / "report.html").unlink()
    assert command("train", f"--workdir={folder}") == 0
    assert (folder / "report.html").exists() and (folder / "eval.json").read_bytes() == before["eval.json"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_scoring_ends_the_run_and_prints_how_to_score_it(
    trained_workdir, tmp_path, monkeypatch, capsys, number
):
    from tfdgm.cli import results

    folder = shutil.copytree(trained_workdir, tmp_path / "run")
    (folder / "eval.json").unlink()
    before = signal.getsignal(number)
    monkeypatch.setattr(results, "score", lambda *arguments: os.kill(os.getpid(), number) or time.sleep(60))
    assert command("train", f"--workdir={folder}") == 128 + number
    printed = capsys.readouterr()
    assert "scoring 300 examples of the test split" in printed.out
    assert (
        f"{number.name}: stopped while scoring; the model is saved; to score: tfdgm eval --workdir={folder}"
        in printed.err
    )
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("name", ["train", "eval"])
def test_a_command_in_a_hint_is_quoted_for_a_shell(name):
    shown = command_on(Workdir(Path("my runs/it's")), name)
    assert shlex.split(shown) == ["tfdgm", name, "--workdir=my runs/it's"]


def test_eval_json_is_flat_finite_and_complete(scores):
    assert set(scores) - {"binarization"} >= KEYS
    assert all(isinstance(value, (int, float, str)) for value in scores.values())
    assert all(np.isfinite(value) for value in scores.values() if not isinstance(value, str))
    assert scores["step"] == 40 and scores["num_examples"] == 300 and scores["nll_iwae_samples"] == 50
    assert scores["elbo"] <= -scores["nll_iwae"]  # more samples, tighter bound; the gap is some nats here


def test_chosen_scores_are_the_only_ones_and_have_the_same_values(trained_workdir, tmp_path, scores, capsys):
    chosen = tmp_path / "run"
    shutil.copytree(trained_workdir, chosen)
    flags = ["--scores=wasserstein", "--scores=codes"]
    assert command("eval", f"--workdir={chosen}", "--num_samples=50", *flags) == 0
    found = json.loads((chosen / "eval.json").read_text())
    note = found.pop("codes_note")
    assert note.startswith("score.codes of tfdgm") and note.endswith("does not apply: the latent is not discrete")
    about = {"step", "seed", "data_split", "num_examples", "binarization"}
    assert set(found) == {"wasserstein", "wasserstein_samples"} | about
    assert found == {name: scores[name] for name in found}
    assert "wasserstein_samples" in capsys.readouterr().out


def test_the_meaning_of_every_number_stands_beside_the_scores(trained_workdir, scores):
    meanings = json.loads((trained_workdir / "scores.json").read_text())
    numbers = [name for name, value in scores.items() if not isinstance(value, str)]
    described = [name for name in meanings if name in numbers]
    assert described == [name for name in numbers if name not in ("step", "seed", "num_examples")]
    assert meanings["elbo"]["unit"] == "nats per example" and meanings["elbo"]["better"] == "larger"


def test_the_report_is_self_contained(trained_workdir):
    page = (trained_workdir / "report.html").read_text()
    sources = re.findall(r"(?:src|href)\s*=\s*['\"]([^'\"]*)", page)
    assert len(sources) >= 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in page and "@import" not in page
    assert "experiment.latent_size = 4" in page
    assert "left an example of the test split, right its reconstruction" in page
    plugin = json.loads((trained_workdir / "run.json").read_text())["plugins"]["prior.gaussian"]
    assert f"<td>prior.gaussian</td><td>{plugin['distribution']} {plugin['version']}</td>" in page


def test_the_pictures_of_a_run_open_and_have_the_size_of_their_grid(trained_workdir):
    picture = matplotlib.image.imread(trained_workdir / "samples" / "samples-40.png")
    side = 8 * (8 + 1) + 1  # 8 x 8 digits of 8 pixels, a pixel between
    factor = 512 // side
    assert picture.shape[:2] == (side * factor, side * factor)
    assert matplotlib.image.imread(trained_workdir / "samples" / "reconstructions-40.png").ndim == 3


@pytest.mark.slow
def test_samples_depend_on_the_seed_only(trained_workdir, tmp_path):
    drawn = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        path = tmp_path / f"{name}.npz"
        assert command("sample", f"--workdir={trained_workdir}", "--num=7", f"--seed={seed}", f"--output={path}") == 0
        with np.load(path) as arrays:
            drawn.append({key: arrays[key] for key in arrays.files})
    for key, shape in {"x": (7, 64), "mean": (7, 64), "z": (7, 4)}.items():
        assert drawn[0][key].shape == shape
        np.testing.assert_array_equal(drawn[0][key], drawn[1][key])
        assert (drawn[0][key] != drawn[2][key]).any()
    assert set(np.unique(drawn[0]["x"])) == {0.0, 1.0}


def test_a_png_of_samples_has_one_tile_per_sample(trained_workdir, tmp_path):
    assert command("sample", f"--workdir={trained_workdir}", "--num=6", f"--output={tmp_path / 'a.png'}") == 0
    height, width = 2 * 9 + 1, 3 * 9 + 1
    factor = 512 // height
    assert matplotlib.image.imread(tmp_path / "a.png").shape[:2] == (height * factor, width * factor)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["sample", "--output=a.gif"], ".png, .npz, .csv or .parquet"),
        (["sample", "--output=nowhere/a.png"], "no folder nowhere"),
        (["sample", "--output=a.png", "--num=0"], "--num must be at least 1"),
        (["eval", "--split=tset"], "no split 'tset'"),
        (["eval", "--num_samples=0"], "at least 1"),
        (["eval", "--scores=codes,mdm"], "no score named 'mdm'. Did you mean 'mmd'"),
        (["eval", "--scores=codes,"], "empty name"),
        (["eval", "--output=a.txt"], ".json, .csv, .md or .tex"),
        (["eval", "--num_samples=many"], "num_samples"),
        (["export"], "--output is required"),
        (["eval", "stray"], "takes no argument 'stray'"),
        (["eval", "--spilt=test"], "spilt"),
    ],
)
def test_a_user_error_is_one_message_and_code_2(trained_workdir, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert command(*arguments, f"--workdir={trained_workdir}") == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["eval", "sample", "export"])
def test_a_folder_without_a_run_is_refused(tmp_path, capsys, name):
    output = [] if name == "eval" else [f"--output={tmp_path / 'a.png'}"]
    assert command(name, f"--workdir={tmp_path}", *output) == 2
    assert "is not a workdir" in capsys.readouterr().err


def test_export_overwrites_nothing(trained_workdir, exported, capsys):
    assert command("export", f"--workdir={trained_workdir}", f"--output={exported}") == 2
    assert "not an empty folder" in capsys.readouterr().err


def test_the_exported_functions_have_the_documented_shapes_for_any_batch(exported):
    model = tf.saved_model.load(str(exported))
    seed = tf.constant([1, 2])
    for count in (1, 5):
        x = tf.zeros([count, 64])
        drawn = model.sample(tf.constant(count), seed)
        assert {name: tuple(value.shape) for name, value in drawn.items()} == {
            "x": (count, 64), "mean": (count, 64), "z": (count, 4),
        }  # fmt: skip
        assert tuple(model.encode(x, seed)["z"].shape) == (count, 4)
        assert tuple(model.encode(x, seed)["mean"].shape) == (count, 4)
        assert tuple(model.reconstruct(x, seed)["mean"].shape) == (count, 64)
        assert tuple(model.log_prob(x, seed)["log_prob"].shape) == (count,)
        assert tuple(model.decode(tf.zeros([count, 4]))["mean"].shape) == (count, 64)
        assert tuple(model.encode_mean(x)["z"].shape) == (count, 4)
        assert tuple(model.reconstruct_mean(x)["mean"].shape) == (count, 64)
    assert set(model.signatures) == {
        "sample", "decode", "encode", "encode_mean", "reconstruct", "reconstruct_mean", "log_prob", "serving_default",
    }  # fmt: skip


def test_the_exported_functions_without_a_seed_agree_with_those_that_draw(exported):
    model = tf.saved_model.load(str(exported))
    x, seed = tf.random.stateless_uniform([3, 64], [0, 1]), tf.constant([1, 2])
    drawn, mean = model.sample(tf.constant(3), seed), model.encode_mean(x)["z"]
    close = {"rtol": 1e-5, "atol": 1e-6}  # the same float32 operations in another graph
    np.testing.assert_allclose(model.decode(drawn["z"])["mean"], drawn["mean"], **close)
    np.testing.assert_allclose(mean, model.encode(x, seed)["mean"], **close)
    np.testing.assert_allclose(model.reconstruct_mean(x)["mean"], model.decode(mean)["mean"], **close)
    served = model.signatures["serving_default"](z=mean)["mean"]
    np.testing.assert_allclose(served, model.decode(mean)["mean"], **close)


def of_onnx(file, x):
    from onnxruntime import InferenceSession

    session = InferenceSession(file)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def of_tflite(file, x):
    run = tf.lite.Interpreter(str(file)).get_signature_runner()
    (argument,) = run.get_input_details()
    return next(iter(run(**{argument: x}).values()))


@pytest.mark.parametrize("form, result", [("onnx", of_onnx), ("tflite", of_tflite)])
def test_converted_functions_have_the_results_of_the_exported_ones(trained_workdir, exported, tmp_path, form, result):
    folder = tmp_path / "converted"
    assert command("export", f"--workdir={trained_workdir}", f"--output={folder}", f"--format={form}") == 0
    model = tf.saved_model.load(str(exported))
    for name, size in (("decode", 4), ("encode_mean", 64), ("reconstruct_mean", 64)):
        for count in (1, 3):
            x = tf.random.stateless_uniform([count, size], [0, 1])
            (expected,) = getattr(model, name)(x).values()
            found = result(folder / f"{name}.{form}", x.numpy())
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # float32 in another order
    assert len(list(folder.iterdir())) == 3


def test_exported_functions_are_pure_functions_of_their_seed(exported):
    model = tf.saved_model.load(str(exported))
    first, again, other = (model.sample(tf.constant(4), tf.constant([0, s]))["z"].numpy() for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_exported_log_prob_is_the_bound_of_eval(exported, scores):
    from tfdgm_data.digits import Digits

    model = tf.saved_model.load(str(exported))
    x = tf.constant(Digits().splits()["test"].rows)
    one, two = (-model.log_prob(x, tf.constant([s, s]))["log_prob"].numpy() for s in (1, 2))
    # Both average 300 examples, each a bound of 50 samples; the spread between two seeds tells their Monte Carlo error.
    error = np.std(one - two) / np.sqrt(2 * 300)
    assert error < 0.1
    assert abs(one.mean() - scores["nll_iwae"]) < 5 * np.sqrt(2) * error


@pytest.mark.slow
def test_a_copied_export_has_the_scores_of_the_workdir(exported, scores, tmp_path):
    elsewhere = shutil.copytree(exported, tmp_path / "elsewhere")
    assert command("eval", f"--workdir={elsewhere}", "--num_samples=50") == 0
    assert json.loads((elsewhere / "eval.json").read_text()) == scores


def test_a_grid_lays_pictures_out_in_rows_with_gaps():
    canvas = grid(np.stack([np.full((2, 3), value) for value in (0.1, 0.2, 0.3)]), columns=2)
    assert canvas.shape == (2 * 3 + 1, 2 * 4 + 1)
    assert canvas[1, 1] == 0.1 and canvas[1, 5] == 0.2 and canvas[4, 1] == 0.3 and canvas[4, 5] == 0.5


@pytest.mark.parametrize("shape, channels", [((4, 4), None), ((4, 4, 3), 3)])
def test_pictures_in_grey_and_in_colour_keep_their_values(tmp_path, shape, channels):
    spec = DataSpec(shape=shape, low=-1.0, high=1.0, image_shape=shape)
    save_examples(tmp_path / "a.png", np.full((1, *shape), 0.5, np.float32), spec)
    picture = matplotlib.image.imread(tmp_path / "a.png")
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2, :3]
    np.testing.assert_allclose(middle, 0.75, atol=1 / 255)  # eight bits


def test_points_of_the_plane_are_drawn_as_a_scatter(tmp_path):
    save_examples(tmp_path / "a.png", np.random.RandomState(0).randn(30, 2), DataSpec(shape=(2,)))
    assert matplotlib.image.imread(tmp_path / "a.png").shape[:2] == (600, 600)  # 5 inches of 120 dots
