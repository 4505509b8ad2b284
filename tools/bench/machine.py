"""What the figures are of: processor, versions, and how busy the machine was."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("tfdgm", "tensorflow", "keras", "jax", "torch", "pythae")


def describe() -> dict[str, object]:
    """Return processor, cores, Python, and the versions of what is installed."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def load() -> float:
    """Return the number of processes that wanted to run in the last minute."""
    return os.getloadavg()[0]
