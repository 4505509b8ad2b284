"""Data sets that TensorFlow Datasets has prepared: small ones, written here. Nothing is downloaded."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small import context, points_experiment, silent
from tfdgm_data.tfds import TFDS
from tfdgm_likelihoods.bernoulli import Bernoulli

from tfdgm import UserError
from tfdgm.training.trainer import Trainer

datasets = pytest.importorskip("tensorflow_datasets")

SIZES = {"train": 40, "test": 7}
FORMATS = ["array_record", "tfrecord"]


def image(split, number, shape, dtype=np.uint8):
    """Image `number` of a split; its first pixel is the number."""
    pixels = np.random.RandomState(1000 * list(SIZES | {"validation": 0}).index(split) + number)
    pixels = pixels.randint(0, 256, [side or 3 + number for side in shape]).astype(dtype)
    pixels[0, 0, 0] = number
    return pixels


def prepare(where, name="tfdgm_tiny", file_format="array_record", sizes=SIZES, shape=(5, 4, 1), dtype=np.uint8):
    """Write a data set to `where`; its class is not registered, so TFDS finds it by its files."""
    features = {
        "image": datasets.features.Image(shape=shape, dtype=dtype),
        "label": datasets.features.ClassLabel(num_classes=3),
        "more": {"numbers": datasets.features.Sequence(np.int64)},
    }

    def _info(self):
        return datasets.core.DatasetInfo(builder=self, features=datasets.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {split: self._generate_examples(split) for split in sizes}

    def _generate_examples(self, split):
        for number in range(sizes[split]):
            pixels = image(split, number, shape, dtype)
            yield number, {"image": pixels, "label": number % 3, "more": {"numbers": list(range(number))}}

    members = {
        "VERSION": datasets.core.Version("1.0.0"),
        "_info": _info,
        "_split_generators": _split_generators,
        "_generate_examples": _generate_examples,
    }
    with datasets.core.registered.skip_registration():
        base = datasets.core.GeneratorBasedBuilder
        builder = type("".join(part.title() for part in name.split("_")), (base,), members)
    shards = datasets.download.DownloadConfig(num_shards=2)
    builder(data_dir=where, file_format=file_format).download_and_prepare(download_config=shards)
    return {"name": name, "data_dir": str(where)}


@pytest.fixture(scope="module", autouse=True)
def nothing_is_written_at_home():
    home = Path.home() / "tensorflow_datasets"
    before = home.exists()
    datasets.disable_progress_bar()
    yield
    assert home.exists() == before


@pytest.fixture(scope="module", params=FORMATS)
def tiny(request, tmp_path_factory):
    """The arguments that name a data set with training and test images."""
    return prepare(tmp_path_factory.mktemp(request.param), file_format=request.param)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("records"))


def rows_of(source):
    return source.gather(np.arange(len(source)))


def numbers_of(source):
    return rows_of(source)[:, 0, 0, 0].tolist()


def refused(settings, **changes):
    with pytest.raises(UserError) as raised:
        TFDS(**{**settings, **changes})
    return str(raised.value)


def test_the_labels_are_those_of_the_images(tiny):
    data = TFDS(**tiny)
    assert data.spec.condition.categories == 3
    for source in data.splits().values():
        everything = np.arange(len(source))
        np.testing.assert_array_equal(source.conditions(everything), np.array(numbers_of(source)) % 3)


def test_the_images_are_those_that_were_written_in_any_order(tiny):
    splits = TFDS(**tiny).splits()
    assert {name: len(source) for name, source in splits.items()} == SIZES
    for name, source in splits.items():
        assert source.shape == (5, 4, 1) and source.dtype == np.uint8
        numbers = numbers_of(source)
        assert sorted(numbers) == list(range(SIZES[name]))  # TensorFlow Datasets shuffles once, when it prepares
        expected = np.stack([image(name, number, (5, 4, 1)) for number in numbers])
        order = np.random.RandomState(0).permutation(np.repeat(np.arange(SIZES[name]), 2))
        np.testing.assert_array_equal(source.gather(order), expected[order])


def test_the_order_is_the_same_in_every_format(records, tmp_path):
    others = prepare(tmp_path, file_format="tfrecord")
    assert numbers_of(TFDS(**others).splits()["train"]) == numbers_of(TFDS(**records).splits()["train"])


def test_array_records_are_read_as_they_are_needed_and_others_at_once(tiny):
    by_position = "array_record" in tiny["data_dir"]
    for source in TFDS(**tiny).splits().values():
        assert (hasattr(source, "records"), hasattr(source, "rows")) == (by_position, not by_position)


def test_num_validation_takes_the_last_training_images(tiny):
    whole = numbers_of(TFDS(**tiny).splits()["train"])
    splits = TFDS(**tiny, num_validation=6).splits()
    assert numbers_of(splits["train"]) == whole[:34]
    assert numbers_of(splits["validation"]) == whole[34:]
    assert len(splits["test"]) == 7


def test_a_validation_split_of_the_data_set_is_used_and_not_replaced(tmp_path):
    settings = prepare(tmp_path, sizes={"train": 5, "validation": 3})
    splits = TFDS(**settings).splits()
    assert {name: len(source) for name, source in splits.items()} == {"train": 5, "validation": 3}
    assert "has a validation split; set num_validation to 0" in refused(settings, num_validation=2)


def test_x_is_grey_or_colour_divided_by_255(tmp_path, records):
    data = TFDS(**records)
    x = data.observe(tf.constant(data.splits()["train"].gather(np.array([3]))), context())
    np.testing.assert_allclose(x, data.splits()["train"].gather(np.array([3])) / 255, rtol=1e-6)  # float32
    spec = data.spec
    assert (spec.shape, spec.image_shape, spec.low, spec.high, spec.levels) == ((5, 4, 1), (5, 4), 0, 1, 256)
    assert spec.binarized is None
    colour = TFDS(**prepare(tmp_path, shape=(3, 6, 3)))
    assert colour.spec.shape == colour.spec.image_shape == (3, 6, 3)


@pytest.mark.parametrize(
    "binarization, fixed", [("static", {"train", "validation", "test"}), ("dynamic", {"validation", "test"})]
)
def test_fixed_pixels_are_the_documented_draws_and_the_same_on_every_read(tiny, binarization, fixed):
    grey = TFDS(**tiny, num_validation=6).splits()
    first, second = (TFDS(**tiny, num_validation=6, binarization=binarization) for _ in range(2))
    assert (first.spec.levels, first.spec.binarized) == (2, binarization)
    seeds = {"test": 1, "validation": 2, "train": 3}
    for name, source in first.splits().items():
        rows = rows_of(source)
        np.testing.assert_array_equal(rows, rows_of(second.splits()[name]))
        if name in fixed:
            uniform = [
                np.random.Generator(np.random.Philox(key=[seeds[name], row])).random((5, 4, 1))
                for row in range(len(source))
            ]
            np.testing.assert_array_equal(rows, 255 * (np.array(uniform) < rows_of(grey[name]) / 255))
        else:
            np.testing.assert_array_equal(rows, rows_of(grey[name]))


def test_dynamic_pixels_of_training_are_drawn_anew_and_fixed_ones_stay(records):
    data = TFDS(**records, binarization="dynamic")
    for name in ("train", "test"):
        rows = tf.constant(rows_of(data.splits()[name]))
        observe = tf.function(lambda step, rows=rows: data.observe(rows, context(step=step)), jit_compile=True)
        first, again, other = (observe(tf.constant(step)).numpy() for step in (0, 0, 1))
        assert set(np.unique(first)) == {0.0, 1.0}
        np.testing.assert_array_equal(first, again)
        assert (first != other).any() == (name == "train")


def test_static_pixels_are_not_drawn_again(records):
    data = TFDS(**records, binarization="static")
    rows = rows_of(data.splits()["train"])
    np.testing.assert_array_equal(data.observe(tf.constant(rows), context()), rows // 255)


def test_the_run_records_source_split_and_binarization(records):
    facts = TFDS(**records, num_validation=6).describe()
    assert facts == {
        "source": f"tfdgm_tiny in {records['data_dir']}",
        "split": {"train": 34, "test": 7, "validation": 6},
    }
    facts = TFDS(**records, num_validation=6, binarization="dynamic").describe()
    assert facts["binarization_train"] == "dynamic: Bernoulli(grey) at every step"
    assert facts["binarization_validation"] == "static: Philox(key=[2, row])"
    assert facts["binarization_test"] == "static: Philox(key=[1, row])"
    facts = TFDS(**records, binarization="static").describe()
    assert facts["binarization_train"] == "static: Philox(key=[3, row])"


def test_missing_data_is_refused_with_its_name_and_folder(records, tmp_path):
    where = records["data_dir"]
    assert f"cannot open {where} for 'tfdgm_tidy'" in refused(records, name="tfdgm_tidy")
    assert f"cannot open {tmp_path} for 'tfdgm_tiny'" in refused(records, data_dir=str(tmp_path))
    assert "cannot open" in refused(records, name="tfdgm_tiny:2.0.0")
    assert "cannot open" in refused(records, name="tfdgm tiny")
    # one that TensorFlow Datasets could make, had it been prepared there
    assert "no prepared training split" in refused(records, name="mnist")
    assert "cannot open" in refused(records, name="mnist:9.9.9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"key": "picture"}, "'tfdgm_tiny' have no 'picture'; they have image, label, more"),
        ({"key": "label"}, r"'label' of 'tfdgm_tiny' has shape ()"),
        ({"key": "more"}, "images must have one size and 1 or 3 channels"),
        ({"num_validation": 40}, "num_validation must be less than 40, the number of training examples, got 40"),
        ({"num_validation": -1}, "num_validation must not be negative, got -1"),
        ({"binarization": "sometimes"}, "'sometimes'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(records, changes, expected):
    assert expected in refused(records, **changes)


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"shape": (None, None, 3)}, "has shape (None, None, 3); images must have one size"),
        ({"shape": (4, 4, 4)}, "must have one size and 1 or 3 channels"),
        ({"dtype": np.uint16}, "has dtype uint16, not uint8"),
        ({"sizes": {"test": 3}}, "no prepared training split"),
    ],
)
def test_unsuitable_images_are_refused(tmp_path, changes, expected):
    assert expected in refused(prepare(tmp_path, **changes))


@pytest.mark.parametrize(
    "file_format, reason",
    [("array_record", "record 0 of train[0:40] in"), ("tfrecord", "train[0:40] in")],
)
@pytest.mark.parametrize("length", [10, 1_500])
def test_damaged_records_are_refused_by_place(tmp_path, file_format, reason, length):
    settings = prepare(tmp_path, file_format=file_format)
    file = min(tmp_path.glob("**/*train*-of-*"))
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(UserError) as raised:
        rows_of(TFDS(**settings).splits()["train"])
    assert str(raised.value).startswith(f"data.tfds: cannot read {reason} {tmp_path}, which may be damaged: ")
    assert "\n" not in str(raised.value)


def test_a_damaged_description_is_refused(tmp_path):
    settings = prepare(tmp_path)
    (info,) = tmp_path.glob("**/dataset_info.json")
    info.write_text(info.read_text()[:50])
    assert f"cannot open {tmp_path} for 'tfdgm_tiny'" in refused(settings)


@pytest.mark.slow
def test_a_model_trains_on_records_that_are_streamed(tmp_path, records):
    data = TFDS(**records, binarization="dynamic")
    built = points_experiment(data=data, likelihood=Bernoulli(), batch_size=8, steps=4, resident_bytes=0).build()
    outcome = Trainer(built, tmp_path, silent).train()
    assert outcome.step == 4
