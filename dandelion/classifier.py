"""A classifier: a loaded artifact that scores and labels texts."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike, fsdecode
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from . import artifact
from .artifact import Artifact
from .chunks import check_texts, chunks, is_one_chunk, placed_chunks
from .decision import policy as policies
from .decision.calibration import PRIORS, is_prior
from .decision.notices import Notice, shifted
from .decision.operating_points import FittedPoint, InfeasibleError
from .decision.policy import Basis, Policy, PolicyChoice, PolicyError
from .decision.prediction import Prediction, predict
from .decision.rule import Decision, ThresholdError
from .engines.choice import Engine, EngineChoice, scorer
from .engines.words import words_of
from .explanation import DEFAULT_TOP, Explainer, Explanation
from .installation import ADVICE
from .manifest import ArtifactError, Manifest
from .policy_file import read_policy_file
from .quantization import packed_tables
from .remote import is_address
from .remote_artifacts import fetch_artifact

__all__ = ["Classifier", "chunks"]

# One for all, because a classifier with a lock could be neither copied nor pickled.
_creating_explainer: Final = Lock()


class Classifier:
    """Scores and labels texts with one artifact; immutable to its users, so threads may share it.

    Args:
        source: the artifact.
        engine: what computes the scores, see `load`.

    Raises:
        KernelError: the compiled engine is requested, but cannot be used.

    Example:
        >>> classifier = Classifier.load("artifacts/spam/dice")
        >>> predictions = classifier.classify(["WIN a FREE prize! Call now", "Lunch at 12?"])
        >>> [prediction.label for prediction in predictions]
        ['spam', 'ham']
    """

    def __init__(self, source: Artifact, engine: EngineChoice = "auto") -> None:
        # Not the whole artifact: the engine keeps what it needs of the tables.
        self._manifest, self._golden = source.manifest, source.golden
        manifest, network = source.manifest, source.network
        self._decision = manifest.decision
        self._evidence = source.evidence
        self._explainer: Explainer | None = None
        self._scorer = scorer(
            source.vocabulary,
            manifest.wide_features,
            network,
            packed_tables(network.weights(), manifest.precision),
            windows=manifest.text_windows,
            calibration=manifest.score_map,
            is_binary=self._decision.is_binary,
            engine=engine,
        )

    @classmethod
    def load(
        cls, path: str | bytes | PathLike[str] | PathLike[bytes], engine: EngineChoice = "auto"
    ) -> Self:
        """Load an artifact.

        Args:
            path: the directory of the artifact. It is only read, and not needed afterwards. Or its
                address, such as ``s3://bucket/artifacts/spam/dice`` (extra ``s3``, or ``remote``
                and the package of fsspec for another scheme): it is then fetched into a cache, see
                `dandelion.artifact_cache`.
            engine: what computes the scores: ``compiled``, ``numpy``, or ``auto`` for ``compiled``
                where it is available. Their scores are equal within 1e-6.

        Raises:
            ArtifactError: the artifact is missing, damaged, of another format or newer than this
                code; or it cannot be fetched.
            KernelError: the compiled engine is requested, but cannot be used.
        """
        name = fsdecode(path)
        if not name:  # which Path takes for the working directory
            raise ArtifactError("the path is empty; expected the directory of an artifact")
        directory = fetch_artifact(name) if is_address(name) else Path(name)
        return cls(artifact.load(directory), engine)

    @property
    def manifest(self) -> Manifest:
        """Everything known about the artifact."""
        return self._manifest

    @property
    def decision(self) -> Decision:
        """How scores become labels, at the threshold of the artifact."""
        return self._decision

    @property
    def engine(self) -> Engine:
        """The engine that computes the scores."""
        return self._scorer.name

    def encode(self, texts: Sequence[str], *, is_nfkc: bool = False) -> Any:
        """Find tokens, grams and surface of texts: the first step of `scores`, for `infer`.

        Args:
            texts: raw.
            is_nfkc: whether they are results of `dandelion.text.tokenizer.to_nfkc` instead.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
        """
        check_texts(texts)
        return self._scorer.encode(texts, is_nfkc=is_nfkc)

    def infer(self, batch: Any, policy: Policy | None = None) -> NDArray[np.float32]:
        """Score an encoded batch: the second step of `scores`.

        Args:
            batch: what `encode` returned.
            policy: whose scores to return; None for the artifact's.

        Raises:
            ValueError: another classifier encoded the batch.
        """
        if policy is None:
            return self._scorer.infer(batch)
        return policy.scores(self._scorer.logits(batch))

    def encoded_logits(self, batch: Any) -> NDArray[np.float32]:
        """Return the logits of an encoded batch, see `logits`.

        Raises:
            ValueError: another classifier encoded the batch.
        """
        return self._scorer.logits(batch)

    def encoded_notices(self, batch: Any) -> dict[int, Notice]:
        """Return the notices of an encoded batch, see `notices`; of nearly all batches, none.

        Raises:
            ValueError: another classifier encoded the batch.
        """
        return self._scorer.notices(batch)

    def encoded_words(self, batch: Any) -> tuple[Sequence[int], dict[int, Notice]]:
        """Return each text's number of words and of known ones, in turn, 2 n; and the `notices`.

        Raises:
            ValueError: another classifier encoded the batch.
        """
        return words_of(self._scorer, batch)

    def scores(self, texts: Sequence[str], workers: int = 1) -> NDArray[np.float32]:
        """Score texts: float32[n] in [0, 1], the numbers that are compared with the threshold.

        For more than two labels float32[n, k], the probability of each label, in the order of
        ``manifest.labels``. The score of a text does not depend on the other texts (within 1e-6).
        Large batches are processed in chunks, so that apart from the scores, memory is constant.

        Args:
            texts: raw, in any number.
            workers: threads that share the work. The compiled engine keeps that many processors
                busy; NumPy fewer, because it holds the interpreter's lock half of the time.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
            ValueError: ``workers`` is less than 1.
        """
        return self._in_chunks(self._scorer.infer, texts, workers)

    def logits(self, texts: Sequence[str], workers: int = 1) -> NDArray[np.float32]:
        """Return the log-odds of the positive label before calibration, float32[n].

        For more than two labels float32[n, k], the logit of each label. The logits of a text's
        windows are combined. A calibrated artifact's scores follow from them by its calibration,
        others by the sigmoid (or softmax).

        Args:
            texts: raw, in any number.
            workers: see `scores`.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
            ValueError: ``workers`` is less than 1.
        """
        return self._in_chunks(self._scorer.logits, texts, workers)

    def notices(self, texts: Sequence[str]) -> dict[int, Notice]:
        """Return the notice of each text that has one, by its position: most have none.

        `Notice.NO_CONTENT`: the text has no word, so there is nothing to judge.
        `Notice.LOW_EVIDENCE`: few of its words are known, as in another language.

        Args:
            texts: raw, in any number.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.

        Example:
            >>> classifier = Classifier.load("artifacts/spam/dice")
            >>> classifier.notices(["See you at lunch", "www.example.com :)"])
            {1: <Notice.NO_CONTENT: 'no_content'>}
        """
        check_texts(texts)
        found: dict[int, Notice] = {}
        for start, chunk in placed_chunks(texts):
            found.update(shifted(self._scorer.notices(self._scorer.encode(chunk)), start))
        return found

    def _in_chunks(
        self, compute: Callable[[Any], NDArray[np.float32]], texts: Sequence[str], workers: int
    ) -> NDArray[np.float32]:
        """Compute a number of each text, or one of each label, from the encoded texts."""
        check_texts(texts)
        if workers < 1:
            raise ValueError(f"workers is {workers}; expected at least 1")
        if is_one_chunk(texts):
            return compute(self._scorer.encode(texts))
        numbers = np.empty((len(texts), *self._decision.shape), np.float32)
        placed = placed_chunks(texts)
        advancing = Lock()  # a generator can be advanced by one thread at a time

        def work() -> None:
            while True:
                with advancing:
                    following = next(placed, None)
                if following is None:
                    return
                start, chunk = following
                numbers[start : start + len(chunk)] = compute(self._scorer.encode(chunk))

        if workers == 1:
            work()
        else:
            with ThreadPoolExecutor(workers) as pool:
                for one in [pool.submit(work) for _ in range(workers)]:
                    one.result()
        return numbers

    def classify(
        self,
        texts: Sequence[str],
        threshold: float | None = None,
        *,
        policy: Policy | None = None,
        operating_point: str | None = None,
        prior: float | None = None,
    ) -> list[Prediction]:
        """Label texts, in their order.

        Args:
            texts: raw.
            threshold: a text is positive at ``score >= threshold``; by default the artifact's.
            policy: of `policy`, instead of a threshold.
            operating_point: that the threshold is fitted to, instead of a threshold; see
                `dandelion.decision.operating_points`. To use one often, see `policy`.
            prior: the share of positive texts in the traffic, in (0, 1): corrects the scores, and
                the threshold if none is given. Part of a ``policy``, so not allowed with one.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or a threshold, a policy, an
                operating point or a prior is given for more than two labels.
            PolicyError: two of them exclude one another; otherwise see `policy`.
            InfeasibleError: see `policy`.
            OperatingPointError: see `policy`.
            TypeError: ``texts`` is one string, an item is not a string, or ``policy`` is a name.
        """
        if policy is not None and not isinstance(policy, Policy):
            raise TypeError(
                f"policy is {type(policy).__name__}; expected what Classifier.policy() returns"
            )
        asked = {"threshold": threshold, "policy": policy, "operating_point": operating_point}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise PolicyError(f"{given[0]} and {given[1]} exclude one another; expected one")
        decision = self._decision.at(threshold)
        if policy is not None and prior is not None:
            raise PolicyError("a policy has its prior already; give it to Classifier.policy()")
        if policy is None and (operating_point is not None or prior is not None):
            policy = self.policy(operating_point, threshold=threshold, prior=prior)
        return self._predictions(texts, decision if policy is None else decision.under(policy))

    def _predictions(self, texts: Sequence[str], decision: Decision) -> list[Prediction]:
        check_texts(texts)
        scores: list[NDArray[np.float32]] = []
        notices: dict[int, Notice] = {}
        for start, chunk in placed_chunks(texts):
            encoded = self._scorer.encode(chunk)
            scores.append(self.infer(encoded, decision.policy))
            notices.update(shifted(self.encoded_notices(encoded), start))
        return predict(decision, decision.decide(np.concatenate(scores), notices))

    def label(
        self, scores: NDArray[np.float32], threshold: float | None = None
    ) -> list[Prediction]:
        """Label scored texts, as `classify` does but for texts without content.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or is given for more than two
                labels.
        """
        decision = self._decision.at(threshold)
        return predict(decision, decision.decide(scores))

    def policy(  # noqa: PLR0913
        self,
        operating_point: str | None = None,
        *,
        threshold: float | None = None,
        prior: float | None = None,
        review: str | None = None,
        calibration: str | PathLike[str] | None = None,
        name: str | None = None,
    ) -> Policy:
        """Fit a policy for `classify`.

        Args:
            operating_point: what the threshold is fitted to, see
                `dandelion.decision.operating_points`; None for the artifact's threshold.
            threshold: of the policy's scores, instead of an operating point.
            prior: the share of positive texts in the traffic, in (0, 1): corrects scores, and is
                that of operating points that name none.
            review: an operating point: texts below the threshold that reach it are for review.
            calibration: a policy file, with evidence and calibration of your own texts.
            name: for responses and errors.

        Raises:
            PolicyError: the artifact has no evidence or no calibration for it, the policy file is
                of another artifact, or the review point is stricter than the threshold.
            PolicyFileError: the policy file is missing or damaged.
            InfeasibleError: no threshold can be promised for an operating point.
            OperatingPointError: one is not in the grammar, or names an unknown source.
            ThresholdError: there are more than two labels, or the threshold is not in [0, 1].
        """
        if operating_point is not None and threshold is not None:
            raise PolicyError("operating_point and threshold exclude one another; expected one")
        file = None if calibration is None else fsdecode(calibration)
        choice = PolicyChoice(operating_point, prior, review, file)
        basis = self.basis(file)
        found = policies.resolve(choice, basis, name=name, threshold=threshold)
        self._decision.under(found)  # checks the threshold
        return found

    def operating_points(
        self,
        points: Sequence[str],
        *,
        prior: float | None = None,
        calibration: str | PathLike[str] | None = None,
    ) -> dict[str, FittedPoint | InfeasibleError]:
        """Fit operating points: each as fitted, or why it cannot be promised.

        Args:
            points: in the grammar of `dandelion.decision.operating_points`.
            prior: see `policy`, also for what is raised.
            calibration: see `policy`.
        """
        if prior is not None and not is_prior(prior):
            raise PolicyError(f"the prior is {prior}; expected {PRIORS}")
        basis = self.basis(None if calibration is None else fsdecode(calibration))
        found: dict[str, FittedPoint | InfeasibleError] = {}
        for point in points:
            try:
                found[point] = policies.fit_point(point, basis, prior)
            except InfeasibleError as error:
                found[point] = error
        return found

    def basis(self, calibration: str | None = None) -> Basis:
        """Return what policies are fitted on.

        Args:
            calibration: a policy file; None for what the artifact has.

        Raises:
            ThresholdError: there are more than two labels.
            PolicyError: the policy file is of another artifact.
            PolicyFileError: it is missing or damaged.
        """
        manifest = self._manifest
        if manifest.threshold is None:
            raise ThresholdError(
                f"a model with {len(manifest.labels)} labels has no policy: it chooses the label "
                "with the highest score"
            )
        basis = Basis.of(manifest.threshold, manifest.score_map, self._evidence)
        if calibration is None:
            return basis
        path = Path(calibration)
        file = read_policy_file(path)
        file.check_artifact(manifest.content_hash, path)
        return basis.on(file.calibration, file.evidence)

    def explain(self, texts: Sequence[str], top: int = DEFAULT_TOP) -> list[Explanation]:
        """Return the contributions of spans of the texts to their uncalibrated logits.

        In NumPy, whatever the engine; a text of a hundred characters takes about a millisecond, and
        among many others less than half of that. The first call prepares the weights for it, which
        then take their size in float32.

        Args:
            texts: raw.
            top: list at most this many spans of each text.

        Raises:
            TypeError: ``texts`` is one string, or an item is not a string.
            ValueError: ``top`` is less than 1.
        """
        check_texts(texts)
        if top < 1:
            raise ValueError(f"top is {top}; expected at least 1")
        explainer = self._explaining()
        return [one for chunk in chunks(texts) for one in explainer.explain_batch(chunk, top)]

    def _explaining(self) -> Explainer:
        with _creating_explainer:
            if self._explainer is None:
                vocabulary, network = self._scorer.restore()
                self._explainer = Explainer(
                    vocabulary,
                    self._manifest.wide_features,
                    network,
                    self._manifest.text_windows,
                    self._decision,
                )
            return self._explainer

    def check_golden(self) -> None:
        """Check that the golden texts still get their recorded scores.

        Raises:
            ArtifactError: a score differs by more than the tolerance.
        """
        golden = self._golden
        differences = np.abs(self.scores(golden.texts) - np.array(golden.scores))
        if not (differences <= golden.tolerance).all():
            raise ArtifactError(
                f"{artifact.GOLDEN_FILE} of {self.manifest.model}/{self.manifest.variant}: "
                f"scores differ by up to {differences.max():.2g} (allowed: {golden.tolerance:g}). "
                "The artifact was written by another version of the text path. Train it again: "
                f"{ADVICE.train}"
            )
