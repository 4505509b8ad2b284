"""Import TensorFlow for a command: quietly, with enough memory, and with the cache of compiled programs."""

import atexit
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tfdgm.errors import UserError
from tfdgm.system import program_cache, program_names
from tfdgm.system.console import detail, shows_details, warn

#: Bytes of address space that the default run needs, imports and compilation included (measured with `ulimit -v`).
LEAST_ADDRESS_SPACE = 4 << 30

_CACHE_FLAG = "--tf_xla_persistent_cache_directory"
_session: program_cache.Session | None = None


def import_tensorflow() -> None:
    """Import TensorFlow, unless the command is verbose without its notices.

    Raises:
      UserError: the limit of this process's address space is too low.
    """
    _check_address_space()
    started = "tensorflow" in sys.modules
    os.environ["KERAS_BACKEND"] = "tensorflow"
    linking = None if started else _start_cache()
    began = time.monotonic()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if shows_details() else "2" if _session is None else "3")
    with nullcontext() if shows_details() else _without_notices():
        try:
            import tensorflow

            program_names.install()
            tensorflow.config.list_physical_devices()
        finally:
            if linking is not None:
                linking.join()
    if not shows_details():
        tensorflow.get_logger().setLevel("ERROR")  # it would warn of the programs that each diagnostic compiles
    if not started:
        detail(f"TensorFlow {tensorflow.__version__} imported in {time.monotonic() - began:.1f} s")


@contextmanager
def _without_notices() -> Iterator[None]:
    """Discard what is written to descriptor 2: TensorFlow prints notices before its log level takes effect."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def programs() -> tuple[int, int] | None:
    """Return the numbers of programs that this process compiled and read from the cache; None without a cache."""
    return None if _session is None else (len(_session.compiled()), len(_session.read()))


def _start_cache() -> threading.Thread | None:
    """Point XLA to a session of the cache, and link its entries while TensorFlow is imported."""
    global _session
    given = os.environ.get("TF_XLA_FLAGS", "")
    base = program_cache.root()
    if base is None or _CACHE_FLAG in given:
        return None
    try:
        _session = program_cache.Session(base)
    except program_cache.Unusable as reason:
        warn(f"compiled programs are not cached: {reason}")
        return None
    detail(f"compiled programs are kept in {base}")
    atexit.register(_session.close)
    flags = f"{_CACHE_FLAG}={_quoted(str(_session.folder))} --tf_xla_persistent_cache_device_types=CPU"
    if _session.read_only:
        flags += " --tf_xla_persistent_cache_read_only=true"
    os.environ["TF_XLA_FLAGS"] = f"{given} {flags}".strip()
    linking = threading.Thread(target=_session.link, name="program cache")
    linking.start()
    return linking


def _quoted(path: str) -> str:
    """Quote a path for XLA's parser of flags, which splits at spaces."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _check_address_space() -> None:
    try:
        import resource
    except ImportError:
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY and allowed < LEAST_ADDRESS_SPACE:
        raise UserError(
            f"this process may use {allowed / 2**30:.1f} GiB of address space (ulimit -v), but TensorFlow and its "
            f"compiler need {LEAST_ADDRESS_SPACE / 2**30:.0f} GiB; raise the limit"
        )
