"""API keys from the settings: errors, warnings, limits, where none are needed."""

import logging
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from pydantic import SecretStr

from app import settings as settings_module
from app.address import is_local
from app.errors import Problem
from app.serving import keys as keys_module
from app.serving.keys import Keys, admin_is_open, load
from app.serving.rates import SharedRates
from app.settings import Settings, SettingsError
from app.telemetry.metrics import Metrics
from dandelion import api_keys
from dandelion.api_keys import Access

from ..api_keys import CONFIGURED, EVERY_SCOPE, KEYS, key, line

FORUM = line("forum", key("forum"), Access.CLASSIFY)
OTHER = line("other", key("other"), Access.METRICS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.toml"
    file.write_text(FORUM)
    file.chmod(0o600)
    return file


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.levelno >= logging.WARNING]


def test_the_file_and_the_variable_are_both_read(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(load(Settings(keys_file=file))) == ["forum"]
    assert list(load(Settings(keys=SecretStr(OTHER)))) == ["other"]
    assert list(load(Settings(keys_file=file, keys=SecretStr(OTHER)))) == ["forum", "other"]
    assert load(Settings()) == {}
    file.write_text(OTHER)  # the file is read anew
    assert list(load(Settings(keys_file=file))) == ["other"]
    assert warnings(caplog) == []


MANY = "".join(line(f"k{number}", key(f"k{number}"), *Access) for number in range(64))


@pytest.mark.parametrize(
    ("content", "variable", "message"),
    [
        (None, "", r"^--keys-file / DANDELION_KEYS_FILE: \S+keys.toml: No such file"),
        ("", "", r"^--keys-file / DANDELION_KEYS_FILE: \S+keys.toml: has no key$"),
        ("forum", "", r"^--keys-file / DANDELION_KEYS_FILE: \S+keys.toml: not TOML"),
        (FORUM, "forum", "^DANDELION_KEYS: not TOML"),
        (FORUM, " ", "^DANDELION_KEYS: has no key$"),
        (FORUM, FORUM, "^DANDELION_KEYS: 'forum' is also in DANDELION_KEYS_FILE$"),
        (FORUM, FORUM.replace("forum", "other"), "^DANDELION_KEYS: 'forum' and 'other' have the s"),
        (FORUM, MANY, "^DANDELION_KEYS: 65 keys together with DANDELION_KEYS_FILE; at most 64"),
    ],
)
def test_an_error_names_its_source(
    file: Path, content: str | None, variable: str, message: str
) -> None:
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(SettingsError, match=message):
        load(Settings(keys_file=file, keys=SecretStr(variable)))


def test_they_come_from_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_KEYS_FILE", str(file))
    monkeypatch.setenv("DANDELION_KEYS", OTHER)
    settings = settings_module.load()
    assert list(load(settings)) == ["forum", "other"]
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "sha256" not in shown
    assert api_keys.digest(key("other").encode()).hex() not in shown
    monkeypatch.setenv("DANDELION_KEYS_FILE", "")
    assert list(load(settings_module.load())) == ["other"]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_file_that_every_user_can_read_is_warned_about(
    file: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    file.chmod(mode)
    load(Settings(keys_file=file))
    assert warnings(caplog) == ["the file of API keys can be read or written by every user"]
    caplog.clear()
    file.chmod(0o640)
    load(Settings(keys_file=file))
    assert warnings(caplog) == []


LOCAL: list[dict[str, Any]] = [
    {},
    {"host": "127.0.0.1"},
    {"host": "127.5.5.5"},
    {"host": "::1"},
    {"host": "::ffff:127.0.0.1"},
    {"host": "localhost"},
    {"host": "LocalHost"},
    {"host": "0.0.0.0", "uds": Path("http.sock")},
]
ELSEWHERE: list[dict[str, Any]] = [
    {"host": "0.0.0.0"},
    {"host": "::"},
    {"host": "10.0.0.7"},
    {"host": "::ffff:10.0.0.7"},
    {"host": "example.com"},
    {"host": "127.0.0.1.example.com"},
    {"host": "localhost.example.com"},
]


def configured(content: str = "") -> Keys:
    found = api_keys.parse(content) if content else {}
    return Keys(found, Metrics(), SharedRates(), 8)


@pytest.mark.parametrize("address", [*LOCAL, *ELSEWHERE], ids=str)
def test_no_keys_are_needed_on_this_machine_alone(
    address: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(**address)
    assert is_local(settings.host, settings.uds) == (address in LOCAL)
    load(settings)
    expected = ["no API keys: whoever reaches this address may classify and read the metrics"]
    assert warnings(caplog) == ([] if address in LOCAL else expected)
    caplog.clear()
    load(Settings(**address, keys=SecretStr(FORUM)))
    assert warnings(caplog) == []


@pytest.mark.parametrize("address", [*LOCAL, *ELSEWHERE], ids=str)
def test_admin_routes_exist_with_an_admin_key_or_locally_without_keys(
    address: dict[str, Any],
) -> None:
    settings = Settings(**address)
    assert admin_is_open(settings, configured()) == (address in LOCAL)
    assert not admin_is_open(settings, configured(FORUM))
    assert admin_is_open(settings, configured(CONFIGURED))


def test_a_key_is_found_by_its_digest_alone() -> None:
    keys = configured(CONFIGURED)
    for access, value in KEYS.items():
        found = keys.find(value.encode())
        assert found is not None
        assert found.name == f"only-{access}"
        assert found.scopes == frozenset({access})
    for wrong in (b"", EVERY_SCOPE[:-1].encode(), api_keys.digest(EVERY_SCOPE.encode())):
        assert keys.find(wrong) is None


def test_while_a_key_is_replaced_both_share_a_limit() -> None:
    old, new = (api_keys.digest(key(name).encode()).hex() for name in ("old", "new"))
    content = f'forum = {{ sha256 = ["{old}", "{new}"], scopes = ["classify"], '
    keys = configured(content + "texts_per_second = 8 }")
    first, second = keys.find(key("old").encode()), keys.find(key("new").encode())
    assert first is not None
    assert first is second


def test_the_burst_is_the_largest_batch_or_one_second() -> None:
    for limit, burst in ((3, 8), (20, 20)):
        keys = configured(line("forum", key("forum"), *Access, limit=limit))
        found = keys.find(key("forum").encode())
        assert found is not None
        found.take(burst)
        with pytest.raises(Problem, match="limit of this API key") as caught:
            found.take(burst)
        assert caught.value.status == 429
        assert caught.value.headers == {"Retry-After": str(-(-burst // limit))}


def test_texts_and_denials_are_counted_and_nothing_shows_a_key() -> None:
    metrics = Metrics()
    stored = api_keys.parse(line("forum", key("forum"), Access.CLASSIFY, limit=1))
    keys = Keys(stored, metrics, SharedRates(), 8)
    found = keys.find(key("forum").encode())
    assert found is not None
    found.take(8)
    for _ in range(2):
        with pytest.raises(Problem, match=r"^The limit of this API key"):
            found.take(8)
    text = generate_latest(metrics.registry).decode()
    assert 'dandelion_key_texts_total{key="forum"} 8.0' in text
    assert 'dandelion_denied_requests_total{reason="rate"} 2.0' in text
    shown = f"{text} {keys!r} {found!r} {stored!r} {vars(keys_module)}"
    assert key("forum") not in shown
    assert api_keys.digest(key("forum").encode()).hex() not in shown
