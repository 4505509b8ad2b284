"""Image folders: which files are read, how images are transformed, and which files are refused."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small import context, digits_experiment, points_experiment, silent
from tfdgm_data import image_folder
from tfdgm_data.hashed_splits import split_of
from tfdgm_data.image_folder import ImageFolder
from tfdgm_likelihoods.discretized_logistic import DiscretizedLogistic
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_networks.conv import Conv
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.autoregressive import Autoregressive

from tfdgm import UserError
from tfdgm.parallel.devices import Devices
from tfdgm.reporting.pictures import save_examples
from tfdgm.training.trainer import Trainer


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """The user's cache folder of a test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TFDGM_CACHE", str(folder))
    return folder


def numbered(count, first=0):
    """Return grey images of 4 x 4; all pixels of image i are i."""
    return [np.full((4, 4), first + i, np.uint8) for i in range(count)]


def saved(folder, images, suffix="png", **settings):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(folder / f"{number:03}.{suffix}", **settings)
    return folder


def rows_of(folder, split="train", **settings):
    source = ImageFolder(path=str(folder), **settings).splits()[split]
    return source.gather(np.arange(len(source)))


def one(tmp_path, image, suffix="png", **settings):
    """Return a single image after reading."""
    saved(tmp_path / "one", [image], suffix)
    return rows_of(tmp_path / "one", validation_share=0.0, test_share=0.0, **settings)[0]


def refused(path, **settings):
    with pytest.raises(UserError) as raised:
        ImageFolder(path=str(path), **settings)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_subfolders_are_the_splits_in_the_order_of_their_paths(tmp_path):
    saved(tmp_path / "train", numbered(5))
    saved(tmp_path / "train" / "deeper" / "still", numbered(2, 50))
    saved(tmp_path / "test", numbered(3, 100))
    splits = ImageFolder(path=str(tmp_path), size=4, channels=1).splits()
    assert {name: len(source) for name, source in splits.items()} == {"train": 7, "test": 3}
    assert splits["train"].shape == (4, 4, 1) and splits["train"].dtype == np.uint8
    rows = splits["train"].gather(np.array([6, 0, 4, 0]))
    np.testing.assert_array_equal(rows, np.array([51, 0, 4, 0])[:, None, None, None] + np.zeros((4, 4, 1)))
    np.testing.assert_array_equal(splits["test"].gather(np.arange(3))[:, 0, 0, 0], [100, 101, 102])
    saved(tmp_path / "validation", numbered(2, 200))
    assert set(ImageFolder(path=str(tmp_path)).splits()) == {"train", "validation", "test"}


def test_images_outside_of_the_splits_are_told(tmp_path, capsys):
    for folder in ("train", "val"):
        saved(tmp_path / folder, numbered(3))
    assert set(ImageFolder(path=str(tmp_path)).splits()) == {"train"}
    error = capsys.readouterr().err
    assert "3 images" in error and "subfolders train, validation, test: the first is val/000.png" in error


def files_of(folder, **settings):
    """The relative paths of every split."""
    splits = ImageFolder(path=str(folder), size=1, **settings).splits()
    return {name: {file.relative_to(folder).as_posix() for file in source.files} for name, source in splits.items()}


def test_a_folder_is_divided_by_the_names_of_its_files(tmp_path):
    saved(tmp_path / "cats", numbered(20))
    saved(tmp_path / "dogs", numbered(20, 100))
    data = ImageFolder(path=str(tmp_path), size=4, channels=1, validation_share=0.2, test_share=0.3)
    names = sorted(f"{folder}/{number:03}.png" for folder in ("cats", "dogs") for number in range(20))
    expected = {}
    for name in names:
        expected.setdefault(split_of(name, 0.2, 0.3), []).append(name)
    assert set(expected) == {"train", "validation", "test"}
    for split, source in data.splits().items():
        assert [file.relative_to(tmp_path).as_posix() for file in source.files] == expected[split]
        pixels = [int(name[5:8]) + 100 * name.startswith("dogs") for name in expected[split]]
        np.testing.assert_array_equal(source.gather(np.arange(len(source)))[:, 0, 0, 0], pixels)
    assert data.describe()["examples"] == {split: len(of_split) for split, of_split in expected.items()}
    assert data.describe()["source"] == str(tmp_path) and "SHA-256" in data.describe()["split"]


def test_adding_or_removing_a_file_moves_no_other(tmp_path):
    saved(tmp_path, numbered(60))
    before = files_of(tmp_path)
    for name in ("007.png", "031.png"):
        (tmp_path / name).unlink()
    (tmp_path / "new").mkdir()
    Image.new("L", (2, 2)).save(tmp_path / "new" / "first.png")
    after = files_of(tmp_path)
    for split in ("train", "validation", "test"):
        assert after[split] - {"new/first.png"} == before[split] - {"007.png", "031.png"}
    assert {"007.png", "031.png"} <= set().union(*before.values())  # so that removing them is a change


def test_empty_splits_are_left_out_and_an_empty_training_split_is_refused(tmp_path):
    saved(tmp_path, numbered(4))
    assert set(files_of(tmp_path, validation_share=0.0, test_share=0.0)) == {"train"}
    expected = [split_of(f"{number:03}.png", 0.0, 0.9999) for number in range(4)]
    assert expected == ["test"] * 4
    assert "in the training split" in refused(tmp_path, validation_share=0.0, test_share=0.9999)


def test_hidden_files_and_the_companions_of_macos_are_ignored(tmp_path):
    saved(tmp_path / "cats", numbered(3))
    saved(tmp_path / "dogs", numbered(3))
    for hidden in ("cats/._000.png", ".thumbnails/small.png", "__MACOSX/cats/._000.png", ".DS_Store"):
        (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / hidden).write_bytes(b"no image")
    data = ImageFolder(path=str(tmp_path), validation_share=0.0, test_share=0.0)
    assert len(data.splits()["train"]) == 6 and data.spec.condition.names == ("cats", "dogs")


def test_only_files_with_the_suffix_of_an_image_are_read(tmp_path):
    saved(tmp_path / "train", numbered(2))
    saved(tmp_path / "train", numbered(1, 9), suffix="BMP")
    (tmp_path / "train" / "notes.txt").write_text("not an image")
    (tmp_path / "train" / "folder.png").mkdir()
    np.testing.assert_array_equal(np.unique(rows_of(tmp_path, channels=1)), [0, 1, 9])


@pytest.mark.parametrize("size", [1, 5, 8, 40])
@pytest.mark.parametrize("height, width", [(8, 8), (8, 13), (20, 3)])
def test_one_colour_stays_that_colour_at_every_size(tmp_path, size, height, width):
    colour = np.array([200, 7, 99], np.uint8)
    found = one(tmp_path, np.tile(colour, (height, width, 1)), size=size)
    np.testing.assert_array_equal(found, np.tile(colour, (size, size, 1)))


WIDE = np.array([[10, 20, 40, 250], [30, 60, 80, 90]], np.uint8)


@pytest.mark.parametrize("image, square", [(WIDE, [[20, 40], [60, 80]]), (WIDE.T, [[20, 60], [40, 80]])])
def test_the_middle_square_is_kept(tmp_path, image, square):
    np.testing.assert_array_equal(one(tmp_path, image, size=2, channels=1)[..., 0], square)
    assert one(tmp_path, image, size=1, channels=1).item() == 50  # the mean of the square


def test_an_odd_pixel_too_many_is_cut_from_the_end(tmp_path):
    image = np.array([[1, 2, 3, 4, 5]] * 2, np.uint8)
    np.testing.assert_array_equal(one(tmp_path, image, size=2, channels=1)[..., 0], [[2, 3], [2, 3]])


def test_downsampled_pixels_are_means_over_their_area(tmp_path):
    image = np.random.RandomState(0).randint(0, 256, (6, 6, 3)).astype(np.uint8)
    expected = image.reshape(2, 3, 2, 3, 3).mean((1, 3))
    found = one(tmp_path, image, size=2)
    assert np.all(np.abs(found - expected) <= 1)  # PIL rounds after each of the two axes


def test_larger_images_are_interpolated_between_the_pixels(tmp_path):
    image = np.array([[0, 200], [0, 200]], np.uint8)
    found = one(tmp_path, image, size=6, channels=1)[..., 0].astype(int)
    assert np.all(found == found[0]) and np.all(np.diff(found[0]) >= 0) and found[0, 0] == 0
    assert len(set(found[0])) > 2


def test_grey_and_colour_turn_into_each_other(tmp_path):
    grey = np.random.RandomState(0).randint(0, 256, (3, 3)).astype(np.uint8)
    np.testing.assert_array_equal(one(tmp_path, grey, size=3), np.repeat(grey[..., None], 3, -1))
    colour = np.random.RandomState(0).randint(0, 256, (3, 3, 3)).astype(np.uint8)
    found = one(tmp_path, colour, size=3, channels=1)[..., 0]
    luma = colour @ [0.299, 0.587, 0.114]  # ITU-R 601, as PIL documents
    assert np.all(np.abs(found - luma) <= 1)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "1", "CMYK"])
def test_images_of_every_mode_are_read(tmp_path, mode):
    colours = np.array([[[255, 255, 255], [0, 0, 0]], [[0, 0, 0], [255, 255, 255]]], np.uint8)
    image = Image.fromarray(colours).convert(mode)
    suffix = "tiff" if mode == "CMYK" else "png"
    np.testing.assert_array_equal(one(tmp_path, image, suffix, size=2), colours)
    np.testing.assert_array_equal(one(tmp_path, image, suffix, size=2, channels=1), colours[..., :1])


WHITE, BLUE = (255, 255, 255), (0, 0, 255)


@pytest.mark.parametrize(
    "settings, below", [({}, WHITE), ({"background": "blue"}, BLUE), ({"background": "#00f"}, BLUE)]
)
@pytest.mark.parametrize("mode", ["RGBA", "RGB", "P"])
def test_transparent_pixels_show_the_background_and_not_their_hidden_colour(tmp_path, mode, settings, below):
    red, green = (255, 0, 0), (0, 200, 0)
    image = Image.fromarray(np.array([[red, green], [green, red]], np.uint8))
    if mode == "RGBA":
        image.putalpha(Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)))
    elif mode == "RGB":
        image.info["transparency"] = red
    else:
        image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).convert("P")
        image.putpalette([*red, *green])
        image.info["transparency"] = 0
    found = one(tmp_path, image, size=2, **settings)
    np.testing.assert_array_equal(found, [[below, green], [green, below]])


def test_half_transparent_grey_is_mixed_with_the_background(tmp_path):
    image = Image.merge("LA", [Image.new("L", (2, 2), 40), Image.new("L", (2, 2), 51)])
    found = one(tmp_path, image, size=2, channels=1, background="black")
    np.testing.assert_array_equal(found, np.full((2, 2, 1), 40 * 51 // 255))


def test_x_is_divided_by_255_and_described(tmp_path):
    saved(tmp_path, [np.array([[0, 255], [51, 204]], np.uint8)])
    data = ImageFolder(path=str(tmp_path), size=2, channels=1)
    x = data.observe(tf.constant(data.splits()["train"].gather(np.array([0]))), context())
    np.testing.assert_allclose(x[0, ..., 0], [[0, 1], [0.2, 0.8]], rtol=1e-6)  # float32
    assert data.spec.shape == (2, 2, 1) and data.spec.image_shape == (2, 2) and data.spec.levels == 256
    assert ImageFolder(path=str(tmp_path), size=2).spec.image_shape == (2, 2, 3)


def test_folders_without_images_are_refused(tmp_path):
    assert "folder not found" in refused(tmp_path / "nowhere")
    (tmp_path / "file.png").write_bytes(b"")
    assert "file.png is a file, not a folder of images" in refused(tmp_path / "file.png")
    (tmp_path / "empty").mkdir()
    assert "has no images (.png, .jpg" in refused(tmp_path / "empty")
    assert "training split" not in refused(tmp_path / "empty")
    saved(tmp_path / "split" / "train", numbered(2))
    (tmp_path / "split" / "test").mkdir()
    assert f"{tmp_path / 'split' / 'test'} has no images" in refused(tmp_path / "split")
    (tmp_path / "none" / "train").mkdir(parents=True)
    assert f"{tmp_path / 'none' / 'train'} has no images" in refused(tmp_path / "none")


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": (4, 0)}, r"size must be at least 1, got \(4, 0\)"),
        ({"size": (4, 4, 3)}, r"size must be one number, or \(height, width\), got \(4, 4, 3\)"),
        ({"background": "no colour"}, "background must be the name of an opaque colour"),
        ({"background": "#11223344"}, "background must be the name of an opaque colour"),
        ({"white": 0}, "white must be from 1 to 65535, got 0"),
        ({"channels": 2}, "channels must be 1 or 3, got 2"),
        ({"validation_share": 0.5, "test_share": 0.5}, "must not be negative and must sum to less than 1"),
        ({"validation_share": -0.1}, "must not be negative and must sum to less than 1"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, settings, expected):
    saved(tmp_path, numbered(4))
    with pytest.raises(UserError, match=expected):
        ImageFolder(path=str(tmp_path), **settings)


def test_a_file_that_is_no_image_is_refused_when_the_run_starts(tmp_path):
    saved(tmp_path, numbered(4))
    (tmp_path / "text.png").write_text("not an image")
    assert f"{tmp_path / 'text.png'} cannot be read: it is not an image" in refused(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_grey_of_16_bits_is_scaled_to_8(tmp_path, suffix):
    levels = np.array([[0, 257], [40 * 257, 65_535]], np.uint16)
    np.testing.assert_array_equal(one(tmp_path, levels, suffix, size=2, channels=1)[..., 0], [[0, 1], [40, 255]])
    found = one(tmp_path, levels // 16, suffix, size=2, white=4_095)[..., 1]
    np.testing.assert_array_equal(found, np.round((levels // 16).astype(float) * 255 / 4_095))


def test_values_above_white_are_refused(tmp_path):
    saved(tmp_path, [np.array([[0, 5_000]], np.uint16)])
    expected = "000.png cannot be read: it has the grey value 5000, above 4095, data.image_folder.white"
    assert expected in refused(tmp_path, white=4_095)
    assert ImageFolder(path=str(tmp_path), white=5_000, test_share=0.0, validation_share=0.0).splits()


def test_a_transparent_grey_value_of_16_bits_shows_the_background(tmp_path):
    image = Image.fromarray(np.array([[0, 1_000], [65_535, 1_000]], np.uint16))
    image.save(tmp_path / "a.png", transparency=1_000)
    found = rows_of(tmp_path, size=2, background="red", test_share=0.0, validation_share=0.0)[0]
    np.testing.assert_array_equal(found, [[[0] * 3, [255, 0, 0]], [[255] * 3, [255, 0, 0]]])


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_pixels_of_32_bits_are_refused_and_not_cut_off(tmp_path, dtype):
    saved(tmp_path, [np.arange(16).reshape(4, 4).astype(dtype)], suffix="tiff")
    assert "000.tiff cannot be read: it has 32 bits per pixel" in refused(
        tmp_path, test_share=0.0, validation_share=0.0
    )


def broken_folder(tmp_path):
    """Twenty JPEGs, of which one was cut after its header, so that it opens and cannot be decoded."""
    image = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
    saved(tmp_path / "train", [image] * 20, "jpg")
    file = tmp_path / "train" / "013.jpg"
    file.write_bytes(file.read_bytes()[:700])
    return file


def test_all_unreadable_files_are_named_in_one_list_before_training(tmp_path):
    file = broken_folder(tmp_path / "images")
    (tmp_path / "images" / "train" / "002.jpg").write_text("no image")
    message = refused(tmp_path / "images", size=4)
    title, first, second, advice = message.splitlines()
    assert title.endswith("2 of 20 images cannot be used:")
    assert first == f"  {tmp_path / 'images' / 'train' / '002.jpg'} cannot be read: it is not an image"
    assert second.startswith(f"  {file} cannot be read: ") and "truncated" in second
    assert 'data.image_folder.unreadable = "skip"' in advice


def test_unreadable_files_can_be_skipped_which_is_told_and_recorded(tmp_path, capsys):
    broken_folder(tmp_path)
    data = ImageFolder(path=str(tmp_path), size=4, unreadable="skip")
    source = data.splits()["train"]
    assert len(source) == 19 and source.gather(np.arange(19)).shape == (19, 4, 4, 3)
    assert data.describe()["skipped"] == ["train/013.jpg"]
    error = capsys.readouterr().err
    assert "1 of 20 images cannot be used and are left out:" in error and "013.jpg cannot be read: " in error


def test_a_split_of_which_nothing_can_be_read_is_left_out(tmp_path):
    saved(tmp_path / "train", numbered(3))
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.png").write_text("no image")
    assert set(ImageFolder(path=str(tmp_path), unreadable="skip").splits()) == {"train"}


def test_a_folder_of_unreadable_files_alone_is_refused_even_if_they_may_be_skipped(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    assert "has no images" in refused(tmp_path, unreadable="skip", test_share=0.0, validation_share=0.0)


@pytest.mark.parametrize("resident_bytes", [0, 1 << 30])
def test_a_file_that_is_damaged_after_the_start_is_named_when_training_meets_it(tmp_path, resident_bytes):
    image = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
    saved(tmp_path / "images" / "train", [image] * 20, "jpg")
    data = ImageFolder(path=str(tmp_path / "images"), size=4)
    file = tmp_path / "images" / "train" / "013.jpg"
    file.write_bytes(file.read_bytes()[:700])
    experiment = points_experiment(data=data, likelihood=Gaussian(), steps=1, resident_bytes=resident_bytes)
    with pytest.raises(UserError, match=r"013\.jpg cannot be read: .*truncated") as raised:
        Trainer(experiment.build(), tmp_path / "run", silent).train()
    assert str(file) in str(raised.value)


def test_many_images_are_read_by_several_threads_alike(tmp_path, monkeypatch):
    saved(tmp_path / "train", numbered(40))
    source = ImageFolder(path=str(tmp_path), size=4).splits()["train"]
    order = np.random.RandomState(0).randint(40, size=100)
    expected = source.gather(order)
    monkeypatch.setattr(image_folder, "_MANY", 1)
    np.testing.assert_array_equal(source.gather(order), expected)
    source.files[order[50]].write_bytes(b"no image")
    with pytest.raises(UserError, match=f"{source.files[order[50]].name} cannot be read"):
        source.gather(order)


@pytest.mark.slow
def test_codes_on_a_grid_that_is_not_square_are_trained_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(Devices, "one_program", False)  # as a graph: compiling takes longer
    random = np.random.RandomState(0)
    saved(tmp_path / "train", [random.randint(0, 256, (30, 50, 3)).astype(np.uint8) for _ in range(40)])
    data = ImageFolder(path=str(tmp_path), size=(12, 20))
    built = digits_experiment(
        data=data,
        likelihood=DiscretizedLogistic(),
        encoder=Conv(width=8),
        decoder=Conv(width=8),
        posterior=VQ(positions=(3, 5), num_codes=8),
        prior=Autoregressive(width=8),
        steps=2,
        steps_per_loop=2,
        batch_size=8,
    ).build()
    assert Trainer(built, tmp_path / "run", silent).train().step == 2
    x = data.observe(tf.constant(data.splits()["train"].gather(np.arange(6))), context())
    save_examples(tmp_path / "x.png", x.numpy(), data.spec, columns=3)
    with Image.open(tmp_path / "x.png") as picture:
        width, height = picture.size
    # three columns and two rows of 12 x 20, one pixel apart
    assert width / height == (3 * 21 + 1) / (2 * 13 + 1)
