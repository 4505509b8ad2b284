"""Starting: seconds from the start of a process to its first loop and to step 1,000, with and without a warm cache."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from cases import CASES, EAGER, JAX, OURS, TENSORFLOW
from processes import HERE, LIMIT_SECONDS, Failed, Worker, environment
from work import Size

#: Seconds to the first loop and to the last step, and the peak memory in megabytes.
Start = tuple[float, float, float]


def measure(size: Size, rounds: int) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Return the medians of every way to start, and why others were left out.

    Every loop has 100 steps. "Warm" starts find the compiled programs that a start before them left, "cold" ones an
    empty cache, which they fill.
    """
    contenders = CASES["vae"].contenders
    missing = {name: f"{contenders[name].needs} is not installed" for name in (JAX, EAGER)
               if not contenders[name].installed}  # fmt: skip
    found: dict[str, list[Start]] = {}
    for _ in range(rounds):
        with TemporaryDirectory() as folder:
            for name, start in starts(Path(folder), size).items():
                if name.split(";")[0] in missing:
                    continue
                try:
                    found.setdefault(name, []).append(start())
                except Failed as reason:
                    missing[name] = f"failed: {reason}"
    results = {}
    for name, own in found.items():
        if own:
            first, last, peak = (statistics.median(column) for column in zip(*own, strict=True))
            results[name] = {"first_loop": first, "step_1000": last, "peak_megabytes": peak}
    return results, {f"starting, {name}": reason for name, reason in missing.items()}


def starts(folder: Path, size: Size) -> dict[str, Callable[[], Start]]:
    """Return the ways to start, in the order in which they take turns."""
    jax_cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    inductor = folder / "inductor"
    cache = str(folder / "programs")
    return {
        f"{OURS}; no cache": lambda: command(folder / "none", "off", size),
        f"{OURS}; cold cache": lambda: command(folder / "cold", cache, size),
        f"{OURS}; warm cache": lambda: command(folder / "warm", cache, size),
        TENSORFLOW: lambda: script(TENSORFLOW, environment(inductor), size),
        f"{JAX}; cold cache": lambda: script(JAX, environment(inductor, **jax_cache), size),
        f"{JAX}; warm cache": lambda: script(JAX, environment(inductor, **jax_cache), size),
        EAGER: lambda: script(EAGER, environment(inductor), size),
    }


def script(name: str, env: dict[str, str], size: Size) -> Start:
    """Start a hand-written loop."""
    began = time.perf_counter()
    quick = ["--quick"] if size.quick else []
    worker = Worker([str(HERE / "worker.py"), CASES["vae"].contenders[name].builder, *quick], env)
    try:
        units = worker.answer()["units"]
        worker.ask()
        first = time.perf_counter() - began
        for _ in range(size.of(1_000, 2 * units) // units - 1):
            said = worker.ask()
        return first, time.perf_counter() - began, said["peak"]
    finally:
        worker.close()


def command(workdir: Path, cache: str, size: Size) -> Start:
    """Start `tfdgm train` on the same config; its lines in metrics.jsonl tell when a loop has ended.

    The run is told to end once it is there, since what follows is validation and scores.
    """
    loop, last = size.of(100, 5), size.of(1_000, 10)
    settings = f"steps = {10 * last}\nexperiment.steps_per_loop = {loop}\nexperiment.validate_every = {10 * last}"
    arguments = ["train", "--workdir", str(workdir), f"--gin_bindings={settings}"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "tfdgm", *arguments],
        env=environment(workdir, TFDGM_CACHE=cache),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    first = 0.0
    while True:
        step, now = last_step(workdir / "metrics.jsonl"), time.perf_counter() - began
        first = first or (now if step else 0.0)
        if step >= last:
            break
        if process.poll() is not None or now > LIMIT_SECONDS:
            process.kill()
            raise Failed(f"tfdgm train ended at step {step}")
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # it was waited for
    return first, now, usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def last_step(metrics: Path) -> int:
    """Return the step of the last complete line, or 0."""
    with contextlib.suppress(FileNotFoundError):
        lines = metrics.read_bytes().split(b"\n")[:-1]
        return int(json.loads(lines[-1])["step"]) if lines else 0
    return 0
