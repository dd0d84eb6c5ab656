"""What is measured of changed texts, of lengths and of groups of people; and which variants."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dandelion import Classifier
from dandelion.manifest import load_manifest
from dandelion.text.tokenizer import clean
from study.baselines import BASELINES
from study.robustness import corpora, evasion, identity, lengths, run, scorers
from study.robustness.scorers import Scorer
from study.schema.robustness import Count, Robustness
from study.storage import read
from training.configuration import Augmentation
from training.data import augmentation, datasets
from training.data.datasets import Dataset, Source
from training.data.splits import Protocol, split
from training.errors import ConfigurationError
from training.quality.metrics import Labels

from ..conftest import ROOT
from .conftest import one_by_one

pytestmark = pytest.mark.slow

ARTIFACTS = ROOT / "artifacts"
SPAM = ARTIFACTS / "spam" / "squared_hinge-wide"


def scorer(score: Callable[[str], float], threshold: float = 0.5) -> Scorer:
    def scores(texts: Sequence[str]) -> NDArray[np.floating]:
        return np.array([score(text) for text in texts], np.float64)

    return Scorer("made up", "ours", scores, threshold)


def test_recall_kept_and_false_alarms_are_counted_on_altered_texts() -> None:
    texts = ["free 12 prizes", "free entry", "claim it", "lunch at 12", "home", "no prize"]
    labels = np.array([1, 1, 1, 0, 0, 0])
    drawn = evasion.draw(texts, labels, ["prize"] * 300, seed=0)
    recall, false_alarms, rows = evasion.measure(
        scorer(lambda text: float("free" in text or "prize" in text)), drawn
    )
    assert (recall, false_alarms) == (Count(2, 3), Count(1, 3))
    by_name = {one.change: one for one in rows}
    dotted = by_name["dotted letters"]
    assert (dotted.kept, dotted.flagged, dotted.raised) == (Count(0, 2), Count(0, 3), Count(0, 2))
    words = by_name["20 ordinary words behind"]
    assert (words.kept, words.flagged, words.raised) == (Count(2, 2), Count(3, 3), Count(2, 2))
    # Of the flagged texts one has a number, of the negatives another one.
    number = by_name["another number"]
    assert (number.kept, number.raised) == (Count(1, 1), Count(0, 1))
    assert {one.kind for one in rows} == {"evasion", "harmless"}


def test_fewer_negatives_are_changed_by_evasion_than_by_habit() -> None:
    texts = [f"text {number}" for number in range(40)]
    drawn = evasion.draw(texts, np.arange(40) % 2, ["word"] * 300, seed=1, share=0.008)
    assert (len(drawn.positives), len(drawn.negatives)) == (4, 16)
    negatives = {one.change.name: int(one.negatives.sum()) for one in drawn.changed}
    assert (negatives["upper case"], negatives["thanks at the end"]) == (4, 16)
    again = evasion.draw(texts, np.arange(40) % 2, ["word"] * 300, seed=1, share=0.008)
    assert [one.after for one in again.changed] == [one.after for one in drawn.changed]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_length_adds_nothing_to_a_ranking_at_equal_length(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, scores = rng.integers(0, 2, 60), rng.integers(0, 5, 60) / 10
    labels[:4] = [0, 1, 0, 1]
    words = np.where(np.arange(60) < 30, 4, 100)
    words[:4] = [4, 4, 100, 100]
    alike = lengths.equal_length_auroc(labels, scores, np.full(60, 7))
    assert alike == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
    found = lengths.equal_length_auroc(labels, scores, words)
    assert found == lengths.equal_length_auroc(labels, scores + 10 * (words == 100), words)


def test_no_pairs_of_equal_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="no two texts of about equal length"):
        lengths.equal_length_auroc(np.array([0, 1]), np.array([0.1, 0.2]), np.array([3, 300]))


def test_the_auroc_of_length_is_that_of_each_source_with_both_classes() -> None:
    texts = ("a", "a b", "a b", "a", "a b c", "a")
    dataset = Dataset(
        "mixture",
        texts,
        np.array([0, 1, 0, 1, 0, 0]),
        ("harmless", "abuse"),
        "0",
        np.array([0, 0, 1, 1, 2, 2]),
        ("first", "second", "harmless alone"),
    )
    found = lengths.length_auroc(dataset)
    assert found == {"mixture": pytest.approx(0.4375), "first": 1.0, "second": 0.0}


def test_harmless_pieces_are_counted_by_corpus_and_length() -> None:
    pieces = {("talk", 5): ["long text", "short"], ("speeches", 5): ["short"]}
    rows = lengths.measure(scorer(lambda text: len(text) / 10), pieces)
    assert [(one.corpus, one.words, one.flagged) for one in rows] == [
        ("talk", 5, Count(2, 2)),
        ("speeches", 5, Count(1, 1)),
    ]


def test_the_sentences_about_groups_are_as_many_as_promised() -> None:
    stored = identity.sentences()
    assert min(stored.templates) >= 20
    assert len(stored.groups) >= 6
    assert sum(one.held_out for one in stored.groups) >= len(stored.groups) / 3
    for group in stored.groups:
        assert group.words == 15
        for texts in (group.harmless, group.hateful):
            assert len(texts) >= 300
            assert len(set(texts)) == len(texts)
            assert not any("{" in text or "  " in text for text in texts)


def test_each_group_is_ranked_against_the_others() -> None:
    religion, age = (
        identity.Group(name, False, 1, (f"{name} good",), (f"{name} bad",))
        for name in ("religion", "age")
    )
    # Religion alone raises the score above the hateful sentence about age.
    ranked = {"religion good": 0.6, "religion bad": 0.9, "age good": 0.1, "age bad": 0.5}
    first, second = identity.measure(scorer(ranked.__getitem__), (religion, age))
    assert (first.harmless, first.hateful) == (Count(1, 1), Count(1, 1))
    assert (second.harmless, second.hateful) == (Count(0, 1), Count(1, 1))
    assert (first.bpsn, first.bnsp) == (0.0, 1.0)
    assert (second.bpsn, second.bnsp) == (1.0, 0.0)


def test_the_ablation_reads_nothing_but_nfkc() -> None:
    classifier = Classifier.load(SPAM)
    served, bare = scorers.ours(classifier, 0.5), scorers.without_reading(SPAM, 0.5)
    plain = ["free entry", "ﬁne", "Lunch at 12?"]
    assert bare.scores(plain) == pytest.approx(served.scores(plain), abs=1e-6)
    hidden = ["fr\u0435e entry", "f.r.e.e entry", "free entry" + "." * 200, "\ud800"]
    assert (abs(bare.scores(hidden[:3]) - served.scores(hidden[:3])) > 1e-4).all()
    assert bare.scores(hidden).shape == (4,)
    assert served.flags([]).shape == (0,)


def test_a_baseline_gets_the_reading_and_is_fitted_once(
    tiny: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = datasets.load("tiny")
    folds = split(dataset, Protocol.GROUPED, 0)
    # Without the reading, only letters would be learned.
    dotted = tuple(" ".join(".".join(word) for word in text.split()) for text in dataset.texts)
    dataset = replace(dataset, texts=dotted)
    manifest = replace(load_manifest(SPAM), model="tiny", seed=0)
    names = ("TF-IDF words, characters + LinearSVC",)
    (first,) = scorers.fitted_baselines(manifest, dataset, folds, names)
    changed = first.scores(["f r e e  p r i z e", "p.r.i.z.e"])
    assert changed.tolist() == first.scores(["free  prize", "prize"]).tolist()
    assert first.flags(["free prize", "lunch home"]).tolist() == [True, False]
    baseline = type(BASELINES[names[0]])
    monkeypatch.setattr(baseline, "fit", lambda *_: pytest.fail("fitted again"))
    (second,) = scorers.fitted_baselines(manifest, dataset, folds, names)
    assert second.threshold == first.threshold


def test_a_baseline_that_finds_nothing_within_the_limits_has_the_best_threshold_without(
    tiny: Source,
) -> None:
    dataset = datasets.load("tiny")
    folds = split(dataset, Protocol.GROUPED, 0)
    # What is learned from the training fold is wrong on validation, so harmless texts rank first.
    labels = dataset.labels.copy()
    labels[folds.validation] = 1 - labels[folds.validation]
    origins = np.zeros(len(labels), np.int64)
    dataset = replace(dataset, labels=labels, origins=origins, source_names=("tiny",))
    limited = replace(
        load_manifest(SPAM), model="tiny", seed=0, operating_point="fpr<=0.000001[tiny]"
    )
    names = ("TF-IDF words, characters + LinearSVC",)
    (found,) = scorers.fitted_baselines(limited, dataset, folds, names)
    free = replace(limited, operating_point="macro_f1")
    (expected,) = scorers.fitted_baselines(free, dataset, folds, names)
    assert found.threshold == expected.threshold


def test_a_baseline_gets_the_copies_that_the_artifact_learned_from(
    tiny: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = datasets.load("tiny")
    dataset = replace(dataset, weights=np.linspace(1, 2, len(dataset.texts)))
    folds = split(dataset, Protocol.GROUPED, 0)
    name = "TF-IDF words, characters + LR"
    fitted: list[tuple[Sequence[str], NDArray[np.float64]]] = []
    fit = BASELINES[name].fit

    def spy(_: object, texts: tuple[str, ...], labels: Labels, seed: int, weights: Any) -> Any:
        fitted.append((texts, weights))
        return fit(texts, labels, seed, weights)

    monkeypatch.setattr(type(BASELINES[name]), "fit", spy)
    plain = replace(load_manifest(SPAM), model="tiny", seed=0)
    choice = Augmentation(kinds=("leet",), share=0.5)
    copying = replace(plain, config=plain.config | {"augmentation": choice.model_dump(mode="json")})
    for manifest in (plain, copying, plain):
        scorers.fitted_baselines(manifest, dataset, folds, (name,))
    (few, _), (many, weights) = fitted  # the third one is the first one's
    expected, rows = augmentation.extended(dataset, folds.train, choice.kinds, choice.share, seed=0)
    assert len(few) == len(folds.train)
    assert many == tuple(map(clean, expected.take(rows)[0]))
    np.testing.assert_array_equal(weights, expected.weights[rows])  # type: ignore[index]


def test_by_default_what_is_served_and_its_plain_network_are_chosen() -> None:
    chosen = run.choose(ARTIFACTS, None, None)
    assert all(load_manifest(path).threshold is not None for path in chosen)
    assert chosen[SPAM]
    assert chosen[ARTIFACTS / "spam" / "mse"] is False
    assert run.choose(ARTIFACTS, "spam", "dice") == {ARTIFACTS / "spam" / "dice": False}
    assert list(run.choose(ARTIFACTS, "spam", None)) == [SPAM, ARTIFACTS / "spam" / "mse"]


@pytest.mark.parametrize(
    ("model", "variant", "message"),
    [
        (None, "dice", "give its --model"),
        ("spam", "none", "there is no such artifact .* available: dice, mse"),
        ("none", None, "is not served; give a --variant, or one of abuse, cyberbullying"),
        ("cyberbullying_type", "cross_entropy-wide", "more than two labels"),
    ],
)
def test_a_wrong_choice_is_an_error(model: str | None, variant: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run.choose(ARTIFACTS, model, variant)


def test_no_served_variants_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"serving.toml: cannot be read"):
        run.choose(tmp_path, None, None)


def test_a_measured_variant_replaces_itself_alone(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run_parallel", one_by_one)
    monkeypatch.setattr(corpora, "fetch", lambda _: ())
    monkeypatch.setattr(
        corpora, "load", lambda corpus: (" ".join(f"{corpus.name}{n}" for n in range(1500)),)
    )
    scale = run.Scale(0.02, ())
    run.write(tmp_path, "spam", "mse", scale=scale)
    run.write(tmp_path, "spam", "squared_hinge-wide", scale=scale)
    run.write(tmp_path, "spam", "mse", scale=scale)
    stored = read(Robustness, tmp_path / "robustness.json")
    assert [(one.variant, one.served) for one in stored.variants] == [
        ("squared_hinge-wide", True),
        ("mse", False),
    ]
    served, plain = stored.variants
    assert [one.kind for one in served.scorers] == ["ours", "without reading"]
    assert [one.kind for one in plain.scorers] == ["ours"]
    (figures,) = plain.scorers
    assert figures.recall.of == 10
    assert figures.identity == []
    assert len(plain.sentences) == len(stored.sentences) >= 20
    # 1,500 words are 300 pieces of five, of which eight are drawn; of 20 words there are too few.
    assert {(one.words, one.flagged.of) for one in figures.lengths} == {(5, 8), (10, 8)}
    classifier = Classifier.load(ARTIFACTS / "spam" / "mse")
    for sentence, score in zip(stored.sentences, plain.sentences, strict=True):
        (prediction,) = classifier.classify([sentence.text])
        assert (score.score, score.flagged) == (
            pytest.approx(prediction.score, abs=1e-4),
            prediction.label == "spam",
        )
    assert "| Many muslims live in London | harmless |" in (tmp_path / "robustness.md").read_text()
    assert json.loads((tmp_path / "robustness.json").read_text())["seed"] == 0
