"""A masked autoregressive flow of 4 bijectors on 8 dimensions: steps on its density, and draws, in tfdgm and in a chain
of TFP's MaskedAutoregressiveFlow with networks of the same sizes.
"""

from collections.abc import Callable

from work import Size, Work

from contenders.tensorflow_on_cpu import tf

import keras  # isort: skip  # after its backend is chosen
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd
from tfdgm_priors.maf import MAF

from tfdgm import BuildContext, Context, DataSpec, LatentSpec
from tfdgm.contracts.component import raw

SIZE, BIJECTORS, HIDDEN, BATCH = 8, 4, (128, 128), 128
CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))
Flow = Callable[[], tfd.Distribution]


def ours() -> tuple[MAF, Flow]:
    prior = built()
    return prior, lambda: prior.distribution(CONTEXT)


def theirs() -> tuple[MAF, Flow]:
    """Return TFP's flow of the same weights, with the prior that holds them."""
    prior = built()
    chain: list[tfb.Bijector] = []
    for number, network in enumerate(prior.networks):
        if number:
            chain.append(tfb.Permute(prior.permutations[number - 1]))
        chain.append(tfb.MaskedAutoregressiveFlow(lambda z, network=network: prior.architecture(z, network.layers())))
    noise = tfd.Independent(tfd.Normal(tf.zeros([SIZE]), 1.0), 1)
    return prior, lambda: tfd.TransformedDistribution(noise, tfb.Chain(chain))


def built() -> MAF:
    prior, spec = MAF(num_bijectors=BIJECTORS, hidden=HIDDEN, stacked=False), LatentSpec(size=SIZE)
    prior.build(BuildContext(DataSpec((SIZE,)), spec, 1, lambda indices: indices, seed=0))
    return prior


def density(made: tuple[MAF, Flow], size: Size) -> Work:
    """Steps of Adam on -E log p(z) in one program; a unit is a step."""
    (prior, flow), steps = made, size.of(50, 2)
    z = tf.random.stateless_normal([BATCH, SIZE], [0, 1])
    variables = [raw(variable) for variable in prior.trainable_variables()]
    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(variables)

    def step(number: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(flow().log_prob(z))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return number + 1, loss

    @tf.function(jit_compile=True, autograph=False)
    def loop() -> tf.Tensor:
        return tf.while_loop(lambda number, _: number < steps, step, (0, 0.0), maximum_iterations=steps)[1]

    return Work(lambda: float(loop()), steps)


def draws(made: tuple[MAF, Flow], size: Size) -> Work:
    """A unit is a draw of z."""
    (_, flow), number = made, size.of(1_000, 10)

    @tf.function(jit_compile=True, autograph=False)
    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(flow().sample(number, seed=seed))

    return Work(lambda: float(draw(tf.constant([3, 4]))), number)


def density_of_ours(size: Size) -> Work:
    return density(ours(), size)


def density_of_theirs(size: Size) -> Work:
    return density(theirs(), size)


def draws_of_ours(size: Size) -> Work:
    return draws(ours(), size)


def draws_of_theirs(size: Size) -> Work:
    return draws(theirs(), size)
