"""`DandelionClassifier`, a classifier of texts with the interface of scikit-learn."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from dandelion import Classifier
from dandelion.decision.calibration import IDENTITY

from .. import configuration
from ..configuration import MACRO_F1, Configuration
from ..data.balance import choose_loss
from ..data.datasets import Dataset
from ..errors import ConfigurationError, DatasetError
from . import fitting, inputs, saving

AUTO: Final = "auto"
"""The loss that suits the classes, see `training.data.balance`."""

GLOVE: Final = "glove"
"""The word vectors of the pip package, which the extra ``training`` installs."""

# Of these parameters a configuration is made; the others are of the estimator alone.
_SETTINGS: Final = (
    "hidden",
    "dimensions",
    "word_dropout",
    "fine_tune",
    "min_count",
    "extra_words",
    "precision",
    "layer_rate",
    "embedding_rate",
    "weight_decay",
    "batch_size",
    "sampling",
    "stratified",
    "schedule",
    "averaging",
    "prior_bias",
    "warm_up_epochs",
    "clip_norm",
    "logit_penalty",
    "epochs",
    "restore",
    "patience",
    "out_of_fold",
    "operating_point",
)


class DandelionClassifier(ClassifierMixin, BaseEstimator):
    """A wide and deep averaging network of texts, for two classes or more.

    It is trained as ``dandelion train`` trains, with the same settings and defaults, but on all
    texts that it is given. Texts go in as they are: no vectorizer comes before it. Equal arguments
    give equal predictions on one machine if ``random_state`` is a number. Torch is held to one
    thread.

    Args:
        loss: a name in `training.losses`; ``"auto"`` for ``bce``, or ``dice_bce`` of both classes
            if one is 1 in 50 texts or rarer, or ``cross_entropy`` for more than two classes.
        loss_options: keyword arguments of the loss, such as ``{"classes": "both"}``.
        pos_label: the positive one of two classes; by default the last in ``classes_``.
        wide: whether the network has the wide path of n-grams; or its settings that differ from
            the defaults, such as ``{"bits": 16}``.
        embeddings: ``"glove"``; ``"random"``; or the path of one of Stanford's GloVe files.
        hidden: units in each of the two hidden layers.
        dimensions: numbers in a word vector; 50 for ``"glove"``.
        word_dropout: share of words left out of each text, drawn anew each epoch.
        fine_tune: whether word vectors are trained.
        min_count: how often a word without a vector must occur to get one.
        extra_words: frequent words beyond the texts' that keep their vectors.
        precision: how tables are stored: ``"int8"``, ``"float16"`` or ``"float32"``.
        layer_rate: learning rate of the layers.
        embedding_rate: learning rate of the word vectors.
        weight_decay: decoupled, on the layers.
        batch_size: texts in a batch.
        sampling: how an epoch's texts are drawn: ``"none"``, ``"oversample"``, ``"undersample"`` or
            ``"effective_number"``.
        stratified: whether each batch has each class's share.
        schedule: of every learning rate: ``"constant"`` or ``"cosine"``.
        averaging: decay of the moving average of the weights; 0 for none.
        prior_bias: whether the first logits are the log-odds of the classes.
        warm_up_epochs: epochs under cross-entropy before the loss takes over.
        clip_norm: largest norm of the layers' gradient; None for any.
        logit_penalty: weight of the mean squared logit.
        epochs: passes over the texts, at most.
        restore: which epoch's weights are kept: ``"last"``; or ``"best"``, which holds out texts
            and stops early by macro-F1 on them.
        patience: epochs without a better macro-F1 before ``"best"`` stops.
        validation_fraction: what ``"best"`` holds out of each class; near copies stay together.
        out_of_fold: whether five further networks are fitted on folds, to calibrate scores, to fit
            the threshold, and as evidence for policies. Folds are kept in ``TRAINING_CACHE``.
        operating_point: what the threshold is fitted to, see docs/guide/operating-points.md; any
            but ``"macro_f1"`` is fitted out of fold.
        n_jobs: folds that are fitted at once, and threads that score; None for 1, −1 for all
            processors.
        random_state: seed of all that is drawn.

    Attributes:
        classes_: [k], the classes, sorted.
        pos_label_: the positive class; None for more than two.
        threshold_: the positive class is predicted at a score of this or more; .5 if it was not
            fitted out of fold. None for more than two classes.
        loss_: the name of the loss.
        n_iter_: epochs that were run.
        history_: what was measured after each epoch, see `training.fitting.trainer.Epoch`; its
            ``validation`` are texts that were learnt from, unless ``restore`` is ``"best"``.
        artifact_: what `save` writes.
        n_features_in_: 1, only if texts came as the column of a table or a 2-D array.
        feature_names_in_: [1], the name of that column.

    Example:
        >>> texts = ["WIN a prize", "claim your prize now", "Lunch at 12?", "see you at lunch"] * 4
        >>> spam = DandelionClassifier(embeddings="random", random_state=0)
        >>> spam = spam.fit(texts, ["spam", "spam", "ham", "ham"] * 4)
        >>> spam.predict(["a prize for you", "lunch?"]).tolist()
        ['spam', 'ham']
    """

    def __init__(  # noqa: PLR0913
        self,
        loss: str = AUTO,
        *,
        loss_options: Mapping[str, Any] | None = None,
        pos_label: Any = None,
        wide: bool | Mapping[str, Any] = True,
        embeddings: str | PathLike[str] = GLOVE,
        hidden: int = 128,
        dimensions: int = 50,
        word_dropout: float = 0.3,
        fine_tune: bool = True,
        min_count: int = 2,
        extra_words: int = 0,
        precision: str = "int8",
        layer_rate: float = 1e-3,
        embedding_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        sampling: str = "none",
        stratified: bool = False,
        schedule: str = "cosine",
        averaging: float = 0.0,
        prior_bias: bool = False,
        warm_up_epochs: int = 0,
        clip_norm: float | None = None,
        logit_penalty: float = 0.0,
        epochs: int = 8,
        restore: str = "last",
        patience: int = 5,
        validation_fraction: float = 0.1,
        out_of_fold: bool = False,
        operating_point: str = MACRO_F1,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.loss = loss
        self.loss_options = loss_options
        self.pos_label = pos_label
        self.wide = wide
        self.embeddings = embeddings
        self.hidden = hidden
        self.dimensions = dimensions
        self.word_dropout = word_dropout
        self.fine_tune = fine_tune
        self.min_count = min_count
        self.extra_words = extra_words
        self.precision = precision
        self.layer_rate = layer_rate
        self.embedding_rate = embedding_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.sampling = sampling
        self.stratified = stratified
        self.schedule = schedule
        self.averaging = averaging
        self.prior_bias = prior_bias
        self.warm_up_epochs = warm_up_epochs
        self.clip_norm = clip_norm
        self.logit_penalty = logit_penalty
        self.epochs = epochs
        self.restore = restore
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.out_of_fold = out_of_fold
        self.operating_point = operating_point
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from texts.

        Args:
            X: n texts: a list, a Series, a 1-D array, or a table with a single column.
            y: n classes: strings, integers or booleans.
            sample_weight: float[n], how often each text is drawn, relative to the others; a text
                of weight 0 is left out. None for equally often.

        Raises:
            TypeError: ``X`` holds something else than strings.
            ValueError: a parameter, a text, a target or a weight cannot be used; the message
                quotes no text.
            EmbeddingError: the word vectors are missing or damaged.
            DivergenceError: the fit ended without finite scores.
        """
        texts = inputs.texts_of(X)
        if not texts:
            raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
        # Of a table, the name of its column is kept.
        validate_data(self, X if _is_table(X) else list(texts), y, skip_check_array=True)
        self.classes_, labels = inputs.targets_of(y)
        check_consistent_length(texts, labels)
        self.pos_label_ = self._positive()
        self._flipped = len(self.classes_) == 2 and self.pos_label_ == self.classes_[0]
        weights = None if sample_weight is None else inputs.weights_of(sample_weight, len(texts))
        dataset = self._dataset(texts, labels, weights)
        try:
            config = self._configuration(dataset)
            fitted = fitting.fit(config, dataset, self._recipe(config))
        except (ConfigurationError, DatasetError) as error:
            raise ValueError(str(error)) from error
        self.loss_ = config.loss
        self.n_iter_ = len(fitted.fit.history)
        self.history_ = list(fitted.fit.history)
        self.artifact_ = fitted.artifact
        self.threshold_ = fitted.artifact.manifest.threshold
        self._classifier = Classifier(self.artifact_)
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the class of each text, [n]: as the service decides, at ``threshold_``.

        A text without a word, for which the service returns no score, gets a class here, too.
        """
        texts = self._texts(X)
        scores = self._classifier.scores(texts, self._threads())
        positions = np.array(self._classifier.decision.decide(scores).positions, dtype=np.int64)
        return self.classes_[1 - positions if self._flipped else positions]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the score of each class, float64[n, k]: rows add up to 1.

        With ``out_of_fold`` they are calibrated: of two classes, to a share of positives of .5.
        Otherwise they are as the loss makes them, and those of ``squared_hinge`` and of ranking
        losses are no probabilities.
        """
        logits = self._logits(X)
        if logits.ndim == 2:
            found: NDArray[np.float64] = softmax(logits, axis=1)
            return found
        both = np.stack([expit(-logits), expit(logits)], axis=1)
        return both[:, ::-1] if self._flipped else both

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return log-odds of ``classes_[1]``, float64[n], above 0 where it is predicted.

        That is, what is left of them above those of ``threshold_``. For more than two classes, the
        logit of each, float64[n, k].
        """
        logits = self._logits(X)
        if self.threshold_ is not None:
            logits -= np.log(self.threshold_ / (1 - self.threshold_))
        return -logits if self._flipped else logits

    def save(  # noqa: PLR0913
        self,
        directory: str | PathLike[str],
        model: str,
        variant: str = "sklearn",
        *,
        threshold: float | None = None,
        about: str = "",
        not_for: str = "",
    ) -> Path:
        """Write an artifact for the service, and its card; an older one is replaced.

        Its scores are ``predict_proba`` of the positive class, in float32.

        Args:
            directory: of artifacts, such as ``artifacts``.
            model: the name of the model in the service.
            variant: the name of the variant.
            threshold: the service decides for the positive class at this score or more, such as
                ``best_threshold_`` of `TunedThresholdClassifierCV`; None for ``threshold_``.
            about: what the model is for, for its card.
            not_for: what it is not for.

        Returns:
            ``directory/model/variant``.

        Raises:
            NotFittedError: it is not fitted.
            ValueError: a name is none, a class is no label of 1 to 200 characters, or the
                threshold is not in [0, 1].
            OSError: the directory cannot be written.
        """
        check_is_fitted(self)
        purpose = saving.Purpose(about, not_for)
        return saving.save(self.artifact_, Path(directory), model, variant, threshold, purpose)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # Its tables lie in the memory of the compiled engine.
        return {
            name: value for name, value in super().__getstate__().items() if name != "_classifier"
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "artifact_"):
            self._classifier = Classifier(self.artifact_)

    def _texts(self, x: Any) -> tuple[str, ...]:
        check_is_fitted(self)
        if _is_table(x) and hasattr(self, "feature_names_in_"):
            validate_data(self, x, reset=False, skip_check_array=True)
        return inputs.texts_of(x)

    def _logits(self, x: Any) -> NDArray[np.float64]:
        """Return calibrated logits of the positive class, float64[n]; or float64[n, k]."""
        texts = self._texts(x)
        logits = self._classifier.logits(texts, self._threads())
        calibration = self.artifact_.manifest.score_map or IDENTITY
        return calibration.logits(logits)

    def _threads(self) -> int:
        return int(effective_n_jobs(self.n_jobs))

    def _positive(self) -> Any:
        if len(self.classes_) > 2:
            if self.pos_label is not None:
                raise ValueError(
                    f"pos_label is {self.pos_label!r}, but there are {len(self.classes_)} classes; "
                    "leave it out"
                )
            return None
        if self.pos_label is None:
            return self.classes_[1]
        if self.pos_label not in self.classes_:
            raise ValueError(
                f"pos_label is {self.pos_label!r}; expected one of the classes "
                f"{', '.join(map(repr, self.classes_.tolist()))}"
            )
        return self.pos_label

    def _dataset(
        self, texts: tuple[str, ...], labels: NDArray[np.int64], weights: NDArray[np.float64] | None
    ) -> Dataset:
        names = [inputs.name_of(value) for value in self.classes_]
        if self._flipped:
            names, labels = names[::-1], 1 - labels
        dataset = Dataset("texts", texts, labels, tuple(names), "", weights=weights)
        if weights is not None:
            kept = np.flatnonzero(weights)
            inputs.require_each_class(labels[kept], names)
            dataset = dataset.subset(kept)
            if len(np.unique(weights[kept])) == 1:  # as without weights
                dataset = replace(dataset, weights=None)
        return replace(dataset, sha256=dataset.content_sha256)

    def _configuration(self, dataset: Dataset) -> Configuration:
        params = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        loss, options = params["loss"], params["loss_options"] or {}
        if loss == AUTO:
            suited = choose_loss(dataset)
            loss, options = suited.name, {**suited.options, **options}
        recipe = configuration.wide_recipe("model", "variant", "bce")
        wide = params["wide"]
        if isinstance(wide, Mapping):
            wide = {**(recipe.wide.model_dump() if recipe.wide else {}), **wide}
        elif wide:
            wide = recipe.wide
        values = recipe.model_dump() | {name: params[name] for name in _SETTINGS}
        chosen = {"loss": loss, "loss_options": options, "wide": wide or None}
        return configuration.parse(values | chosen, type(self).__name__)

    def _recipe(self, config: Configuration) -> fitting.Recipe:
        share = self.validation_fraction
        if not 0 < share < 1:
            raise ValueError(f"validation_fraction is {share}; expected a number between 0 and 1")
        embeddings: str | Path | None = Path(self.embeddings)
        if self.embeddings == GLOVE:
            embeddings = None
        elif self.embeddings == fitting.RANDOM:
            embeddings = fitting.RANDOM
            if config.folded:
                raise ValueError(
                    'embeddings="random" is not possible with out_of_fold or an operating_point; '
                    'choose "glove" or a file'
                )
        return fitting.Recipe(embeddings, share, self._seed(), self.n_jobs)

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))


def _is_table(x: Any) -> bool:
    return len(getattr(x, "shape", ())) == 2


def _plain(value: Any) -> Any:
    """Return a parameter without types of NumPy, in which searches pass their candidates."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {_plain(key): _plain(one) for key, one in value.items()}
    return value
