"""Which scores are computed, in which order, and what becomes of those that fail."""

import numpy as np
import pytest
import tensorflow as tf
from small import gan_experiment, points_experiment
from tfdgm_scores.wasserstein import ExactWasserstein
from third_party import install

from tfdgm import Quantity, Score, UserError
from tfdgm.contracts.registry import find
from tfdgm.evaluation.score_set import ScoreSet
from tfdgm.evaluation.split_evaluation import SplitEvaluation

#: The rows of a table.
OWN = [
    "elbo", "reconstruction", "rate", "mutual_information", "marginal_kl", "nll_iwae", "nll_iwae_samples",
    "bits_per_dimension",
    "code_perplexity", "code_usage", "code_mutual_information", "code_marginal_kl", "code_bits", "active_units",
    "linear_probe", "modes", "high_quality", "reverse_kl", "mode_samples", "precision", "recall", "density", "coverage",
    "frechet_distance", "label_accuracy", "label_frechet_distance", "mmd", "wasserstein", "wasserstein_samples",
    "sliced_wasserstein", "generation_samples", "finite_samples",
]  # fmt: skip


class Fixed(Score):
    """Reports given numbers."""

    quantities = {name: Quantity("u", name) for name in "abc"}  # noqa: RUF012

    def __init__(self, *, rank: int = 2_000, numbers: dict | None = None, error: Exception | None = None) -> None:
        self.rank = rank
        self.numbers = {"a": 1.0} if numbers is None else numbers
        self.error = error

    def compute(self, run):
        run.note("said once")
        run.note("said once")
        if self.error is not None:
            raise self.error
        return self.numbers


class Other(Fixed):
    """Reports other numbers."""

    quantities = {"d": Quantity("u", "d")}  # noqa: RUF012


@pytest.fixture(scope="module")
def built():
    return gan_experiment().build()


def computed(built, *scores):
    """What given scores alone report."""
    chosen = ScoreSet(points_experiment(scores=list(scores)))
    chosen.scores = [each for each in chosen.scores if each.score in scores]
    return chosen.compute(SplitEvaluation(built, "test"))


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    def add(package, source, **entries):
        install(tmp_path / package, package, "tfdgm.score", entries, source)
        monkeypatch.syspath_prepend(tmp_path / package)
        find.cache_clear()

    yield add
    find.cache_clear()


def source(keys, body="return {}", init="pass"):
    return f"""
from tfdgm import Quantity, Score

class Mine(Score):
    quantities = {{key: Quantity("u", "f") for key in {keys!r}}}

    def compute(self, run):
        {body}
"""


def test_our_own_scores_have_the_order_of_the_table_and_a_line_of_formula():
    quantities = ScoreSet(points_experiment()).quantities
    assert list(quantities) == OWN
    assert all(quantity.formula and "\n" not in quantity.formula for quantity in quantities.values())
    assert {name for name, quantity in quantities.items() if not quantity.unit} == {
        name for name, quantity in quantities.items() if quantity.count
    }


def test_scores_are_ordered_by_rank_and_then_by_name(built):
    first, last = Fixed(rank=5, numbers={"b": 1, "a": 2}), Other(rank=6, numbers={"d": 3})
    assert list(computed(built, last, first)) == ["b", "a", "d", "fixed_note", "other_note"]


def test_numbers_become_those_of_python_and_notes_are_said_once(built):
    found = computed(built, Fixed(numbers={"a": np.float32(0.5), "b": np.int64(3), "c": tf.constant(2.0)}))
    assert found == {"a": 0.5, "b": 3, "c": 2.0, "fixed_note": "said once"}
    assert [type(found[name]) for name in "abc"] == [float, int, float]


@pytest.mark.parametrize(
    "numbers, message",
    [
        ({"x": 1.0}, "ValueError: it reported 'x', which is not one of its quantities"),
        ({"a": "many"}, "TypeError: 'a' must be a number, got 'many'"),
        ({"a": np.ones(2)}, "TypeError: 'a' must be a number"),
        ({"a": None}, "TypeError: 'a' must be a number, got None"),
    ],
)
def test_what_is_no_number_of_a_score_is_refused_as_a_whole_in_a_note(built, numbers, message):
    found = computed(built, Fixed(numbers={"b": 1.0, **numbers}), Other(numbers={"d": 1}))
    assert set(found) == {"d", "fixed_note", "other_note"}
    assert f"Fixed failed: {message}" in found["fixed_note"]


def test_an_exception_names_the_score_and_the_place_and_loses_no_other(built):
    found = computed(built, Fixed(error=KeyError("gone")), Other(numbers={"d": 1}))
    assert found["d"] == 1 and "a" not in found
    assert found["fixed_note"].startswith(f"said once; Fixed failed: KeyError: 'gone' (file \"{__file__}\", line ")


@pytest.mark.parametrize("error", [UserError("no"), tf.errors.UnavailableError(None, None, "a worker was lost")])
def test_errors_of_the_user_and_lost_workers_end_the_evaluation(built, error):
    with pytest.raises(type(error)):
        computed(built, Fixed(error=error))


def test_a_key_that_depends_on_the_run_may_not_be_that_of_another_score(built):
    class Open(Fixed):
        def meaning(self, key, experiment):
            return Quantity("u", key)

    Open.quantities = {}
    found = computed(built, Open(rank=5, numbers={"e": 1}), Fixed(), Other(numbers={"d": 1}))
    assert (found["e"], found["a"], found["d"]) == (1, 1.0, 1)
    for key in ("a", "d"):
        found = computed(built, Open(rank=5, numbers={key: 9}), Fixed(), Other(numbers={"d": 1}))
        assert (found["a"], found["d"]) == (1.0, 1)
        assert f"Open failed: ValueError: it reported {key!r}, which another score reports" in found["open_note"]


def test_two_scores_with_one_key_are_refused_by_their_names(third_party):
    third_party("near_scores", source(["elbo"]), near="Mine")
    with pytest.raises(UserError, match=r"report 'elbo': .*surgery of tfdgm .* and score\.near of near_scores 1\.2"):
        ScoreSet(points_experiment())


def test_the_keys_that_say_what_was_scored_are_taken(third_party):
    third_party("step_scores", source(["step"]), steps="Mine")
    with pytest.raises(UserError, match=r"report 'step': tfdgm itself and score\.steps of step_scores 1\.2"):
        ScoreSet(points_experiment())


def test_two_packages_may_have_one_name_but_not_where_it_is_chosen(third_party):
    third_party("one_scores", source(["one"]), same="Mine")
    third_party("two_scores", source(["two"]), same="Mine")
    assert list(ScoreSet(points_experiment()).quantities)[-2:] == ["one", "two"]
    with pytest.raises(UserError, match=r"score\.same is ambiguous.*one_scores 1\.2.*two_scores 1\.2"):
        ScoreSet(points_experiment(), ["same"])
    assert list(ScoreSet(points_experiment(), ["two_scores.same"]).quantities) == ["two"]


def test_a_score_that_does_not_load_is_noted_unless_it_is_chosen(third_party):
    third_party("broken_scores", "raise RuntimeError('untested')", broken="Mine")
    scores = ScoreSet(points_experiment())
    assert list(scores.quantities) == OWN
    assert "score.broken of broken_scores 1.2 cannot be loaded: RuntimeError: untested" in scores.broken["broken_note"]
    with pytest.raises(UserError, match="untested"):
        ScoreSet(points_experiment(), ["broken"])


def test_a_listed_score_replaces_the_installed_one_of_its_class():
    for listed in ([], [ExactWasserstein(samples=7)]):
        scores = ScoreSet(points_experiment(scores=listed))
        (found,) = (each.score for each in scores.scores if each.name == "wasserstein")
        assert found.samples == (7 if listed else 1_000)
        assert list(scores.quantities) == OWN


def test_a_score_that_is_listed_twice_is_refused():
    with pytest.raises(UserError, match=r"experiment\.scores lists .*asserstein more than once"):
        points_experiment(scores=[ExactWasserstein(samples=7), ExactWasserstein()])


def test_a_score_with_required_arguments_is_computed_where_it_is_listed(third_party):
    needy = source(["needy"]) + "\n    def __init__(self, *, size: int) -> None:\n        self.size = size\n"
    third_party("needy_scores", needy, needy="Mine")
    assert list(ScoreSet(points_experiment()).quantities) == OWN
    with pytest.raises(UserError, match=r"needy of needy_scores 1\.2 has required arguments; list it"):
        ScoreSet(points_experiment(), ["needy"])
    import needy_scores

    (last,) = ScoreSet(points_experiment(scores=[needy_scores.Mine(size=3)])).scores[-1:]
    assert (last.name, last.score.size) == ("needy", 3)


def test_a_name_may_have_its_kind():
    assert list(ScoreSet(points_experiment(), ["score.mmd", "mmd"]).quantities) == ["mmd"]


def test_quantities_of_another_type_are_noted(third_party):
    third_party("odd_scores", source(["odd"]).replace('Quantity("u", "f")', '"u"'), odd="Mine")
    scores = ScoreSet(points_experiment())
    assert list(scores.quantities) == OWN
    assert "score.odd of odd_scores 1.2 failed: TypeError: its quantities must be" in scores.broken["odd_note"]


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match=r"no score named 'frechet'\. Did you mean 'frechet_distance'"):
        ScoreSet(points_experiment(), ["frechet"])


def test_an_obstacle_is_noted_where_the_score_was_chosen(built):
    run = SplitEvaluation(built, "test")
    found = ScoreSet(built.experiment, ["elbo_surgery", "active_units"]).compute(run)
    assert set(found) == {"elbo_surgery_note", "active_units_note"}
    assert found["elbo_surgery_note"].endswith(" does not apply: the model has no posterior")
