"""Images prepared by TensorFlow Datasets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm import ArraySource, ConditionSpec, Context, Data, DataSpec, FilePath, Source, UserError
from tfdgm_data.binarization import Binarization, binarized, describe_binarization, observe_bytes


class TFDS(Data):
    """Images of a data set that `tensorflow_datasets` has prepared on this machine; nothing is downloaded.

    Array records are read by position, on demand. Other file formats have no random access and are read into memory
    when the run starts. The labels are those of the feature `label`, if the data set has one. Requires the extra
    `datasets` (`pip install "tfdgm[datasets]"`).

    Args:
      name: name of the data set, for example "mnist" or "cifar10"; with config and version if there are several.
      data_dir: the directory in which it was prepared.
      key: name of the image in an example.
      num_validation: number of the last training examples that form the validation split, if the data set has none.
      binarization: "none" keeps the 256 grey levels; "dynamic" redraws each training pixel from Bernoulli(grey) at
        every step, with validation and test fixed; "static" also fixes the training split. Fixed pixels of row i are
        `Generator(Philox(key=[seed, i])).random(shape) < grey`, seed 1 for test, 2 validation, 3 training.
    """

    def __init__(
        self,
        *,
        name: str,
        data_dir: FilePath,
        key: str = "image",
        num_validation: int = 0,
        binarization: Binarization = "none",
    ) -> None:
        self.require(num_validation >= 0, f"num_validation must not be negative, got {num_validation}")
        self.name = name
        self.data_dir = data_dir
        self.key = key
        self.num_validation = num_validation
        self.binarization = binarization
        self._sources = self._read()
        shape = self._sources["train"].shape
        binary = binarization != "none"
        self.spec = DataSpec(
            shape=shape,
            low=0.0,
            high=1.0,
            levels=2 if binary else 256,
            binarized=binarization if binary else None,
            image_shape=shape if shape[-1] == 3 else shape[:-1],
            condition=self._condition,
        )

    def _read(self) -> dict[str, Source]:
        try:
            import tensorflow_datasets as datasets
        except ImportError:
            raise UserError('data.tfds requires TensorFlow Datasets: pip install "tfdgm[datasets]"') from None
        where = f"{self.data_dir} for {self.name!r}"
        with _refusals(f"cannot open {where}"):
            builder = datasets.builder(self.name, data_dir=self.data_dir, try_gcs=False)
            prepared = {name: info.num_examples for name, info in (builder.info.splits or {}).items()}
        self.require("train" in prepared, f"no prepared training split in {where}; prepare it by tfds build")
        self.require(
            self.key in builder.info.features,
            f"examples of {self.name!r} have no {self.key!r}; they have {', '.join(sorted(builder.info.features))}",
        )
        shape = tuple(builder.info.features[self.key].shape)
        self.require(
            len(shape) == 3 and None not in shape and shape[-1] in (1, 3),
            f"{self.key!r} of {self.name!r} has shape {shape}; images must have one size and 1 or 3 channels",
        )
        dtype = builder.info.features[self.key].np_dtype
        self.require(dtype == np.uint8, f"{self.key!r} of {self.name!r} has dtype {np.dtype(dtype)}, not uint8")
        classes = dict(builder.info.features.items()).get("label")
        self._condition: ConditionSpec | None = None
        if isinstance(classes, datasets.features.ClassLabel) and classes.num_classes:
            names = tuple(classes.names) if len(set(classes.names)) == classes.num_classes else ()
            self._condition = ConditionSpec(categories=classes.num_classes, names=names)
        ranges = {name: (0, prepared[name]) for name in ("train", "validation", "test") if name in prepared}
        if self.num_validation:
            self.require(
                "validation" not in ranges, f"{self.name!r} already has a validation split; set num_validation to 0"
            )
            first = prepared["train"] - self.num_validation
            self.require(
                first > 0,
                f"num_validation must be less than {prepared['train']}, the number of training examples, got "
                f"{self.num_validation}",
            )
            ranges |= {"train": (0, first), "validation": (first, prepared["train"])}
        sources: dict[str, Source] = {}
        for name, (first, last) in ranges.items():
            stored = name if name in prepared else "train"
            sources[name] = self._open(builder, f"{stored}[{first}:{last}]", shape)
        return binarized(sources, self.binarization)

    def _open(self, builder: Any, split: str, shape: tuple[int, ...]) -> Source:
        kept = (self.key,) if self._condition is None else (self.key, "label")
        try:
            return Records(builder.as_data_source(split=split), kept, shape, f"{split} in {self.data_dir}")
        except NotImplementedError:  # a format without random access
            import tensorflow_datasets as datasets

            partial = datasets.decode.PartialDecoding({name: name in kept for name in builder.info.features})
            in_order = datasets.ReadConfig(interleave_cycle_length=1, try_autocache=False)  # the order of array records
            with _refusals(f"cannot read {split} in {self.data_dir}, which may be damaged"):
                loaded = builder.as_dataset(split=split, decoders=partial, shuffle_files=False, read_config=in_order)
                columns = zip(
                    *([example[name] for name in kept] for example in loaded.as_numpy_iterator()), strict=True
                )
                return ArraySource(*(np.stack(column) for column in columns))

    def splits(self) -> dict[str, Source]:
        return dict(self._sources)

    def observe(self, rows: tf.Tensor, context: Context) -> tf.Tensor:
        """Scale bytes to [0, 1], and draw binary pixels if binarization is dynamic."""
        return observe_bytes(rows, self.binarization, context)

    def describe(self) -> dict[str, Any]:
        return {
            "source": f"{self.name} in {self.data_dir}",
            "split": {name: len(source) for name, source in self._sources.items()},
            **describe_binarization(self._sources, self.binarization),
        }


class Records(Source):
    """Array records of one split.

    Args:
      records: a sequence of dicts.
      keys: names of the image, and of the label if there is one, in a record.
      shape: shape of every image.
      where: name of the records in messages.
    """

    def __init__(self, records: Any, keys: tuple[str, ...], shape: tuple[int, ...], where: str) -> None:
        self.records = records
        self.keys = keys
        self.shape = shape
        self.dtype = np.uint8
        self.where = where

    def __len__(self) -> int:
        return len(self.records)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return np.stack([self._read(int(index), self.keys[0]) for index in indices])

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        if len(self.keys) == 1:
            return super().conditions(indices)
        return np.array([self._read(int(index), self.keys[1]) for index in indices], np.int32)

    def _read(self, index: int, key: str) -> Any:
        with _refusals(f"cannot read record {index} of {self.where}, which may be damaged"):
            return self.records[index][key]


@contextmanager
def _refusals(problem: str) -> Iterator[None]:
    """Turn every exception of TensorFlow Datasets and its decoders into a `UserError`."""
    try:
        yield
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(f"data.tfds: {problem}: {reason}") from None
