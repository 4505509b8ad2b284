"""Trains every installed prior with every installed posterior on the digits and prints the table of the documentation.

  python tools/table_digits.py [--seeds 0 1 2] [--posteriors gaussian ...] [--output runs/table_digits.csv]
      [--gin_files digits/warmup.gin ...] [--gin_bindings 'steps = 500' ...]

Runs go one after the other in one process. Those that the output already lists are not run again, so that an
interrupted table goes on where it was. Pairs that have no meaning are listed with the reason.
"""

import argparse
import csv
import os
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

from tfdgm.configuration.resolve import read_config
from tfdgm.contracts.registry import find
from tfdgm.errors import UserError
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.training.trainer import Trainer

CONFIGS = {"categorical": "digits/vae_categorical.gin", "vq": "digits/vqvae.gin"}
SCORES = ("nll_iwae", "elbo", "rate", "mutual_information", "marginal_kl", "code_perplexity", "code_usage")
FIELDS = ("posterior", "prior", "seed", *SCORES)


def names(kind: str) -> list[str]:
    return sorted(plugin.name for plugin in find() if plugin.kind == kind)


def run(posterior: str, prior: str, seed: int, files: list[str], bindings: list[str]) -> dict[str, float]:
    """Trains one model and scores it on the test split."""
    chosen = [
        f"experiment.posterior = @posterior.{posterior}()",
        f"experiment.prior = @prior.{prior}()",
        f"experiment.seed = {seed}",
    ]
    config = read_config([CONFIGS.get(posterior, "digits/vae.gin"), *files], [*chosen, *bindings])
    built = config.experiment().build()
    with tempfile.TemporaryDirectory() as workdir:
        if Trainer(built, Path(workdir), lambda line: None).train().signal is not None:
            raise SystemExit("stopped by a signal; run it again to go on")
    return evaluate(built)


def table(rows: list[dict[str, str]]) -> str:
    """Means over the seeds, with the spread of the NLL as a standard deviation."""
    grouped: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        grouped[row["posterior"], row["prior"]].append(row)
    lines = [
        "| posterior | prior | NLL | ELBO | rate | mutual information | marginal KL | perplexity | usage |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for (posterior, prior), runs in grouped.items():
        cells = []
        for name in SCORES:
            values = [float(row[name]) for row in runs if row[name]]
            cell = f"{statistics.mean(values):.2f}" if values else ""
            if name == "nll_iwae" and len(values) > 1:
                cell += f" ± {statistics.stdev(values):.2f}"
            cells.append(cell)
        lines.append(f"| `{posterior}` | `{prior}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=Path("runs/table_digits.csv"))
    parser.add_argument("--posteriors", nargs="+", default=names("posterior"))
    parser.add_argument("--gin_files", nargs="*", default=[])
    parser.add_argument("--gin_bindings", nargs="*", default=[])
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if not options.output.exists():
        options.output.write_text(",".join(FIELDS) + "\n")
    done = list(csv.DictReader(options.output.open()))
    refused: dict[tuple[str, str], str] = {}
    for seed in options.seeds:
        for posterior in options.posteriors:
            for prior in names("prior"):
                finished = any((r["posterior"], r["prior"], r["seed"]) == (posterior, prior, str(seed)) for r in done)
                if finished or (posterior, prior) in refused:
                    continue
                try:
                    scores = run(posterior, prior, seed, options.gin_files, options.gin_bindings)
                except UserError as error:
                    refused[posterior, prior] = str(error)
                    continue
                row = {"posterior": posterior, "prior": prior, "seed": str(seed)}
                row |= {name: f"{scores[name]:.4f}" for name in SCORES if name in scores}
                done.append({name: row.get(name, "") for name in FIELDS})
                with options.output.open("a") as file:
                    csv.DictWriter(file, FIELDS).writerow(row)
                print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    print(table(sorted(done, key=lambda row: (row["posterior"], float(row["nll_iwae"])))))
    for (posterior, prior), reason in refused.items():
        print(f"refused: {posterior} with {prior}: {reason}")


if __name__ == "__main__":
    main()
