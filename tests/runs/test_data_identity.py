"""Checkpoints recognise their data, and describe it well enough to build the model without it."""

import math
import threading

import numpy as np
import pytest
from small import Points, assert_same_tensors, digits_experiment, normal_rows, points_experiment
from tfdgm_data.digits import Digits
from tfdgm_priors.aggregated_posterior import AggregatedPosterior

from tfdgm import ConditionSpec, DataSpec, UserError
from tfdgm.errors import PluginFault
from tfdgm.runs import checkpoint_files
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.data_identity import DataIdentity, check_agreement, check_data
from tfdgm.runs.recorded_data import Noise, RecordedData
from tfdgm.trained.sampling import draw


def identity(rows=None):
    return points_experiment(data=Points(rows=normal_rows() if rows is None else rows)).data_identity()


def test_a_difference_names_split_and_value():
    rows = normal_rows()
    rows[-1, 0] += 1
    assert identity().differences(identity()) == []
    (line,) = identity().differences(identity(rows))
    assert line.startswith("split 'test': content ") and " instead of " in line
    lines = identity().differences(identity(normal_rows(1_790)))
    assert "split 'train': examples 1,074 instead of 60" in lines


def test_splits_that_come_or_go_are_named():
    both = identity()
    train = DataIdentity(both.spec, {"train": both.splits["train"]})
    assert both.differences(train) == ["there is no split 'test' any more"]
    assert train.differences(both) == ["there is a new split 'test'"]


def test_other_data_is_refused_unless_it_is_accepted():
    other = identity(normal_rows(seed=1))
    with pytest.raises(UserError, match=r"not that of the run.*--other_data:\n  split 'train': content"):
        check_data(identity(), other, accepted=False)
    assert len(check_data(identity(), other, accepted=True)) == 2
    assert check_data(None, other, accepted=False) == []


@pytest.mark.parametrize("data", [Digits(), Digits(binarization="none"), Points(rows=normal_rows())])
def test_a_checkpoint_gives_its_data_back(tmp_path, data):
    saved = points_experiment(data=data).data_identity()
    checkpoint_files.write(tmp_path / "c.npz", Checkpoint(3, {"w": np.ones(2)}, data=saved))
    found = checkpoint_files.read(tmp_path / "c.npz").data
    assert found == saved and found.data_spec() == data.spec


def test_a_checkpoint_without_a_record_of_its_data_is_read(tmp_path):
    checkpoint_files.write(tmp_path / "c.npz", Checkpoint(3, {"w": np.ones(2)}))
    assert checkpoint_files.read(tmp_path / "c.npz").data is None


@pytest.mark.parametrize("value", [3, [], {}, {"spec": {}}, {"spec": {}, "splits": {"train": 1}}])
def test_a_record_of_another_form_is_refused(value):
    with pytest.raises(ValueError, match=r"no (specification|fingerprint) of data"):
        DataIdentity.parsed(value)


def test_a_specification_of_another_version_is_refused():
    with pytest.raises(UserError, match="another version"):
        DataIdentity({"shape": [2], "colour": 1}, {}).data_spec()


def test_a_fingerprint_that_json_cannot_hold_is_a_fault_of_the_plugin():
    class Odd(Points):
        def fingerprint(self, splits):
            return {"train": {"content": object()}}

    with pytest.raises(PluginFault, match="Odd: fingerprint must return a dict of JSON values"):
        points_experiment(data=Odd(rows=normal_rows())).data_identity()


class Workers:
    """The sums of two workers that run in two threads."""

    def __init__(self):
        self.barrier, self.given = threading.Barrier(2), {}

    def of(self, number):
        return Worker(self, number)


class Worker:
    def __init__(self, workers, number):
        self.workers, self.number, self.is_chief = workers, number, number == 0

    def all_reduce_sum(self, values):
        self.workers.given[self.number] = list(values)
        self.workers.barrier.wait(10)
        total = [sum(parts) for parts in zip(*self.workers.given.values(), strict=True)]
        self.workers.barrier.wait(10)
        return total


@pytest.mark.parametrize("seed", [0, 1])
def test_workers_with_other_data_stop_together(seed):
    workers, messages = Workers(), {}

    def work(number):
        try:
            check_agreement(identity(normal_rows(seed=number * seed)), workers.of(number))
        except UserError as error:
            messages[number] = str(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if seed == 0:
        assert messages == {}
    else:
        assert "data of another worker differs" in messages[0] and "this worker's data differs" in messages[1]


@pytest.mark.parametrize(
    "spec",
    [
        DataSpec((3,)),
        DataSpec((3,), low=0.0),
        DataSpec((4, 4, 1), 0.0, 1.0, levels=17),
        DataSpec((2,), -2.0, 3.0),
        DataSpec((2,), 0.0, math.inf, counts=True),
        DataSpec((2,), 0.0, 9.0, counts=True),
        DataSpec((2,), 0.0, 1.0, levels=2, condition=ConditionSpec(categories=3)),
        DataSpec((2,), condition=ConditionSpec(size=2)),
    ],
)
def test_noise_lies_in_the_range_of_the_data_and_is_distinct(spec):
    source = Noise(200, spec)
    rows = source.gather(np.arange(100))
    assert rows.shape == (100, *spec.shape) and len(source) == 200
    assert spec.low <= rows.min() and rows.max() <= spec.high and np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) >= 4
    if spec.counts:
        assert (rows == np.floor(rows)).all()
    if spec.levels:
        np.testing.assert_allclose(rows * (spec.levels - 1), np.round(rows * (spec.levels - 1)), atol=1e-5)  # float32
    if spec.condition is not None:
        assert source.conditions(np.arange(5)).shape == (5, *spec.condition.shape)


def test_a_model_restored_without_its_data_draws_the_same_samples():
    trained = digits_experiment(prior=AggregatedPosterior(num_components=20)).build()
    recorded = RecordedData(trained.experiment.data_identity())
    again = digits_experiment(prior=AggregatedPosterior(num_components=20), data=recorded).build()
    before = again.state.read()["model/prior/inputs"]
    assert (before != trained.state.read()["model/prior/inputs"]).any()  # its own came from noise
    again.state.assign(trained.state.read())
    assert_same_tensors(again.state.read(), trained.state.read())
    first, second = draw(trained, 8), draw(again, 8)
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.z, second.z)
    assert again.experiment.data_identity() == trained.experiment.data_identity()


def test_noise_without_a_condition_has_none():
    with pytest.raises(NotImplementedError):
        Noise(3, DataSpec((2,))).conditions(np.arange(1))
