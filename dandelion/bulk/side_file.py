"""The side file: the rows that are left out, one JSON object per line."""

import base64
import json
from collections.abc import Iterable

from .job import BrokenRow


def written(broken: Iterable[BrokenRow]) -> bytes:
    """Return the lines of broken rows.

    Each has ``line`` and ``reason``, and ``row`` as it stands in the file, so that nothing is lost
    that came through a pipe; or ``row_base64``, if it is not UTF-8. Parquet's rows have a number
    alone.
    """
    return b"".join(map(_line, broken))


def _line(one: BrokenRow) -> bytes:
    values: dict[str, object] = {"line": one.line, "reason": one.reason}
    if one.row:
        try:
            values["row"] = one.row.decode()
        except UnicodeDecodeError:
            values["row_base64"] = base64.b64encode(one.row).decode()
    return json.dumps(values, ensure_ascii=False).encode() + b"\n"
