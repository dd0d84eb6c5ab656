"""Variables that Kubernetes sets for its Services, which may have the prefix of the settings.

Every pod gets them for each Service of its namespace, unless its specification has
``enableServiceLinks: false``. The name of the Service comes first, in capitals and with ``_`` for
``-``. A Service ``dandelion`` on port 8000, named ``http``, leads to::

    DANDELION_SERVICE_HOST=10.0.0.1         DANDELION_PORT_8000_TCP=tcp://10.0.0.1:8000
    DANDELION_SERVICE_PORT=8000             DANDELION_PORT_8000_TCP_PROTO=tcp
    DANDELION_SERVICE_PORT_HTTP=8000        DANDELION_PORT_8000_TCP_PORT=8000
    DANDELION_PORT=tcp://10.0.0.1:8000      DANDELION_PORT_8000_TCP_ADDR=10.0.0.1

Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""

import re
from typing import Final

_NAME: Final = re.compile(
    r"[A-Z0-9_]+_(?:"
    r"SERVICE_HOST"
    r"|SERVICE_PORT(?:_[A-Z0-9_]+)?"  # followed by the name of the port
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?"
    r")"
)
# This name may also be a setting: the value decides.
_PORT: Final = re.compile(r"[A-Z0-9_]+_PORT")
_URL: Final = re.compile(r"(?:tcp|udp|sctp)://\S+:[0-9]+")


def is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes has set this variable for a Service.

    Example:
        >>> is_service_link("DANDELION_PORT", "tcp://10.0.0.1:8000")
        True
        >>> is_service_link("DANDELION_PORT", "8000")
        False
    """
    if _PORT.fullmatch(name) and _URL.fullmatch(value):
        return True
    return _NAME.fullmatch(name) is not None
