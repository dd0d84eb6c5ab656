"""Request bodies, and the artifacts called default and plain."""

import json
import tomllib
from pathlib import Path

from benchmarks import artifacts, engines, samples
from dandelion import Classifier


def test_a_body_holds_the_given_number_of_texts(tmp_path: Path) -> None:
    path = samples.write_bodies(tmp_path / "bodies", ["a", "b\n", "c"], 2)
    bodies = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert bodies == [{"texts": ["a", "b\n"]}, {"texts": ["c"]}]


def test_default_is_served_and_plain_reads_words_only() -> None:
    table = tomllib.loads((artifacts.HOME / "serving.toml").read_text(encoding="utf-8"))
    for model in samples.MODELS:
        found = samples.variants(model)
        assert found["default"].name == table["models"][model]
        assert Classifier.load(found["plain"]).manifest.features is None


def test_an_artifact_is_loaded_with_each_engine() -> None:
    found = engines.load(samples.variants("spam")["plain"])
    assert next(iter(found)) == engines.NUMPY
    assert [classifier.engine for classifier in found.values()] == list(found)
