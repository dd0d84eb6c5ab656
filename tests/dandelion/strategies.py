"""Hypothesis strategies for texts of every kind."""

from hypothesis import strategies as st

from dandelion.text.confusables import LOOK_ALIKES
from dandelion.text.default_ignorable import RANGES

# Default ignorable characters, each range as often as another.
IGNORABLE = st.sampled_from(RANGES).flatmap(lambda ends: st.integers(*ends)).map(chr)

# `st.characters()` never draws surrogates, and rarely draws characters with special treatment.
_CHARACTERS = st.one_of(
    st.characters(),
    st.characters(categories=["Cs"]),
    st.sampled_from("\0\n\r\t \u00a0\u3000\u200b"),
    IGNORABLE,
    st.sampled_from("aAzZ09_.!'’@#$£…ßᾈİΣ中٣Ⅷ😂\u0301\ufdfa"),
)

# Sequences with special treatment by the tokenizer, and others that only look like them.
_PIECES = st.sampled_from(
    [
        *(
            "http://",
            "https://",
            "httpss://",
            "HTTP:",
            "//",
            "://",
            "www.",
            "WWW",
            "xwww.",
            "'www.",
        ),
        *("@", "@@", "@you", "_@", "@_", "'", "''", "\u2019", "n't", "it's", "_", "__"),
        *("1234", "12345", "9" * 17, "٣٣٣٣٣", "1a", "!!!!", "?!", "...", "Σ", "ΑΣ ", "İ", "ς"),
        *("ß", "ﬁ", "²", "Ⅷ", "\u0301", "a\u0301", "\0\0", "\ud83d", "\udc00", " ", "\n", "\x1f"),
    ]
)

ANY_TEXT = st.text(_CHARACTERS) | st.lists(_PIECES | _CHARACTERS).map("".join)
ANY_TEXTS = st.lists(ANY_TEXT, max_size=6)

# Pieces that rules of folding apply to, and look-alikes.
_FOLDED = st.sampled_from(
    [
        *("a b c", "a-b-c", "a", "b.", "....", "! ! ! !", "♥ ♥♥♥", "♥", "    ", "aaaa", "aAa", "1"),
        *("!?*&%$", "..!!", "~+~_", "♥★!€ \u0301", "“‘−", "★☆♥", "сосо"),
        *("я", "рррр", "ρρρΡ\u0313", "з\u0308", "é", "\u0301", "\u0301" * 12, "\u0344" * 31, "İ"),
        *(
            "“",
            "⍺",
            "∪",
            "∤",
            "ا\u0653",
            "\uff9e\u0316",
            "\u0f73",
            "\u0338",
            "ᄀ",
            "\u1161",
            "\u2003",
        ),
    ]
)
CONFUSING = st.lists(
    _FOLDED | st.sampled_from("".join(LOOK_ALIKES.values())) | ANY_TEXT, max_size=9
).map("".join)
