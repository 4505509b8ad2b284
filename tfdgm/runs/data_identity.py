"""What a run and its checkpoints record about their data: enough to recognise it, and to build the model without it."""

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfdgm.errors import UserError

if TYPE_CHECKING:  # it imports TensorFlow, which reading a checkpoint does not need
    from tfdgm.contracts.specs import DataSpec
    from tfdgm.parallel.devices import Devices

#: The flag that accepts other data.
FLAG = "--other_data"
_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class DataIdentity:
    """The data of a run.

    Attributes:
      spec: the fields of its `DataSpec`, as JSON values.
      splits: the fingerprint of every split, by name.
    """

    spec: Mapping[str, Any]
    splits: Mapping[str, Mapping[str, Any]]

    @classmethod
    def parsed(cls, value: Any) -> "DataIdentity":
        """Read what `plain` returned.

        Raises:
          ValueError: it is something else.
        """
        if not isinstance(value, dict) or not isinstance(value.get("spec"), dict):
            raise ValueError("no specification of data")
        splits = value.get("splits")
        if not isinstance(splits, dict) or not all(isinstance(split, dict) for split in splits.values()):
            raise ValueError("no fingerprint of data")
        return cls(value["spec"], splits)

    def plain(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"spec": dict(self.spec), "splits": {name: dict(split) for name, split in self.splits.items()}}

    def data_spec(self) -> "DataSpec":
        """Return the specification of x.

        Raises:
          UserError: the fields are not those of this version.
        """
        from tfdgm.contracts.condition import ConditionSpec
        from tfdgm.contracts.scaling import Scaling
        from tfdgm.contracts.specs import DataSpec
        from tfdgm.contracts.table_spec import TableSpec

        try:
            fields = _with_tuples(self.spec)
            if fields.get("condition") is not None:
                fields["condition"] = ConditionSpec(**_with_tuples(fields["condition"]))
            for name, kind in (("table", TableSpec), ("scaling", Scaling)):
                if fields.get(name) is not None:
                    fields[name] = kind.parsed(self.spec[name])
            return DataSpec(**fields)
        except (TypeError, AttributeError) as error:
            raise UserError(f"the checkpoint describes its data in the form of another version: {error}") from None

    def differences(self, now: "DataIdentity") -> list[str]:
        """Return a line for each value in which the data differs now; none if it is the same."""
        lines = [f"there is no split {name!r} any more" for name in self.splits if name not in now.splits]
        lines += [f"there is a new split {name!r}" for name in now.splits if name not in self.splits]
        for split in (name for name in self.splits if name in now.splits):
            before, after = self.splits[split], now.splits[split]
            for name in dict.fromkeys([*before, *after]):
                if before.get(name) != after.get(name):
                    came, was = _shown(after.get(name)), _shown(before.get(name))
                    lines.append(f"split {split!r}: {name} {came} instead of {was}")
        return lines


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def check_data(before: DataIdentity | None, now: DataIdentity, accepted: bool) -> list[str]:
    """Compare the data with that of a checkpoint, and return the differences.

    Args:
      before: recorded in the checkpoint; None in files of versions that did not record it.
      now: the data that was read.
      accepted: whether other data is accepted.

    Raises:
      UserError: they differ, and other data is not accepted.
    """
    differences = [] if before is None else before.differences(now)
    if differences and not accepted:
        raise UserError(
            f"the data is not that of the run; restore it, or accept the data as it is now with {FLAG}:\n  "
            + "\n  ".join(differences)
        )
    return differences


def check_agreement(own: DataIdentity, devices: "Devices") -> None:
    """Check that all workers of a run read the same data.

    Raises:
      UserError: they do not.
    """
    digest = hashlib.sha256(json.dumps(own.plain(), sort_keys=True).encode()).digest()
    parts = [float(part) for part in struct.unpack("<6I", digest[:24])]  # a sum of float64 holds them exactly
    differs = devices.all_reduce_sum([part * devices.is_chief for part in parts]) != parts
    if devices.all_reduce_sum([float(differs)])[0] > 0:  # all workers stop, so that none waits for the others
        whose = "this worker's data differs" if differs else "the data of another worker differs"
        raise UserError(f"{whose} from that of the first worker; every worker must read the same files")
