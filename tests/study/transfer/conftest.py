"""Tiny sources: three that are learned from, one that is measured only."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from study.transfer import units
from study.transfer.units import Plan, Unit
from training.configuration import Configuration, SourceChoice, WindowChoice
from training.data import datasets, sources
from training.data.sources import Source

from ...training.conftest import cache

__all__ = ["cache", "config", "tiny_sources"]

NAMES = ("forum", "news", "news_context", "chat", "foreign")
COPIED = "claim this entirely free prize now and win it every single day of the year"


def lines(name: str, number: int) -> list[str]:
    """Return 60 harmless texts and 40 spam messages with words of the source's own."""
    rng = np.random.default_rng(number)
    words = {"ham": ["lunch", "home", "mum", "later"], "spam": ["prize", "win", "free", "claim"]}

    def some(label: str, count: int) -> str:
        return " ".join(rng.choice(words[label], count))

    made = [
        f"{label}\t{some(label, 3)} {name}{row} {some('ham', 2)}"
        for label, count in (("ham", 60), ("spam", 40))
        for row in range(count)
    ]
    # A near copy of a text in another source.
    return [*made, f"spam\t{COPIED}{'!' * number}"] if name in {"forum", "chat"} else made


@pytest.fixture
def tiny_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    directory = tmp_path / "data"
    directory.mkdir()
    for number, name in enumerate(NAMES):
        data = ("\n".join(lines(name, number)) + "\n").encode()
        (directory / f"{name}.tsv").write_bytes(data)
        source = Source(
            name=name.title(),
            title=name.title(),
            file=f"{name}.tsv",
            members=(f"{name}.tsv",),
            sha256=hashlib.sha256(data).hexdigest(),
            urls=(f"http://127.0.0.1:9/{name}.tsv",),
            licence="none",
            label_names=("ham", "spam"),
            read=datasets.SOURCES["spam"].read,
        )
        monkeypatch.setitem(sources.SOURCES, name, source)  # type: ignore[arg-type]
    monkeypatch.setenv("DATA_DIR", str(directory))
    plan = Plan(
        (
            Unit("Forum", ("forum",), "equal"),
            Unit("News", ("news", "news_context"), "broader"),
            Unit("Chat", ("chat",), "narrower"),
        ),
        (Unit("Foreign", ("foreign",), "equal"),),
    )
    monkeypatch.setitem(units.PLANS, "tiny", plan)  # type: ignore[arg-type]
    return plan


@pytest.fixture
def config(tiny_sources: Plan) -> Configuration:
    choices = tuple(
        SourceChoice(name=name, balanced=name == "forum") for name in NAMES if name != "foreign"
    )
    return Configuration(
        model="tiny",
        variant="small",
        loss="bce",
        sources=choices,
        windows=WindowChoice(words=5, stride=3),
        operating_point="fpr<=0.2[forum]",
        hidden=8,
        epochs=2,
        extra_words=0,
        restore="last",
        layer_rate=0.01,
    )
