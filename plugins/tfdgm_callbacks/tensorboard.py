"""Pictures and histograms in TensorBoard."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfdgm import Callback, Reconstructor, Sampler, Training, UserError, pixels


class TensorBoardDetails(Callback):
    """Adds pictures and histograms to a run's events for TensorBoard, at every validation.

    Every run writes its metrics and its config to `events` without this callback. Samples are means E[x|z] at the same
    draws of z each time, so that TensorBoard's slider shows how they change; reconstructions are of examples of the
    validation split. Neither changes the run's numbers. Requires the extra `tensorboard`
    (`pip install "tfdgm[tensorboard]"`), which has TensorBoard itself too.

    Args:
      pictures: number of samples, and of reconstructions; 0 for none. Data without images has no pictures.
      histograms: whether to write a histogram of the values of each weight; reading all weights takes a moment in
        large models.
    """

    everywhere = True  # several workers compute together

    def __init__(self, *, pictures: int = 36, histograms: bool = False) -> None:
        self.require(pictures >= 0, f"pictures must not be negative, got {pictures}")
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            raise UserError('callback.tensorboard requires an extra: pip install "tfdgm[tensorboard]"') from None
        self.pictures = pictures
        self.histograms = histograms
        self.writer: Any = None

    def on_start(self, training: Training) -> None:
        built = self.built = training.built
        self.folder = training.workdir / "events" / "validation"
        experiment = built.experiment
        self.spec = experiment.data.spec
        draws = self.pictures > 0 and self.spec.image_shape is not None
        self.sample = Sampler(built, self.pictures) if draws else None
        self.reconstruct = None
        if draws and built.model.posterior is not None and "validation" in experiment.splits:
            self.reconstruct = Reconstructor(built, "validation", self.pictures)

    def on_validation(self, step: int, scores: Mapping[str, float]) -> None:
        """Write the events of one validation.

        Raises:
          UserError: the disk is full or read-only.
        """
        pictures = {}
        if self.sample is not None:
            pictures["samples"] = pixels(self.sample().mean, self.spec)
        if self.reconstruct is not None:
            x, mean = self.reconstruct()
            pictures["examples"], pictures["reconstructions"] = pixels(x, self.spec), pixels(mean, self.spec)
        if not self.built.devices.is_chief:
            return
        try:
            if self.writer is None:
                self.writer = tf.summary.create_file_writer(os.fsencode(self.folder))
            with self.writer.as_default():
                for name, picture in pictures.items():
                    tf.summary.image(name, picture.reshape(1, *picture.shape[:2], -1), step=step)
                if self.histograms:
                    for name, variable in self.built.parameters().items():
                        tf.summary.histogram(f"weights/{name}", tf.convert_to_tensor(variable), step=step)
        except tf.errors.OpError as error:
            raise UserError(f"{self.folder} could not be written: {error.message}") from None

    def on_end(self, step: int) -> None:
        """Close the file; later events begin a new one."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None
