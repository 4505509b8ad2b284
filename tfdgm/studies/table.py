"""The tables of a study: a row for each cell as CSV, means over seeds as Markdown."""

import csv
import io
import math
from collections.abc import Container, Iterable, Mapping, Sequence

from tfdgm.contracts.quantity import Quantity
from tfdgm.studies.exit_status import DONE
from tfdgm.studies.folder import Result

_FACTS = ("seed", "status", "reason", "seconds")

#: Meanings of scores by key, in the order of the tables.
Quantities = Mapping[str, Quantity]
Groups = dict[tuple[str, ...], list[Result]]


def csv_text(results: Sequence[Result], quantities: Quantities) -> str:
    """Return CSV with a row for each cell and a column for every score that any cell has."""
    scores = list(
        dict.fromkeys([*shown_scores(results, quantities), *(name for result in results for name in result.scores)])
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns(results), *_FACTS, *scores])
    for result in results:
        facts = [*result.cell.combination, result.cell.seed, result.status, result.reason, f"{result.seconds:.1f}"]
        writer.writerow([*facts, *(result.scores.get(name, "") for name in scores)])
    return text.getvalue()


def markdown(results: Sequence[Result], quantities: Quantities) -> str:
    """Return a table of mean ± standard deviation over seeds, then the combinations without scores and the reasons."""
    scores = main_scores(results, quantities)
    varied = columns(results)
    rows = [[*varied, "seeds", *scores], ["---"] * len(varied) + ["---:"] * (1 + len(scores))]
    missing = []
    for combination, group in by_combination(results).items():
        done = [result for result in group if result.status == DONE]
        names = [f"`{name}`" if name else "" for name in combination]
        if done:
            cells = [spread([result.scores[name] for result in done if name in result.scores]) for name in scores]
            rows.append([*names, str(len(done)), *cells])
        for status, reason, seeds in without_scores(group):
            cause = reason.replace("\n", " ").replace("|", "\\|")
            missing.append(f"- {', '.join(filter(None, names))}, seed {seeds}: {status}{': ' if cause else ''}{cause}")
    table = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*table, "", *missing]).rstrip("\n") + "\n"


def columns(results: Sequence[Result]) -> tuple[str, ...]:
    """Return the names of what the study varies."""
    return results[0].cell.columns if results else ()


def by_combination(results: Iterable[Result]) -> Groups:
    """Group results by combination."""
    groups: Groups = {}
    for result in results:
        groups.setdefault(result.cell.combination, []).append(result)
    return groups


def without_scores(group: Iterable[Result]) -> list[tuple[str, str, str]]:
    """Return (status, reason, seeds) of the results that are not done; seeds with the same of both are joined."""
    shared: dict[tuple[str, str], list[str]] = {}
    for result in group:
        if result.status != DONE:
            shared.setdefault((result.status, result.reason), []).append(str(result.cell.seed))
    return [(status, reason, ", ".join(seeds)) for (status, reason), seeds in shared.items()]


def shown_scores(results: Iterable[Result], quantities: Quantities) -> list[str]:
    """Return the scores with a meaning that any result has, in the order of the meanings, without counts."""
    return scores_in_order({name for result in results for name in result.scores}, quantities)


def scores_in_order(names: Container[str], quantities: Quantities) -> list[str]:
    """Return those of the names that have a meaning, in the order of the meanings, without counts."""
    return [name for name, quantity in quantities.items() if name in names and not quantity.count]


def main_scores(results: Iterable[Result], quantities: Quantities) -> list[str]:
    """Return the main scores that any result has."""
    return [name for name in shown_scores(results, quantities) if quantities[name].main]


def spread(values: Sequence[float]) -> str:
    """Return `mean ± standard deviation`, a single value as it is, and an empty text for no value."""
    if not values:
        return ""
    if len(values) == 1:
        return number(values[0])
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        return number(mean)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return f"{number(mean)} ± {deviation:,.{_decimals(mean)}f}"


def number(value: float) -> str:
    """Format a score: two decimals; two significant digits below 0.1; no decimals from 10,000 on."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{_decimals(value)}f}"


def _decimals(value: float) -> int:
    if value == 0 or not math.isfinite(value) or abs(value) >= 0.1:
        return 0 if 9_999.995 <= abs(value) < math.inf else 2
    return 1 - math.floor(math.log10(abs(value)))


def counts(results: Iterable[Result]) -> Mapping[str, int]:
    """Count the results by status."""
    found: dict[str, int] = {}
    for result in results:
        found[result.status] = found.get(result.status, 0) + 1
    return found
