"""What a replica computes is one XLA program with static shapes and no call to the host, for every combination.

This is what a TPU needs, and all of it that can be held without one.
"""

import re

import pytest
import tensorflow as tf

from tfdgm.config import read_config
from tfdgm.distribution.replicas import _Program
from tfdgm.errors import UserError
from tfdgm.matrix.cells import combine, installed, objective_lists
from tfdgm.matrix.check import answer
from tfdgm.matrix.plan import traits_of_objectives
from tfdgm.training.step import shard_pass

SMALL = """
network.mlp.hidden = (4,)
experiment.latent_size = 2
experiment.batch_size = 8
experiment.samples = "draws"
"""
#: Bound only where a plugin of that name takes part: a parameter of another would be loaded for nothing.
SIZES = {
    "prior.aggregated_posterior": "prior.aggregated_posterior.num_components = 4",
    "prior.maf": "prior.maf.hidden = (4,)\nprior.maf.num_bijectors = 2",
    "prior.autoregressive": "prior.autoregressive.width = 8\nprior.autoregressive.layers = 1",
    "posterior.categorical": "posterior.categorical.positions = (2,)\nposterior.categorical.num_categories = 3",
    "posterior.vq": "posterior.vq.positions = (2,)\nposterior.vq.num_codes = 4",
    "objective.wasserstein": "objective.wasserstein.moves = 1",
}
HOST = re.compile(r"infeed|outfeed|\bsend\b|\brecv\b|custom-call|callback")


def bindings_of(cell):
    posterior = "None" if cell.posterior == "none" else f"@posterior.{cell.posterior}()"
    objectives = ", ".join(f"@objective.{name}()" for name in cell.objectives)
    lines = [SMALL, f"experiment.posterior = {posterior}", f"experiment.prior = @prior.{cell.prior}()",
             f"experiment.objectives = [{objectives}]"]  # fmt: skip
    if cell.posterior == "none":
        lines.append("experiment.encoder = None")
    named = [f"posterior.{cell.posterior}", f"prior.{cell.prior}", *(f"objective.{name}" for name in cell.objectives)]
    return "\n".join([*lines, *(SIZES[name] for name in named if name in SIZES)])


def programs(built, players):
    """The HLO of these players' passes over a shard, as it is before the compiler rewrites it."""
    rows = tf.constant(built.experiment.train.gather(range(8)))
    arguments = rows, tf.range(8), tf.constant(3, tf.int64), tf.constant([1, 2])
    variables = [
        variable for name, variable in built.state.variables.items() if name.startswith(("model/", "objectives/"))
    ]
    for player in players:

        def run(*parts, player=player):
            return shard_pass(built.model, player, *parts)

        program = _Program(run, variables)._compiled
        values = [tf.constant(variable.numpy()) for variable in variables]
        yield player.name, program.experimental_get_compiler_ir(values, *arguments)(stage="hlo")


@pytest.mark.slow
@pytest.mark.parametrize("posterior", ["none", *installed("posterior")])
def test_every_replica_step_is_one_xla_program_of_static_shapes_without_the_host(posterior):
    lists = objective_lists(traits_of_objectives(answer))
    cells = combine([posterior], installed("prior"), lists, [0])
    compiled = 0
    for cell in cells:
        try:
            built = read_config(["digits/vae.gin"], [bindings_of(cell)]).experiment().build()
        except UserError:
            continue  # has no meaning; tests/matrix hold which
        # beside another term a critic's pass is what it is alone, which is among the cells too
        for player, hlo in programs(built, built.players[-1:] if len(cell.objectives) > 1 else built.players):
            assert not HOST.search(hlo), (cell, player, HOST.search(hlo))
            assert "<=" not in hlo.split("ENTRY")[0], (cell, player)  # how HLO writes a bounded dynamic dimension
            compiled += 1
    assert compiled >= len(lists) + 1


def test_a_call_to_the_host_would_be_found():
    def asks(x):
        return tf.py_function(lambda y: y, [x], tf.float32)

    with pytest.raises((ValueError, tf.errors.OpError)):
        tf.function(asks, jit_compile=True).experimental_get_compiler_ir(tf.ones([2]))(stage="hlo")
    found = tf.function(lambda x: tf.nn.top_k(x, 2)[0], jit_compile=True, autograph=False)
    hlo = found.experimental_get_compiler_ir(tf.ones([4]))(stage="hlo")
    assert "ENTRY" in hlo and not HOST.search(hlo)
