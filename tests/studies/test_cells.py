"""The cells of a matrix and the flags that train them."""

from pathlib import Path

import pytest
from third_party import install

from tfdgm import UserError
from tfdgm.contracts.registry import find
from tfdgm.studies.cells import CellSettings
from tfdgm.studies.combinations import MatrixCell, Traits, chosen, combine, installed, objective_lists
from tfdgm.studies.config_overrides import read_files_by_choice


@pytest.fixture
def third_parties(tmp_path, monkeypatch):
    """Install two priors of another package; one has the name of a prior of tfdgm."""
    install(tmp_path / "site", "other_priors", "tfdgm.prior", {"gaussian": "G", "student_t": "S"}, "G = S = None")
    monkeypatch.syspath_prepend(tmp_path / "site")
    find.cache_clear()
    yield
    find.cache_clear()


def test_all_installed_plugins_are_chosen_by_default():
    for kind in ("prior", "objective"):
        assert chosen(kind, []) == installed(kind) == [plugin.name for plugin in find() if plugin.kind == kind]
    assert chosen("posterior", []) == ["none", *installed("posterior")]


def test_third_party_priors_are_chosen_and_ambiguous_names_are_qualified(third_parties):
    assert {"student_t", "other_priors.gaussian", "tfdgm.gaussian"} < set(chosen("prior", []))
    assert "gaussian" not in chosen("prior", [])
    assert chosen("prior", ["other_priors/gaussian", "student_t"]) == ["other_priors.gaussian", "student_t"]
    with pytest.raises(UserError, match=r"gaussian is ambiguous: it is provided by other_priors 1\.2"):
        chosen("prior", ["gaussian"])


@pytest.mark.parametrize(
    "kind, name, near",
    [("prior", "gausian", "'gaussian'"), ("posterior", "non", "'none'"), ("objective", "elb", "elbo")],
)
def test_an_unknown_name_suggests_the_nearest(kind, name, near):
    with pytest.raises(UserError, match=f"there is no {kind} named '{name}'. Did you mean .*{near}"):
        chosen(kind, [name])


def test_a_name_given_twice_is_chosen_once():
    assert chosen("prior", ["gaussian", "maf", "gaussian"]) == ["gaussian", "maf"]


def test_objectives_stand_alone_and_bounds_pair_with_those_that_are_added_to_one():
    traits = {
        "bound": Traits(needs_posterior=True),
        "game": Traits(adversarial=True),
        "latent_game": Traits(needs_posterior=True, adversarial=True),
        "moments": Traits(),
        "latent_distance": Traits(needs_posterior=True, trains_decoder=False),
    }
    pairs = [("bound", "game"), ("bound", "latent_game"), ("bound", "latent_distance")]
    assert objective_lists(traits) == [*((name,) for name in traits), *pairs]


def test_every_combination_is_a_cell_and_first_seeds_come_first():
    cells = combine(["none", "q"], ["a", "b", "c"], [("x",), ("x", "y")], [3, 1])
    assert len(cells) == len(set(cells)) == 2 * 3 * 2 * 2
    assert [cell.seed for cell in cells] == [3] * 12 + [1] * 12
    assert len({cell.name for cell in cells}) == 24
    assert cells[0].name == "none-a-x-3" and cells[-1].name == "q-c-x+y-1"


def test_tables_list_models_without_inference_and_single_objectives_first():
    cells = combine(["q", "none"], ["b", "a"], [("x", "y"), ("z",)], [1, 0])
    ordered = sorted(cells, key=MatrixCell.sort_key)
    assert [cell.name for cell in ordered[:5]] == [
        "none-a-z-0",
        "none-a-z-1",
        "none-b-z-0",
        "none-b-z-1",
        "none-a-x+y-0",
    ]


def test_flags_of_train_have_files_of_choices_after_shared_files_and_the_seed_last():
    settings = CellSettings(
        ["base.gin"], ["steps = 3"], {"objective.y": ["y.gin"], "posterior.q": ["q.gin", "r.gin"], "prior.b": ["b.gin"]}
    )
    assert settings.flags(MatrixCell("q", "a", ("x", "y"), 7), Path("m/cells/c")) == [
        "--workdir=m/cells/c",
        "--gin_file=base.gin",
        "--gin_file=q.gin",
        "--gin_file=r.gin",
        "--gin_file=y.gin",
        "--posterior=q",
        "--prior=a",
        "--objective=x",
        "--objective=y",
        "--gin_bindings=steps = 3",
        "--gin_bindings=experiment.seed = 7",
    ]


# ---- files of choices


def test_files_are_assigned_to_choices_by_flag_or_by_file_name(tmp_path):
    for name in ("prior.maf", "posterior.none"):
        (tmp_path / f"{name}.gin").write_text("")
    added = read_files_by_choice([str(tmp_path), f"prior.maf={tmp_path / 'posterior.none.gin'}"])
    assert added == {
        "prior.maf": [f"{tmp_path}/prior.maf.gin", str(tmp_path / "posterior.none.gin")],
        "posterior.none": [f"{tmp_path}/posterior.none.gin"],
    }


def test_a_packaged_folder_is_found_by_its_short_path_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_files_by_choice(["digits/matrix"])["posterior.vq"] == ["digits/matrix/posterior.vq.gin"]


@pytest.mark.parametrize(
    "value, message",
    [
        ("prior.mfa=digits/vae.gin", "prior.mfa=digits/vae.gin: there is no prior named 'mfa'. Did you mean 'maf'"),
        ("network.mlp=digits/vae.gin", "'network.mlp' is not posterior.NAME or prior.NAME or objective.NAME"),
        ("prior.maf=digits/vea.gin", "config file 'digits/vea.gin' not found. Did you mean 'digits/vae.gin'"),
        ("digits/matrx", "'digits/matrx' is neither .* Did you mean 'digits/matrix'"),
    ],
)
def test_unknown_choices_and_files_are_refused(value, message):
    with pytest.raises(UserError, match=message):
        read_files_by_choice([value])


def test_a_file_in_a_folder_must_be_named_after_a_choice(tmp_path):
    (tmp_path / "posterior.vqq.gin").write_text("")
    with pytest.raises(UserError, match=r"posterior.vqq.gin: there is no posterior named 'vqq'. Did you mean 'vq'"):
        read_files_by_choice([str(tmp_path)])


def test_every_cell_gets_the_flags_of_the_folder(tmp_path):
    settings = CellSettings(["base.gin"], extra_flags=["--no_lock"])
    assert settings.flags(MatrixCell("q", "p", ("o",), 3), tmp_path)[-1] == "--no_lock"
