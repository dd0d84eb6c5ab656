"""What one request brought and took, measured where somebody asks for it."""

import time
from collections.abc import Sequence

from dandelion.decision.rule import Decided, Decision


class Measured:
    """The measurements of one request, in ``scope["measured"]`` if they are wanted.

    Attributes:
        variant: of the model; "" before the body was decoded.
        texts: their number; those with an error in the place of a result are not among them.
        chars: of all texts, as they were sent.
        has_result: whether the texts were classified.
        positives: texts that got the positive label; None for more than two labels.
        read_at: when the body was complete, by `time.perf_counter`; None before.
        tokenize_s: seconds from texts to ids.
        infer_s: seconds from ids to scores.
    """

    __slots__ = (
        "chars",
        "has_result",
        "infer_s",
        "positives",
        "read_at",
        "texts",
        "tokenize_s",
        "variant",
    )

    def __init__(self) -> None:
        self.variant = ""
        self.texts = self.chars = 0
        self.has_result = False
        self.positives: int | None = None
        self.read_at: float | None = None
        self.tokenize_s = self.infer_s = 0.0

    def has_body(self) -> None:
        """The body is complete."""
        self.read_at = time.perf_counter()

    def has_texts(self, texts: Sequence[str], variant: str) -> None:
        """The body was decoded.

        Args:
            texts: as they were sent.
            variant: that will classify them.
        """
        self.variant = variant
        self.texts = len(texts)
        self.chars = sum(map(len, texts))

    def has_decisions(
        self, decision: Decision, decided: Decided, tokenize_s: float, infer_s: float
    ) -> None:
        """The texts were classified."""
        self.has_result = True
        self.texts = len(decided.positions)
        self.positives = sum(decided.positions) if decision.is_binary else None
        self.tokenize_s, self.infer_s = tokenize_s, infer_s
