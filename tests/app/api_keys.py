"""API keys for tests, one for each scope, and the settings that have them."""

from dandelion import api_keys
from dandelion.api_keys import Access, ApiKey


def key(name: str) -> str:
    """Return a key that looks like those that are generated, always the same one for a name."""
    return f"dandelion_{api_keys.digest(name.encode()).hex()[:43]}"


KEYS = {access: key(access) for access in Access}
EVERY_SCOPE = key("every scope")


def line(name: str, value: str, *scopes: Access, limit: int | None = None) -> str:
    """Return a key's line in the file."""
    digests = (api_keys.digest(value.encode()),)
    return api_keys.to_line(ApiKey(name, frozenset(scopes), digests, limit)) + "\n"


CONFIGURED = "".join(line(f"only-{access}", value, access) for access, value in KEYS.items())
CONFIGURED += line("all", EVERY_SCOPE, *Access)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}
