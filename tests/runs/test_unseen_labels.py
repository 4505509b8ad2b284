"""Labels that no training example has are told before training."""

import numpy as np
import pytest
from small import points_experiment
from tfdgm_data.npz import Npz

from tfdgm.runs.unseen_labels import unseen_label_warnings


def warnings_of(tmp_path, labels, **settings):
    rows = np.random.RandomState(0).randn(len(labels), 2).astype(np.float32)
    np.savez(tmp_path / "x.npz", train=rows, train_labels=np.array(labels))
    settings = {"condition": True, "batch_size": 4, **settings}
    return unseen_label_warnings(points_experiment(data=Npz(path=str(tmp_path / "x.npz")), **settings).build())


def test_labels_from_1_leave_0_unseen(tmp_path):
    (line,) = warnings_of(tmp_path, [1, 2, 3, 1])
    assert line.startswith("no training example has the label 0: 1 of 4 labels are not learned")


def test_many_unseen_labels_are_one_line(tmp_path):
    (line,) = warnings_of(tmp_path, [0, 20, 0, 20])
    assert "the label 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...: 19 of 21 labels" in line


@pytest.mark.parametrize("settings", [{}, {"condition": False}, {"resident_bytes": 0}])
def test_nothing_is_said_of_seen_labels_without_a_condition_and_of_streamed_data(tmp_path, settings):
    labels = [0, 1, 2, 1] if settings == {} else [1, 2, 3, 1]
    assert warnings_of(tmp_path, labels, **settings) == []
