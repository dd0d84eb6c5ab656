"""Settings from the environment."""

import math
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from pydantic import ValidationError

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
    with pytest.raises(SettingsError, match="available: DANDELION_HOST, DANDELION_PORT"):
        settings.load()


def test_a_models_variable_that_is_not_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_MODELS", "spam=mse")
    with pytest.raises(SettingsError, match="DANDELION_MODELS: not a JSON object"):
        settings.load()


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_models_variable_that_is_nested_without_end(
    monkeypatch: pytest.MonkeyPatch, opening: str
) -> None:
    monkeypatch.setenv("DANDELION_MODELS", opening * 20_000)
    with pytest.raises(SettingsError, match="DANDELION_MODELS: not a JSON object"):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DANDELION_MODELS", '{"a\\nb": 1}'),
        ("DANDELION_MODELS", f'{{"{"a" * 50_000}": 1}}'),
        ("DANDELION_CORS_ORIGINS", "a" * 50_000),
        ("DANDELION_A\nB", "1"),
        ("DANDELION_" + "A" * 50_000, "1"),
    ],
)
def test_a_problem_is_one_short_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"^DANDELION_[^\n]*$") as caught:
        settings.load()
    assert len(str(caught.value)) < 1000


def test_the_log_level_is_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_LOG_LEVEL", "Warning")
    assert settings.load().log_level == "warning"


NUMERIC = {
    name: [bound for bound in field.metadata if hasattr(bound, "ge") or hasattr(bound, "le")]
    for name, field in Settings.model_fields.items()
    if field.annotation in {int, float}
}
NUMBERS = (
    st.integers(-2, 10**6).map(str)
    | st.integers().map(str)
    | st.integers(0, 80).map(lambda power: str(2**power))
    | st.floats().map(repr)
    | st.text(st.sampled_from("0123456789.eE+-_ ٣٥"), max_size=8)
    | st.sampled_from(["", "inf", "nan", "1e400", "1" + "0" * 30, "9" * 5000, "0x10", "1_000"])
)


@pytest.mark.parametrize("name", NUMERIC)
@example(number="inf")
@example(number="nan")
@example(number="1" + "0" * 30)
@example(number="9" * 5000)
@settings_of(max_examples=30)
@given(number=NUMBERS)
def test_any_number_is_within_documented_bounds_or_refused(name: str, number: str) -> None:
    (smallest,) = [bound.ge for bound in NUMERIC[name] if hasattr(bound, "ge")]
    (largest,) = [bound.le for bound in NUMERIC[name] if hasattr(bound, "le")]
    assert f"{smallest} to {largest}" in settings.table()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(settings.variable(name), number)
        try:
            found = getattr(settings.load(), name)
        except SettingsError as refused:
            message = str(refused)
        else:
            assert number.isascii()
            assert not set(number) & set("_ ")
            assert not number.startswith("+")
            assert smallest <= found <= largest
            assert found == float(number)
            return
    assert message.startswith(f"{settings.variable(name)}: ")
    assert "\n" not in message


@pytest.mark.parametrize("name", NUMERIC)
@pytest.mark.parametrize("number", [math.inf, math.nan, -1, 1e300, 10**30])
def test_numbers_that_are_given_as_such_are_bounded_too(name: str, number: float) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: number})


def test_the_table_has_every_setting() -> None:
    table = settings.table()
    for name, field in Settings.model_fields.items():
        assert f"| `DANDELION_{name.upper()}` |" in table
        assert field.description
        assert " ".join(field.description.split()) in table


LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
SERVICE = st.just("dandelion") | LABEL.map("dandelion-{}".format)
PORTS = st.lists(
    st.tuples(st.integers(1, 65535), st.sampled_from(["TCP", "UDP", "SCTP"]), LABEL | st.just("")),
    min_size=1,
    max_size=3,
)
ADDRESS = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)


def service_links(service: str, address: str, ports: list[tuple[int, str, str]]) -> dict[str, str]:
    """What the kubelet sets for a Service, by its documentation."""

    def in_capitals(name: str) -> str:
        return name.upper().replace("-", "_")

    name = in_capitals(service)
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0][0])}
    for port, protocol, port_name in ports:
        if port_name:
            found[f"{name}_SERVICE_PORT_{in_capitals(port_name)}"] = str(port)
        host = f"[{address}]" if ":" in address else address
        url = f"{protocol.lower()}://{host}:{port}"
        found.setdefault(f"{name}_PORT", url)
        link = f"{name}_PORT_{port}_{protocol}"
        found |= {
            link: url,
            f"{link}_PROTO": protocol.lower(),
            f"{link}_PORT": str(port),
            f"{link}_ADDR": address,
        }
    return found


def test_the_links_of_a_service_are_those_of_the_documentation() -> None:
    assert service_links("dandelion", "10.0.0.11", [(8000, "TCP", "http")]) == {
        "DANDELION_SERVICE_HOST": "10.0.0.11",
        "DANDELION_SERVICE_PORT": "8000",
        "DANDELION_SERVICE_PORT_HTTP": "8000",
        "DANDELION_PORT": "tcp://10.0.0.11:8000",
        "DANDELION_PORT_8000_TCP": "tcp://10.0.0.11:8000",
        "DANDELION_PORT_8000_TCP_PROTO": "tcp",
        "DANDELION_PORT_8000_TCP_PORT": "8000",
        "DANDELION_PORT_8000_TCP_ADDR": "10.0.0.11",
    }


@given(SERVICE | st.sampled_from(["dandelion-models", "dandelion-max", "dandelion-models--spam"]))
def test_what_kubernetes_sets_for_any_service_is_ignored(service: str) -> None:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in service_links(service, "10.0.0.11", [(6379, "TCP", "")]).items():
            environment.setenv(name, value)
        assert settings.load() == Settings()
        environment.setenv("DANDELION_MAX_TXTS", "7")  # a typing error is still named
        with pytest.raises(SettingsError, match=r"^DANDELION_MAX_TXTS: [^;]*; did you mean [^;]*$"):
            settings.load()


@given(SERVICE, ADDRESS, PORTS)
def test_every_port_and_protocol_of_a_service_is_ignored(
    service: str, address: str, ports: list[tuple[int, str, str]]
) -> None:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in service_links(service, address, ports).items():
            environment.setenv(name, value)
        assert settings.load() == Settings()


@pytest.mark.parametrize("port", ["9000", "0"])
def test_a_port_is_a_setting(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("DANDELION_PORT", port)
    monkeypatch.setenv("DANDELION_SERVICE_HOST", "10.0.0.11")
    assert settings.load().port == int(port)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DANDELION_PORT", "tcp:/10.0.0.1"),
        ("DANDELION_PORT", "http://10.0.0.1:8000"),
        ("DANDELION_PORTS", "tcp://10.0.0.1:8000"),
        ("DANDELION_SERVICE_HOSTS", "10.0.0.1"),
        ("DANDELION_PORT_HTTP_TCP", "8000"),
        ("DANDELION_MODELS_SPAM", "mse"),
    ],
)
def test_what_only_resembles_them_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: "):
        settings.load()


@pytest.mark.parametrize(
    ("name", "value", "entries"),
    [
        ("cors_origins", "", []),
        ("cors_origins", "*", ["*"]),
        (
            "cors_origins",
            "https://a.example, http://localhost:3000,https://[::1]:8443,chrome-extension://abc",
            [
                *("https://a.example", "http://localhost:3000"),
                *("https://[::1]:8443", "chrome-extension://abc"),
            ],
        ),
        ("trusted_proxies", "*", ["*"]),
        (
            "trusted_proxies",
            "10.0.0.7, 10.1.0.0/16,fd00::/8",
            ["10.0.0.7", "10.1.0.0/16", "fd00::/8"],
        ),
        ("root_path", "/a", ["/a"]),
        ("root_path", "/team/~x/v1.0/dandelion_2-b", ["/team/~x/v1.0/dandelion_2-b"]),
    ],
)
def test_lists_and_prefixes_are_read(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, entries: list[str]
) -> None:
    monkeypatch.setenv(f"DANDELION_{name.upper()}", value)
    assert settings.entries(getattr(settings.load(), name)) == entries


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("cors_origins", origin)
            for origin in (
                *("a.example", "https://a.example/", "https://a.example/page", "https://", "null"),
                *("HTTPS://a.example", "https://A.example", "https://a.example:443"),
                *("http://a.example:80", "https://*.example", "https://a.example;b", "*,*"),
                *("https://a.example *", "https://b.example,*", "https://user@a.example"),
            )
        ),
        *(
            ("trusted_proxies", proxy)
            for proxy in (
                "proxy",
                "10.0.0.1/8",
                "10.0.0.256",
                "10.0.0.1:80",
                "*,10.0.0.1",
                "::/129",
            )
        ),
        *(
            ("root_path", prefix)
            for prefix in ("/", "a", "/a/", "//a", "/a//b", "/a b", "/a?b", "/..", "/a/./b", "/%61")
        ),
    ],
)
def test_an_invalid_list_or_prefix_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"DANDELION_{name.upper()}", value)
    with pytest.raises(
        SettingsError, match=f"^DANDELION_{name.upper()}: [^\n]*expected "
    ) as caught:
        settings.load()
    assert "Value error" not in str(caught.value)


def test_a_secret_is_long_and_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "s3cret-" * 5
    monkeypatch.setenv("DANDELION_RECORD_HMAC_KEY", secret)
    found = settings.load()
    assert found.record_hmac_key is not None
    assert settings.secret_bytes(found.record_hmac_key) == secret.encode()
    assert "s3cret" not in repr(found) + str(found) + found.model_dump_json()
    monkeypatch.setenv("DANDELION_RECORD_HMAC_KEY", secret[:31])
    with pytest.raises(SettingsError, match="RECORD_HMAC_KEY: expected at least 32") as caught:
        settings.load()
    assert "s3cret" not in str(caught.value)


def test_a_secret_may_be_any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANDELION_RECORD_HMAC_KEY", os.fsdecode(b"\xff" * 32))
    found = settings.load().record_hmac_key
    assert found is not None
    assert settings.secret_bytes(found) == b"\xff" * 32
