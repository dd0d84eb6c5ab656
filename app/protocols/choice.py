"""Which of the protocols are served."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from starlette.types import ASGIApp

from ..api.inference import Inference
from ..api.problems import Render
from ..serving.registry import Registry
from ..settings import Settings, SettingsError, entries, source
from . import open_inference, perspective, perspective_wire


class Protocol(NamedTuple):
    """Another service's wire format.

    Attributes:
        prefixes: of its paths.
        wrap: returns what handles its paths and passes all others on to the application.
        render: writes errors in its form; for unknown paths below the prefixes, too.
    """

    prefixes: tuple[str, ...]
    wrap: Callable[[ASGIApp, Settings, Registry, Inference], ASGIApp]
    render: Render


PROTOCOLS: Final[Mapping[str, Protocol]] = MappingProxyType(
    {
        "open-inference": Protocol(
            open_inference.PREFIXES, open_inference.wrap, open_inference.render
        ),
        "perspective": Protocol(perspective.PREFIXES, perspective.wrap, perspective_wire.render),
    }
)
"""By the names in `Settings.protocols`."""


def wrap(
    app: ASGIApp, settings: Settings, registry: Registry, inference: Inference
) -> tuple[ASGIApp, dict[str, Render]]:
    """Serve the chosen protocols in front of an application.

    Returns:
        What handles every path; and, by the prefix of paths, how errors are written.

    Raises:
        SettingsError: there is no such protocol.
    """
    renders: dict[str, Render] = {}
    for name in dict.fromkeys(entries(settings.protocols)):
        protocol = PROTOCOLS.get(name)
        if protocol is None:
            raise SettingsError(
                f"{source('protocols')}: no such protocol; available: {', '.join(PROTOCOLS)}"
            )
        app = protocol.wrap(app, settings, registry, inference)
        for prefix in protocol.prefixes:  # a proxy may or may not have removed the root path
            renders |= dict.fromkeys((prefix, settings.root_path + prefix), protocol.render)
    return app, renders
