"""Networks in bfloat16 train to the likelihood of float32."""

import keras
import pytest
from small import digits_experiment, silent
from tfdgm_data.digits import Digits
from tfdgm_networks.mlp import MLP

from tfdgm.evaluation.bounds import Draws
from tfdgm.training.trainer import Trainer


@pytest.mark.slow
def test_the_nll_of_the_digits_stays_within_a_tenth_of_a_nat(tmp_path):
    nll = {}
    for precision in ("float32", "bfloat16"):
        built = digits_experiment(
            data=Digits(binarization="static"),
            encoder=MLP(hidden=(128,)),
            decoder=MLP(hidden=(128,)),
            latent_size=8,
            batch_size=128,
            steps=1_500,
            steps_per_loop=500,
            checkpoint_seconds=60.0,
            precision=precision,
            optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, 1_500)),
        ).build()
        Trainer(built, tmp_path / precision, silent).train()
        nll[precision] = Draws(built, built.experiment.splits["test"]).importance_weighted_nll(100)
    assert nll["float32"] < 25  # trained: 44 nats at the start
    assert abs(nll["bfloat16"] - nll["float32"]) < 0.1
    assert nll["bfloat16"] != nll["float32"]
