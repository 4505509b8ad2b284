"""Tables from CSV and Parquet files: inferred and chosen kinds, splits, scaling, missing values, and x."""

import numpy as np
import pandas
import pytest
import tensorflow as tf
from small import context
from tfdgm_data.table import Table

from tfdgm import UserError

ROWS = 400


def people():
    random = np.random.RandomState(0)
    table = pandas.DataFrame(
        {
            "height": (170 + 8 * random.randn(ROWS)).round(1),
            "year": random.randint(1950, 2020, ROWS),
            "visits": random.poisson(6, ROWS),
            "rating": random.randint(1, 6, ROWS),
            "city": random.choice(["Oslo", "Paris", "Rome"], ROWS),
            "smokes": random.rand(ROWS) < 0.3,
            "answer": random.choice([0, 1], ROWS),
        }
    )
    for name in ("height", "rating", "city"):
        table.loc[random.rand(ROWS) < 0.2, name] = None
    return table


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("tables") / "people.csv"
    people().to_csv(file, index=False)
    return str(file)


def observed(data, split="train"):
    source = data.splits()[split]
    return data.observe(tf.constant(source.gather(np.arange(len(source)))), context()).numpy()


def kinds(data):
    return {column.name: column.kind for column in data.spec.table.columns}


def test_kinds_are_inferred(path):
    data = Table(path=path)
    assert kinds(data) == {
        "height": "numeric", "year": "numeric", "visits": "count", "rating": "ordinal", "city": "categorical",
        "smokes": "categorical", "answer": "categorical",
    }  # fmt: skip
    by_name = {column.name: column for column in data.spec.table.columns}
    assert by_name["rating"].categories == (1, 2, 3, 4, 5) and by_name["smokes"].categories == (False, True)
    assert [name for name, column in by_name.items() if column.missing] == ["height", "rating", "city"]
    assert (by_name["height"].decimals, by_name["year"].decimals) == (1, 0)
    assert data.spec.shape == (7 + 2 + 3,)


def test_every_row_is_restored_from_x_exactly(path, tmp_path):
    data = Table(path=path, validation_share=0, test_share=0)
    restored = tmp_path / "restored.csv"
    pandas.DataFrame(data.spec.table.restore(observed(data))).to_csv(restored, index=False)
    pandas.testing.assert_frame_equal(pandas.read_csv(restored), pandas.read_csv(path), rtol=1e-12)


def test_parquet_keeps_the_order_of_categories(tmp_path):
    sizes = pandas.Categorical(["M", "S", "L", "M"] * 5, categories=["S", "M", "L", "XL"], ordered=True)
    file = tmp_path / "sizes.parquet"
    pandas.DataFrame({"size": sizes, "x": np.arange(20) / 7}).to_parquet(file)
    data = Table(path=str(file), validation_share=0, test_share=0)
    assert data.spec.table.columns[0].categories == ("S", "M", "L") and kinds(data)["size"] == "ordinal"
    assert observed(data)[:3, 0].tolist() == [0, -1, 1]


def test_kinds_are_chosen(path):
    types = {"rating": "count", "visits": "numeric", "answer": "ordinal", "city": ["Rome", "Oslo", "Paris"]}
    data = Table(path=path, types=types, drop=("year",))
    chosen = kinds(data)
    assert "year" not in chosen
    assert {name: chosen[name] for name in types} == {
        "rating": "count", "visits": "numeric", "answer": "ordinal", "city": "ordinal",
    }  # fmt: skip
    assert next(c for c in data.spec.table.columns if c.name == "city").categories == ("Rome", "Oslo", "Paris")


def test_scaling_is_that_of_the_training_rows(path):
    data = Table(path=path)
    x, column = observed(data), data.spec.table.columns[0]
    known = x[x[:, data.spec.table.observed[0]] == 1, 0]
    assert abs(known.mean()) < 1e-5 and known.std() == pytest.approx(1, abs=1e-5)  # float32
    assert (x[x[:, data.spec.table.observed[0]] == 0, 0] == 0).all()
    low = Table(path=path, scaling="minmax").spec.table.columns[0]
    heights = data.spec.table.restore(x)["height"]
    assert (low.center, low.scale) == pytest.approx((np.nanmin(heights), np.nanmax(heights) - np.nanmin(heights)))
    plain = Table(path=path, scaling=None).spec.table.columns[0]
    assert (plain.center, plain.scale) == (0, 1) and column.center != 0


def test_rows_appended_later_move_no_row_to_another_split(path, tmp_path):
    before = Table(path=path)
    longer = tmp_path / "longer.csv"
    pandas.concat([people(), people()[:100]]).to_csv(longer, index=False)
    after = Table(path=str(longer))
    for split in ("train", "validation", "test"):
        first = before.spec.table.restore(observed(before, split))
        second = after.spec.table.restore(observed(after, split))
        count = len(first["year"])
        assert second["year"][:count].tolist() == first["year"].tolist() and count > 0
    sizes = {split: len(source) for split, source in before.splits().items()}
    assert sum(sizes.values()) == ROWS and 20 < sizes["test"] < 60  # 40 expected, 6 the standard deviation


def test_a_column_may_name_the_splits(tmp_path):
    file = tmp_path / "named.csv"
    file.write_text("x,part\n1.5,train\n2.5,test\n3.5,train\n4.25,train\n")
    data = Table(path=str(file), split_column="part")
    assert {split: len(source) for split, source in data.splits().items()} == {"train": 3, "test": 1}
    assert kinds(data) == {"x": "numeric"}


@pytest.mark.parametrize(
    "text, settings, message",
    [
        ("a,b\n", {}, "has 0 rows"),
        ("a\n1.5\n2.5\n", {"types": {"b": "count"}}, "has no column 'b'; it has 'a'"),
        ("a\n1.5\n2.5\n", {"types": {"a": "counts"}}, "type must be one of numeric, categorical, ordinal, count"),
        ("a\n1.5\n2.5\n", {"types": {"a": "count"}}, "cannot be count: its values lie in 1.5 to 2.5"),
        ("a\nx\ny\n", {"types": {"a": "numeric"}}, "cannot be numeric: it has 'x', which is not a number"),
        ("a\nx\ny\n", {"types": {"a": ["x", "z"]}}, "has 'y', which is none of its categories"),
        ("a,b\n1.5,\n2.5,\n", {}, "column 'b' has no values; leave it out by data.table.drop"),
        ("a\n1.5\ninf\n", {}, "column 'a' has infinity, the first in row 1"),
        ("a\n" + "".join(f"name{i}\n" for i in range(300)), {}, "has 300 different texts, such as 'name0'"),
        ("a\n1.5\n", {"drop": ("a",)}, "all columns are left out"),
        ("a,part\n1.5,trian\n", {"split_column": "part"}, "must hold train, validation, test, but has"),
        ("a\n1.5\n", {"test_share": 1.0}, "must sum to less than 1"),
        ("a,b\n1.5,2\n1,2,3\n", {}, "cannot read"),
    ],
)
def test_what_is_wrong_is_said_with_the_column(tmp_path, text, settings, message):
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=f"[Tt]able.*{message}"):
        Table(path=str(file), **settings)


@pytest.mark.parametrize("name, message", [("no.csv", "not found"), ("x.txt", "must be a .csv"), (".", "must be")])
def test_a_file_that_is_no_table_is_named(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        Table(path=str(tmp_path / name))


def test_times_are_refused_with_a_remedy(tmp_path):
    file = tmp_path / "times.parquet"
    pandas.DataFrame({"when": pandas.to_datetime(["2020-01-01", "2021-01-01"])}).to_parquet(file)
    with pytest.raises(UserError, match="'when' holds times; make numbers of them"):
        Table(path=str(file))


def test_without_pandas_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(UserError, match=r'pip install "tfdgm\[tables\]"'):
        Table(path=path)
