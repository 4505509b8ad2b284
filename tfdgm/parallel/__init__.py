"""Where a run's shards are computed: one device, several, or several machines; on TensorFlow's tf.distribute."""
