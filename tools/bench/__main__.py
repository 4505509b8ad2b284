"""Measures the framework's performance in one run, beside that of others doing the same.

  python tools/bench [--only=NAME,...] [--rounds=N] [--out=FOLDER] [--quick]

It prints tables and writes `bench.json` and a chart, `performance.png`, to FOLDER. `--out=docs` also rewrites the
tables in docs/performance.md. `--draw` only does that again, with the figures of FOLDER/bench.json.

NAME is a part, `steps`, `starting`, `growth` or `scale`; or one of the steps: vae, gan, wgan_gp, mixture, vqvae,
plain_vqvae, vae_vamp, vae_maf, maf_density, categorical, nll, maf_draws, code_draws; or what grows: batch, latent,
depth, codebook, positions, components, bijectors.

Every contender is a process of its own on the CPU; those of one computation take turns, so that a change of the
machine's speed meets all of them. What counts are medians, and the ratios of medians. Close other programs first: the
load average before and after is among the results. `pip install -e ".[bench]"` installs JAX, PyTorch and pythae; who is
not installed is left out, and named. (PyTorch's default wheels for Linux bring CUDA; its
wheels for the CPU are smaller.) `--quick` runs everything at sizes that only show
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
from curves import CURVES
from flops import FLOPS
from matrix import product_flops
from tables import heading, tables
from turns import take_turns
from work import Size

PARTS = {"steps": CASES, "starting": ["starting"], "growth": CURVES, "scale": ["scale"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=9, help="calls that count")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of the results")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round")
    parser.add_argument("--draw", action="store_true", help="measure nothing; tables and chart of FOLDER/bench.json")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
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
    """Return the names of what to measure; a part stands for all that it has."""
    known = [name for part in PARTS.values() for name in part]
    names: list[str] = []
    for name in [name for name in only.split(",") if name] or PARTS:
        if name not in known and name not in PARTS:
            parser.error(f"--only: there is no {name!r}; there are {', '.join([*PARTS, *CASES, *CURVES])}")
        names += PARTS.get(name, [name])
    return [name for name in known if name in names]


def measure(names: list[str], rounds: int, size: Size) -> dict[str, Any]:
    """Return all results, in the form of bench.json."""
    began, load = time.monotonic(), machine.load()
    results: dict[str, Any] = {"machine": machine.describe(), "quick": size.quick, "rounds": rounds, "missing": {}}

    def part(name: str, measured: tuple[dict[str, Any], dict[str, str]]) -> None:
        results[name] = measured[0]
        results["missing"] |= measured[1]

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:4.0f} s  {what}", flush=True)

    cases, curves = ([name for name in group if name in names] for group in (CASES, CURVES))
    if cases:
        say("matrix rate")
        rates = [matrix_rate(rounds, size)]
        for name in cases:
            say(CASES[name].title)
            found, missing = take_turns(CASES[name], size, max(1, rounds // 2) if name in SLOW else rounds)
            results.setdefault("steps", {})[name] = found
            results["missing"] |= {f"{who}, {name}": reason for who, reason in missing.items()}
        if not size.quick:  # the machine's rate changes as well
            rates.append(matrix_rate(rounds, size))
        results["matrix_rate"] = statistics.median(rates)
        share(results)
    if "starting" in names:
        say("starting")
        part("starting", starting.measure(size, min(rounds, 2)))
    if curves:
        say("growth")
        part("growth", growth.measure(size, rounds, curves))
    if "scale" in names:
        say("scale")
        part("scale", scale.measure(size, rounds))
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
