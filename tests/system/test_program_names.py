"""Names of TensorFlow's functions, which are in the keys of XLA's cache: the same program, the same name."""

import gc

import pytest
import tensorflow as tf

from tfdgm.system import program_names


def loop(factor):
    """Return a new function with a loop, a branch and a gradient through both."""

    @tf.function(autograph=False)
    def compute(x):
        def body(i, total):
            return i + 1, total + tf.cond(tf.reduce_sum(x) > 0, lambda: factor * x * x, lambda: -x)

        with tf.GradientTape() as tape:
            tape.watch(x)
            _, total = tf.while_loop(lambda i, _: i < 3, body, (tf.constant(0), tf.zeros_like(x)), maximum_iterations=3)
        return tape.gradient(total, x)

    return compute


def traced(function):
    return function.get_concrete_function(tf.TensorSpec([2]))


def names(concrete):
    """Return the names of a function and of all functions that it calls."""
    return [
        concrete.name,
        *sorted(function.signature.name for function in concrete.graph.as_graph_def().library.function),
    ]


def test_names_do_not_depend_on_what_the_process_did_before():
    first = names(traced(loop(2.0)))
    gc.collect()
    for _ in range(100):
        tf.zeros([3]) + 1.0  # TensorFlow counts eager tensors
    assert names(traced(loop(2.0))) == first
    assert len(first) > 6  # the loop, its condition, the branches, and their gradients


def test_functions_with_other_constants_have_other_names():
    first, second = traced(loop(2.0)), traced(loop(3.0))
    assert first.name != second.name
    x = tf.constant([1.0, 2.0])
    assert first(x).numpy() == pytest.approx([12.0, 24.0])
    assert second(x).numpy() == pytest.approx([18.0, 36.0])


def test_equal_functions_of_other_variables_share_a_name_and_keep_their_variables():
    def reader(variable):
        return tf.function(lambda x: x + variable, jit_compile=True, autograph=False)

    variables = [tf.Variable(value) for value in (1.0, 5.0)]
    functions = [reader(variable).get_concrete_function(tf.TensorSpec([])) for variable in variables]
    assert functions[0].name == functions[1].name
    assert [function(tf.constant(1.0)).numpy() for function in functions] == [2.0, 6.0]
    first = functions.pop(0)
    del first
    gc.collect()
    assert functions[0](tf.constant(2.0)).numpy() == 7.0  # the name outlives the function that had it first


def test_a_captured_constant_is_part_of_the_content():
    def adder(constant):
        return tf.function(lambda x: x + constant, autograph=False).get_concrete_function(tf.TensorSpec([]))

    first, second, third = adder(tf.constant(1.0)), adder(tf.constant(1.0)), adder(tf.constant(2.0))
    assert first.name == second.name != third.name


def test_functions_with_gradients_of_their_own_are_kept_apart():
    def function(slope):
        @tf.custom_gradient
        def identity(x):
            return tf.identity(x), lambda upstream: slope * upstream

        return tf.function(lambda x: identity(x) * 2.0, autograph=False).get_concrete_function(tf.TensorSpec([]))

    functions = [function(3.0), function(5.0)]
    assert functions[0].name != functions[1].name
    x = tf.constant(1.0)
    found = []
    for each in functions:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = each(x)
        found.append(tape.gradient(y, x).numpy())
    assert found == [6.0, 10.0]


def test_functions_with_a_state_of_their_own_keep_the_names_of_tensorflow():
    def noise():
        return tf.function(lambda: tf.random.uniform([]), autograph=False).get_concrete_function()

    assert noise().name != noise().name


def test_installing_again_changes_nothing():
    from tensorflow.python.eager.polymorphic_function import atomic_function

    before = atomic_function.from_func_graph
    assert program_names.install()
    assert atomic_function.from_func_graph is before


def test_functions_that_own_a_table_do_not_share_it():
    def filled():
        @tf.function(autograph=False)
        def fill():
            table = tf.lookup.experimental.MutableHashTable(tf.int32, tf.int32, 0)
            with tf.control_dependencies([table.insert(1, 1)]):
                return table.size()

        return fill.get_concrete_function()

    first, second = filled(), filled()
    assert first.name != second.name
    assert int(first()) == 1 and int(second()) == 1
