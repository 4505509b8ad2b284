"""Mode coverage of samples: modes found, share of samples near a mode, and balance between modes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import xlogy

from tfdgm.contracts.data import Modes


def mode_scores(x: np.ndarray, modes: Modes) -> dict[str, int | float]:
    """Score samples x `[n, *shape]` by the protocol of Lin et al. 2018 (PacGAN).

    Returns:
      `modes`: number of modes with at least one sample of high quality.
      `high_quality`: share of the samples that are of high quality.
      `reverse_kl`: KL(p_hat || uniform) in nats, p_hat the share of all samples assigned to each mode.
    """
    mode, high_quality = modes.assign(x)
    return {
        "modes": len(np.unique(mode[high_quality])),
        "high_quality": float(np.mean(high_quality)),
        "reverse_kl": kl_to_uniform(np.bincount(mode, minlength=modes.count)),
    }


def too_narrow(scores: Mapping[str, Any], modes: Modes | None) -> str | None:
    """Return a warning if samples vary too little, else None.

    They do if `high_quality` exceeds the share e among the data's own draws by more than 3 standard errors
    (e (1 - e) / n)^(1/2), n = `mode_samples`.
    """
    if modes is None or modes.expected_high_quality is None or "high_quality" not in scores:
        return None
    found, expected, count = scores["high_quality"], modes.expected_high_quality, scores["mode_samples"]
    if found <= expected + 3 * np.sqrt(expected * (1 - expected) / count):
        return None
    return (
        f"the samples vary too little: high_quality is {found:.4f} over {count} samples, but {expected:.4f} for draws "
        "from the data's distribution"
    )


def kl_to_uniform(counts: np.ndarray) -> float:
    """Return KL(p_hat || uniform) = log M + sum_m p_hat_m log p_hat_m for counts `[M]`, nats, at most log M.

    The plug-in estimate has a bias of about (M - 1) / (2 n) (Miller 1955).
    """
    share = counts / np.sum(counts)
    return float(np.log(len(share)) + np.sum(xlogy(share, share)))
