"""Devices that compute a run's shards: one device, several, or several machines; built on tf.distribute."""
