"""How many processors there are, by affinity and by a container's quota."""

import os
from pathlib import Path

from app.workers.processors import available


def test_a_quota_counts_where_it_is_less(tmp_path: Path) -> None:
    processors = len(os.sched_getaffinity(0))
    quota = tmp_path / "cpu.max"
    for text, expected in (
        ("50000 100000\n", 0.5),
        ("max 100000\n", processors),
        (f"{processors * 200_000} 100000\n", processors),
        ("", processors),
    ):
        quota.write_text(text)
        assert available(quota) == expected
    assert available(tmp_path / "none") == processors
