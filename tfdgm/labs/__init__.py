"""Classic demonstrations of the field.

Each lab is a module with `run(settings)`, imported only when it runs. Its docstring is the text beside the figure.
"""

#: One line of help for each lab; its module is `tfdgm.labs.NAME`.
LABS = {
    "mode_covering": "a Gaussian fitted to two modes by forward KL, reverse KL and JSD",
    "likelihood_vs_samples": "great samples with poor likelihood, and the reverse: log p drops by only log 100",
    "parallel_lines": "KL, JSD and W between parallel lines against their distance, exact and learned",
    "gan_optimality": "the discriminator against the best one, and the game's value against -2 log 2",
    "mode_collapse": "a GAN that hunts from mode to mode on the ring, and three cures",
    "disjoint_supports": "the vanishing gradient of an optimal critic, and instance noise curing it",
    "earth_mover": "optimal plans of transport, and the dual that proves them optimal",
    "elbo_surgery": "reconstruction, mutual information and marginal KL over training, under four priors",
    "prior_gap": "four priors on training and on test examples: which over-regularise and which overfit",
    "gumbel_softmax": "relaxed categorical draws, and the bias and noise of their gradient, by temperature",
    "straight_through": "the true gradient of a binary code against the straight-through one",
}
