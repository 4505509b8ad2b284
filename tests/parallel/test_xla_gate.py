"""A replica's step is one XLA program with static shapes and no call to the host, for every combination.

A TPU requires this; nothing more can be tested without one.
"""

import re

import pytest
import tensorflow as tf

from tfdgm.configuration.resolve import read_config
from tfdgm.contracts import registry
from tfdgm.errors import UserError
from tfdgm.parallel.replicas import _Program
from tfdgm.studies.combinations import installed
from tfdgm.training.step import shard_pass

SMALL = """
network.mlp.hidden = (4,)
experiment.latent_size = 2
experiment.batch_size = 8
experiment.samples = "draws"
"""
#: Bound only if the plugin takes part: a binding loads its plugin.
SIZES = {
    "prior.aggregated_posterior": "prior.aggregated_posterior.num_components = 4",
    "prior.maf": "prior.maf.hidden = (4,)\nprior.maf.num_bijectors = 2",
    "prior.real_nvp": "prior.real_nvp.hidden = (4,)\nprior.real_nvp.num_couplings = 2",
    "prior.autoregressive": "prior.autoregressive.width = 8\nprior.autoregressive.layers = 1",
    "posterior.categorical": "posterior.categorical.positions = (2,)\nposterior.categorical.num_categories = 3",
    "posterior.iaf": "posterior.iaf.hidden = (4,)\nposterior.iaf.context_size = 3",
    "posterior.vq": "posterior.vq.positions = (2,)\nposterior.vq.num_codes = 4",
    "posterior.residual_vq": "posterior.residual_vq.positions = (2,)\nposterior.residual_vq.num_codes = 4",
    "posterior.fsq": "posterior.fsq.positions = (2,)\nposterior.fsq.levels = (3, 2)",
    "objective.wasserstein": "objective.wasserstein.moves = 1",
}
HOST = re.compile(r"infeed|outfeed|\bsend\b|\brecv\b|custom-call|callback")


def bindings_of(posterior, prior, objectives):
    reference = "None" if posterior == "none" else f"@posterior.{posterior}()"
    terms = ", ".join(f"@objective.{name}()" for name in objectives)
    lines = [SMALL, f"experiment.posterior = {reference}", f"experiment.prior = @prior.{prior}()",
             f"experiment.objectives = [{terms}]"]  # fmt: skip
    if posterior == "none":
        lines.append("experiment.encoder = None")
    named = [f"posterior.{posterior}", f"prior.{prior}", *(f"objective.{name}" for name in objectives)]
    return "\n".join([*lines, *(SIZES[name] for name in named if name in SIZES)])


def programs(built, turn):
    """The HLO of the passes of the model and of one critic over a shard, before the compiler's own passes."""
    rows = tf.constant(built.experiment.train.gather(range(8)))
    arguments = rows, tf.range(8), tf.constant(3, tf.int64), tf.constant([1, 2])
    variables = [
        variable for name, variable in built.state.variables.items() if name.startswith(("model/", "objectives/"))
    ]
    critics = [player for player in built.players if player.name != "model"]
    chosen = [player for player in built.players if player.name == "model"] + critics[turn % len(critics) :][:1]
    for player in chosen:

        def run(*parts, player=player):
            return shard_pass(built.model, player, *parts)

        program = _Program(run, variables, compiled=True)._run
        values = [tf.constant(variable.numpy()) for variable in variables]
        yield player.name, program.experimental_get_compiler_ir(values, *arguments)(stage="hlo")


@pytest.mark.slow
@pytest.mark.parametrize("prior", installed("prior"))
def test_every_replica_step_is_one_xla_program_of_static_shapes_without_the_host(prior, own_process):
    own_process(check_programs, prior)


def check_programs(prior):
    """All objectives at once: the players of every combination are among its players.

    The model's pass is compiled with every posterior, each critic's with one or more of them.
    """
    everything = installed("objective")
    loaded = {name: registry.load(registry.select(f"objective.{name}")) for name in everything}
    compiled, turn = set(), 0
    for posterior in ["none", *installed("posterior")]:
        objectives = [name for name in everything if posterior != "none" or not loaded[name].needs_posterior]
        try:
            built = read_config(["digits/vae.gin"], [bindings_of(posterior, prior, objectives)]).experiment().build()
        except UserError:
            continue  # incompatible; tests/studies tests which combinations are
        for player, hlo in programs(built, turn):
            assert not HOST.search(hlo), (posterior, player, HOST.search(hlo))
            assert "<=" not in hlo.split("ENTRY")[0], (posterior, player)  # HLO's bounded dynamic dimension
            compiled.add((posterior, player))
        turn += 1
    assert ("vq", "model") in compiled
    assert {player for _, player in compiled} >= {"model", "jsd", "wasserstein", "hinge", "fgan"}


def test_a_call_to_the_host_is_found():
    def calls_host(x):
        return tf.py_function(lambda y: y, [x], tf.float32)

    with pytest.raises((ValueError, tf.errors.OpError)):
        tf.function(calls_host, jit_compile=True).experimental_get_compiler_ir(tf.ones([2]))(stage="hlo")
    found = tf.function(lambda x: tf.nn.top_k(x, 2)[0], jit_compile=True, autograph=False)
    hlo = found.experimental_get_compiler_ir(tf.ones([4]))(stage="hlo")
    assert "ENTRY" in hlo and not HOST.search(hlo)
