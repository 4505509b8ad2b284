"""Folders of runs that were never trained: the files that a comparison reads."""

import dataclasses
import json

from tfdgm import Quantity

NATS = "nats per example"
QUANTITIES = {
    "elbo": Quantity(NATS, "", "larger", main=True),
    "nll_iwae": Quantity(NATS, "", "smaller", main=True),
    "active_units": Quantity("dimensions", "", main=True),
    "mmd": Quantity("squared", "", "smaller"),
    "samples": Quantity("", "", count=True),
}
CONFIG = """steps = 40

experiment.data = @data.digits()
experiment.decoder = @decoder/network.mlp()
experiment.encoder = @encoder/network.mlp()
experiment.prior = @prior.{prior}()
experiment.seed = {seed}
experiment.steps = %steps

keras.optimizers.schedules.CosineDecay.decay_steps = %steps

network.mlp.hidden = (32,)
"""
#: What the run recorded at its end, besides the lines of its config.
DEFAULTS = """
experiment.latent_size = 8

decoder/network.mlp.hidden = (32,)
encoder/network.mlp.hidden = (32,)
"""


def make_run(path, *, prior="gaussian", seed=0, scores=None, config="", defaults=DEFAULTS, content="c0", split="test"):
    """Write a run; `config` replaces or adds statements, and `defaults=None` is a run that has not ended."""
    path.mkdir(parents=True)
    text = CONFIG.format(prior=prior, seed=seed) + config
    (path / "config.gin").write_text(text)
    if defaults is not None:
        (path / "operative_config-40.gin").write_text(text + defaults)
    splits = {"train": {"examples": 60, "content": content}, "test": {"examples": 40, "content": "t"}}
    (path / "run.json").write_text(json.dumps({"seed": seed, "fingerprint": splits}))
    (path / "metrics.jsonl").write_text(
        '{"step": 20, "loss": 2.0, "validation_elbo": -2.0}\n{"step": 40, "loss": 1.0}\n'
    )
    if scores is not None:
        facts = {"step": 40, "seed": seed, "data_split": split, "num_examples": 40}
        (path / "eval.json").write_text(json.dumps({**scores, **facts}))
        meanings = {name: dataclasses.asdict(quantity) for name, quantity in QUANTITIES.items() if name in scores}
        (path / "scores.json").write_text(json.dumps(meanings))
    return path


def two_groups(folder):
    """Three seeds of each of two priors: MAF is better by the ELBO, and tied by the NLL."""
    elbos = {"gaussian": (-22.0, -23.0, -22.5), "maf": (-20.0, -21.0, -20.5)}
    nlls = {"gaussian": (21.0, 21.5, 22.0), "maf": (20.9, 21.4, 21.9)}
    for prior in elbos:
        for seed in range(3):
            scores = {"elbo": elbos[prior][seed], "nll_iwae": nlls[prior][seed], "mmd": 0.5, "samples": 1000}
            make_run(folder / f"{prior}-{seed}", prior=prior, seed=seed, scores=scores)
    return folder
