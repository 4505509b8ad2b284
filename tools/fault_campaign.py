"""Breaks a small training run in every way we know, lets it go on, and compares it with one that nothing happened to.

  python tools/fault_campaign.py [--times=50] [--only=kill] [--seed=0]

Prints for each fault how often it struck and what came of it: "identical" means the final weights and optimizers are,
bit for bit, those of the undisturbed run, and that metrics.jsonl has every loop once; "refused" means exit code 2 with
one message, and all files as they were. Anything else is a failure, and the exit code is 1.
"""

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from faults import FAULTS, Campaign
from trainers import undisturbed


def run_campaign(folder: Path, times: dict[str, int], seed: int, say: Callable[[str], None] = print) -> list[str]:
    """Strikes, and prints a row for each fault; returns what went wrong."""
    import tensorflow  # noqa: F401  (imported before the forks, used only in them)

    import tfdgm.configuration.resolve  # noqa: F401

    os.environ["TF_XLA_FLAGS"] = (
        f'--tf_xla_persistent_cache_directory="{folder}" --tf_xla_persistent_cache_device_types=CPU'
    )
    campaign = Campaign(folder, undisturbed(folder / "undisturbed"), random.Random(seed))
    wrong = []
    say(f"{'fault':<36}{'times':>6}  outcome")
    for name, count in times.items():
        fault, expected = FAULTS[name]
        outcomes: dict[str, int] = {}
        for _ in range(count):
            workdir = Path(tempfile.mkdtemp(dir=folder)) / "run"
            outcome = fault(campaign, workdir)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if outcome != expected and not outcome.startswith("not tried"):
                wrong.append(f"{name}: {outcome} ({workdir})")
            else:
                shutil.rmtree(workdir.parent, ignore_errors=True)
        say(f"{name:<36}{count:>6}  {', '.join(f'{number} {what}' for what, number in outcomes.items())}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50, help="kills; of each other fault there are a tenth as many")
    parser.add_argument("--only", action="append", help="names of faults; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.only or []:
        if name not in FAULTS:
            parser.error(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
    chosen = options.only or list(FAULTS)
    times = {name: options.times if name.startswith("kill") else max(1, options.times // 10) for name in chosen}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfdgm-faults-")))
        began = time.monotonic()
        wrong = run_campaign(folder, times, options.seed, lambda line: print(line, flush=True))
        print(f"{sum(times.values())} faults in {time.monotonic() - began:.0f} s; {len(wrong)} went wrong")
        for line in wrong:
            print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
