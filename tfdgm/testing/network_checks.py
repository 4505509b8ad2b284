"""Checks of networks."""

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.specs import DataSpec, LatentSpec
from tfdgm.errors import UserError
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.trials import build_context, normal, stream

_VECTOR, _IMAGE = DataSpec(shape=(5,)), DataSpec(shape=(4, 4, 1), low=0.0, high=1.0, image_shape=(4, 4))
#: Name -> (data, input shape, output shape): encoders, decoders and a critic.
SHAPES = {
    "an encoder of vectors": (_VECTOR, (5,), (4,)),
    "a decoder to vectors": (_VECTOR, (2,), (5,)),
    "an encoder of images": (_IMAGE, (4, 4, 1), (4,)),
    "a decoder to images": (_IMAGE, (2,), (4, 4, 1)),
    "a critic of images": (_IMAGE, (4, 4, 1), ()),
}


def _built(subject: Subject) -> list[tuple[str, object, tuple[int, ...], tuple[int, ...]]]:
    """Return (role, network, input shape, output shape) for all shapes that the network accepts."""
    found, refusal = [], None
    for role, (data, source, target) in SHAPES.items():
        network = subject.make()
        try:
            network.build(source, target, build_context(data, LatentSpec(size=2)))
        except UserError as error:
            refusal = error
            continue
        found.append((role, network, source, target))
    if not found and refusal is not None:
        raise refusal
    return found


def _context(training: bool) -> Context:
    return Context(stream(), tf.constant(0, tf.int64), training=training)


@check("network", cure="Reshape to [-1, *output_shape]; keep the first axis as the batch.")
def network_has_the_output_shape(subject: Subject) -> None:
    """`[batch, *input_shape]` gives `[batch, *output_shape]`, float32 and finite, also for one and for no example."""
    for role, network, source, target in _built(subject):
        for count, training in ((1, False), (3, False), (3, True), (0, False)):
            outputs = network(normal(count, *source), _context(training))  # type: ignore[operator]
            came = f"{tuple(outputs.shape)} {outputs.dtype.name} as {role}"
            good = tuple(outputs.shape) == (count, *target) and outputs.dtype == tf.float32
            subject.require(good, "__call__", came, f"{(count, *target)} float32")
            subject.require(np.all(np.isfinite(outputs)), "__call__", f"not finite as {role}", "finite numbers")


@check("network", cure="Set mixes_examples = True if batch statistics enter the output, and only then.")
def mixes_examples_is_declared(subject: Subject) -> None:
    """`mixes_examples` says whether in training the output for one example depends on the other examples."""
    mixes = {}
    for role, network, source, _ in _built(subject):
        first, other = normal(4, *source), normal(4, *source, seed=1)
        other = tf.concat([first[:1], other[1:]], axis=0)
        context = _context(True)
        rows = [network(x, context)[0].numpy() for x in (first, other)]  # type: ignore[operator]
        mixes[role] = float(np.max(np.abs(rows[0] - rows[1]))) > 1e-5
        outside = [network(x, _context(False))[0].numpy() for x in (first, other)]  # type: ignore[operator]
        apart = float(np.max(np.abs(outside[0] - outside[1]))) < 1e-5
        subject.require(apart, "__call__", "outside training one output depends on other examples", "no dependence")
        declared = network.mixes_examples  # type: ignore[attr-defined]
        came = f"it is {declared}, but as {role} one output depends on the other examples"
        subject.require(declared or not mixes[role], "mixes_examples", came, "True")
    declared = subject.make().mixes_examples
    came = f"it is {declared}, but no output depends on other examples"
    subject.require(not declared or any(mixes.values()), "mixes_examples", came, "False")


@check("network", cure="Give every initialiser its own seed: context.seed_for(...) for a purpose of its own.")
def weights_depend_on_the_seed_of_the_run(subject: Subject) -> None:
    """Networks built with different seeds give different outputs."""
    role, network, source, target = _built(subject)[0]
    other = subject.make()
    data = SHAPES[role][0]
    other.build(source, target, build_context(data, LatentSpec(size=2)).within("other"))
    if not other.trainable_variables():
        raise NotApplicable("it has no trainable variables")
    x = normal(3, *source)
    outputs = [built(x, _context(False)).numpy() for built in (network, other)]  # type: ignore[operator]
    came = "networks built with two seeds are equal"
    subject.require(not np.array_equal(*outputs), "build", came, "initial weights that depend on the seed")
