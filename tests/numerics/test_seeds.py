"""Seeds that the host computes ahead are those that TensorFlow computes."""

import numpy as np
import pytest
import tensorflow as tf
from small import points_experiment

from tfdgm.numerics.randomness import root_seed
from tfdgm.numerics.seeds import Seed, SeedPlan
from tfdgm.training.trainer import Trainer

NODES = {
    "the step's own": lambda seed: seed,
    "a number": lambda seed: seed.child(3),
    "a number below a number": lambda seed: seed.child(0).child(2**31 - 1),
    "a purpose": lambda seed: seed.purpose("observe"),
    "purposes below numbers": lambda seed: seed.child(1).child(0).purpose("posterior").purpose("z"),
    "a number below a purpose": lambda seed: seed.purpose("draws").child(7),
    "a tensor's number": lambda seed: seed.purpose("draws").child(tf.constant(7)),
}


def planned(root, steps):
    """Seeds of every node in every step `[steps, nodes, 2]`, read from the host's table."""
    plan = SeedPlan(root.numpy())
    for node in NODES.values():
        _ = node(plan.step_seed(tf.zeros([100, 2], tf.int32))).tensor
    found = []
    for step in steps:
        seed = plan.step_seed(tf.constant(plan.seeds(step, 1)[0]))
        found.append([node(seed).tensor.numpy() for node in NODES.values()])
    return np.array(found)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_the_plan_gives_the_seeds_that_tensorflow_computes(seed):
    root, steps = root_seed(seed, "training"), [0, 1, 1023, 1024, 123_456_789, 2**31 + 5, 2**33 + 5]
    computed = [
        [node(Seed(root).child(tf.constant(step, tf.int64))).tensor.numpy() for node in NODES.values()]
        for step in steps
    ]
    found = planned(root, steps)
    np.testing.assert_array_equal(found, computed)
    distinct = {tuple(seed) for step in found[:5] for seed in step}
    assert len(distinct) == 5 * (len(NODES) - 1)  # two nodes are the same, and numbers count modulo 2^31


def test_seeds_of_many_steps_are_those_of_each():
    plan = SeedPlan(root_seed(4, "training").numpy())
    _ = plan.step_seed(tf.zeros([1, 2], tf.int32)).purpose("x").tensor
    many = plan.seeds(1000, 1100)  # across two borders of chunks
    assert many.shape == (1100, 1, 2)
    np.testing.assert_array_equal(many, np.concatenate([plan.seeds(1000 + step, 1) for step in range(1100)]))


def test_a_node_read_later_joins_the_table():
    plan = SeedPlan(root_seed(4, "training").numpy())
    table = plan.step_seed(tf.zeros([9, 2], tf.int32))
    _ = table.purpose("x").tensor
    before = plan.seeds(5, 2)
    _ = table.purpose("y").tensor
    after = plan.seeds(5, 2)
    np.testing.assert_array_equal(after[:, :1], before)
    np.testing.assert_array_equal(after[0, 1], Seed(root_seed(4, "training")).child(5).purpose("y").tensor)


def test_a_computed_seed_is_read_in_any_graph():
    seed = Seed(root_seed(0, "training")).child(1).purpose("x")

    @tf.function(autograph=False)
    def inside():
        return tf.while_loop(
            lambda i, _: i < 2, lambda i, total: (i + 1, total + seed.tensor), [0, tf.zeros([2], tf.int32)]
        )

    np.testing.assert_array_equal(inside()[1], 2 * seed.tensor)
    np.testing.assert_array_equal(inside()[1], 2 * seed.tensor)


def test_the_compiled_loop_derives_no_seed(tmp_path):
    built = points_experiment().build()
    trainer = Trainer(built, tmp_path, print)
    positions = tf.constant(trainer.feed.positions(0, 2))
    loop = trainer.loop._compile(2, positions).get_concrete_function(
        tf.constant(trainer.loop.seeds.seeds(0, 2)), positions
    )
    library = loop.graph.as_graph_def().library.function
    ops = [node.op for function in library for node in function.node_def]
    assert "StatelessRandomNormalV2" in ops  # z
    assert "StatelessRandomUniformFullIntV2" not in ops  # fold and split
