"""Splits by name: documented, stable, and of the expected size."""

import hashlib
import unicodedata

import numpy as np
from tfdgm_data.hashed_splits import split_of

NAMES = [f"folder/{number}.png" for number in range(10_000)]


def test_the_split_follows_from_the_documented_hash():
    for name in NAMES[:200]:
        u = int(hashlib.sha256(name.encode()).hexdigest(), 16) / 2**256
        expected = "test" if u < 0.3 else "validation" if u < 0.5 else "train"
        assert split_of(name, 0.2, 0.3) == expected


def test_the_shares_are_met_in_expectation():
    splits = np.array([split_of(name, 0.1, 0.2) for name in NAMES])
    for split, share in {"train": 0.7, "validation": 0.1, "test": 0.2}.items():
        error = np.sqrt(share * (1 - share) / len(NAMES))
        assert abs(np.mean(splits == split) - share) < 4 * error  # four standard errors


def test_another_validation_share_leaves_the_test_split():
    for name in NAMES[:1_000]:
        assert (split_of(name, 0.1, 0.2) == "test") == (split_of(name, 0.5, 0.2) == "test")


def test_a_name_is_the_same_however_its_accents_are_stored():
    names = [f"é{number}.png" for number in range(50)]
    for name in names:
        assert split_of(unicodedata.normalize("NFD", name), 0.3, 0.3) == split_of(name, 0.3, 0.3)


def test_bytes_that_are_no_text_are_a_name_too():
    assert split_of(b"\xff\xfe.png".decode("utf-8", "surrogateescape"), 0.3, 0.3) in ("train", "validation", "test")
