"""Settings from the environment."""

from pathlib import Path

import pytest

from app import settings
from app.settings import Settings, SettingsError


def test_defaults_are_as_documented() -> None:
    defaults = Settings()
    assert (defaults.host, defaults.port, defaults.workers) == ("127.0.0.1", 8000, 1)
    assert (defaults.max_texts, defaults.max_text_chars) == (4096, 100_000)
    assert defaults.max_body_bytes == 8_000_000


def test_the_environment_overrides_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_MAX_TEXTS", "7")
    monkeypatch.setenv("DANDELION_ARTIFACTS", "/srv/artifacts")
    monkeypatch.setenv("DANDELION_MODELS__SPAM", "mse")
    monkeypatch.setenv("DANDELION_LOG_FORMAT", "json")
    monkeypatch.setenv("DANDELION_WORKERS", "2")
    found = settings.load()
    assert found.max_texts == 7
    assert found.workers == 2
    assert found.artifacts == Path("/srv/artifacts")
    assert found.models == {"spam": "mse"}
    assert found.log_format == "json"


def test_all_problems_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_MAX_TXTS", "7")
    monkeypatch.setenv("DANDELION_PORT", "eighty")
    monkeypatch.setenv("DANDELION_LOG_LEVEL", "loud")
    monkeypatch.setenv("DANDELION_PORT__X", "1")
    monkeypatch.setenv("DANDELION_WORKERS", "0")
    with pytest.raises(SettingsError, match="did you mean DANDELION_MAX_TEXTS") as caught:
        settings.load()
    for name in (
        "DANDELION_MAX_TXTS",
        "DANDELION_PORT:",
        "DANDELION_LOG_LEVEL",
        "DANDELION_PORT__X",
        "DANDELION_WORKERS:",
    ):
        assert name in str(caught.value)


def test_an_unrecognisable_name_gets_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_ZZZ", "1")
    with pytest.raises(SettingsError, match="available: host, port"):
        settings.load()


def test_a_models_variable_that_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_MODELS", "spam=mse")
    with pytest.raises(SettingsError, match="DANDELION_MODELS: not a JSON object"):
        settings.load()


def test_the_table_has_every_setting() -> None:
    table = settings.table()
    for name, field in Settings.model_fields.items():
        assert f"| `DANDELION_{name.upper()}` |" in table
        assert field.description
        assert " ".join(field.description.split()) in table
