"""The log of readings."""

import json
import subprocess
from pathlib import Path

import pytest

from study.transfer import log
from study.transfer.log import Reading


def test_lines_are_only_added(tmp_path: Path) -> None:
    line = Reading("2026-01-01T00:00:00+00:00", "abc", False, "m", "ours", "v", "k", "s", "report")
    log.append([line], tmp_path / "results")
    log.append([line, line], tmp_path / "results")
    text = (tmp_path / "results" / "transfer-log.jsonl").read_text(encoding="utf-8")
    assert [json.loads(one)["source"] for one in text.splitlines()] == ["s", "s", "s"]


def test_the_commit_and_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert log.commit() == ("unknown", False)
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", *names, "commit", "-q", "--allow-empty", "-m", "a"], check=True)
    commit, dirty = log.commit()
    assert len(commit) == 12
    assert not dirty
    # What the command writes is no change of the code.
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "docs" / "results" / "page.md").write_text("a")
    assert log.commit() == (commit, False)
    (tmp_path / "code.py").write_text("a")
    assert log.commit() == (commit, True)
