"""The tokenizer: golden examples, and properties that hold for any string."""

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.text.tokenizer import MAX_EXPANSION, TextTooLongError, clean, to_nfkc, tokenize

from ..strategies import ANY_TEXT


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \t\n\u3000", []),
        ("Free entry!!!!!", ["free", "entry", "!!!"]),
        ("£1,000 cash", ["£", "1", ",", "000", "cash"]),
        ("call 09012345678 or 87121", ["call", "<11 digits>", "or", "<5 digits>"]),
        ("9" * 40, ["<16 digits>"]),
        ("txt STOP 2 end", ["txt", "stop", "2", "end"]),
        ("see https://a.example/b?c=1 and www.b.example", ["see", "<url>", "and", "<url>"]),
        ("@Some_one hi @you", ["<mention>", "hi", "<mention>"]),
        ("me@example.org", ["me", "@", "example", ".", "org"]),
        ("a literal <url>", ["a", "literal", "<", "url", ">"]),
        ("Mike's, don’t, 'quoted'", ["mike", "'s", ",", "don", "'t", ",", "'", "quoted", "'"]),
        ("#tag_name", ["#", "tag", "_", "name"]),
        ("😂😂😂😂 ❤️", ["😂😂😂", "❤"]),
        ("ｆｕｌｌｗｉｄｔｈ ﬁne ①", ["fullwidth", "fine", "1"]),
        ("cafe\u0301 CAFÉ", ["cafe", "cafe"]),
        ("привет, f.r.e.e frеe", ["привет", ",", "free", "free"]),
        ("fr\u200bee\u00ad", ["free"]),
        ("\ud83d\ude00", ["😀"]),
        ("a\ud800b", ["a", "\ufffd", "b"]),
        ("a\0\0b", ["a", "\0\0", "b"]),
    ],
)
def test_golden(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@given(ANY_TEXT)
def test_any_string_gives_clean_tokens(text: str) -> None:
    for token in tokenize(text):
        assert token
        assert "\n" not in token
        token.encode()  # no lone surrogate is left


@given(ANY_TEXT)
def test_same_tokens_as_the_clean_text(text: str) -> None:
    assert tokenize(clean(text)) == tokenize(text)


@given(ANY_TEXT, ANY_TEXT)
def test_white_space_separates(left: str, right: str) -> None:
    # A digit keeps folding from joining the ends.
    assert tokenize(f"{left} 1 {right}")[: len(tokenize(left))] == tokenize(left)


@pytest.mark.parametrize(
    "unit",
    [
        *("a", "!", "1", "a'", "@", "http", "www.", "\u0301\u0316", "\ufdfa", "Σ", "_a", "\ud800"),
        *("😂", "\uff9e\u0316", "\u0f73\u0316", "éa", "éб", "♥ ", "! ", "a b ", "a  b-c ", " \n"),
    ],
)
def test_linear_in_length(unit: str) -> None:
    def nanoseconds(repeats: int) -> int:
        """Return the best of five processor times of this thread."""
        text = unit * repeats
        best = sys.maxsize
        for _ in range(5):
            started = time.thread_time_ns()
            tokenize(text)
            best = min(best, time.thread_time_ns() - started)
        return best

    # 32 times the text: linear work takes about 32 times as long, quadratic work 1,024 times.
    assert nanoseconds(64_000) < 200 * max(nanoseconds(2_000), 1)


def test_the_expansion_of_every_code_point_is_bounded() -> None:
    # Composition (the C of NFKC) only joins, so a decomposition is at least as long.
    lengths = (len(unicodedata.normalize("NFKD", chr(code))) for code in range(0x110000))
    assert max(lengths) == len(to_nfkc("\ufdfa")) == MAX_EXPANSION


@given(ANY_TEXT | st.text(st.sampled_from("a\ufdfa½e\u0301")), st.integers(0, 60))
def test_a_text_is_cleaned_up_to_a_limit(text: str, limit: int) -> None:
    expected = to_nfkc(text)
    if len(expected) <= limit:
        assert to_nfkc(text, limit) == expected
        assert clean(text, limit) == clean(text)
    else:
        for read in (to_nfkc, clean):
            with pytest.raises(TextTooLongError):
                read(text, limit)


def test_a_text_is_not_cleaned_to_its_end_if_it_exceeds_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    normalized: list[int] = []

    def spy(form: str, text: str, normalize: object = unicodedata.normalize) -> str:
        normalized.append(len(text))
        return normalize(form, text)  # type: ignore[operator, no-any-return]

    monkeypatch.setattr(unicodedata, "normalize", spy)
    with pytest.raises(TextTooLongError):
        clean("\ufdfa" * 100_000, 10_000)
    assert sum(normalized) < 2000
