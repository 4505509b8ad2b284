"""A table through the commands: kinds are printed, draws are a table again, and the report has its pictures."""

import json

import numpy as np
import pandas
import pytest
from small import command

pytestmark = pytest.mark.slow

ROWS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run of the packaged config on a table of 500 rows with missing values."""
    folder = tmp_path_factory.mktemp("table")
    random = np.random.RandomState(0)
    factor = random.randn(ROWS)
    table = pandas.DataFrame(
        {
            "height": (170 + 6 * factor + 3 * random.randn(ROWS)).round(1),
            "city": np.where(
                factor + random.randn(ROWS) > 0, "Rome", np.where(random.rand(ROWS) < 0.5, "Oslo", "Paris")
            ),
            "visits": random.poisson(np.exp(1 + 0.5 * factor)),
        }
    )
    table.loc[random.rand(ROWS) < 0.2, "city"] = None
    table.to_csv(folder / "people.csv", index=False)
    bindings = f"""
data.table.path = "{folder / "people.csv"}"
steps = 400
experiment.validate_every = 400
experiment.latent_size = 2
network.mlp.hidden = (32,)"""
    command("train", "--gin_file=tables/vae.gin", f"--workdir={folder / 'run'}", f"--gin_bindings={bindings}")
    return folder


def test_the_run_records_the_columns_and_has_their_pictures(folder):
    record = json.loads((folder / "run" / "run.json").read_text())
    columns = {column["name"]: column for column in record["data"]["columns"]}
    assert [column["kind"] for column in columns.values()] == ["numeric", "categorical", "count"]
    assert columns["city"]["categories"] == ["Oslo", "Paris", "Rome"] and columns["city"]["missing"]
    names = {path.name for path in (folder / "run" / "samples").iterdir()}
    assert {"pairs-400.png", "marginals-400.png", "correlations-400.png"} < names
    page = (folder / "run" / "report.html").read_text()
    assert "Marginal distributions of the 3 columns at step 400" in page


@pytest.mark.parametrize("suffix, read", [("csv", pandas.read_csv), ("parquet", pandas.read_parquet)])
def test_draws_have_the_columns_units_and_categories_of_the_table(folder, suffix, read):
    file = folder / f"draws.{suffix}"
    assert command("sample", f"--workdir={folder / 'run'}", "--num=2000", f"--output={file}") == 0
    draws, data = read(file), pandas.read_csv(folder / "people.csv")
    assert list(draws) == list(data) and len(draws) == 2_000 and not draws.isna().any().any()
    assert set(draws["city"]) == {"Oslo", "Paris", "Rome"}
    assert draws["visits"].dtype == np.int64 and draws["visits"].min() == 0
    assert (draws["height"].round(1) == draws["height"]).all()
    # after 400 steps: a sixth of the standard deviation of 6.7, where the units of x would be 25 of them away
    assert draws["height"].mean() == pytest.approx(data["height"].mean(), abs=1.1)
    assert draws["height"].std() == pytest.approx(data["height"].std(), rel=0.2)
    share = data["city"].value_counts(normalize=True)
    assert abs(draws["city"].value_counts(normalize=True) - share).max() < 0.1
    assert np.corrcoef(draws["height"], np.log1p(draws["visits"]))[0, 1] > 0.2  # in the data 0.5


def test_arrays_that_were_scaled_are_drawn_in_their_own_units(folder):
    rows = np.random.RandomState(0).randn(400, 3) * [1e-3, 1, 1e4] + [0, 1, 5e4]
    np.savez(folder / "rows.npz", train=rows, test=rows[:100])
    bindings = f"""
experiment.data = @data.npz()
data.npz.path = "{folder / "rows.npz"}"
data.npz.scaling = "standard"
steps = 200
experiment.validate_every = 200
experiment.latent_size = 2
network.mlp.hidden = (32,)"""
    run = folder / "scaled"
    command("train", "--gin_file=tables/vae.gin", f"--workdir={run}", f"--gin_bindings={bindings}")
    for name, read in (("x.npz", lambda file: np.load(file)["x"]), ("x.csv", lambda file: pandas.read_csv(file))):
        assert command("sample", f"--workdir={run}", "--num=1000", f"--output={folder / name}") == 0
        draws = np.asarray(read(folder / name))
        # the model of independent columns is good at once; 0.2 is 4 standard errors of the 400 rows, and more of 1,000
        np.testing.assert_allclose(draws.std(axis=0), rows.std(axis=0), rtol=0.2)
        np.testing.assert_allclose((draws.mean(axis=0) - rows.mean(axis=0)) / rows.std(axis=0), 0, atol=0.2)
    record = json.loads((run / "run.json").read_text())
    assert record["data"]["log_volume"] == pytest.approx(np.log(rows.std(axis=0)).sum())
