"""Wrong formulas that `tfdgm verify` must detect, each in its own copy of the source tree."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tfdgm

ROOT = Path(tfdgm.__file__).parents[1]
DRIVER = Path(__file__).with_name("mutated.py")


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One wrong formula, and the oracle that must detect it."""

    what: str
    path: str
    right: str
    wrong: str
    oracle: str


NO_LOG_DETERMINANT = """flow = self.bijector()
        volume_kept = tfb.Inline(
            forward_fn=flow.forward,
            inverse_fn=flow.inverse,
            inverse_log_det_jacobian_fn=lambda z: tf.zeros(tf.shape(z)[:-1]),
            forward_min_event_ndims=1,
        )
        return tfd.TransformedDistribution(noise, volume_kept)"""

MEAN_OVER_PIXELS = """right = tfd.Independent(tfd.Bernoulli(logits=outputs, dtype=tf.float32), self.event_rank)
        total = right.log_prob
        right.log_prob = lambda x: total(x) / x.shape[-1]
        return right"""

MUTATIONS = [
    Mutation(
        "the sign of the entropy in the rate",
        "tfdgm/model/rate.py",
        "return -q.entropy() - cross_term",
        "return q.entropy() - cross_term",
        "codes.mixture_prior",
    ),
    Mutation(
        "the sign of log p in the single-draw rate",
        "tfdgm/model/rate.py",
        "return q.log_prob(value) - p.log_prob(value)",
        "return q.log_prob(value) + p.log_prob(value)",
        "bounds.single_draw",
    ),
    Mutation(
        "the sign of the KL in the ELBO",
        "plugins/tfdgm_objectives/elbo.py",
        "value += scheduled(self.beta",
        "value -= scheduled(self.beta",
        "bounds.elbo",
    ),
    Mutation(
        "the sign of the KL of known laws",
        "tfdgm/evaluation/divergences.py",
        "float(np.sum(rel_entr(p, q)))",
        "-float(np.sum(rel_entr(p, q)))",
        "divergences.finite",
    ),
    Mutation(
        "the JSD without its half",
        "tfdgm/evaluation/divergences.py",
        "return (kl(p, middle) + kl(q, middle)) / 2",
        "return kl(p, middle) + kl(q, middle)",
        "parallel_lines.apart",
    ),
    Mutation(
        "the KL to a uniform law without log K",
        "tfdgm/evaluation/modes.py",
        "np.log(len(share)) + np.sum",
        "np.sum",
        "divergences.to_uniform",
    ),
    Mutation(
        "a flow without its log-determinant",
        "plugins/tfdgm_priors/maf.py",
        "return tfd.TransformedDistribution(noise, self.bijector())",
        NO_LOG_DETERMINANT,
        "flow.log_determinant",
    ),
    Mutation(
        "a mask that lets an output see its own input",
        "plugins/tfdgm_flows/made.py",
        "layers[-1][:, None] < layers[0][None, :]",
        "layers[-1][:, None] <= layers[0][None, :]",
        "flow.log_determinant",
    ),
    Mutation(
        "the mean over pixels in place of the sum",
        "plugins/tfdgm_likelihoods/bernoulli.py",
        "return tfd.Independent(tfd.Bernoulli(logits=outputs, dtype=tf.float32), self.event_rank)",
        MEAN_OVER_PIXELS,
        "likelihood.bernoulli",
    ),
    Mutation(
        "the importance-weighted bound without log S",
        "tfdgm/evaluation/bounds.py",
        "logsumexp(weights, axis=0) - np.log(num_samples)",
        "logsumexp(weights, axis=0)",
        "bounds.importance_weighted",
    ),
    Mutation(
        "the aggregated posterior without log n",
        "tfdgm/evaluation/aggregated.py",
        "total[: len(values)] - np.log(np.sum(members))",
        "total[: len(values)]",
        "surgery.terms",
    ),
    Mutation(
        "a mixture of codes without log M",
        "plugins/tfdgm_priors/categorical_mixture.py",
        "tf.reduce_logsumexp(densities, axis=-1) - math.log(count)",
        "tf.reduce_logsumexp(densities, axis=-1)",
        "codes.normalised",
    ),
    Mutation(
        "the farthest code in place of the nearest",
        "plugins/tfdgm_posteriors/codebook.py",
        "tf.argmin(distances",
        "tf.argmax(distances",
        "codes.quantised",
    ),
    Mutation(
        "the sign of Gumbel noise",
        "plugins/tfdgm_posteriors/categorical.py",
        "tf.reshape(-tf.math.log(-tf.math.log(uniform)), shape)",
        "tf.reshape(tf.math.log(-tf.math.log(uniform)), shape)",
        "gumbel.maximum",
    ),
    Mutation(
        "a temperature that multiplies",
        "plugins/tfdgm_posteriors/categorical.py",
        "perturbed / scheduled(",
        "perturbed * scheduled(",
        "gumbel.relaxed_law",
    ),
    Mutation(
        "the sign of the discriminator's loss",
        "plugins/tfdgm_objectives/jsd.py",
        "loss = -value",
        "loss = value",
        "discriminator.value",
    ),
    Mutation(
        "the sign of the dual in the critic's loss",
        "plugins/tfdgm_objectives/wasserstein.py",
        "Loss(penalty - dual, metrics)",
        "Loss(penalty + dual, metrics)",
        "dual.optimal_critic",
    ),
    Mutation(
        "the sign of the generator's loss",
        "plugins/tfdgm_objectives/wasserstein.py",
        "loss = -tf.reduce_mean(tf.stack",
        "loss = tf.reduce_mean(tf.stack",
        "dual.optimal_critic",
    ),
    Mutation(
        "the distance of Gaussians with a cross term too small",
        "tfdgm/evaluation/frechet.py",
        "np.trace(c2) - 2 * cross",
        "np.trace(c2) - cross",
        "transport.gaussians",
    ),
]


def copy_of(root: Path, mutation: Mutation | None) -> Path:
    """A copy of the source tree, with one wrong formula in it."""
    for part in ("tfdgm", "plugins", "gin"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "gin_configs"))
    if mutation is not None:
        path = root / mutation.path
        source = path.read_text()
        assert source.count(mutation.right) == 1, f"{mutation.path} has changed: {mutation.what}"
        path.write_text(source.replace(mutation.right, mutation.wrong))
    return root


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_a_mutation_changes_one_formula_of_the_source(mutation):
    assert (ROOT / mutation.path).read_text().count(mutation.right) == 1


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return the result of every copy, first that without a mutation."""
    folder = tmp_path_factory.mktemp("mutations")
    asked = [sorted({mutation.oracle for mutation in MUTATIONS}), *([mutation.oracle] for mutation in MUTATIONS)]
    jobs = [
        {"root": str(copy_of(folder / str(number), mutation)), "only": only}
        for number, (mutation, only) in enumerate(zip([None, *MUTATIONS], asked, strict=True))
    ]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, DRIVER, folder / "jobs.json", folder / "results.json"],
        check=True, cwd=folder, env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    found = json.loads((folder / "results.json").read_text())
    for job, result in zip(jobs, found, strict=True):
        assert result["from"].startswith(job["root"]), "another copy ran"
    return found


@pytest.mark.slow
def test_the_copy_without_a_mutation_passes(results):
    assert results[0]["code"] == 0, results[0]["output"]
    assert "all as expected" in results[0]["output"]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(MUTATIONS)), ids=[mutation.what for mutation in MUTATIONS])
def test_a_wrong_formula_is_caught_by_its_oracle(results, number):
    result = results[number + 1]
    assert result["code"] == 1, result["output"]
    missed = [line for line in result["output"].splitlines() if line.endswith(" NO")]
    assert missed and all(line.startswith(MUTATIONS[number].oracle) for line in missed)
    # caught by its value, not by breaking
    assert not any(" broke " in line for line in missed), result["output"]
