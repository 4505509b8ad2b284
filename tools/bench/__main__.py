"""Measures the framework's performance in one run, beside that of others doing the same.

  python tools/bench [--only=NAME,...] [--rounds=N] [--out=FOLDER] [--quick]

It prints tables and writes `bench.json` and a chart, `performance.png`, to FOLDER. `--out=docs` also rewrites the
tables in docs/performance.md. `--draw` only does that again, with the figures of FOLDER/bench.json.

NAME is a part, `steps`, `starting`, `growth` or `scale`, or one of the steps: vae, gan, wgan_gp, mixture, vqvae,
plain_vqvae, vae_vamp, vae_maf, maf_density, categorical, nll, maf_draws, code_draws.

Every contender is a process of its own on the CPU; those of one computation take turns, so that a change of the
machine's speed meets all of them. What counts are medians, and the ratios of medians. Close other programs first: the
load average before and after is among the results. `pip install -e ".[bench]"` installs JAX, PyTorch and pythae; who is
not installed is left out, and named. (PyTorch's wheels for Linux bring CUDA; `--index-url
https://download.pytorch.org/whl/cpu` has smaller ones that do not.) `--quick` runs everything at sizes that only show
that it works.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import growth
import machine
import report
import scale
import starting
from cases import CASES, MATRIX, SLOW
from flops import FLOPS
from matrix import product_flops
from tables import heading, tables
from turns import take_turns
from work import Size

PARTS = {"starting": starting.measure, "growth": growth.measure, "scale": scale.measure}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=9, help="calls that count")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round")
    parser.add_argument("--draw", action="store_true", help="measure nothing; tables and chart of FOLDER/bench.json")
    options = parser.parse_args()
    if options.draw:
        results = json.loads((options.out / "bench.json").read_text(encoding="utf-8"))
    else:
        results = measure(chosen(options.only, parser), 1 if options.quick else options.rounds, Size(options.quick))
    report.write(results, options.out)
    print(heading(results))
    for table in tables(results):
        table.print()
    problems = list(report.wrong(results))
    if problems:
        raise SystemExit("\n".join(problems))
    print(f"written to {options.out}")


def chosen(only: str, parser: argparse.ArgumentParser) -> list[str]:
    """Return the names of cases and parts to measure, in order."""
    names = [name for name in only.split(",") if name] or ["steps", *PARTS]
    for name in names:
        if name not in ("steps", *CASES, *PARTS):
            parser.error(f"--only: there is no {name!r}; there are steps, {', '.join([*PARTS, *CASES])}")
    if "steps" in names:
        names += CASES
    return [name for name in (*CASES, *PARTS) if name in names]


def measure(names: list[str], rounds: int, size: Size) -> dict[str, Any]:
    """Return all results, in the form of bench.json."""
    began, load = time.monotonic(), machine.load()
    results: dict[str, Any] = {"machine": machine.describe(), "quick": size.quick, "rounds": rounds, "missing": {}}
    cases = [name for name in CASES if name in names]
    rates = []
    for number, name in enumerate(cases):
        if number in (0, len(cases) // 2):  # the machine's rate changes as well
            rates.append(matrix_rate(rounds, size))
        print(f"{time.monotonic() - began:4.0f} s  {CASES[name].title}", flush=True)
        fewer = max(1, rounds // 2) if name in SLOW else rounds
        found, missing = take_turns(CASES[name], size, fewer)
        results.setdefault("steps", {})[name] = found
        results["missing"] |= {f"{who}, {name}": reason for who, reason in missing.items()}
    if rates:
        results["matrix_rate"] = statistics.median(rates)
        share(results)
    for name in PARTS:
        if name in names:
            print(f"{time.monotonic() - began:4.0f} s  {name}", flush=True)
            results[name], missing = PARTS[name](size, min(rounds, 2) if name == "starting" else rounds)
            results["missing"] |= missing
    results["load"] = {"before": load + 1e-3, "after": machine.load() + 1e-3}
    results["seconds"] = time.monotonic() - began
    return results


def matrix_rate(rounds: int, size: Size) -> float:
    """Return the operations per second of a large product of matrices."""
    found, missing = take_turns(MATRIX, size, rounds)
    if missing:
        raise SystemExit(f"no matrix rate: {missing}")
    return product_flops() / (found["TensorFlow"]["median"] / 1e6)


def share(results: dict[str, Any]) -> None:
    """Add to every contender of a case whose operations are known its share of the matrix rate."""
    for name, contenders in results["steps"].items():
        for own in contenders.values():
            if name in FLOPS:
                own["matrix_share"] = FLOPS[name] / (own["median"] / 1e6) / results["matrix_rate"]


if __name__ == "__main__":
    main()
