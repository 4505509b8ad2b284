"""A likelihood that does not fit the data is refused with the bindings of those that do."""

import numpy as np
import pytest
import tensorflow as tf
from small import points_experiment
from tfdgm_data.digits import Digits
from tfdgm_data.npz import Npz
from tfdgm_data.photos import Photos
from tfdgm_likelihoods.bernoulli import Bernoulli
from tfdgm_likelihoods.categorical import Categorical
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_likelihoods.negative_binomial import NegativeBinomial

from tfdgm import Likelihood, UserError
from tfdgm.contracts.registry import load, select
from tfdgm.model.fitting_likelihoods import check_likelihood


def refusal(likelihood, data):
    with pytest.raises(UserError) as raised:
        check_likelihood(likelihood, data)
    return str(raised.value)


def test_grey_levels_get_the_likelihoods_of_levels_the_smaller_decoder_first():
    message = refusal(Bernoulli(), Photos(size=4))
    assert message.endswith(
        "requires binary x, but the data has 256 grey levels. Write experiment.likelihood = "
        "@likelihood.discretized_logistic() or experiment.likelihood = @likelihood.categorical()"
    )


def test_data_that_can_be_made_binary_says_so():
    digits = load(select("data.digits"))
    message = refusal(Bernoulli(), digits(binarization="none"))
    assert message.endswith(' or data.digits.binarization = "dynamic"')
    assert "binarization" not in refusal(NegativeBinomial(), Digits(binarization="none"))  # which would not fit then


def test_real_x_gets_densities_and_counts_what_counts(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, train=np.random.RandomState(0).randn(9, 3).astype(np.float32))
    message = refusal(Categorical(), Npz(path=str(path)))
    assert "Write experiment.likelihood = @likelihood.gaussian() or" in message and "discretized" not in message
    np.savez(path, train=np.arange(12).reshape(4, 3))
    counts = Npz(path=str(path), counts=True)
    assert "@likelihood.negative_binomial()" in refusal(Categorical(), counts)


def test_what_fits_is_accepted():
    check_likelihood(Gaussian(), Photos(size=4))
    check_likelihood(Bernoulli(), Digits())


class Refusing(Likelihood):
    """Fits nothing."""

    def check(self, data):
        raise UserError("it fits nothing")

    def output_shape(self, data):
        return data.shape

    def distribution(self, outputs):
        return tf.zeros(())


def test_an_experiment_is_refused_so_when_it_is_built():
    with pytest.raises(UserError, match=r"it fits nothing\. Write experiment\.likelihood = @likelihood\.gaussian\(\)"):
        points_experiment(likelihood=Refusing()).build()
