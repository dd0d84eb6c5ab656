"""``robustness.json``: changed texts, harmless texts by length, sentences about groups."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Count:
    """How many of a number of texts; a share is ``count / of``."""

    count: int
    of: int


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change, on the texts that it alters.

    Attributes:
        kind: ``evasion``, or ``harmless``.
        augmentation: whether training may use the change.
        kept: of the positives that were flagged, those that still are.
        flagged: of all negatives, those that are flagged after the change.
        raised: of the negatives that were not flagged, those that are flagged now.
    """

    change: str
    kind: Literal["evasion", "harmless"]
    augmentation: bool
    kept: Count
    flagged: Count
    raised: Count


@dataclass(frozen=True, slots=True)
class LengthRow:
    """How many harmless texts of one length, in words, are flagged."""

    corpus: str
    words: int
    flagged: Count


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """Sentences about the words of one group.

    Attributes:
        harmless: how many of the neutral and positive ones are flagged.
        hateful: how many of the hateful ones are flagged.
        bpsn: AUROC of the group's harmless against the other groups' hateful sentences
            (background positive, subgroup negative; Borkan et al. 2019).
        bnsp: AUROC of the group's hateful against the other groups' harmless sentences.
    """

    group: str
    harmless: Count
    hateful: Count
    bpsn: float
    bnsp: float


@dataclass(frozen=True, slots=True)
class ScorerFigures:
    """What one classifier did.

    Attributes:
        kind: ours as it is served; ours, its texts normalized but not read; or a baseline.
        recall: of the positives of the test fold that were drawn, unchanged.
        false_alarms: the same of the negatives.
        auroc: on the test fold.
        equal_length_auroc: the same over pairs of texts of about equal length.
        identity: empty where the positive class is not abuse.
    """

    name: str
    kind: Literal["ours", "without reading", "baseline"]
    threshold: float
    recall: Count
    false_alarms: Count
    auroc: float
    equal_length_auroc: float
    changes: list[ChangeRow]
    lengths: list[LengthRow]
    identity: list[IdentityRow]


@dataclass(frozen=True, slots=True)
class SentenceScore:
    """A single sentence, see `Robustness.sentences`."""

    score: float
    flagged: bool


@dataclass(frozen=True, slots=True)
class RobustVariant:
    """A variant and what it is compared with.

    Attributes:
        served: whether it serves its model.
        length_auroc: AUROC of the number of words alone, on the data set and on each of its sources
            that has both classes.
        scorers: ours first.
        sentences: in the order of `Robustness.sentences`.
    """

    model: str
    variant: str
    version: str
    served: bool
    length_auroc: dict[str, float]
    scorers: list[ScorerFigures]
    sentences: list[SentenceScore]


@dataclass(frozen=True, slots=True)
class CorpusRecord:
    """Harmless texts that no model learns from."""

    name: str
    title: str
    source: str
    licence: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence to look at.

    Attributes:
        abuse: whether a moderator would call it abuse.
        spam: whether it is spam.
    """

    text: str
    abuse: bool
    spam: bool


@dataclass(frozen=True, slots=True)
class IdentityGroup:
    """Words for one kind of group; ``held_out``: never used in augmentation."""

    name: str
    held_out: bool
    words: int


@dataclass(frozen=True, slots=True)
class Robustness:
    """``robustness.json``.

    Attributes:
        seed: of the draws and the changes.
        templates: how many, harmless and hateful.
    """

    seed: int
    corpora: list[CorpusRecord]
    groups: list[IdentityGroup]
    templates: tuple[int, int]
    sentences: list[Sentence]
    variants: list[RobustVariant]
