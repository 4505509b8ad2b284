"""A worker: `worker.py train --flags` is `tfdgm train --flags`; `worker.py FOLDER KIND ...` trains kinds of `KINDS`.

LOGICAL_CPUS=2 gives it two logical devices as replicas: MultiWorkerMirroredStrategy by itself uses all GPUs of a
machine, but only one CPU device.
"""

import os
import sys
from pathlib import Path

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

from tfdgm.cli.main import main
from tfdgm.parallel.replicas import Replicas
from tfdgm.parallel.strategies import Placement

count = int(os.environ.get("LOGICAL_CPUS", "1"))
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * count
)
if count > 1:
    CollectiveAllReduceExtended._initialize_local_devices = lambda self, resolver, worker: (
        tuple(f"{worker}/device:CPU:{number}" for number in range(count)),
        "CPU",
    )
if sys.argv[1] == "train":
    sys.exit(main(sys.argv[1:]))
opened = Placement(strategy="multi_worker").devices()
sys.path.insert(0, str(Path(__file__).parents[1]))

from replicated import train  # noqa: E402

folder, *kinds = sys.argv[1:]
for kind in kinds:
    train(Path(folder) / kind, kind, Replicas(opened.strategy, is_chief=opened.is_chief))  # one object a run
