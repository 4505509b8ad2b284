"""The heterogeneous likelihood, for tables with columns of several kinds and missing values."""

from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Column, DataSpec, Likelihood, TableSpec
from tfdgm_likelihoods.column_groups import ColumnGroup, LogCounts, Row, ordered_logits
from tfdgm_likelihoods.levels import OnLevels
from tfdgm_likelihoods.negative_binomial import GammaPoisson
from tfdgm_likelihoods.scales import standard_deviations

#: Largest log mean of a count: float32 holds its exponential, and the counts drawn.
_LARGEST_LOG_MEAN = 20.0
#: Initial distance between the cut points of an ordinal column, in logits.
_CUT = 1.0
#: Factor from a variable to the parameter that it is for. Adam moves a variable by the learning rate at most, so that
#: without it 1,000 steps at 1e-3 could not even halve a scale twice.
_SPEED = 10.0


class Heterogeneous(Likelihood):
    """p(x|z) = prod_j p_j(x_j | z) over those columns j of a table whose values are observed, each of its own family.

    The factors are probabilities or densities of the numbers of x (see `tfdgm.Column`), given the decoder's outputs m:

        numeric      N(x; m, s^2), or Student's t with v degrees of freedom, location m and scale s
        categorical  softmax of K logits; for two categories one logit
        ordinal      P(k) = sigmoid(c_k - m) - sigmoid(c_{k-1} - m), cut points c_1 < .. < c_{K-1} (McCullagh 1980)
        count        negative binomial or Poisson, with log mean = center + scale m in the units of the column

    s, v, the cut points and the negative binomial's dispersion are learned for each column. Since missing values do not
    count, the ELBO is a bound on the log-probability of what is observed, if values are missing at random (Nazabal et
    al. 2020; Mattei and Frellsen 2019). Draws are complete.

    The examples may also be plain vectors: every dimension is then a numeric column.

    Args:
      numeric: family of the numeric columns.
      counts: family of the count columns.
      df: initial degrees of freedom v of Student's t, above 1.
      smallest_scale: lower bound on every s, as a share of the standard deviation of its column. The likelihood of a
        column in which one value is frequent grows without bound as s falls.
    """

    def __init__(
        self,
        *,
        numeric: Literal["gaussian", "student_t"] = "gaussian",
        counts: Literal["negative_binomial", "poisson"] = "negative_binomial",
        df: float = 5.0,
        smallest_scale: float = 0.01,
    ) -> None:
        self.require_positive("df", df, low=1.01)
        self.require_positive("smallest_scale", smallest_scale, high=1.0)
        self.numeric = numeric
        self.counts = counts
        self.df = df
        self.smallest_scale = smallest_scale

    def check(self, data: DataSpec) -> None:
        if data.table is None:
            self.require(
                len(data.shape) == 1 and data.levels is None and not data.counts,
                "requires a table, or vectors of real numbers",
            )

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return (sum(column.width for column in _table(data).columns),)

    def build(self, context: BuildContext) -> None:
        self.table = _table(context.data)
        self.group = {
            kind: [j for j, column in enumerate(self.table.columns) if _family(column) == kind]
            for kind in ("numeric", "binary", "count", "ordinal", "categorical")
        }
        if numeric := self.group["numeric"]:
            log_deviations = np.log(standard_deviations(context)[self._places(numeric)])
            self.log_scale = _variable(log_deviations, "log_scale")
            self.lowest = _variable(log_deviations + np.log(self.smallest_scale), "lowest", trainable=False)
            if self.numeric == "student_t":
                self.log_excess_df = _variable(np.full(len(numeric), np.log(self.df - 1)), "log_excess_df")
        if self.group["count"] and self.counts == "negative_binomial":
            self.log_inverse_dispersion = _variable(np.zeros(len(self.group["count"])), "log_inverse_dispersion")
        self.cuts = {}
        for j in self.group["ordinal"]:
            top = len(self.table.columns[j].categories) - 1
            first = -_CUT * (top - 1) / 2
            self.cuts[str(j)] = _variable(np.array([first] + [np.log(_CUT)] * (top - 1)), f"cuts_{j}")

    def project(self) -> None:
        if self.group["numeric"]:
            self.log_scale.assign(tf.maximum(self.log_scale.value, self.lowest.value))

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return the product over the columns; `mean()` of a count is the number of x of its mean."""
        return Row(outputs, self._groups(outputs), self.table)

    def _groups(self, outputs: tf.Tensor) -> list[ColumnGroup]:
        """Return the columns of x with their distributions; those of one family with one number each are together."""
        columns, groups = self.table.columns, []
        if numeric := self.group["numeric"]:
            location, scale = self._of(outputs, numeric), tf.exp(_value(self.log_scale))
            if self.numeric == "student_t":
                elements = tfd.StudentT(1 + tf.exp(_value(self.log_excess_df)), location, scale)
            else:
                elements = tfd.Normal(location, scale)
            groups.append(ColumnGroup(numeric, elements))
        if binary := self.group["binary"]:
            groups.append(ColumnGroup(binary, tfd.Bernoulli(logits=self._of(outputs, binary), dtype=tf.float32)))
        if count := self.group["count"]:
            center, scale = (
                tf.constant([getattr(columns[j], name) for j in count], tf.float32) for name in ("center", "scale")
            )
            log_mean = tf.minimum(center + scale * self._of(outputs, count), _LARGEST_LOG_MEAN)
            if self.counts == "poisson":
                elements = tfd.Poisson(log_rate=log_mean)
            else:
                log_r = _value(self.log_inverse_dispersion)
                elements = GammaPoisson(tf.exp(log_r), logits=log_mean - log_r)
            groups.append(ColumnGroup(count, LogCounts(elements, center, scale)))
        for j in self.group["ordinal"]:
            groups.append(ColumnGroup([j], self._ordinal(outputs[..., self.table.places[j]], j)))
        for j in self.group["categorical"]:
            logits = outputs[..., self.table.places[j]]
            groups.append(ColumnGroup([j], tfd.OneHotCategorical(logits=logits, dtype=tf.float32)))
        return groups

    def _ordinal(self, location: tf.Tensor, j: int) -> tfd.Distribution:
        parameters = _value(self.cuts[str(j)])
        cuts = tf.cumsum(tf.concat([parameters[:1], tf.exp(parameters[1:])], axis=0))
        logits = ordered_logits(location, cuts)[..., None, :]
        levels = DataSpec(shape=(), low=-1.0, high=1.0, levels=len(self.table.columns[j].categories))

        def mean_level() -> tf.Tensor:
            return tf.linalg.matvec(tf.exp(logits), tf.range(float(logits.shape[-1])))

        return OnLevels(tfd.Categorical(logits=logits), mean_level, levels)

    def _places(self, group: list[int]) -> list[int]:
        return [self.table.places[j].start for j in group]

    def _of(self, outputs: tf.Tensor, group: list[int]) -> tf.Tensor:
        return tf.gather(outputs, self._places(group), axis=-1)


def _variable(parameter: np.ndarray, name: str, *, trainable: bool = True) -> keras.Variable:
    return keras.Variable((parameter / _SPEED).astype(np.float32), trainable=trainable, name=name)


def _value(variable: keras.Variable) -> tf.Tensor:
    return _SPEED * variable.value


def _family(column: Column) -> str:
    if column.kind == "categorical" and column.width == 1:
        return "binary"
    return column.kind


def _table(data: DataSpec) -> TableSpec:
    return data.table or TableSpec(tuple(Column(f"x{j}") for j in range(data.size)))
