"""The record, the tables and the page of made-up results."""

import csv
import dataclasses
import html.parser
import io
import json
import math
import re

import pytest

from tfdgm import Quantity, UserError
from tfdgm.configuration.config_files import DEFAULT_CONFIG, find_file
from tfdgm.studies.combinations import MATRIX, MatrixCell
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.study_page import newest_samples
from tfdgm.studies.table import csv_text, markdown, number, spread
from tfdgm.studies.write_reports import write_reports

NASTY = "<script>alert(\"1\")</script> & 'x' | y,\nsecond line"


def result(posterior="q", prior="p", objectives=("elbo",), seed=0, status="done", reason="", **scores):
    return Result(MatrixCell(posterior, prior, objectives, seed), status, reason, 61.0, scores, "tfdgm train '--x=<y>'")


NATS = "nats per example"
QUANTITIES = {
    "elbo": Quantity(NATS, "", "larger", main=True),
    "nll_iwae": Quantity(NATS, "", "smaller", main=True),
    "code_usage": Quantity("share of the codes", "", "larger", main=True),
    "active_units": Quantity("dimensions", "", main=True),
    "frechet_distance": Quantity("squared units of the features", "", "smaller", main=True),
    "mmd": Quantity("squared, at most 2", "", "smaller"),
    "samples": Quantity("", "", count=True),
}

RESULTS = [
    result("none", "p", ("jsd",), status="refused", reason=NASTY),
    result(seed=0, elbo=-22.0, nll_iwae=21.5, active_units=8, oddity=0.001),
    result(seed=1, elbo=-23.0, nll_iwae=21.0, active_units=7),
    result(seed=2, status="failed", reason="NaN"),
    result(prior="r", code_usage=0.5),
    result(prior="s", status="unfinished"),
]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "m<1>", MATRIX)
    with made.held():
        yield made


def give_meanings(folder, result):
    """Write the meanings of the scores of a cell."""
    folder.workdir(result.cell).mkdir(exist_ok=True)
    meanings = {name: dataclasses.asdict(quantity) for name, quantity in QUANTITIES.items()}
    (folder.workdir(result.cell) / "scores.json").write_text(json.dumps(meanings))


def test_the_csv_has_a_row_for_each_cell_with_all_its_numbers():
    rows = list(csv.DictReader(io.StringIO(csv_text(RESULTS, QUANTITIES))))
    assert list(rows[0]) == ["posterior", "prior", "objectives", "seed", "status", "reason", "seconds", "elbo",
                             "nll_iwae", "code_usage", "active_units", "oddity"]  # fmt: skip
    assert [row["status"] for row in rows] == ["refused", "done", "done", "failed", "done", "unfinished"]
    assert rows[0]["reason"] == NASTY
    assert (rows[1]["elbo"], rows[1]["active_units"], rows[1]["oddity"], rows[2]["oddity"]) == (
        "-22.0",
        "8",
        "0.001",
        "",
    )


def test_the_markdown_has_means_and_deviations_over_seeds_and_leaves_missing_scores_blank():
    lines = markdown(RESULTS, QUANTITIES).splitlines()
    assert lines[0] == "| posterior | prior | objectives | seeds | elbo | nll_iwae | code_usage | active_units |"
    assert lines[2] == "| `q` | `p` | `elbo` | 2 | -22.50 ± 0.71 | 21.25 ± 0.35 |  | 7.50 ± 0.71 |"
    assert lines[3] == "| `q` | `r` | `elbo` | 1 |  |  | 0.50 |  |"
    assert "- `q`, `p`, `elbo`, seed 2: failed: NaN" in lines and "- `q`, `s`, `elbo`, seed 0: unfinished" in lines
    assert "\\| y, second line" in lines[5] and len(lines) == 8


@pytest.mark.parametrize(
    "values, text",
    [
        ([], ""),
        ([3], "3"),
        ([2.0], "2.00"),
        ([0.00123], "0.0012"),
        ([-9111.26], "-9,111.26"),
        ([9_999.996], "10,000"),
        ([12345], "12,345"),
        ([814_000.5, 815_000.5], "814,500 ± 707"),
        ([1.0, 1.0], "1.00 ± 0.00"),
        ([0.012, 0.014], "0.013 ± 0.001"),
        ([7.5, 7.6], "7.55 ± 0.07"),
        ([7, 8], "7.50 ± 0.71"),
        ([math.nan, 1.0], "nan"),
        ([math.inf], "inf"),
    ],
)
def test_scores_have_two_decimals_or_two_digits_or_no_decimals(values, text):
    assert spread(values) == text
    assert len(values) != 1 or number(values[0]) == text


class Parsed(html.parser.HTMLParser):
    """The open tags, links, images and text of a page."""

    VOID = ("meta", "img", "br", "wbr", "!doctype")

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.images, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "x"), "markup came through"
        found = dict(attributes)
        self.links += [found["href"]] if "href" in found else []
        self.images += [found["src"]] if tag == "img" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_well_formed_self_contained_and_escaped(folder):
    done = RESULTS[1]
    workdir = folder.workdir(done.cell)
    (workdir / "samples").mkdir(parents=True)
    for name in ("samples-9.png", "samples-10.png", "samples-x.png", "reconstructions-10.png"):
        (workdir / "samples" / name).write_bytes(name.encode())
    (workdir / "report.html").touch()
    folder.log(done.cell).touch()
    give_meanings(folder, done)
    write_reports(folder, RESULTS)
    page = (folder.path / "index.html").read_text()
    parsed = Parsed(page)
    assert parsed.open == []
    assert NASTY in parsed.text and "tfdgm train '--x=<y>'" in parsed.text
    assert parsed.images == ["data:image/png;base64,c2FtcGxlcy0xMC5wbmc="]  # samples-10.png, the newest
    assert {"matrix.csv", "cells/q-p-elbo-0/report.html", "cells/q-p-elbo-0", "logs/q-p-elbo-0.log"} == set(
        parsed.links
    )
    assert all((folder.path / link).exists() for link in parsed.links)
    assert "m<1>" in parsed.text and not re.search(r"(src|href)=.?https?:", page)
    for words in ("posterior q, elbo", "prior r", "21.25 ± 0.35", "NaN", "3 done, 1 failed, 1 unfinished, 1 refused"):
        assert words in parsed.text


def test_the_page_begins_with_main_scores_and_folds_the_rest(folder):
    scored = result(elbo=-22.0, nll_iwae=21.5, frechet_distance=1.5, mmd=0.001, samples=300, oddity=1.0)
    give_meanings(folder, scored)
    write_reports(folder, [scored])
    page = (folder.path / "index.html").read_text()
    first, folded = page.split("<details><summary>all scores</summary>")
    assert "elbo&nbsp;↑<br><small>nats per example</small>" in first
    assert "frechet_<wbr>distance&nbsp;↓<br><small>squared units" in first
    assert "mmd" not in first and "mmd&nbsp;↓" in folded
    assert '<th class="number">samples' not in page and "oddity" not in page


def test_the_meanings_are_those_of_the_finished_cells_in_the_order_of_the_first(folder):
    for entry in RESULTS[1:3]:
        give_meanings(folder, entry)
    mine = {"unit": "codes", "formula": "f"}
    path = folder.workdir(RESULTS[2].cell) / "scores.json"
    path.write_text(json.dumps({"mine": mine, "elbo": {"unit": "other", "formula": ""}, "bad": {"unit": 3}}))
    assert folder.quantities(RESULTS) == {**QUANTITIES, "mine": Quantity("codes", "f")}
    assert folder.quantities(RESULTS[3:]) == {}


def test_the_page_shows_data_sizes_and_shared_settings(folder):
    for seed, steps in ((0, 500), (1, 500), (2, 700)):
        workdir = folder.workdir(result(seed=seed).cell)
        workdir.mkdir()
        config = find_file(DEFAULT_CONFIG).read_text().replace("steps = 10_000", f"steps = {steps}")
        (workdir / "config.gin").write_text(config)
    damaged = folder.workdir(result(seed=3).cell)
    damaged.mkdir()
    (damaged / "config.gin").write_text("experiment.data = ")
    results = [result(seed=seed, elbo=1.0) for seed in range(5)]
    for entry in results:
        entry.command = f"tfdgm train --gin_file=mine.gin '--gin_bindings=steps = 5' --gin_bindings={entry.cell.seed}"
    write_reports(folder, results)
    text = Parsed((folder.path / "index.html").read_text()).text
    assert (
        "Data digits, 500 steps, batches of 128, latent size 8; data digits, 700 steps, batches of 128, latent size 8"
        in text
    )
    assert "Each with --gin_file=mine.gin '--gin_bindings=steps = 5'" in text and "--gin_bindings=0'" not in text


def test_a_running_cell_is_shown_on_the_page_but_not_recorded(folder):
    write_reports(folder, RESULTS, [RESULTS[5].cell])
    assert "3 done, 1 running, 1 failed, 1 refused" in Parsed((folder.path / "index.html").read_text()).text
    assert "running" not in (folder.path / "matrix.json").read_text() + (folder.path / "matrix.csv").read_text()


def test_links_quote_characters_with_a_meaning_in_urls(folder):
    paired = result(objectives=("a", "b"))
    folder.workdir(paired.cell).mkdir()
    write_reports(folder, [paired])
    assert "cells/q-p-a%2Bb-0" in Parsed((folder.path / "index.html").read_text()).links


def test_a_run_without_pictures_has_none(tmp_path):
    assert newest_samples(tmp_path) is None


def test_an_empty_matrix_has_a_page_too(folder):
    write_reports(folder, [])
    assert Parsed((folder.path / "index.html").read_text()).open == []


# ---- the record


def test_the_record_reads_back_and_a_cell_whose_run_was_deleted_is_unfinished(folder):
    for gone in RESULTS[2:3]:
        assert not folder.workdir(gone.cell).exists()
    for kept in (RESULTS[1], RESULTS[4]):
        folder.workdir(kept.cell).mkdir()
        (folder.workdir(kept.cell) / "eval.json").write_text("{}")
        (folder.workdir(kept.cell) / "report.html").touch()
    write_reports(folder, RESULTS)
    read = folder.results()
    assert list(read) == [entry.cell for entry in RESULTS]
    assert [entry.status for entry in read.values()] == [
        "refused",
        "done",
        "unfinished",
        "failed",
        "done",
        "unfinished",
    ]
    assert read[RESULTS[1].cell] == RESULTS[1]


def test_damaged_entries_of_the_record_are_skipped(folder):
    write_reports(folder, RESULTS[:1])
    record = json.loads((folder.path / "matrix.json").read_text())
    record["cells"] += [3, {"posterior": "q"}, {**record["cells"][0], "status": "odd", "seed": 5}]
    folder.write("matrix.json", json.dumps(record))
    assert list(folder.results()) == [RESULTS[0].cell]
    folder.write("matrix.json", "{cut off")
    assert folder.results() == {}


def test_a_folder_with_other_files_is_refused(tmp_path):
    Folder(tmp_path / "new", MATRIX).check()
    (tmp_path / "other").mkdir()
    Folder(tmp_path / "other", MATRIX).check()
    (tmp_path / "other" / "thesis.tex").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.gin").touch()
    for name, message in [
        ("other", "other files"),
        ("run", "a run of tfdgm train"),
        ("run/config.gin", "not a folder"),
    ]:
        with pytest.raises(UserError, match=message):
            Folder(tmp_path / name, MATRIX).check()


def test_two_processes_do_not_share_a_folder(folder):
    with pytest.raises(UserError, match="another process"), Folder(folder.path, MATRIX).held():
        pass
