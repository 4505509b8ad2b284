"""Every draw is a function of seed, step, shard and purpose."""

import numpy as np
import pytest
import tensorflow as tf
from small import context

from tfdgm.numerics.randomness import fold, fold_purpose, integer_seed, permutation, root_seed


@pytest.mark.parametrize("size", [1, 2, 17, 1297])
def test_a_permutation_holds_every_position_once(size):
    np.testing.assert_array_equal(np.sort(permutation(3, 5, size)), np.arange(size))


def test_a_permutation_depends_on_seed_and_epoch():
    orders = {tuple(permutation(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len(orders) == 6
    np.testing.assert_array_equal(permutation(0, 1, 50), permutation(0, 1, 50))


def test_permutations_are_those_of_every_earlier_version():
    # Written down once: a run resumed under a newer NumPy must see the batches that it would have seen.
    np.testing.assert_array_equal(permutation(0, 0, 8), [0, 2, 1, 5, 4, 3, 6, 7])
    np.testing.assert_array_equal(permutation(7, 3, 8), [2, 5, 7, 3, 0, 6, 4, 1])


def test_seeds_of_purposes_are_those_of_every_earlier_version():
    assert integer_seed(0, "model") == 874792090


def test_every_position_comes_first_equally_often():
    first = [permutation(0, epoch, 8)[0] for epoch in range(4_000)]
    counts = np.bincount(first, minlength=8)
    assert np.all(np.abs(counts - 500) < 5 * np.sqrt(500 * 7 / 8))  # five standard deviations


def test_integer_seeds_are_in_range_and_differ_by_purpose_and_seed():
    seeds = {integer_seed(seed, purpose) for seed in range(20) for purpose in ("a", "b", "layer 0", "layer 1")}
    assert len(seeds) == 80
    assert all(0 <= seed < 2**31 for seed in seeds)


def draws(seed):
    return tf.random.stateless_normal([4], seed).numpy()


def test_folding_a_number_or_a_purpose_gives_other_draws():
    root = root_seed(0, "test")
    seeds = [root, fold(root, 0), fold(root, 1), fold_purpose(root, "a"), fold_purpose(root, "b"),
             root_seed(1, "test"), root_seed(0, "other")]  # fmt: skip
    assert len({tuple(draws(seed)) for seed in seeds}) == len(seeds)


def test_the_same_path_gives_the_same_draws():
    first, second = (fold_purpose(fold(root_seed(3, "test"), 7), "z") for _ in range(2))
    np.testing.assert_array_equal(draws(first), draws(second))


def test_a_context_within_another_has_draws_of_its_own():
    outer = context()
    seeds = [outer.seed_for("z"), outer.within("a").seed_for("z"), outer.within("b").seed_for("z"), outer.seed_for("y")]
    assert len({tuple(draws(seed)) for seed in seeds}) == 4


def test_compiled_and_eager_code_derive_the_same_seeds():
    def derive(number):
        return fold_purpose(fold(fold_purpose(fold(root_seed(3, "test"), number), "z"), 1), "draws")

    compiled = tf.function(derive, jit_compile=True)
    for number in range(20):
        np.testing.assert_array_equal(compiled(tf.constant(number)).numpy(), derive(tf.constant(number)).numpy())
