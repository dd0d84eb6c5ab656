"""Near copies: texts of the same tokens, which are no independent observations."""

import hashlib
from collections.abc import Iterable

from .tokenizer import tokenize


def copies(texts: Iterable[str]) -> list[str]:
    """Return a key for each text, equal for texts of the same tokens in the same order.

    So texts that differ in case, white space, invisible characters, links, mentions, the digits of
    long numbers or the number of equal signs are near copies. Training finds further ones, by the
    share of common word sequences; that takes more memory than a row of a file.

    Example:
        >>> first, second, other = copies(["Code: 482913!", "code: 104477 !!", "Lunch?"])
        >>> first == second, first == other
        (False, False)
        >>> len(set(copies(["Your code is 482913", "your CODE is  104477"])))
        1
    """
    return [hashlib.sha256("\0".join(tokenize(text)).encode()).hexdigest() for text in texts]
