"""An operating point suits the sources of its variant, or nothing is fitted."""

from typing import Any

import numpy as np
import pytest

from training.configuration import Configuration, parse
from training.data.datasets import Dataset
from training.errors import ConfigurationError
from training.preconditions import require_possible_point


def config(point: str = "macro_f1", **groups: list[str]) -> Configuration:
    values = {"model": "m", "variant": "v", "loss": "bce"}
    return parse(values | {"operating_point": point, "groups": groups}, "here")


def dataset(labels: list[int], names: tuple[str, ...] = ("no", "yes")) -> Dataset:
    return Dataset(
        "All",
        tuple(map(str, labels)),
        np.array(labels),
        names,
        "",
        origins=np.arange(len(labels)) % 3,
        source_names=("chat", "forum", "scams"),
        generated=frozenset({"scams"}),
    )


@pytest.mark.parametrize(
    ("labels", "chosen", "message"),
    [
        ([0, 1, 1], config("fpr<=0.1[chat]"), None),
        ([0, 1, 1], config("fpr<=0.1[both]", both=["chat", "forum"]), None),
        ([0, 1, 1], config("fpr<=0.1[forum]"), "'forum' has no harmless text, but fpr<=0.1"),
        ([1, 1, 1, 0], config("fpr<=0.1[chat]"), "'chat' has no harmless text"),  # but a last row
        ([0, 1, 1], config("recall>=0.9[chat]"), "'chat' has no positive text, but recall>=0.9"),
        ([0, 1, 1], config("recall>=0.9[forum]"), None),
        ([1, 1, 1], config("fpr<=0.1[both]", both=["chat", "forum"]), "group 'both' has no harm"),
        ([0, 1, 1], config("fpr<=0.1[mail]"), "'mail' is neither a group nor .* chat, forum"),
        ([0, 1, 0], config("fpr<=0.1[scams]"), "'scams' is made of templates, so it is no sample"),
        ([0, 1, 1], config(talk=["chat", "mail"]), r"groups.talk: 'mail' is neither"),
        ([0, 1, 1], config(talk=["scams"]), r"groups.talk: 'scams' is made of templates"),
        ([0, 1, 1], config(chat=["forum"]), "groups: 'chat' is the name of a source"),
    ],
)
def test_constraints_are_on_collected_texts_of_the_variant(
    labels: list[int], chosen: Configuration, message: str | None
) -> None:
    rows = np.arange(3)
    if message is None:
        require_possible_point(chosen, dataset(labels), rows)
        return
    with pytest.raises(ConfigurationError, match=message):
        require_possible_point(chosen, dataset(labels), rows)


def test_a_point_needs_a_threshold() -> None:
    several = dataset([0, 1, 2], ("a", "b", "c"))
    with pytest.raises(ConfigurationError, match="All has 3 labels, so there is no threshold"):
        require_possible_point(config("fpr<=0.1[chat]"), several, np.arange(3))
    require_possible_point(config(), several, np.arange(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operating_point": "fpr<=1.5"}, "here: operating_point: .*"),
        ({"operating_point": "limits"}, "here: operating_point: .*"),
        ({"groups": {"talk": []}}, "groups.talk: .*at least 1 item"),
        ({"groups": {"Talk !": ["chat"]}}, "groups"),
        ({"limits": [{"sources": ["chat"], "max_fpr": 0.1}]}, "limits: was removed; set operating"),
    ],
)
def test_the_fields_of_a_configuration_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse({"model": "m", "variant": "v", "loss": "bce"} | changes, "here")


def test_a_point_is_normalised_and_needs_folds() -> None:
    chosen = config("fpr<=0.010[chat],fpr<=1e-1")
    assert chosen.operating_point == "fpr<=0.01[chat],fpr<=0.1"
    assert chosen.folded
    assert not config().folded
    assert not chosen.without_folds().folded
