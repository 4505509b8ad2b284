"""The one sentence: learn p(x, z) = p(z) p(x | z) with q(z | x)."""
