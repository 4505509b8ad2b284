"""gin configs: precedence, refusals and messages."""

import os

import numpy as np
import pytest
from PIL import Image
from small import TINY_BINDINGS, silent
from tfdgm_data.digits import Digits

from tfdgm import UserError
from tfdgm.configuration.config_files import config_root, find_file
from tfdgm.configuration.resolve import DEFAULT_CONFIG, read_config
from tfdgm.parallel.devices import Devices
from tfdgm.training.trainer import Trainer

PACKAGED = sorted(str(path.relative_to(config_root())) for path in config_root().rglob("*.gin"))


def configured(*bindings, files=(DEFAULT_CONFIG,)):
    return read_config([str(file) for file in files], bindings)


def refused(*bindings, files=(DEFAULT_CONFIG,)):
    """The message with which a config is refused, at the latest when the experiment is made."""
    with pytest.raises(UserError) as raised:
        configured(*bindings, files=files).experiment()
    message = str(raised.value)
    assert "Traceback" not in message and "In call to configurable" not in message
    return message


# ---- what wins


def test_later_files_win_over_earlier_ones_and_bindings_over_files(tmp_path):
    first, second = tmp_path / "first.gin", tmp_path / "second.gin"
    first.write_text("experiment.latent_size = 2\nexperiment.batch_size = 16\nexperiment.seed = 5")
    second.write_text("experiment.latent_size = 3\nexperiment.batch_size = 24")
    made = configured("experiment.latent_size = 6", files=[DEFAULT_CONFIG, first, second]).experiment()
    assert (made.latent_size, made.batch_size, made.seed) == (6, 24, 5)


def test_the_last_of_several_bindings_wins():
    made = configured("experiment.seed = 1", "experiment.seed = 2\nexperiment.seed = 3").experiment()
    assert made.seed == 3


def test_a_file_includes_one_beside_it_and_packaged_ones(tmp_path):
    (tmp_path / "base.gin").write_text("include 'digits/vae.gin'\nexperiment.latent_size = 3\nexperiment.seed = 9")
    (tmp_path / "top.gin").write_text("include 'base.gin'\nexperiment.latent_size = 5")
    made = configured(files=[tmp_path / "top.gin"]).experiment()
    assert (made.latent_size, made.seed) == (5, 9)


def test_a_macro_reaches_every_place_that_names_it():
    made = configured("steps = 70").experiment()
    assert made.steps == 70
    assert made.optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == 70


def test_a_scope_gives_one_of_two_instances_a_value_of_its_own():
    made = configured(
        "network.mlp.hidden = (7,)", "encoder/network.mlp.hidden = (5, 6)", "decoder/network.mlp.activation = 'tanh'"
    ).experiment()
    assert (made.encoder.hidden, made.decoder.hidden) == ((5, 6), (7,))
    assert (made.encoder.activation, made.decoder.activation) == ("gelu", "tanh")


def test_a_packaged_config_is_found_by_its_short_path_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file("digits/vae.gin") == config_root() / "digits/vae.gin"


def test_an_optimizer_and_a_schedule_of_keras_are_set_by_gin():
    made = configured(
        "experiment.optimizer = @keras.optimizers.SGD()",
        "keras.optimizers.SGD.learning_rate = @keras.optimizers.schedules.ExponentialDecay()",
        "keras.optimizers.schedules.ExponentialDecay.initial_learning_rate = 0.5",
        "keras.optimizers.schedules.ExponentialDecay.decay_steps = 10",
        "keras.optimizers.schedules.ExponentialDecay.decay_rate = 0.25",
        "keras.optimizers.SGD.momentum = 0.75",
    ).experiment()
    assert type(made.optimizer).__name__ == "SGD"
    assert made.optimizer.momentum == 0.75
    assert made.optimizer.get_config()["learning_rate"]["config"]["decay_rate"] == 0.25


def test_the_weight_of_the_rate_may_be_a_schedule():
    made = configured(
        "objective.elbo.beta = @keras.optimizers.schedules.PolynomialDecay()",
        "keras.optimizers.schedules.PolynomialDecay.initial_learning_rate = 0.0",
        "keras.optimizers.schedules.PolynomialDecay.decay_steps = 10",
        "keras.optimizers.schedules.PolynomialDecay.end_learning_rate = 1.0",
    ).experiment()
    (objective,) = made.objectives.values()
    assert float(objective.beta(5)) == 0.5


# ---- the canonical text


@pytest.mark.parametrize(
    "binding",
    [
        "steps = 5",
        "experiment.clip_norm = 1e-7",
        "encoder/network.mlp.hidden = (1, 2, 3)\ndecoder/network.mlp.hidden = []",
        "network.mlp.hidden = (" + ", ".join(["1234"] * 60) + ")",
        "experiment.objectives = [@a/objective.elbo(), @b/objective.elbo()]\na/objective.elbo.weight = 2.5",
        "width = 12\nencoder/network.mlp.hidden = (%width, %width)",
        "network.mlp.activation = 'it\\'s \"quoted\"'",
    ],
)
def test_the_canonical_text_reads_back_to_itself(binding):
    text = configured(binding).text
    assert read_config([], base=text).text == text


def test_the_canonical_text_makes_the_same_experiment():
    config = configured("encoder/network.mlp.hidden = (5, 6)", "experiment.latent_size = 3", "steps = 7")
    first, second = config.experiment(), read_config([], base=config.text).experiment()
    assert (first.encoder.hidden, first.latent_size, first.steps) == ((5, 6), 3, 7)
    assert (second.encoder.hidden, second.latent_size, second.steps) == ((5, 6), 3, 7)


def test_the_text_does_not_depend_on_the_order_of_the_statements():
    one = configured("experiment.seed = 1", "network.mlp.hidden = (3,)").text
    assert configured("network.mlp.hidden = (3,)", "experiment.seed = 1").text == one


def test_a_config_names_the_plugins_that_it_uses():
    names = {plugin.gin_name for plugin in configured().plugins}
    assert names == {
        "data.digits", "prior.gaussian", "posterior.gaussian", "likelihood.bernoulli", "network.mlp", "objective.elbo",
    }  # fmt: skip


def test_a_plugin_that_is_replaced_is_none_of_those_that_it_uses():
    used = {plugin.gin_name for plugin in configured("experiment.data = @data.ring()").plugins}
    assert "data.ring" in used and "data.digits" not in used


def test_a_plugin_is_used_that_another_one_is_given_by_a_macro():
    used = {plugin.gin_name for plugin in configured(
        "critic = @critic/network.conv()",
        "experiment.objectives = [@objective.elbo(), @objective.jsd()]\nobjective.jsd.network = %critic",
        "network.conv.width = 8",
    ).plugins}  # fmt: skip
    assert {"network.conv", "network.mlp", "objective.jsd"} <= used


# ---- what is refused


@pytest.mark.parametrize(
    "binding, expected",
    [
        ("experiment.prior = @prior.gausian()", ["no prior named 'gausian'", "Did you mean 'gaussian'"]),
        ("network.mlp.hiden = (3,)", ["network.mlp has no parameter 'hiden'", "Did you mean 'hidden'"]),
        ("experiment.batchsize = 3", ["experiment has no parameter 'batchsize'", "Did you mean 'batch_size'"]),
        ("experiment.steps = %stepps", ["unknown macro %stepps", "Did you mean 'steps'"]),
        ("experment.steps = 3", ["'experment' is not configurable", "Did you mean 'experiment'"]),
        ("priors.gaussian.learned_mean = True", ["'priors.gaussian' is not configurable"]),
        ("prior.gausian.learned_mean = True", ["no prior named 'gausian'"]),
        (
            "experiment.optimizer = @keras.optimizers.Adamm()",
            ["keras.optimizers.Adamm does not exist", "keras.optimizers.Adam"],
        ),
        ("keras.optimizers.Adam.learnin_rate = 1.0", ["no parameter 'learnin_rate'", "'learning_rate'"]),
        ("import os", ["may not import"]),
        ("from os import path", ["may not import"]),
        ("network.mlp.activation = tanh", ["--gin_bindings:1", "quotes", '"tanh"']),
        ("experiment.prior = @prior.gaussian", ["is a class", "@prior.gaussian()"]),
        ("experiment.steps =", ["--gin_bindings"]),
        ("experiment.steps = (1,", ["--gin_bindings"]),
    ],
)
def test_a_mistake_in_a_config_is_reported_with_its_place_and_the_nearest_name(binding, expected):
    message = refused(binding)
    for words in expected:
        assert words in message


@pytest.mark.parametrize(
    "macro, expected",
    [
        ("step = 500", "unused macro 'step'. Did you mean 'steps'?"),
        ("seed = 3", "unused macro 'seed'. Did you mean 'experiment.seed'?"),
        ("batchsize = 3", "unused macro 'batchsize'. Did you mean 'experiment.batch_size'"),
        ("xyzzy = 3", "unused macro 'xyzzy'. Use it, as in experiment.NAME = %xyzzy, or remove it"),
    ],
)
def test_an_unused_macro_is_refused_with_its_place_and_a_suggestion(tmp_path, macro, expected):
    assert refused("experiment.seed = 1", macro).startswith(f"--gin_bindings:1: {macro}\n  {expected}")
    (tmp_path / "mine.gin").write_text(f"include 'digits/vae.gin'\n{macro}")
    path = tmp_path / "mine.gin"
    assert refused(files=[path]).startswith(f"{path}:2: {macro}\n  {expected}")


def test_a_macro_whose_use_is_overridden_is_not_refused(tmp_path):
    (tmp_path / "mine.gin").write_text("include 'digits/vae.gin'\nlength = 7\nexperiment.steps = %length")
    made = read_config([str(tmp_path / "mine.gin")], ["experiment.steps = 3"])
    assert made.experiment().steps == 3


def test_a_macro_is_read_by_a_macro_and_by_a_plugin_that_is_not_used():
    made = configured("width = 9\nwidths = (%width, %width)\nnetwork.mlp.hidden = %widths\ndepth = 3\n"
                      "network.conv.width = %depth").experiment()  # fmt: skip
    assert made.encoder.hidden == (9, 9)


def test_an_unused_macro_of_an_included_or_earlier_file_is_dropped(tmp_path):
    (tmp_path / "base.gin").write_text("include 'digits/vae.gin'\nsize = 5\nexperiment.latent_size = %size")
    (tmp_path / "top.gin").write_text("include 'base.gin'\nexperiment.latent_size = 3")
    (tmp_path / "last.gin").write_text("experiment.latent_size = 3")
    included = configured(files=[tmp_path / "top.gin"])
    earlier = configured(files=[tmp_path / "base.gin", tmp_path / "last.gin"])
    assert included.text == earlier.text and "size = 5" not in included.text
    assert included.experiment().latent_size == 3
    (tmp_path / "config.gin").write_text(included.text)
    assert configured(files=[tmp_path / "config.gin"]).text == included.text


def test_a_mistake_in_a_file_is_reported_with_its_line(tmp_path):
    (tmp_path / "mine.gin").write_text("\n# a comment\nnetwork.mlp.hiden = (3,)\n")
    message = refused(files=[DEFAULT_CONFIG, tmp_path / "mine.gin"])
    assert f"{tmp_path / 'mine.gin'}:3: network.mlp.hiden = (3,)" in message


@pytest.mark.parametrize(
    "binding, expected",
    [
        ("experiment.steps = 'many'", ["experiment.steps must be int", "'many'"]),
        ("experiment.steps = 1.5", ["experiment.steps must be int"]),
        ("experiment.steps = True", ["experiment.steps must be int"]),
        ("experiment.steps = 0", ["experiment.steps must be at least 1"]),
        ("experiment.seed = -1", ["experiment.seed"]),
        ("experiment.clip_norm = -1.0", ["experiment.clip_norm must be", "-1.0"]),
        ("experiment.ema_decay = 1.0", ["experiment.ema_decay must be between 0 and 1"]),
        ("experiment.latent_size = -2", ["experiment.latent_size must be at least 1"]),
        ("experiment.batch_size = 1298", ["batch_size 1298 is larger than the training split", "1297"]),
        ("experiment.shards = 3", ["batch_size 128 is not divisible by experiment.shards 3"]),
        ("experiment.prior = @likelihood.bernoulli()", ["experiment.prior must be Prior"]),
        ("experiment.prior = None", ["experiment.prior must be Prior"]),
        ("experiment.objectives = []", ["experiment.objectives is empty"]),
        ("experiment.objectives = [@prior.gaussian()]", ["experiment.objectives must be a list of Objective"]),
        ("experiment.encoder = None", ["experiment.posterior needs experiment.encoder"]),
        ("experiment.posterior = None", ["experiment.encoder has no effect"]),
        ("experiment.posterior = None\nexperiment.encoder = None", ["needs a posterior"]),
        ("network.mlp.hidden = (-3,)", ["must be positive", "-3"]),
        ("network.mlp.hidden = ('a',)", ["hidden must be a list of int"]),
        ("network.mlp.activation = 'rleu'", ["rleu"]),
        ("network.mlp.dropout = 1.0", ["dropout must be in [0, 1)"]),
        ("objective.elbo.beta = -1.0", ["beta must not be negative"]),
        ("objective.elbo.beta = 'warm'", ["beta must be"]),
        ("data.digits.binarization = 'sometimes'", ["'none' or 'dynamic' or 'static'", "'sometimes'"]),
        ("keras.optimizers.Adam.clipnorm = 1.0", ["clipnorm", "use experiment.clip_norm"]),
        ("keras.optimizers.Adam.global_clipnorm = 1.0", ["use experiment.clip_norm"]),
        ("keras.optimizers.Adam.clipvalue = 1.0", ["use experiment.clip_norm"]),
        ("keras.optimizers.Adam.use_ema = True", ["use experiment.ema_decay"]),
        ("keras.optimizers.Adam.gradient_accumulation_steps = 2", ["use experiment.shards"]),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused(binding, expected):
    message = refused(binding)
    for words in expected:
        assert words in message


@pytest.mark.parametrize(
    "error, message",
    [
        (ValueError("no such rows"), "experiment refused the configuration: no such rows"),
        (KeyError("rows"), "experiment refused the configuration: KeyError: 'rows' (file "),
        (MemoryError("7 TiB"), "experiment refused the configuration: MemoryError: 7 TiB (file "),
        (ValueError(), "experiment refused the configuration: ValueError (file "),
        (ValueError("x" * 10_000), "experiment refused the configuration: xxx"),
    ],
)
def test_an_exception_of_a_component_is_reported_with_its_place(monkeypatch, error, message):
    def fail(self):
        raise error

    monkeypatch.setattr(Digits, "splits", fail)
    assert refused().startswith(message) and len(refused()) < 1_200
    assert "(file" not in message or f'(file "{__file__}", line ' in refused()


@pytest.mark.parametrize("missing", ["data", "prior", "likelihood", "decoder", "objectives"])
def test_a_required_part_that_is_not_set_is_named(tmp_path, missing):
    lines = configured().text.splitlines()
    (tmp_path / "part.gin").write_text("\n".join(line for line in lines if f"experiment.{missing} =" not in line))
    assert f"experiment.{missing} is not set" in refused(files=[tmp_path / "part.gin"])


def test_a_refused_config_leaves_nothing_behind_for_the_next():
    refused("network.mlp.hidden = (-3,)", "experiment.seed = 4")
    assert configured().experiment().seed == 0
    assert configured().experiment().encoder.hidden == (256, 256)


# ---- the packaged configs

#: Configs that are added to another one.
ADDED_TO = {"digits/warmup.gin": "digits/vae.gin"}
#: What stands in for data that is not on every machine, of the same kind of examples.
STAND_INS = {
    "mnist/vae.gin": "experiment.data = @data.digits()",
    "mnist/vamp.gin": "experiment.data = @data.digits()",
    "mnist/gated.gin": "experiment.data = @data.digits()",
    "cifar10/vqvae.gin": "experiment.data = @data.photos()",
}
#: Shape of an example in the file that `data.npz` reads.
EXAMPLES = {
    "arrays/reals.gin": (4,),
    "arrays/binary.gin": (8, 8),
    "arrays/levels.gin": (8, 8),
    "mnist/vamp_static.gin": (28, 28),
    "uci/power.gin": (6,),
    "uci/gas.gin": (8,),
    "uci/hepmass.gin": (21,),
    "uci/miniboone.gin": (43,),
    "uci/bsds300.gin": (63,),
}


def stand_in(name, folder):
    """The binding that gives a packaged config data."""
    if name.startswith("images/"):
        (folder / "images").mkdir()
        for number in range(80):
            pixels = np.random.RandomState(number).randint(256, size=(24, 40, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        return f'data.image_folder.path = "{folder / "images"}"'
    if name.startswith("tables/"):
        rows = "".join(f"{place / 7},{'abc'[place % 3]}\n" for place in range(600))
        (folder / "rows.csv").write_text(f"number,name\n{rows}")
        return f'data.table.path = "{folder / "rows.csv"}"'
    if name not in EXAMPLES:
        return STAND_INS.get(name, "")
    random = np.random.RandomState(0)
    splits = {split: random.rand(600, *EXAMPLES[name]).astype(np.float32) for split in ("train", "validation", "test")}
    if name == "arrays/levels.gin":
        splits = {split: (255 * x).astype(np.uint8) for split, x in splits.items()}
    np.savez(folder / "examples.npz", **{split: x.round() if x.ndim == 3 else x for split, x in splits.items()})
    return f'data.npz.path = "{folder / "examples.npz"}"'


def files(name):
    base = DEFAULT_CONFIG if "/matrix/" in name else ADDED_TO.get(name)
    return [base, name] if base else [name]


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_config_reads_back_to_itself(name):
    text = read_config(files(name)).text
    assert read_config([], base=text).text == text


@pytest.mark.slow
@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_config_runs_two_steps(name, tmp_path, own_process):
    own_process(check_two_steps, name, tmp_path)


def check_two_steps(name, tmp_path):
    os.environ["TFDGM_CACHE"] = "off"
    Devices.one_program = False  # as a graph: compiling every config would take minutes
    bindings = ["experiment.steps = 2", "experiment.steps_per_loop = 2", "experiment.keep_best = None"]
    bindings.append(stand_in(name, tmp_path))
    experiment = read_config(files(name), bindings).experiment()
    experiment.splits.pop("validation", None)
    trainer = Trainer(experiment.build(), tmp_path, silent)
    assert trainer.train().step == 2
    assert trainer.checkpoints.steps() == [0, 2]


def test_a_packaged_config_says_purpose_duration_score_and_command():
    for name in PACKAGED:
        text = (config_root() / name).read_text()
        for word in ("Purpose:", "Duration:", "Score:", "Command:"):
            assert f"# {word}" in text, (name, word)


def test_the_tiny_bindings_of_these_tests_are_valid():
    assert configured(TINY_BINDINGS).experiment().steps == 40
