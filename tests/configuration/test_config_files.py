"""Config files: where they are found, which takes precedence, and how they are read."""

import os
import subprocess
import sys

import pytest
from absl import flags
from small import command

from tfdgm import UserError
from tfdgm.cli import matrix as matrix_command
from tfdgm.configuration.config_files import DEFAULT_CONFIG, Packaged, config_root, find_file, in_flags, read_file
from tfdgm.configuration.gin_grammar import DEEPEST
from tfdgm.configuration.gin_parser import MOST_CHARACTERS, read_statements
from tfdgm.labs.lab import LabSettings
from tfdgm.labs.trainings import read_experiment
from tfdgm.verification import fixtures as parts

SEED = "experiment.seed = 666\n"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shadowed(elsewhere):
    """A current folder with files of the names of packaged ones; each sets the seed, and how often to validate."""
    for path in config_root().rglob("*.gin"):
        copy = elsewhere / path.relative_to(config_root())
        copy.parent.mkdir(parents=True, exist_ok=True)
        changed = path.read_text(encoding="utf-8") + SEED + "experiment.validate_every = 666\n"
        copy.write_text(changed, encoding="utf-8")
    return elsewhere


def seed(*files, bindings=()):
    """The seed that a config sets; None where it sets none."""
    return read_statements(files, bindings).bindings.get(("", "experiment", "seed"), (None,))[0]


def refused(*files, bindings=()):
    with pytest.raises(UserError) as raised:
        read_statements([str(file) for file in files], bindings)
    return str(raised.value)


# ---- whose file wins


def test_the_default_config_is_the_packaged_one_whatever_the_current_folder_holds(shadowed):
    assert seed(DEFAULT_CONFIG) is None
    assert find_file(DEFAULT_CONFIG) == config_root() / "digits/vae.gin"


def test_a_name_that_the_user_gives_is_taken_as_it_stands_first(shadowed):
    assert seed("digits/vae.gin") == 666
    assert seed(str(config_root() / "digits/vae.gin")) is None


def test_a_packaged_config_includes_packaged_ones_only(shadowed):
    (shadowed / "digits/vae_maf.gin").unlink()
    assert seed("digits/vae_maf.gin") is None
    (shadowed / "digits/vae_maf.gin").write_text('include "digits/vae.gin"')
    assert seed("digits/vae_maf.gin") == 666


def test_an_include_is_looked_for_beside_the_file_then_in_the_current_folder_then_among_the_packaged(elsewhere):
    (elsewhere / "own").mkdir()
    (elsewhere / "own/top.gin").write_text("include 'digits/vae.gin'\ninclude 'base.gin'")
    (elsewhere / "base.gin").write_text("experiment.seed = 1")
    assert seed("own/top.gin") == 1
    (elsewhere / "own/base.gin").write_text("experiment.seed = 2")
    assert seed("own/top.gin") == 2
    assert seed(DEFAULT_CONFIG, bindings=["include 'base.gin'"]) == 1


def test_train_without_a_file_runs_the_packaged_default(shadowed, capsys):
    assert command("train", "--dry_run", "--gin_bindings=experiment.latent_size = 3") == 0
    assert "experiment.seed" not in capsys.readouterr().out


def test_labs_and_oracles_run_packaged_configs(shadowed):
    assert read_experiment(LabSettings(folder=shadowed, seed=1), "vae.gin").validate_every != 666
    assert parts.experiment("linear_gaussian").validate_every != 666


def test_a_matrix_names_its_default_files_so_that_its_cells_find_the_packaged_ones(shadowed, monkeypatch):
    values = flags.FlagValues()
    matrix_command.define_flags(values)
    values(["tfdgm matrix"])
    settings = matrix_command._settings(values)
    files = [*settings.files, *(file for chosen in settings.files_by_choice.values() for file in chosen)]
    assert len(files) > 5 and all(find_file(file).is_relative_to(config_root()) for file in files)
    monkeypatch.chdir(shadowed / "verify")
    settings = matrix_command._settings(values)
    assert settings.files == ["digits/vae.gin"]
    assert settings.files_by_choice["posterior.vq"] == ["digits/matrix/posterior.vq.gin"]


def test_a_flag_names_a_packaged_config_by_its_short_path_unless_that_finds_another(elsewhere):
    assert in_flags(DEFAULT_CONFIG) == "digits/vae.gin"
    assert in_flags("own.gin") == "own.gin"
    (elsewhere / "digits").mkdir()
    (elsewhere / "digits/vae.gin").symlink_to(config_root() / "digits/vae.gin")
    assert in_flags(DEFAULT_CONFIG) == "digits/vae.gin"
    (elsewhere / "digits/vae.gin").unlink()
    (elsewhere / "digits/vae.gin").write_text(SEED)
    assert in_flags(DEFAULT_CONFIG) == str(config_root() / "digits/vae.gin")
    with pytest.raises(UserError, match=r"config file .* not found"):
        in_flags(Packaged("own.gin"))


# ---- what is not there


@pytest.mark.parametrize(
    "name, words",
    [
        ("digits/vea.gin", "Did you mean 'digits/vae.gin'"),
        ("vqvae.gin", "'digits/vqvae.gin'"),
        ("own/smal.gin", "Did you mean 'own/small.gin'"),
        (
            "zzz.gin",
            "Packaged configs are in arrays, cifar10, digits, images, lecture, mnist, photos, tables, toy, uci, "
            "verify; --gin_file=arrays",
        ),
        ("uci/zzzzzzzzzzzzzzzzzzzz", "uci contains uci/bsds300.gin, uci/gas.gin"),
        ("digits", "'digits' is a folder of packaged configs: digits/aae.gin, digits/fgan.gin, digits/fsq.gin"),
        ("a\0b.gin", "config file 'a\\x00b.gin' not found"),
        ("a\udcff.gin", "config file 'a\\udcff.gin' not found"),
        ("x" * 300 + ".gin", "File name too long"),
        ("", "'' is a folder"),
    ],
)
def test_a_missing_file_is_named_with_near_ones_and_not_with_all(elsewhere, name, words):
    (elsewhere / "own").mkdir()
    (elsewhere / "own/small.gin").touch()
    message = refused(name)
    assert words in message
    assert len(message) < 700 and "\n" not in message


def test_a_missing_include_is_named_with_the_line_that_includes_it(elsewhere):
    (elsewhere / "own.gin").write_text("# own\ninclude 'middle.gin'")
    (elsewhere / "middle.gin").write_text("\n\ninclude 'digits/vea.gin'")
    first, second = refused("own.gin").split("\n")
    assert first == "middle.gin:3: include 'digits/vea.gin'"
    assert second.startswith("  config file 'digits/vea.gin' not found. Did you mean 'digits/vae.gin'")


def test_includes_that_lead_back_are_refused_with_the_chain(elsewhere):
    (elsewhere / "a.gin").write_text("include 'b.gin'")
    (elsewhere / "b.gin").write_text("include './c.gin'")
    (elsewhere / "c.gin").write_text("include 'a.gin'")
    where, message = refused("a.gin").split("\n  ")
    assert where == "c.gin:1: include 'a.gin'"
    assert message == "a.gin includes itself: a.gin -> b.gin -> c.gin -> a.gin"


def test_the_depth_of_includes_is_bounded(elsewhere):
    for number in range(DEEPEST + 1):
        (elsewhere / f"{number}.gin").write_text(f"include '{number + 1}.gin'")
    (elsewhere / f"{DEEPEST + 1}.gin").write_text(SEED)
    assert seed("1.gin") == 666
    assert f"more than {DEEPEST} levels deep" in refused("0.gin")


def test_files_that_include_one_another_many_times_are_refused_by_their_total_size(elsewhere):
    for number in range(2):
        (elsewhere / f"{number}.gin").write_text(f"include '{number + 1}.gin'\n" * 20)
    (elsewhere / "2.gin").write_text("# one\n" * 1_000)
    assert f"at most {MOST_CHARACTERS:,} characters" in refused("0.gin")


# ---- what is read


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + SEED.encode(),
        b"# \xc3\xa9\n" + SEED.encode(),
        b"experiment.seed = 666",
        b"\r\nexperiment.seed = \\\r\n  666\r\n",
        b"\n\n  # indented\nexperiment:\n\tseed = 666 # comment\n\n",
        b"\x0cexperiment.seed=666;".replace(b";", b""),
    ],
)
def test_utf_8_with_any_ends_of_lines_and_a_byte_order_mark_is_read(elsewhere, content):
    (elsewhere / "own.gin").write_bytes(content)
    assert seed("own.gin") == 666
    assert not read_file(elsewhere / "own.gin").startswith("\ufeff")


@pytest.mark.parametrize(
    "content, message",
    [
        (SEED.encode("utf-16"), "own.gin:1: the file is not UTF-8; it looks like UTF-16; save it as UTF-8"),
        (SEED.encode("utf-16-le"), "own.gin:1: the line contains a NUL character; a config must be UTF-8 text"),
        ("\n# é".encode("latin-1"), "own.gin:2: the file is not UTF-8; save it as UTF-8"),
        (b"\n\0", "own.gin:2: the line contains a NUL character; a config must be UTF-8 text"),
        (b"#" * 400_001, "own.gin is too large: a config has at most 400,000 bytes"),
        (b"#\n" * 100_000, "own.gin: a config has at most 100,000 characters, but this one has 200,000"),
    ],
)
def test_a_file_that_is_no_text_is_refused_in_a_line(elsewhere, content, message):
    (elsewhere / "own.gin").write_bytes(content)
    assert refused("own.gin") == message


def test_the_locale_does_not_matter(elsewhere):
    (elsewhere / "own.gin").write_bytes("network.mlp.activation = 'é'".encode())
    code = (
        "from tfdgm.configuration.gin_parser import read_statements; print(ascii(read_statements(['own.gin']).text()))"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == ascii("network.mlp.activation = 'é'\n") + "\n", done.stderr


@pytest.mark.parametrize(
    "make, kind",
    [(os.mkfifo, "a pipe"), (os.mkdir, "a folder"), (lambda path: os.symlink("/dev/zero", path), "a device")],
)
def test_pipes_folders_and_devices_are_refused_without_waiting(elsewhere, make, kind):
    make(elsewhere / "own.gin")
    assert refused("own.gin") == f"'own.gin' is {kind}; a config must be a regular file"
    assert f"include 'own.gin'\n  'own.gin' is {kind}" in refused(DEFAULT_CONFIG, bindings=["include 'own.gin'"])
    if kind != "a folder":  # one may take the place of a file that was found
        with pytest.raises(UserError, match=r"cannot read .*: is not a regular file"):
            read_file(elsewhere / "own.gin")


def test_a_file_that_may_not_be_read_is_refused_with_the_reason(elsewhere, monkeypatch):
    (elsewhere / "own.gin").touch()

    def denied(*arguments, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert refused("own.gin") == "cannot read own.gin: Permission denied"
