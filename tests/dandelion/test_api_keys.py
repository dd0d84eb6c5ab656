"""The format of API keys, and the command that makes them."""

import errno
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dandelion import api_keys
from dandelion.api_keys import MAX_KEYS, MAX_TEXTS_PER_SECOND, Access, ApiKey, KeysError
from dandelion.command import app

DIGEST = "5f" * 32
SECRET = "dandelion_" + "Ab-_" * 10 + "xyz"
GOOD = f'forum = {{ sha256 = "{DIGEST}", scopes = ["classify"] }}\n'


def test_keys_are_random_and_need_no_escape() -> None:
    found = {api_keys.generate() for _ in range(100)}
    assert len(found) == 100
    assert all(re.fullmatch(r"dandelion_[A-Za-z0-9_-]{43}", key) for key in found)


NAMES = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
DIGESTS = st.binary(min_size=32, max_size=32)
STORED = st.builds(
    ApiKey,
    NAMES,
    st.frozensets(st.sampled_from(Access), min_size=1),
    st.lists(DIGESTS, min_size=1, max_size=2).map(tuple),
    st.none() | st.integers(1, MAX_TEXTS_PER_SECOND),
)


@given(st.lists(STORED, min_size=1, max_size=5, unique_by=lambda key: key.name))
def test_what_is_written_is_read(keys: list[ApiKey]) -> None:
    content = "# a comment\n" + "".join(f"{api_keys.to_line(key)}\n" for key in keys)
    owners = [(one, key.name) for key in keys for one in set(key.digests)]
    if len({one for one, _ in owners}) < len(owners):
        with pytest.raises(KeysError, match="have the same sha256"):
            api_keys.parse(content)
    else:
        assert api_keys.parse(content) == {key.name: key for key in keys}


def test_a_table_may_be_written_at_length() -> None:
    content = f'[forum]\nsha256 = ["{DIGEST}", "{"00" * 32}"]\nscopes = ["metrics", "admin"]\n'
    (key,) = api_keys.parse(content).values()
    assert key == ApiKey(
        "forum", frozenset({Access.METRICS, Access.ADMIN}), (b"\x5f" * 32, bytes(32))
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no key"),
        ("# forum", "has no key"),
        (f"{SECRET}\n", r"^not TOML \(line 1, column \d+\)$"),
        (f'forum = "{SECRET}', "^not TOML"),
        ("a = " + "[" * 20_000, "^not TOML"),
        (f"a = {'9' * 5000}", "^not TOML$"),
        (f"{SECRET} = {{ sha256 = '{DIGEST}', scopes = ['classify'] }}", "^key 1: expected a name"),
        (f"forum = '{SECRET}'", "^'forum': expected a table"),
        (f"forum = {{ sha256 = '{SECRET}', scopes = ['classify'] }}", "not the key"),
        (f"forum = {{ sha256 = '{DIGEST.upper()}', scopes = ['classify'] }}", "'forum': sha256"),
        ("forum = { sha256 = [], scopes = ['classify'] }", "'forum': sha256"),
        (f"forum = {{ sha256 = {[DIGEST] * 3}, scopes = ['classify'] }}", "'forum': sha256"),
        (f"forum = {{ sha256 = {[DIGEST, 7]}, scopes = ['classify'] }}", "'forum': sha256"),
        ("forum = { scopes = ['classify'] }", "'forum': sha256"),
        (f"forum = {{ sha256 = '{DIGEST}' }}", "'forum': scopes: expected a list of classify"),
        (f"forum = {{ sha256 = '{DIGEST}', scopes = [] }}", "'forum': scopes"),
        (f"forum = {{ sha256 = '{DIGEST}', scopes = 'classify' }}", "'forum': scopes"),
        (f"forum = {{ sha256 = '{DIGEST}', scopes = ['{SECRET}'] }}", "'forum': scopes"),
        (f"forum = {{ sha256 = '{DIGEST}', scopes = [['classify']] }}", "'forum': scopes"),
        (f"{GOOD[:-3]}, '{SECRET}' = 1 }}", "'forum': 1 unknown field"),
        *(
            (f"{GOOD[:-3]}, texts_per_second = {limit} }}", "'forum': texts_per_second: expected")
            for limit in ("0", "-1", "1.5", "true", "'9'", "1000000001", "[]")
        ),
        (GOOD + GOOD, "^not TOML"),
        (GOOD + GOOD.replace("forum", "other"), "'forum' and 'other' have the same sha256"),
        ("".join(f"k{number} = 1\n" for number in range(MAX_KEYS + 1)), "65 keys; at most 64"),
    ],
)
def test_an_error_quotes_nothing_that_could_be_a_key(content: str, message: str) -> None:
    with pytest.raises(KeysError, match=message) as caught:
        api_keys.parse(content)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)
    assert len(str(caught.value)) < 300


def test_a_digest_is_not_in_a_repr() -> None:
    (key,) = api_keys.parse(GOOD).values()
    assert "forum" in repr(key)
    assert DIGEST not in repr(key)
    assert repr(key.digests[0]) not in repr(key)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: path.write_bytes(b"\xff"), "keys.toml: not UTF-8"),
        (lambda path: path.mkdir(), "keys.toml: not a regular file|keys.toml: Is a directory"),
        (lambda path: path.write_bytes(bytes(2**18 + 1)), "keys.toml: larger than"),
        (lambda path: path.write_text("forum = 1"), "keys.toml: 'forum': expected a table"),
        (lambda _: None, "keys.toml: No such file"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, prepare, message: str) -> None:  # type: ignore[no-untyped-def]
    prepare(tmp_path / "keys.toml")
    with pytest.raises(KeysError, match=message):
        api_keys.read(tmp_path / "keys.toml")


# The command.


def new(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", "new", *arguments])


def test_the_key_alone_is_on_standard_output() -> None:
    done = new("forum", "--scope", "classify", "--scope", "metrics", "--texts-per-second", "5")
    assert done.exit_code == 0
    key = done.stdout.removesuffix("\n")
    (stored,) = api_keys.parse(done.stderr).values()  # standard error is a valid file
    scopes = frozenset({Access.CLASSIFY, Access.METRICS})
    assert stored == ApiKey("forum", scopes, (api_keys.digest(key.encode()),), 5)
    assert key not in done.stderr


def test_a_file_is_created_and_extended(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    first = new("forum", "--scope", "classify", "--file", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # As a person leaves it: with a comment, without a line feed, readable by a group.
    path.write_text(f"# ours\n{path.read_text().strip()}")
    path.chmod(0o640)
    second = new("probe", "--scope", "metrics", "--file", str(path))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    content = path.read_text()
    assert content.startswith("# ours\nforum = ")
    for done, name in ((first, "forum"), (second, "probe")):
        key = done.stdout.strip()
        assert api_keys.read(path)[name].digests == (api_keys.digest(key.encode()),)
        assert key not in content + done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["keys.toml"]


def test_a_file_keeps_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(GOOD)
    path.chmod(0o640)
    # Others than root may only choose a group that they are in.
    os.chown(path, -1, 33 if os.geteuid() == 0 else os.getgroups()[-1])
    before = path.stat()
    assert new("probe", "--scope", "metrics", "--file", str(path)).exit_code == 0
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_mode == before.st_mode


def test_a_file_of_another_owner_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chown(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    path = tmp_path / "keys.toml"
    path.write_text(GOOD)
    monkeypatch.setattr(os, "chown", chown)
    done = new("probe", "--scope", "metrics", "--file", str(path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "owner and group" in done.stderr
    assert path.read_text() == GOOD
    assert [file.name for file in tmp_path.iterdir()] == ["keys.toml"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD, "has a key 'forum' already"),
        ("forum", "not TOML"),
        (
            "".join(
                api_keys.to_line(ApiKey(f"k{n}", frozenset(Access), (bytes([n]) * 32,))) + "\n"
                for n in range(MAX_KEYS)
            ),
            "has 64 keys already",
        ),
        (
            f'[other]\nsha256 = "{DIGEST}"\nscopes = ["admin"]\n',
            "ends with a table; add the line above it",
        ),
    ],
)
def test_a_file_that_cannot_be_extended_stays_as_it_is(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(content)
    done = new("forum", "--scope", "classify", "--file", str(path))
    assert done.exit_code == 1
    assert not done.stdout
    assert message in done.stderr
    assert path.read_text() == content


def test_an_unknown_directory_is_one_line(tmp_path: Path) -> None:
    done = new("forum", "--scope", "classify", "--file", str(tmp_path / "none" / "keys.toml"))
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert not done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("Forum", "--scope", "classify"),
        ("a" * 65, "--scope", "classify"),
        ("", "--scope", "classify"),
        ("forum\n", "--scope", "classify"),
        ("forum",),
        ("forum", "--scope", "all"),
        ("forum", "--scope", "classify", "--texts-per-second", "0"),
        ("forum", "--scope", "classify", "--texts-per-second", "1.5"),
    ],
)
def test_wrong_usage_makes_no_key(arguments: tuple[str, ...]) -> None:
    done = new(*arguments)
    assert done.exit_code == 2
    assert not done.stdout
