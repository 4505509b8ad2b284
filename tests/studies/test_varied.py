"""What a sweep varies: the grammar of `--vary`, and the cells of a grid."""

import itertools
import math

import pytest

from tfdgm import UserError
from tfdgm.studies.cells import CellSettings
from tfdgm.studies.sweep_cells import SWEEP, SweepCell, check_names, grid, short_names
from tfdgm.studies.varied import Interval, Varied, read_varied

SETTINGS = CellSettings(["digits/vae.gin"])
RATE = "keras.optimizers.schedules.CosineDecay.initial_learning_rate"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("steps = 3", Varied("steps", ("3",))),
        ("steps = 3, 3, 1e1", Varied("steps", ("3", "10.0"))),
        ("network.mlp.hidden = (8,), (16, 16)", Varied("network.mlp.hidden", ("(8,)", "(16, 16)"))),
        ("a.b = '1, 2', None", Varied("a.b", ("'1, 2'", "None"))),
        ("experiment.prior = @prior.maf()", Varied("experiment.prior", ("@prior.maf()",))),
        ("x = linear(0, 1)", Varied("x", (), Interval(0.0, 1.0))),
        ("x = linear(0, 1, 5)", Varied("x", ("0.0", "0.25", "0.5", "0.75", "1.0"), Interval(0.0, 1.0))),
        ("x = log(1e-4, 1e-2, 3)", Varied("x", ("0.0001", "0.001", "0.01"), Interval(1e-4, 1e-2, log=True))),
        ("x = integers(-1, 2)", Varied("x", ("-1", "0", "1", "2"), Interval(-1, 2, step=1))),
        ("x = integers(2, 9, 3)", Varied("x", ("2", "5", "8"), Interval(2, 8, step=3))),
    ],
)
def test_values_and_ranges_are_read(text, expected):
    assert read_varied([text]) == [expected]


def test_a_logarithmic_range_has_equal_ratios_and_its_ends():
    (varied,) = read_varied(["x = log(3e-5, 7e-1, 6)"])
    values = [float(text) for text in varied.values]
    assert (values[0], values[-1]) == (3e-5, 7e-1)
    ratios = [math.log(second / first) for first, second in itertools.pairwise(values)]
    assert ratios == pytest.approx([math.log(7e-1 / 3e-5) / 5] * 5)


@pytest.mark.parametrize(
    "texts, message",
    [
        (["steps"], "'steps' is not NAME = VALUES; expected values, as in '2, 4, 8'"),
        (["steps ="], "is not NAME = VALUES"),
        (["= 3"], "is not NAME = VALUES"),
        (["a b = 3"], "a b"),
        (["x = 1; 2"], "'1; 2' are not values"),
        (["x = loog(1, 2)"], "'loog(1, 2)' are not values"),
        (["x = log(1)"], "log takes two or three numbers"),
        (["x = log(1, y)"], "log takes two or three numbers"),
        (["x = log(2, 1)"], "the range from 2 to 1 is backwards"),
        (["x = linear(1, 1)"], "the range from 1 to 1 is empty"),
        (["x = log(0, 1)"], "must be positive, got 0"),
        (["x = linear(0, 1, 1)"], "at least 2 numbers"),
        (["x = linear(0, 1, 2.5)"], "whole numbers"),
        (["x = integers(0, 1.5)"], "whole numbers"),
        (["x = integers(0, 3, 0)"], "whole numbers"),
        (["x = integers(0, 1_000_000)"], "has 1,000,001 values"),
        (["x = 1", "x = 2"], "x is given twice"),
        (["experiment.seed = 1, 2"], "the seeds are those of --seeds"),
    ],
)
def test_what_is_neither_is_refused(texts, message):
    with pytest.raises(UserError) as raised:
        read_varied(texts)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("experiment.latent_siz = 2", "Did you mean 'latent_size'"),
        ("stepz = 2", "Did you mean 'steps'"),
        ("experiment.prior = @prior.mfa()", "Did you mean 'maf'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(text, message):
    with pytest.raises(UserError) as raised:
        check_names(read_varied([text]), SETTINGS)
    assert message in str(raised.value)


def test_a_binding_of_what_is_varied_is_refused():
    settings = CellSettings(SETTINGS.files, ["experiment.latent_size = 3"])
    with pytest.raises(UserError, match=r"--vary sets experiment\.latent_size too"):
        check_names(read_varied(["experiment.latent_size = 2"]), settings)


def test_a_parameter_is_varied_only_where_its_plugin_is_chosen():
    varied = read_varied(
        ["prior.maf.num_bijectors = 2, 3", "experiment.prior = @prior.gaussian(), @prior.maf()", f"{RATE} = 0.1"]
    )
    cells = grid(varied, SETTINGS, [1, 0])
    assert [(cell.texts, cell.seed) for cell in cells] == [
        (("", "@prior.gaussian()", "0.1"), 1),
        (("2", "@prior.maf()", "0.1"), 1),
        (("3", "@prior.maf()", "0.1"), 1),
        (("", "@prior.gaussian()", "0.1"), 0),
        (("2", "@prior.maf()", "0.1"), 0),
        (("3", "@prior.maf()", "0.1"), 0),
    ]
    assert cells[0].name == "prior=gaussian,initial_learning_rate=0.1-1"
    assert str(cells[1]) == "num_bijectors 2, prior maf, initial_learning_rate 0.1, seed 1"
    assert cells[1].bindings() == ["prior.maf.num_bijectors = 2", "experiment.prior = @prior.maf()", f"{RATE} = 0.1"]
    flags = SETTINGS.flags(cells[0], "w")
    assert flags[-1] == "--gin_bindings=experiment.seed = 1" and f"--gin_bindings={RATE} = 0.1" in flags


def test_a_parameter_that_nothing_reads_is_refused():
    with pytest.raises(UserError, match=r"nothing in the configuration reads prior\.maf\.num_bijectors"):
        grid(read_varied(["prior.maf.num_bijectors = 2, 3"]), SETTINGS, [0])


def test_a_range_without_a_count_and_a_huge_grid_are_refused():
    with pytest.raises(UserError, match="steps has a range without a number of values"):
        grid(read_varied(["steps = linear(1, 2)"]), SETTINGS, [0])
    varied = read_varied(["steps = integers(1, 200)", "experiment.latent_size = integers(1, 200)"])
    with pytest.raises(UserError, match="the grid has 40,000 cells"):
        grid(varied, SETTINGS, [0])


def test_numbers_are_in_order_and_names_are_told_apart():
    assert short_names(("a.size", "b.size", "c.rate")) == ("a.size", "b.size", "rate")
    cells = [SweepCell(("x",), (text,), 0) for text in ("10", "9", "'b'", "'a'")]
    assert [cell.texts[0] for cell in sorted(cells, key=SweepCell.sort_key)] == ["9", "10", "'a'", "'b'"]
    odd = [
        SweepCell(("x",), (text,), 0).name for text in ("'a b'", "'a_b'", "'" + "a" * 300 + "'", "'" + "a" * 301 + "'")
    ]
    assert len(set(odd)) == 4 and all(len(name) < 200 and "/" not in name for name in odd)


def test_the_record_of_a_cell_reads_back():
    cell = SweepCell(("x", "prior.maf.y"), ("2", ""), 3)
    assert SWEEP.read(cell.record()) == cell
