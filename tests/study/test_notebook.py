"""The notebook of Table 1: it runs, and what is committed is what it printed."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from study import notebook
from study.notebook import TABLE_1, NotebookError, execute
from study.results import PAPER
from training import configuration
from training.data.splits import Protocol
from training.experiment import Run
from training.runs import run_cached
from training.tables import figure

from ..conftest import ROOT

pytestmark = pytest.mark.slow

ROWS = 200


def outputs(path: Path) -> dict[str, list[Any]]:
    found = nbformat.read(path, as_version=4)
    nbformat.validate(found)
    return {cell.id: cell.outputs for cell in found.cells if cell.cell_type == "code"}


def tables(path: Path) -> dict[str, str]:
    return {
        name: "\n".join(
            one.data["text/markdown"] for one in of if "text/markdown" in one.get("data", {})
        )
        for name, of in outputs(path).items()
    }


@pytest.mark.timeout(600)  # seconds of processor time, but of a kernel that imports torch
def test_it_runs(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DATA_DIR", str(data_dir.absolute()))
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    # Here, where torch is imported already: the notebook then finds the runs in the cache.
    for model, loss in PAPER:
        if model == "spam":
            for protocol in Protocol:
                config = configuration.load(model, loss)
                run_cached(Run(config, protocol, 0, sample_rows=ROWS))
    parameters = {"SEEDS": {"spam": 1}, "ROWS": ROWS}
    path = execute(TABLE_1, tmp_path / "table-1.ipynb", parameters)
    found = tables(path)
    assert len(re.findall(r"^\| SMS Spam \|", found["table-1"], re.MULTILINE)) == 9
    assert found["grouped"].count("\n| ") == 4
    assert len(list((tmp_path / "cache" / "runs").iterdir())) == 6
    (curves,) = outputs(path)["learning-curves"]
    assert "image/svg+xml" in curves.data


def test_what_is_committed_is_what_it_printed() -> None:
    committed = nbformat.read(ROOT / TABLE_1, as_version=4)
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [one for cell in code for one in cell.outputs if one.output_type == "error"]
    table = tables(ROOT / TABLE_1)["table-1"]
    for (model, _), paper in PAPER.items():
        title = {"spam": "SMS Spam", "cyberbullying": "Cyberbullying"}[model]
        row = rf"^\| {title} \| .+ \| {figure(paper.accuracy)} / {figure(paper.f1)} \|"
        assert len(re.findall(row, table, re.MULTILINE)) in {3, 6}
    assert "naive recipe" in table
    assert "collapsed" in table
    text = (ROOT / TABLE_1).read_text(encoding="utf-8")
    assert str(Path.home()) not in text
    assert len(text) < 250_000


def written(path: Path, *cells: str) -> Path:
    code = [new_code_cell(cell) for cell in cells]
    code[0].metadata["tags"] = ["parameters"]
    path.write_text(nbformat.writes(new_notebook(cells=code)), encoding="utf-8")
    return path


def test_parameters_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "small.ipynb", "A = 1", "print(A)", "if A > 2: raise ValueError(A)")
    execute(path)
    assert outputs(path)[nbformat.read(path, 4).cells[1].id][0].text == "1\n"
    assert notebook.execute(path, tmp_path / "other.ipynb", {"A": 2}) == tmp_path / "other.ipynb"
    before = path.read_bytes()
    with pytest.raises(NotebookError, match=r"small\.ipynb: ValueError: 3"):
        execute(path, parameters={"A": 3})
    assert path.read_bytes() == before
