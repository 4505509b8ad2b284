"""Trains a config on a toy with modes for several seeds and prints modes, high quality and reverse KL.

  python tools/table_modes.py --gin_file toy/ring.gin [--seeds 0 ... 9] [--gin_bindings 'steps = 500' ...]
      [--output runs/modes.csv] [--name ring]

Runs go one after the other in one process; those that the output already lists, with the same name, config and
bindings, are not run again.
"""

import argparse
import csv
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

from tfdgm.configuration.resolve import read_config
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.training.trainer import Trainer

KEY = ("name", "gin_file", "bindings", "seed")
SCORES = ("modes", "high_quality", "reverse_kl", "wasserstein", "seconds")


def run(file: str, seed: int, bindings: list[str]) -> dict[str, float]:
    """Trains one model and scores it."""
    began = time.monotonic()
    built = read_config([file], [*bindings, f"experiment.seed = {seed}"]).experiment().build()
    with tempfile.TemporaryDirectory() as workdir:
        if Trainer(built, Path(workdir), lambda line: None).train().signal is not None:
            raise SystemExit("stopped by a signal; run it again to go on")
    return evaluate(built) | {"seconds": time.monotonic() - began}


def append(output: Path, line: list[str]) -> None:
    with output.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(line)


def finished(output: Path, wanted: list[str]) -> list[dict[str, str]]:
    """The rows of this name, config and bindings."""
    with output.open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ())[: len(KEY)] != KEY:
            raise SystemExit(f"{output} has other columns than {', '.join(KEY)} and the scores: name another output")
        return [row for row in reader if [row[key] for key in KEY[:-1]] == wanted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gin_file", required=True)
    parser.add_argument("--gin_bindings", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--output", type=Path, default=Path("runs/modes.csv"))
    parser.add_argument("--name", help="of the row; the config's by default")
    options = parser.parse_args()
    name = options.name or Path(options.gin_file).stem
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if not options.output.exists():
        append(options.output, [*KEY, *SCORES])
    wanted = [name, options.gin_file, " ".join(options.gin_bindings)]
    for seed in options.seeds:
        if str(seed) in [row["seed"] for row in finished(options.output, wanted)]:
            continue
        scores = run(options.gin_file, seed, options.gin_bindings)
        line = [*wanted, str(seed), *(f"{scores[score]:.4f}" for score in SCORES)]
        append(options.output, line)
        print(",".join(line), flush=True)
    rows = finished(options.output, wanted)
    for score in SCORES:
        values = [float(row[score]) for row in rows]
        spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        print(f"{name} {score}: {statistics.mean(values):.4f}{spread} over {len(values)} seeds")


if __name__ == "__main__":
    main()
