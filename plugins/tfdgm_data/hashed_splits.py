"""Splits that depend on the name of each example alone."""

import hashlib
import unicodedata


def split_of(name: str, validation_share: float, test_share: float) -> str:
    """Return the split of an example: adding or removing others does not move it.

    u = SHA-256(name) / 2^256 is uniform on [0, 1). The split is "test" where u < test_share, then "validation" up to
    test_share + validation_share, and "train" above.

    Args:
      name: a relative path with `/`; composed and decomposed accents (Unicode NFC, NFD) are the same name.
      validation_share, test_share: expected shares of the splits.
    """
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode("utf-8", errors="surrogateescape")).digest()
    u = int.from_bytes(digest[:6], "big") / 2**48  # exact in a float; equal to the whole digest's to 2^-48
    if u < test_share:
        return "test"
    return "validation" if u < test_share + validation_share else "train"
