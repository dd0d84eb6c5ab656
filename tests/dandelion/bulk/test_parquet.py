"""Parquet keeps its types, its metadata and its row groups."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from dandelion import Classifier
from dandelion.bulk.errors import BulkError, RefusedError

from .files import BROKEN, ROWS, TEXTS, Whole, run
from .reference import ADDED, json_rows


def test_parquet_keeps_types_and_metadata(
    artifact: Path,
    inputs: dict[str, Path],
    whole: Whole,
) -> None:
    before = parquet.ParquetFile(inputs["a.parquet"])
    after = parquet.ParquetFile(io.BytesIO(whole["a.parquet"][0]["a.parquet"]))
    assert after.schema_arrow.metadata == before.schema_arrow.metadata
    for field in before.schema_arrow:
        assert after.schema_arrow.field(field.name).equals(field, check_metadata=True)
    kinds = [str(after.schema_arrow.field(name).type) for name in ADDED]
    assert kinds == ["string", "double", "string", "string"]
    assert after.num_row_groups == before.num_row_groups == 3
    assert after.metadata.row_group(0).column(0).compression == "ZSTD"
    table = after.read().to_pydict()
    kept = [n for n in range(ROWS) if n % BROKEN != 3]
    assert table["id"] == kept
    texts = [TEXTS[n] for n in kept]
    predictions = Classifier.load(artifact).classify(texts)
    assert table["score"] == [one.score for one in predictions]
    assert table["notice"] == [
        one.reason or ("low_evidence" if one.low_evidence else None) for one in predictions
    ]


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.string_view()],
    ids=str,
)
def test_parquet_of_any_kind_of_string(artifact: Path, tmp_path: Path, kind: pa.DataType) -> None:
    other = pa.array([[1], None, [2, 3]], pa.list_(pa.int8()))
    texts = pa.array(["Free prize!", None, ""], pa.string()).cast(kind)
    parquet.write_table(pa.table({"text": texts, "other": other}), tmp_path / "a.parquet")
    totals = run(artifact, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert (totals.rows, totals.broken) == (2, 1)
    found = parquet.read_table(tmp_path / "b.parquet")
    before = parquet.read_schema(tmp_path / "a.parquet")
    assert found.schema.field("text").type == before.field("text").type
    assert found.column("other").to_pylist() == [[1], [2, 3]]
    assert found.column("decision").to_pylist()[1] == "none"
    assert json_rows((tmp_path / "b.parquet.errors.jsonl").read_bytes()) == [
        {"line": 2, "reason": "no text"}
    ]


def test_parquet_texts_that_are_no_strings_are_refused(artifact: Path, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": [1]}), tmp_path / "a.parquet")
    with pytest.raises(RefusedError, match="'text' is of the type int64; expected strings"):
        run(artifact, tmp_path / "a.parquet", tmp_path / "b.parquet")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(BulkError, match="invalid Parquet file"):
        run(artifact, tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert not list(tmp_path.glob("b.*"))
