"""What one request brought and took, measured where somebody asks for it."""

import time
from collections.abc import Sequence

from dandelion.decision.rule import Decided, Decision


class Measured:
    """The measurements of one request, in ``scope["measured"]`` if they are wanted.

    Of a request that several models classify, they are sums.

    Attributes:
        variant: of the model, or those of several, separated by commas; "" before the body was
            decoded.
        texts: their number, without items that are no text or too long.
        chars: of all texts, as they were sent.
        has_result: whether the texts were classified.
        positives: texts that got the positive label; None for more than two labels.
        read_at: when the body was complete, by `time.perf_counter`; None before.
        tokenize_s: seconds from texts to ids.
        infer_s: seconds from ids to scores.
        stages: of each batch: when it began to be classified, by `time.perf_counter`, and the
            seconds of both stages.
    """

    __slots__ = (
        "chars",
        "has_result",
        "infer_s",
        "positives",
        "read_at",
        "stages",
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
        self.stages: list[tuple[float, float, float]] = []

    def has_body(self) -> None:
        """The body is complete."""
        self.read_at = time.perf_counter()

    def has_texts(self, texts: Sequence[str], variant: str) -> None:
        """A batch was decoded.

        Args:
            texts: as they were sent.
            variant: that will classify them.
        """
        self.variant = f"{self.variant},{variant}" if self.variant else variant
        self.texts += len(texts)
        self.chars += sum(map(len, texts))

    def has_scores(self, begun: float, tokenize_s: float, infer_s: float) -> None:
        """The scores of a batch are known, in any thread."""
        self.stages.append((begun, tokenize_s, infer_s))

    def has_decisions(
        self, decision: Decision, decided: Decided, tokenize_s: float, infer_s: float
    ) -> None:
        """A batch was classified."""
        self.has_result = True
        if decision.is_binary:
            self.positives = (self.positives or 0) + sum(decided.positions)
        self.tokenize_s += tokenize_s
        self.infer_s += infer_s
