"""A package of a third party as an installer leaves it: found by its metadata wherever it is on the path."""

STUDENT_T = '''
import tensorflow as tf
import tensorflow_probability as tfp

from tfdgm import BuildContext, Context, Prior

tfd = tfp.distributions


class StudentT(Prior):
    """Independent Student's t."""

    def __init__(self, *, df: float = 5.0) -> None:
        self.require(df > 0, f"df must be positive, got {df}")
        self.df = df

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size

    def distribution(self, context: Context) -> tfd.Distribution:
        return tfd.Independent(tfd.StudentT(self.df, tf.zeros([self.size]), 1.0), 1)
'''


SCORES = '''
import numpy as np

from tfdgm import Quantity, Score


class Closeness(Score):
    """The root mean square of differences between examples and samples of the same rank in a random order."""

    in_validation = True
    quantities = {
        "closeness": Quantity("units of x", "E[(x - y)^2]^(1/2)", "smaller", main=True),
        "closeness_pairs": Quantity("", "number of pairs", count=True),
    }

    def compute(self, run):
        examples, generated = run.comparison.flat()
        run.note("the pairs are arbitrary")
        gap = np.sqrt(np.mean((examples - generated) ** 2))
        return {"closeness": gap, "closeness_pairs": np.int64(len(generated))}


class Failing(Score):
    """Divides by zero."""

    in_validation = True
    quantities = {"nothing": Quantity("", "1 / 0")}

    def compute(self, run):
        return {"nothing": 1 / 0}
'''


def install(folder, distribution, group, entries, source):
    """Writes a distribution of one module, named after it.

    Args:
      folder: what is then to be on the path.
      distribution: its name, `like_this`.
      group: of the entry points, such as "tfdgm.prior".
      entries: by name, the attribute of the module.
      source: the module.
    """
    metadata = folder / f"{distribution}-1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    lines = [f"[{group}]", *(f"{name} = {distribution}:{attribute}" for name, attribute in entries.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / f"{distribution}.py").write_text(source)
