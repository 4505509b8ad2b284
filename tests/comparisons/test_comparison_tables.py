"""The tables of fabricated runs, in every format."""

import csv
import io

import pytest
from fabricated_runs import make_run, two_groups
from rich.console import Console

from tfdgm import UserError
from tfdgm.comparisons.compared_run import read_runs
from tfdgm.comparisons.comparison_page import page_of
from tfdgm.comparisons.overlaid_curves import overlaid_curves
from tfdgm.comparisons.run_groups import group_runs
from tfdgm.comparisons.score_table import score_table
from tfdgm.comparisons.table_formats import csv_of, latex_of, markdown_of
from tfdgm.comparisons.terminal_table import print_comparison


def table(*folders, names=()):
    runs, problems = read_runs(folders)
    assert problems == []
    return score_table(group_runs(runs), names)


def printed(comparison, width):
    file = io.StringIO()
    print_comparison(comparison, Console(file=file, width=width, highlight=False))
    lines = file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines if line.startswith(("┏", "┃", "│")))
    return lines


TIED = "not distinguished from the best by Welch's t-test at level 0.05"


def test_the_markdown_has_means_and_deviations_with_the_best_in_bold_and_ties_in_italics(tmp_path):
    assert markdown_of(table(two_groups(tmp_path))) == (
        "| runs | seeds | step | `elbo` ↑ | `nll_iwae` ↓ |\n"
        "| --- | ---: | ---: | ---: | ---: |\n"
        "| prior=gaussian | 3 | 40 | -22.50 ± 0.50 | *21.50 ± 0.50* |\n"
        "| prior=maf | 3 | 40 | **-20.50 ± 0.50** | **21.40 ± 0.50** |\n"
        "\n"
        f"Mean ± standard deviation over seeds; **bold**: best; *italics*: {TIED}.\n"
    )


def test_the_latex_is_a_booktabs_tabular(tmp_path):
    assert latex_of(table(two_groups(tmp_path))) == (
        "% \\usepackage{booktabs}\n"
        "% Mean +- standard deviation over seeds; \\textbf{bold}: best; "
        f"\\underline{{underlined}}: {TIED}.\n"
        "\\begin{tabular}{lrrr}\n"
        "\\toprule\n"
        "runs & seeds & elbo $\\uparrow$ & nll\\_iwae $\\downarrow$ \\\\\n"
        "\\midrule\n"
        "prior=gaussian & 3 & $-$22.50 $\\pm$ 0.50 & \\underline{21.50 $\\pm$ 0.50} \\\\\n"
        "prior=maf & 3 & \\textbf{$-$20.50 $\\pm$ 0.50} & \\textbf{21.40 $\\pm$ 0.50} \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_the_csv_has_a_row_for_each_run_with_the_settings_and_numbers_unrounded(tmp_path):
    text = csv_of(table(two_groups(tmp_path)).groups)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["group", "workdir", "seed", "prior", "step", "data_split", "num_examples", "elbo",
                             "nll_iwae", "mmd", "samples"]  # fmt: skip
    assert list(rows[5].values()) == ["prior=maf", str(tmp_path / "maf-2"), "2", "maf", "40", "test", "40", "-20.5",
                                      "21.9", "0.5", "1000"]  # fmt: skip
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(io.StringIO(text))
    assert frame.groupby("group")["elbo"].agg(["mean", "std"]).values.tolist() == [[-22.5, 0.5], [-20.5, 0.5]]


def test_the_terminal_shows_groups_as_rows_if_they_fit(tmp_path):
    lines = printed(table(two_groups(tmp_path)), 100)
    assert lines[4:6] == [
        "│ prior=gaussian │     3 │   40 │    -22.50 ± 0.50 │   21.50 ± 0.50 ~ │",
        "│ prior=maf      │     3 │   40 │  -20.50 ± 0.50 * │   21.40 ± 0.50 * │",
    ]
    assert lines[-1] == f"mean ± standard deviation over seeds; * best; ~ {TIED}"


def test_a_narrow_terminal_shows_groups_as_columns_and_a_narrower_one_several_tables(tmp_path):
    comparison = table(two_groups(tmp_path))
    assert "│ elbo ↑           │   -22.50 ± 0.50 │ -20.50 ± 0.50 * │" in printed(comparison, 60)
    assert sum(line.startswith("┏") for line in printed(comparison, 52)) == 2


def test_scores_can_be_chosen(tmp_path):
    folder = two_groups(tmp_path)
    assert list(table(folder, names=["mmd", "elbo"]).scores) == ["mmd", "elbo"]
    assert list(table(folder, names=["all"]).scores) == ["elbo", "nll_iwae", "mmd"]
    with pytest.raises(UserError, match=r"no run has a score 'elbow'\. Did you mean 'elbo'\?"):
        table(folder, names=["elbow"])


def test_a_run_without_scores_is_listed_with_the_command_that_scores_it(tmp_path):
    make_run(tmp_path / "r" / "a b", seed=1)
    make_run(tmp_path / "r" / "c", seed=0, scores={"elbo": -1.0})
    comparison = table(tmp_path / "r")
    assert comparison.cells == [[("-1.00 (1 of 2)", "")]]
    assert comparison.remarks == [
        f"{tmp_path}/r/a b has no scores; to score it: tfdgm eval '--workdir={tmp_path}/r/a b'"
    ]


def test_runs_of_other_data_are_apart_and_not_ranked(tmp_path):
    one = make_run(tmp_path / "a", scores={"elbo": -1.0})
    other = make_run(tmp_path / "b", scores={"elbo": -2.0}, content="c1")
    comparison = table(one, other)
    assert [mark for row in comparison.cells for _, mark in row] == ["", ""]
    assert all(group.name.startswith("content of the data=") for group in comparison.groups)
    assert comparison.remarks == [f"{other} has other data than {one}: split 'train': content c1 instead of c0"]


def test_scores_of_another_split_are_not_ranked(tmp_path):
    one = make_run(tmp_path / "a", scores={"elbo": -1.0})
    other = make_run(tmp_path / "b", prior="maf", scores={"elbo": -2.0}, split="train")
    comparison = table(one, other)
    assert [mark for row in comparison.cells for _, mark in row] == ["", ""]
    assert comparison.remarks == [
        f"the scores are of different examples: 40 examples of test, as {one}; 40 examples of train, as {other}"
    ]


def test_equal_seeds_are_told(tmp_path):
    runs = [make_run(tmp_path / name, scores={"elbo": -1.0}) for name in "ab"]
    comparison = table(*runs)
    assert [group.name for group in comparison.groups] == [f"{runs[0]} (+1)"]
    assert comparison.remarks == [
        f"{runs[0]} and {runs[1]} have the same settings and seed 0; each counts as a run of its own"
    ]


def test_groups_with_many_settings_have_the_names_of_their_folders(tmp_path):
    config = "experiment.latent_size = 2\nexperiment.batch_size = 3\nsteps = 9\n"
    other = make_run(tmp_path / "b", prior="maf", config=config, defaults="", scores={"elbo": -1.0})
    comparison = table(make_run(tmp_path / "a", defaults="", scores={"elbo": -2.0}), other)
    assert [group.name for group in comparison.groups] == [str(tmp_path / "a"), str(other)]
    assert list(comparison.groups[1].settings) == ["batch_size", "latent_size", "prior", "steps"]
    assert any("latent_size" in line for line in printed(comparison, 80))


def test_the_page_has_the_tables_and_links_relative_to_its_folder(tmp_path):
    page = page_of(table(two_groups(tmp_path / "runs")), tmp_path / "pages")
    assert "<b>-20.50 ± 0.50</b>" in page and "<u>21.50 ± 0.50</u>" in page
    assert '<a href="../runs/maf-2">seed 2</a>' in page
    assert "curves of all runs" in page and "Without" not in page
    assert "<td>prior</td><td>gaussian</td><td>maf</td>" in page


def test_the_names_of_settings_are_escaped_in_every_format(tmp_path):
    values = ("<b>|x", "50%_&")
    runs = [
        make_run(tmp_path / str(n), config=f"network.mlp.activation = '{value}'\n", defaults="", scores={"elbo": -1.0})
        for n, value in enumerate(values)
    ]
    comparison = table(*runs)
    assert "mlp.activation=\\<b>\\|x" in markdown_of(comparison)
    assert "mlp.activation=50\\%\\_\\&" in latex_of(comparison)
    assert "&lt;b&gt;|x" in page_of(comparison, tmp_path)


def test_runs_without_metrics_have_no_curves(tmp_path):
    run = make_run(tmp_path / "a", scores={"elbo": -1.0})
    (run / "metrics.jsonl").unlink()
    assert overlaid_curves(table(run).groups) is None
