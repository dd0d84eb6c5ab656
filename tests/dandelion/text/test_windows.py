"""Windows of long texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.text.windows import MAX_WORD_CHARS, Windows

SIZES = st.integers(1, 9).flatmap(
    lambda words: st.builds(
        Windows, words=st.just(words), stride=st.integers(-(-words // 2), words)
    )
)


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", [""]),
        ("a", ["a"]),
        (" one two  ", [" one two  "]),  # a text of one window stays as it is
        ("one two three", ["one two", "two three"]),
        (" one\ttwo\n three  four ", ["one\ttwo", "two\n three", "three  four"]),
        ("x" * 80, ["x" * 80]),
        ("x" * 81, ["x" * 80, "x" * 41]),
        ("中" * 200, ["中" * 80, "中" * 80, "中" * 80, "中" * 80]),
    ],
)
def test_golden(text: str, windows: list[str]) -> None:
    assert Windows(words=2, stride=1).cut(text) == windows


@given(SIZES, st.integers(0, 60))
def test_windows_cover_every_word_and_are_full(sizes: Windows, count: int) -> None:
    words = [f"w{number}" for number in range(count)]
    windows = [window.split() for window in sizes.cut(" ".join(words))]
    seen = [word for window in windows for word in window]
    assert list(dict.fromkeys(seen)) == words
    assert [window[:1] for window in windows] == [
        words[start : start + 1] for start in range(0, sizes.stride * len(windows), sizes.stride)
    ]
    assert all(len(window) == sizes.words for window in windows[:-1])
    assert len(seen) <= 2 * max(count, sizes.words)
    assert len(windows) == 1 or count > sizes.words


@given(SIZES, st.text(st.sampled_from("ab \n中"), max_size=300))
def test_no_window_is_longer_than_its_words(sizes: Windows, text: str) -> None:
    windows = sizes.cut(text)
    for window in windows[:-1]:
        assert sum(-(-len(word) // MAX_WORD_CHARS) for word in window.split()) <= sizes.words + 1
    assert sum(map(len, windows)) <= 2 * len(text) + sizes.words * MAX_WORD_CHARS


def test_a_long_text_is_cut_in_linear_time() -> None:
    windows = Windows(words=30, stride=15)
    for text in ("word " * 200_000, "x" * 1_000_000, " " * 1_000_000):
        assert sum(map(len, windows.cut(text))) <= 2 * len(text) + 30 * MAX_WORD_CHARS


def test_the_logit_is_the_largest_less_a_penalty() -> None:
    windows = Windows(words=2, stride=1, penalty=0.5)
    logits = np.array([1, -3, 4, 2, -1], dtype=np.float32)
    combined = windows.combine(logits, [1, 3, 1])
    assert combined.dtype == np.float32
    np.testing.assert_allclose(combined, [1, 4 - 0.5 * np.log(3), -1], rtol=1e-6)
    assert windows.combine(np.zeros(0, np.float32), []).shape == (0,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"words": 0, "stride": 0}, "words is 0 and stride 0"),
        ({"words": 4, "stride": 5}, "words is 4 and stride 5"),
        ({"words": 30, "stride": 14}, "a stride from half of them to all"),
        ({"words": 1001, "stride": 1001}, "words of at most 1000"),
        ({"penalty": -0.1}, "penalty is -0.1"),
        ({"penalty": float("nan")}, "penalty is nan"),
    ],
)
def test_refuses_values_out_of_range(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Windows(**values)  # type: ignore[arg-type]
