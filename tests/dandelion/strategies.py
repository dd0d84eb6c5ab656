"""Texts of every kind."""

from hypothesis import strategies as st

# `st.characters()` never draws surrogates, and what is told apart is rare in it: so it is named.
_CHARACTERS = st.one_of(
    st.characters(),
    st.characters(categories=["Cs"]),
    st.sampled_from("\0\n\r\t \u00a0\u3000\u200b"),
    st.sampled_from("aAzZ09_.!'’@#$£…ßᾈİΣ中٣Ⅷ😂\u0301\ufdfa"),
)

ANY_TEXT = st.text(_CHARACTERS)
ANY_TEXTS = st.lists(ANY_TEXT, max_size=6)
