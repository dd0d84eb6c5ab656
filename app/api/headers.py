"""Headers of every response."""

from typing import Final

REQUEST_ID: Final = b"x-request-id"
DECISION_ID: Final = b"x-decision-id"

# No type is guessed, nothing is framed, no address is passed on.
SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
