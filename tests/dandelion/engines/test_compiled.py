"""The compiled engine against NumPy's: the same ids exactly, the same scores within 1e-6."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dandelion import Classifier
from dandelion.artifact import Artifact
from dandelion.decision import policy
from dandelion.decision.calibration import METHODS, Calibration
from dandelion.engines import compiled, library
from dandelion.engines.choice import EngineChoice, Scorer, scorer
from dandelion.engines.network import Encoded, Network, sigmoid
from dandelion.quantization import Precision, packed_tables, quantize
from dandelion.text.grams import Features
from dandelion.text.vocabulary import Vocabulary
from dandelion.text.windows import Windows

from ...conftest import ROOT
from ..examples import FEATURES, THREE, TOKENS, make_artifact, make_network
from ..strategies import ANY_TEXT, ANY_TEXTS
from .kernel_batch import unpack
from .kernel_build import build

needs_kernel = pytest.mark.skipif(
    not library.is_available(), reason="the compiled engine was not built: no C compiler"
)

# Every token that replaces something else, and words that begin alike.
PLACEHOLDERS = ("<url>", "<mention>", *(f"<{count} digits>" for count in range(5, 17)))
WORDS = (
    "'s",
    "''",
    "'",
    "free's",
    "f",
    "fr",
    "www",
    "http",
    "1",
    "1234",
    "!!",
    "!!!",
    "@",
    "i\u0307",
)
VOCABULARY = dict.fromkeys((*TOKENS, *PLACEHOLDERS, *WORDS))

TEMPERATURE = Calibration("temperature", 0.4, 0.4, 0.0)
PLATT = Calibration("platt", 1.3, 1.3, -0.7)
BETA = Calibration("beta", 0.3, 1.4, 0.9)

FEATURE_SETS = (
    None,
    FEATURES,
    Features(bits=8, chars=(2, 5), words=3, signs=True, shapes=True, surface=False),
    Features(bits=22, chars=(3, 8), words=0, signs=False, shapes=False, surface=True),
    Features(bits=1, chars=None, words=1, signs=False, shapes=True, surface=True),
    Features(bits=9, chars=(4, 4), words=0, signs=True, shapes=False, surface=False),
)


def artifact_of(
    features: Features | None = FEATURES,
    *,
    labels: tuple[str, ...] = ("ham", "spam"),
    outputs: int | None = None,
    precision: Precision = "float32",
    dimensions: int = 4,
    extra: int = 2,
    windows: Windows | None = None,
    calibration: Calibration | None = None,
) -> Artifact:
    artifact = make_artifact(
        precision,
        features=features,
        labels=labels,
        outputs=outputs,
        windows=windows,
        calibration=calibration,
    )
    vocabulary = Vocabulary(VOCABULARY)
    tables = artifact.network.weights()
    weights = make_network(
        rows=len(vocabulary),
        dimensions=dimensions,
        outputs=len(artifact.network.output_bias),
        buckets=len(tables.get("grams", ())),
        surface_rows=len(tables.get("surface", ())),
        extra=extra,
    ).weights()
    # The size of a trained network's weights: larger logits have too few digits after the point.
    weights = {name: weight / 4 for name, weight in weights.items()}
    network = quantize(Network.from_weights(weights), precision)
    return replace(artifact, vocabulary=vocabulary, network=network)


ARTIFACTS = {
    **{f"features {number}": artifact_of(one) for number, one in enumerate(FEATURE_SETS)},
    "multiclass": artifact_of(labels=THREE),
    "binary of three logits": artifact_of(outputs=3),
    "binary of six logits": artifact_of(outputs=6),
    "float16": artifact_of(precision="float16"),
    "int8": artifact_of(precision="int8"),
    "int8, no vector of the surface": artifact_of(precision="int8", extra=0),
    "int8, one dimension": artifact_of(precision="int8", dimensions=1),
    "int8, plain": artifact_of(None, precision="int8"),
    "int8, multiclass": artifact_of(labels=THREE, precision="int8"),
    "int8, binary of six logits": artifact_of(outputs=6, precision="int8"),
    "windows": artifact_of(windows=Windows(words=3, stride=2, penalty=0.3)),
    "windows, one word": artifact_of(windows=Windows(words=1, stride=1)),
    "windows, six logits": artifact_of(
        outputs=6, precision="int8", windows=Windows(words=30, stride=15, penalty=0.5)
    ),
    "temperature": artifact_of(calibration=TEMPERATURE),
    "platt": artifact_of(None, calibration=PLATT),
    "beta": artifact_of(precision="int8", calibration=BETA),
    "beta, six logits": artifact_of(outputs=6, calibration=BETA),
    "windows, platt": artifact_of(
        windows=Windows(words=3, stride=2, penalty=0.3), calibration=PLATT
    ),
    "windows, beta": artifact_of(windows=Windows(words=1, stride=1), calibration=BETA),
    "multiclass, temperature": artifact_of(labels=THREE, calibration=TEMPERATURE),
}


# A calibration is three numbers, wherever they are read.
KINDS_OF_MEMORY = [
    kind
    for kind, one in ARTIFACTS.items()
    if one.manifest.calibration is None or kind == "windows, beta"
]


def scorer_of(artifact: Artifact, engine: EngineChoice) -> Scorer:
    manifest, network = artifact.manifest, artifact.network
    return scorer(
        artifact.vocabulary,
        manifest.wide_features,
        network,
        packed_tables(network.weights(), manifest.precision),
        windows=manifest.text_windows,
        calibration=manifest.score_map,
        is_binary=manifest.task == "binary",
        engine=engine,
    )


PAIRS = {
    name: (
        scorer_of(one, "compiled") if library.is_available() else None,
        scorer_of(one, "numpy"),
    )
    for name, one in ARTIFACTS.items()
}

# Pieces of texts that the tokenizer treats differently.
PIECES = st.sampled_from(
    [
        *("http://", "https://", "www.", "http", "ftp://x", "@", "a@b", "@_9", "_", "'", "\u2019"),
        *("mike's", "FREE", "prize", "1", "12", "1234", "12345", "1" * 16, "1" * 20, "\u0661" * 6),
        *("!", "!!!!!", "?!", "...", "£5", " ", "  ", "\n", "\t", "\0", "\x85", "\u2028", "😂😂"),
        *("İ", "I\u0307", "ΑΣ", "ΑΣ.", "ß", "ﬁ", "ǅ", "Ⅷ", "²", "ª", "\u0301", "\ud83d", "\ude02"),
        *("中文", "привет", "\u200b", "\ufeff", "Ⓐ", "\u0130stanbul"),
        *("f r e e", "f.r.e.e", "f. r. e. e", "-a-b-c", "a_b_c", "a b", "U.S.A.", "sooooo", "SsSs"),
        *("!?*&%$", "-=_+", "★☆♥", "\u0301!", "!?*&%$#@~", "~ ~"),
        *("! ! ! !", "..", ". .", "    ", "\n\n\n", "__ __", "1111", "сlick", "е", "“”", "a" * 39),
    ]
)
MADE_UP = st.lists(st.one_of(PIECES, ANY_TEXT), max_size=12).map("".join)
BATCHES = st.one_of(ANY_TEXTS, st.lists(MADE_UP, max_size=4))
KINDS = st.sampled_from(sorted(ARTIFACTS))


@contextmanager
def untraced() -> Iterator[None]:
    """Pause the measurement of coverage, which would take four times as long as all other tests."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)


def sorted_grams(encoded: Encoded) -> NDArray[np.int64]:
    assert encoded.grams is not None
    ids, rows = encoded.grams.pairs()
    return np.sort(rows.astype(np.int64) << 32 | ids)


def check_equal(kind: str, texts: list[str]) -> None:
    """Check that both engines give the same ids and scores."""
    fast, plain = PAIRS[kind]
    assert fast is not None
    batch, expected = fast.encode(texts), plain.encode(texts)
    found = unpack(batch, ARTIFACTS[kind].manifest.wide_features)
    np.testing.assert_array_equal(found.tokens.ids, expected.tokens.ids)
    np.testing.assert_array_equal(found.tokens.offsets, expected.tokens.offsets)
    assert (found.grams is None) == (expected.grams is None)
    if expected.grams is not None:
        np.testing.assert_array_equal(sorted_grams(found), sorted_grams(expected))
    assert (found.surface is None) == (expected.surface is None)
    if found.surface is not None and expected.surface is not None:
        np.testing.assert_array_equal(found.surface, expected.surface)
    if expected.windows is not None:
        counts = [1] * len(texts) if batch.windows is None else list(batch.windows)
        assert counts == expected.windows
    scores, wanted = fast.infer(batch), plain.infer(expected)
    assert (scores.shape, scores.dtype) == (wanted.shape, np.float32)
    np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-6)
    logits, wanted = fast.logits(batch), plain.logits(expected)
    assert (logits.shape, logits.dtype) == (wanted.shape, np.float32)
    np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-5)
    assert fast.notices(batch) == plain.notices(expected)


@needs_kernel
@pytest.mark.parametrize("kind", sorted(ARTIFACTS))
def test_the_engines_agree_on_chosen_texts(kind: str) -> None:
    check_equal(kind, [])
    check_equal(kind, ["", " ", "\0", "\ud800", "\ud83d\ude02", "a", "FREE!!! www.x.y", "1" * 30])


@needs_kernel
@example("features 1", ["\x7f", "\x80", "\x81"])  # around the end of ASCII
@example("features 1", ["http://", "http:// a", "https://a", "www.", "www. a", "awww.a", "5www.a"])
@example("features 1", ["@", "@ a", "a@b", "_@b", "é@b", "@_", "@@a", "' 's a's a'1 1's"])
@given(KINDS, BATCHES)
def test_the_engines_agree(kind: str, texts: list[str]) -> None:
    check_equal(kind, texts)


@needs_kernel
@pytest.mark.parametrize(
    "unit", ["a", "A b", "!", "\n", "1.", "www.a ", "£_", "\ufdfa", "İ ", "\0 "]
)
def test_the_engines_agree_on_long_texts(unit: str) -> None:
    for kind in ("features 1", "features 2", "int8", "int8, multiclass"):
        check_equal(kind, [unit * 20_000, "", unit])


@needs_kernel
@pytest.mark.parametrize("kind", ["features 1", "features 2", "features 3", "features 5"])
def test_the_engines_agree_at_any_end_of_a_stretch(kind: str) -> None:
    """kernel.c processes 1,024 characters at a time, see STRETCH."""
    behind = "abc  d e£fgh  " * 90
    check_equal(kind, ["a" * padding + " bcd ef   g" + behind for padding in range(1000, 1030)])
    check_equal(kind, ["a" * (1022 + more) for more in range(-9, 10)])


@needs_kernel
@pytest.mark.parametrize("kind", ["features 1", "windows"])
def test_the_engines_agree_on_every_code_point(kind: str) -> None:
    everything = [chr(code) for code in range(0x110000)]
    pieces = ["a" + "b".join(everything[start : start + 512]) for start in range(0, 0x110000, 512)]
    with untraced():
        for start in range(0, len(pieces), 128):
            check_equal(kind, pieces[start : start + 128])


# Every text of these that folding changes, and every other, up to a length.
@needs_kernel
@pytest.mark.parametrize(
    ("alphabet", "length"), [("a .", 8), ("aA1 ", 6), ("!\n a_", 6), ("!?_", 10)]
)
def test_the_engines_fold_the_same_ascii_texts(alphabet: str, length: int) -> None:
    texts = ["".join(one) for one in product(alphabet, repeat=length)]
    scorer, plain = PAIRS["int8, plain"]
    assert scorer is not None
    found, expected = unpack(scorer.encode(texts), None), plain.encode(texts)
    np.testing.assert_array_equal(found.tokens.ids, expected.tokens.ids)
    np.testing.assert_array_equal(found.tokens.offsets, expected.tokens.offsets)


PARTS = st.sampled_from(["a", "free", "!", "Σ", "ΑΣ", "é", "x" * 40, "x1" * 40, "中" * 81])
GAPS = st.sampled_from([" ", "  ", "\n", "\t ", "\u00a0", "\u2028", "\x85"])


@needs_kernel
@given(
    st.sampled_from(["windows", "windows, one word", "windows, six logits"]),
    st.lists(
        st.lists(st.tuples(PARTS, GAPS), max_size=70).map(
            lambda parts: "".join(word + gap for word, gap in parts)
        ),
        max_size=4,
    ),
)
def test_the_engines_agree_on_windows(kind: str, texts: list[str]) -> None:
    check_equal(kind, texts)


@needs_kernel
def test_a_long_text_of_unmet_characters_behind_one_to_fold_is_cut() -> None:
    check_equal(
        "windows", ["f r e e", "".join(f"{chr(code)} " for code in range(0x12000, 0x12050))]
    )


@needs_kernel
@pytest.mark.parametrize("unit", ["free £5 prize ", "x", "中", "ab! ", "a b "])
def test_the_engines_agree_on_texts_of_many_windows(unit: str) -> None:
    for kind in ("windows", "windows, six logits"):
        check_equal(kind, [unit * 5000, "free", "", unit * 5001])


@needs_kernel
def test_a_score_does_not_depend_on_its_neighbours() -> None:
    scorer, _ = PAIRS["features 1"]
    assert scorer is not None
    texts = ["free prize", "", "lunch?", "!", "£5", "call 09012345678", "@you"]
    together = scorer.infer(scorer.encode(texts))
    alone = [scorer.infer(scorer.encode([text]))[0] for text in texts]
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


ENGINES: list[EngineChoice] = ["numpy", *(["compiled"] if library.is_available() else [])]
PARAMETERS = st.floats(1e-3, 50)
CALIBRATIONS = st.builds(
    lambda method, a, b, c: Calibration(
        method, a, b if method == "beta" else a, 0.0 if method == "temperature" else c
    ),
    st.sampled_from(METHODS),
    PARAMETERS,
    PARAMETERS,
    st.floats(-50, 50),
)
# Of any size, and close to each other.
LOGITS = st.lists(
    st.one_of(
        st.floats(-1e9, 1e9, width=32),
        st.floats(-20, 20, width=32),
        st.integers(-50, 50).map(lambda steps: float(np.float32(1.5) + np.float32(2**-23) * steps)),
    ),
    min_size=2,
    max_size=26,
)


def scores_of_logits(
    logits: list[float], calibration: Calibration, engine: EngineChoice
) -> NDArray[np.float32]:
    """Score the texts "a", "b" …, whose logits are given: both layers pass the embedding on."""
    values = np.array([0, *logits], dtype=np.float32)
    network = Network(
        embedding=np.maximum(np.stack([values, -values], axis=1), 0),
        hidden1_weight=np.eye(2, dtype=np.float32),
        hidden1_bias=np.zeros(2, np.float32),
        hidden2_weight=np.eye(2, dtype=np.float32),
        hidden2_bias=np.zeros(2, np.float32),
        output_weight=np.array([[1, -1]], np.float32),
        output_bias=np.zeros(1, np.float32),
    )
    texts = ascii_lowercase[: len(logits)]
    one = scorer(
        Vocabulary(texts), None, network, calibration=calibration, is_binary=True, engine=engine
    )
    np.testing.assert_array_equal(one.logits(one.encode(list(texts))), values[1:])
    return one.infer(one.encode(list(texts)))


@example(Calibration("beta", 1e-3, 1e3, -1e3), [0.0, 2.0**-149, 2.0**-140, 1e38])
@given(CALIBRATIONS, LOGITS)
def test_no_engine_changes_the_order_of_logits(
    calibration: Calibration, logits: list[float]
) -> None:
    logits = sorted(logits)
    for engine in ENGINES:
        scores = scores_of_logits(logits, calibration, engine)
        assert (scores[1:] >= scores[:-1]).all()
        expected = calibration.logits(np.array(logits, dtype=np.float32))
        np.testing.assert_allclose(scores, sigmoid(expected), rtol=0, atol=1e-7)
        np.testing.assert_allclose(
            scores, policy.scores(np.float32(logits), calibration), atol=1e-7
        )


@needs_kernel
def test_threads_may_share_a_scorer() -> None:
    scorer, plain = PAIRS["multiclass"]
    assert scorer is not None
    batches = [[f"free {number} \u0180{chr(0x4E00 + number)}!" * 400] for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda texts: scorer.infer(scorer.encode(texts)), batches))
    for texts, scores in zip(batches, found, strict=True):
        np.testing.assert_allclose(scores, plain.infer(plain.encode(texts)), rtol=0, atol=1e-6)


@needs_kernel
def test_lower_case_is_entered_before_the_character(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise another thread would use the character before its lower case has a class."""
    entered: list[int] = []

    class Spied(dict[int, int]):
        def __setitem__(self, code: int, value: int) -> None:
            entered.append(code)

    monkeypatch.setattr(compiled, "CLASSES", Spied())
    compiled.enter("ДЖ")
    assert entered == [ord(one) for one in "дДжЖ"]


@needs_kernel
@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_a_batch_of_another_classifier_is_refused(engine: EngineChoice) -> None:
    first = Classifier(ARTIFACTS["int8"], "compiled")
    second = Classifier(ARTIFACTS["int8, plain"], engine)
    with pytest.raises(ValueError, match="encoded by another classifier"):
        second.infer(first.encode(["free"]))
    with pytest.raises(ValueError, match="encoded by another classifier"):
        second.encoded_logits(first.encode(["free"]))
    for function in (second.encoded_notices, second.encoded_words):
        with pytest.raises(ValueError, match="encoded by another classifier"):
            function(first.encode(["free"]))


class Longer(str):
    __slots__ = ()

    def __len__(self) -> int:
        return 10**6


@needs_kernel
def test_a_subclass_of_str_with_another_length_is_refused() -> None:
    with pytest.raises(TypeError, match="expected str"):
        Classifier(ARTIFACTS["int8"], "compiled").encode([Longer("free")])


@needs_kernel
def test_the_engine_is_chosen() -> None:
    assert Classifier(ARTIFACTS["multiclass"]).engine == "compiled"
    assert Classifier(ARTIFACTS["multiclass"], engine="compiled").engine == "compiled"
    assert Classifier(ARTIFACTS["multiclass"], engine="numpy").engine == "numpy"
    with pytest.raises(ValueError, match="unknown engine 'fast'; expected one of"):
        Classifier(ARTIFACTS["multiclass"], engine="fast")  # type: ignore[arg-type]


UNDER_THE_SANITIZER = """
import random, sys
from pathlib import Path
sys.settrace(None)  # coverage of these lines is measured elsewhere
from dandelion.engines import library
library.LIBRARY = Path(sys.argv[1])
from tests.dandelion.engines.test_compiled import KINDS_OF_MEMORY, check_equal
draw = random.Random(0)
signs = "aAb1 _@'.!/:hwtp\\0\\n\\u0130\\u0301\\ufb01\\ud800\\u0661"
for length, count in [*((short, 3) for short in range(40)), (1000, 3), (70_000, 1)]:
    texts = ["".join(draw.choices(signs, k=length)) for _ in range(count)]
    for kind in KINDS_OF_MEMORY:
        if length <= 1000 or "windows" not in kind:
            check_equal(kind, [*texts, "", "1" * min(length, 99)])
print("agreed")
"""


@needs_kernel
@pytest.mark.slow
def test_nothing_is_read_or_written_out_of_bounds(tmp_path: Path) -> None:
    built = tmp_path / "_kernel.so"
    build(library.SOURCE, built, "-O1", "-g", "-fsanitize=address,undefined")
    sanitizers = [
        subprocess.check_output(["cc", f"-print-file-name={name}"], text=True).strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    found = subprocess.run(
        [sys.executable, "-c", UNDER_THE_SANITIZER, str(built)],
        cwd=ROOT,
        # Python itself does not free all its memory when it exits.
        env=os.environ
        | {"LD_PRELOAD": " ".join(sanitizers), "ASAN_OPTIONS": "detect_leaks=0"}
        | {"UBSAN_OPTIONS": "halt_on_error=1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (0, "agreed\n"), found.stderr[-4000:]
