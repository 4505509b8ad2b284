"""The six contracts that plugins fill: prior, posterior, likelihood, objective, network, data."""
