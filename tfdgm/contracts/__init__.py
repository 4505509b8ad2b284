"""The seven contracts that plugins implement: prior, posterior, likelihood, objective, network, data, callback."""
