"""What is expected of each model's traffic, as gauges next to the series of the traffic itself."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dandelion.decision import buckets
from dandelion.reference import Floats, Reference, as_cumulative

_HELD_OUT = "of the held-out texts that traffic is compared with, see dandelion_reference_info"


class References(Collector):
    """The references of the served models. Every process has its own, of the models it loaded.

    A gauge with the label ``le`` has the share at or below that bound, as the histogram of the same
    name counts; ``above`` is the preceding bound, where the bucket begins.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[Reference, str | None]] = {}

    def set(self, model: str, reference: Reference, positive: str | None) -> None:
        """Show the reference of a model from now on.

        Args:
            model: its name.
            reference: what is expected.
            positive: the positive label, of two.
        """
        self._found[model] = reference, positive

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every family; without a reference, it has no samples."""
        info = GaugeMetricFamily(
            "dandelion_reference_info",
            "1 for each model. basis: its held-out texts as they are (training), weighted by the "
            "prior of the default policy (prior), or your own of its policy file (policy_file).",
            labels=("model", "basis"),
        )
        scores = _buckets("score", "Share of scores at or below le")
        words = _buckets("text_words", "Share of texts with at most le words")
        unknown = _buckets("unknown_word", "Share of texts whose share of unknown words is <= le")
        positive = GaugeMetricFamily(
            "dandelion_reference_positive_ratio",
            f"Share of texts with the positive label, which is the label, {_HELD_OUT}.",
            labels=("model", "label"),
        )
        none = GaugeMetricFamily(
            "dandelion_reference_no_content_ratio",
            f"Share of texts without any word, {_HELD_OUT}.",
            labels=("model",),
        )
        for model, (one, label) in self._found.items():
            info.add_metric((model, one.weighting), 1)
            _add(scores, model, buckets.SCORES, one.scores)
            _add(words, model, buckets.WORDS, one.words)
            _add(unknown, model, buckets.UNKNOWN, one.unknown)
            if one.positive is not None and label is not None:
                positive.add_metric((model, label), one.positive)
            if one.no_content is not None:
                none.add_metric((model,), one.no_content)
        yield from (info, scores, positive, words, unknown, none)


def _buckets(name: str, what: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(
        f"dandelion_reference_{name}_ratio",
        f"{what}, {_HELD_OUT}.",
        labels=("model", "le", "above"),
    )


def _add(
    family: GaugeMetricFamily, model: str, bounds: Sequence[float], shares: Floats | None
) -> None:
    if shares is None:
        return
    names = [*map(repr, bounds), "+Inf"]
    for bound, above, share in zip(names, ["-Inf", *names], as_cumulative(shares), strict=False):
        family.add_metric((model, bound, above), share)
