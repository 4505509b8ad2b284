"""Vectors of codes, against sums written out code by code."""

import numpy as np
import pytest
import tensorflow as tf

from tfdgm.numerics.embeddings import embed_codes, embed_one_hot

CATEGORIES, SIZE = 4, 3


def tables(codebooks):
    """A codebook `[K, C]`, or `[L, K, C]`."""
    shape = [CATEGORIES, SIZE] if codebooks is None else [codebooks, CATEGORIES, SIZE]
    return np.random.RandomState(0).randn(*shape).astype(np.float32)


def drawn(leading, codebooks):
    shape = leading if codebooks is None else (*leading, codebooks)
    return np.random.RandomState(1).randint(0, CATEGORIES, shape).astype(np.int32)


def written_out(codes, codebook):
    if codebook.ndim == 2:
        return codebook[codes]
    vectors = np.zeros((*codes.shape[:-1], SIZE))
    for place in np.ndindex(codes.shape[:-1]):
        vectors[place] = sum(codebook[level, code].astype(np.float64) for level, code in enumerate(codes[place]))
    return vectors


@pytest.mark.parametrize("codebooks", [None, 1, 3])
@pytest.mark.parametrize("leading", [(), (5,), (2, 3, 2)])
def test_codes_are_embedded_as_sums_of_their_rows(leading, codebooks):
    codes, codebook = drawn(leading, codebooks), tables(codebooks)
    expected = written_out(codes, codebook)
    # float32 sums of three numbers of order 1
    np.testing.assert_allclose(embed_codes(tf.constant(codes), tf.constant(codebook)), expected, atol=1e-6)
    one_hot = tf.one_hot(codes, CATEGORIES)
    np.testing.assert_allclose(embed_one_hot(one_hot, tf.constant(codebook)), expected, atol=1e-6)


@pytest.mark.parametrize("codebooks", [None, 3])
def test_the_gradient_of_relaxed_codes_reaches_them_and_every_codebook(codebooks):
    codebook = tf.constant(tables(codebooks))
    shape = [5, 2, CATEGORIES] if codebooks is None else [5, 2, codebooks, CATEGORIES]
    relaxed = tf.constant(np.random.RandomState(2).rand(*shape), tf.float32)
    weights = np.random.RandomState(3).randn(5, 2, SIZE).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch([relaxed, codebook])
        total = tf.reduce_sum(weights * embed_one_hot(relaxed, codebook))
    of_relaxed, of_codebook = tape.gradient(total, [relaxed, codebook])
    one, many = ("bpk,bpc->kc", "bpc,kc->bpk"), ("bplk,bpc->lkc", "bpc,lkc->bplk")
    to_codebook, to_relaxed = one if codebooks is None else many
    np.testing.assert_allclose(of_codebook, np.einsum(to_codebook, relaxed, weights), atol=1e-5)  # float32
    np.testing.assert_allclose(of_relaxed, np.einsum(to_relaxed, weights, codebook), atol=1e-5)
