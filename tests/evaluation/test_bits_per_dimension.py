"""Bits per dimension of a decoder that says nothing, which are known, and where they do not apply."""

import math

import pytest
from small import digits_experiment, gan_experiment, points_experiment
from tfdgm_data.digits import Digits
from tfdgm_data.photos import Photos
from tfdgm_likelihoods.categorical import Categorical
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_scores.bits_per_dimension import BitsPerDimension

from tfdgm.contracts.component import named_variables, trainable
from tfdgm.evaluation.split_evaluation import SplitEvaluation

SCORE = BitsPerDimension()


@pytest.mark.parametrize("settings, bits", [({"data": Photos(size=4), "likelihood": Categorical()}, 8), ({}, 1)])
def test_a_decoder_that_says_nothing_costs_the_logarithm_of_the_levels_and_the_rate(settings, bits):
    built = digits_experiment(**settings).build()
    for variable in trainable(named_variables(built.model)).values():
        variable.assign(0 * variable)  # all logits are 0
    run = SplitEvaluation(built, "validation", 10)
    assert SCORE.obstacle(run) is None
    size = built.model.data.spec.size
    expected = bits + run.surgery["rate"] / (size * math.log(2))
    assert SCORE.compute(run)["bits_per_dimension"] == pytest.approx(expected, rel=1e-5)  # float32


def test_densities_have_none():
    for experiment in (points_experiment(), digits_experiment(data=Digits(binarization="none"), likelihood=Gaussian())):
        assert SCORE.obstacle(SplitEvaluation(experiment.build(), "test", 10)) is not None
    assert SCORE.obstacle(SplitEvaluation(gan_experiment().build(), "test", 10)) == "the model has no posterior"
