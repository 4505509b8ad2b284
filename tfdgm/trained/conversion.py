"""Conversion of the functions of a trained model that draw nothing to ONNX and TFLite."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.runs.experiment import Built
from tfdgm.system.files import replacing_folder
from tfdgm.trained.export import Exported

_WITHOUT_SEED = ("decode", "encode_mean", "reconstruct_mean")
#: Every operation of our networks is there, and onnxruntime 1.14 of 2023 reads it.
_OPSET = 17


def convert(built: Built, output: Path, form: str) -> list[str]:
    """Write one file for each function without a seed that the model has, `NAME.onnx` or `NAME.tflite`.

    Each takes the arguments of the function of `Exported`, for any batch size.

    Args:
      built: the experiment with its trained weights; moving averages are used if there are any.
      output: the folder to write.
      form: "onnx" or "tflite".

    Returns:
      The names of the functions.

    Raises:
      UserError: the format lacks an operation of the model.
    """
    with built.state.averaged(), replacing_folder(output) as folder:
        module = Exported(built, num_samples=1)
        names = [name for name in _WITHOUT_SEED if hasattr(module, name)]
        contents = _onnx(module, names) if form == "onnx" else _tflite(module, names)
        for name, content in zip(names, contents, strict=True):
            (folder / f"{name}.{form}").write_bytes(content)
    return names


def _onnx(module: Exported, names: list[str]) -> Iterator[bytes]:
    import onnx  # both are an extra
    import tf2onnx

    from tfdgm.trained import onnx_erfc  # noqa: F401 - registers an operation

    for name in names:
        function = getattr(module, name)
        model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=_OPSET)
        try:
            onnx.checker.check_model(model)  # tf2onnx only logs an operation that it does not know, and leaves it in
        except onnx.checker.ValidationError as error:
            raise UserError(f"{name} cannot be converted to ONNX: {str(error).splitlines()[0]}") from None
        yield model.SerializeToString()


def _tflite(module: Exported, names: list[str]) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=module.signatures())
        for name in names:
            converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
            try:
                content = converter.convert()
            except Exception as error:  # of a private class
                raise UserError(f"{name} cannot be converted to TFLite: {str(error).splitlines()[0]}") from error
            yield content
