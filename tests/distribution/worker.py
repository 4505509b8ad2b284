"""`tfdgm` as a worker; with LOGICAL_CPUS=2 its replicas are so many logical devices.

MultiWorkerMirroredStrategy takes all GPUs of a machine, but of CPUs only one, logical or not.
"""

import os
import sys

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

from tfdgm.commands import main

count = int(os.environ.get("LOGICAL_CPUS", "1"))
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * count
)
if count > 1:
    CollectiveAllReduceExtended._initialize_local_devices = lambda self, resolver, worker: (
        tuple(f"{worker}/device:CPU:{number}" for number in range(count)),
        "CPU",
    )
sys.exit(main(sys.argv[1:]))
