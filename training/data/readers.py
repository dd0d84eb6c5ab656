"""From the bytes of a public collection to texts and labels, as each of them writes them."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Read = tuple[list[str], NDArray[np.int64]]

TYPES: Final = (
    "not_cyberbullying",
    "age",
    "ethnicity",
    "gender",
    "other_cyberbullying",
    "religion",
)
"""The classes of the tweets."""


def read_sms(members: Mapping[str, bytes]) -> Read:
    """Read lines of ``ham`` or ``spam``, a tab and a text."""
    (data,) = members.values()
    rows = [line.split("\t", 1) for line in data.decode().split("\n") if line]
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 or row[0] not in ("ham", "spam"):
            raise ValueError(f"line {number} is not 'ham' or 'spam', a tab and a text")
    texts = [text.removesuffix("\r") for _, text in rows]
    return texts, np.array([label == "spam" for label, _ in rows], dtype=np.int64)


def read_cyberbullying(members: Mapping[str, bytes]) -> Read:
    """Read the tweets; every type but the first is cyberbullying."""
    texts, types = _tweets(members)
    return texts, (types != "not_cyberbullying").astype(np.int64)


def read_cyberbullying_type(members: Mapping[str, bytes]) -> Read:
    """Read the tweets with their types, see `TYPES`."""
    texts, types = _tweets(members)
    index = {name: label for label, name in enumerate(TYPES)}
    labels = np.array([index.get(name, -1) for name in types.tolist()], dtype=np.int64)
    if labels.min(initial=0) < 0:
        number = int(labels.argmin()) + 1
        raise ValueError(f"the type of tweet {number} is none of {', '.join(TYPES)}")
    return texts, labels


def columns(
    text: str, label: str, harmless: Sequence[str], flagged: Sequence[str]
) -> Callable[[Mapping[str, bytes]], Read]:
    """Return the reader of CSV files with a column of texts and one of labels.

    Args:
        text: the column of texts.
        label: the column of labels; their case does not count.
        harmless: the labels of class 0.
        flagged: the labels of class 1. Rows with any other label are left out.
    """

    def read(members: Mapping[str, bytes]) -> Read:
        texts: list[str] = []
        labels: list[int] = []
        for data in members.values():
            table = _table(data, text, label)
            for one, name in zip(table[text], table[label].str.strip().str.lower(), strict=True):
                if name in harmless or name in flagged:
                    texts.append(one)
                    labels.append(int(name in flagged))
        return texts, np.array(labels, dtype=np.int64)

    return read


def without_replacements(read: Callable[[Mapping[str, bytes]], Read]) -> Callable[..., Read]:
    """Return the reader that removes U+FFFD, which stands for what was lost before publication."""

    def cleaned(members: Mapping[str, bytes]) -> Read:
        texts, labels = read(members)
        return [text.replace("\ufffd", "") for text in texts], labels

    return cleaned


def as_utf8(data: bytes) -> bytes:
    """Return a text file in UTF-8 with line feeds; what is no UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace").replace("\r\n", "\n").encode()


def read_civil(members: Mapping[str, bytes]) -> Read:
    """Read Civil Comments by the majority of the votes on each; those with a tie are left out."""
    comments, votes = (_table(data, "comment_id") for data in _in_order(members, "comments.csv"))
    is_harmless = votes["not toxic"] == "True"
    shares = is_harmless.groupby(votes["comment_id"]).mean()
    share = comments["comment_id"].map(shares).to_numpy(dtype=float)
    kept = ~np.isnan(share) & (share != 0.5)
    return comments["comment_text"][kept].tolist(), (share[kept] < 0.5).astype(np.int64)


def read_convabuse(members: Mapping[str, bytes]) -> Read:
    """Read what users said, each text once: abusive if the majority of its annotations is."""
    (data,) = members.values()
    table = _table(data, "user")
    levels = ["is_abuse.-1", "is_abuse.-2", "is_abuse.-3"]
    is_abuse = (table[levels] == "1").any(axis=1)
    shares = is_abuse.groupby(table["user"], sort=False).mean()
    share = shares.to_numpy(dtype=float)
    return shares.index.tolist(), (share > 0.5).astype(np.int64)


def read_stormfront(members: Mapping[str, bytes]) -> Read:
    """Read sentences, a file each; labels other than ``hate`` and ``noHate`` are left out."""
    files = {name.rpartition("/")[2]: data for name, data in members.items()}
    table = _table(files.pop("annotations_metadata.csv"), "file_id", "label")
    table = table[table["label"].isin(["hate", "noHate"])]
    missing = [name for name in table["file_id"] if f"{name}.txt" not in files]
    if missing:
        raise ValueError(f"{len(missing)} files are missing, the first is {missing[0]}.txt")
    texts = [files[f"{name}.txt"].decode().strip() for name in table["file_id"]]
    return texts, (table["label"].to_numpy(dtype=str) == "hate").astype(np.int64)


def read_harmless_texts(members: Mapping[str, bytes]) -> Read:
    """Read whole files, each a harmless text."""
    return [data.decode() for data in members.values()], np.zeros(len(members), dtype=np.int64)


def only(
    label: int, read: Callable[[Mapping[str, bytes]], Read]
) -> Callable[[Mapping[str, bytes]], Read]:
    """Return the reader that keeps one class of another reader."""

    def kept(members: Mapping[str, bytes]) -> Read:
        texts, labels = read(members)
        rows = np.flatnonzero(labels == label)
        return [texts[row] for row in rows.tolist()], labels[rows]

    return kept


_SLOTS: Final = re.compile(
    r"""(?P<name>\S+\ is\ an?\ \S+)\ .+      # name, adjective | identity
    | (?P<you>You\ are\ an?\ \S+)\ .+        # adjective | identity or occupation
    | (?P<being>Being)\ .+(?P<rest>\ is\ .+)  # identity between
    | (?P<i>i\ \S+)\ .+
    | (?P<verb>\S+)\ .+""",
    re.VERBOSE | re.IGNORECASE,
)


def madlib_families(texts: Sequence[str]) -> list[str]:
    """Return the sentences without their identity word, so that swapped ones stay together."""
    families = []
    for text in texts:
        found = _SLOTS.fullmatch(text)
        families.append(text if found is None else "".join(filter(None, found.groups())))
    return families


def _tweets(members: Mapping[str, bytes]) -> tuple[list[str], NDArray[np.str_]]:
    (data,) = members.values()
    table = _table(data)
    if list(table.columns) != ["tweet_text", "cyberbullying_type"]:
        raise ValueError(f"its columns are {list(table.columns)}")
    return table["tweet_text"].tolist(), table["cyberbullying_type"].to_numpy(dtype=str)


def _in_order(members: Mapping[str, bytes], first: str) -> list[bytes]:
    """Return the contents of two members, that of the given name first."""
    return [data for _, data in sorted(members.items(), key=lambda one: not one[0].endswith(first))]


def _table(data: bytes, *needed: str) -> "pd.DataFrame":
    # Here, because custom data does without it.
    import pandas as pd  # noqa: PLC0415

    # Every text is a text: pandas must not read "null" or "nan" as a missing one.
    table = pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False)
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise ValueError(f"its columns {list(table.columns)} lack {', '.join(missing)}")
    return table
