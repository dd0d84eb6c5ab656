"""What the supervisor and the processes of every generation have in common."""

from dataclasses import dataclass

from ..serving.generations import Reports
from ..serving.phase import SharedPhase
from . import server
from .requests import Requests


@dataclass(frozen=True)
class Times:
    """The time limits of a service, in seconds.

    Attributes:
        drain: from SIGTERM until the service stops; it serves, but is not ready.
        grace: for requests in flight when it stops.
        load: until the workers of another generation serve.
        retire: until the workers of the previous generation close idle connections.
    """

    drain: float = 0
    grace: float = 0
    load: float = 60
    retire: float = 0

    @property
    def stop(self) -> float:
        """After which a worker that was asked to stop is killed."""
        return self.grace + server.MARGIN_S


class Shared:
    """Memory and a pipe that every process of a service has.

    Attributes:
        service: the phase of the service as a whole; never `Phase.RETIRING`.
        reports: what became of each generation.
        requests: from workers.
    """

    def __init__(self) -> None:
        self.service = SharedPhase()
        self.reports = Reports()
        self.requests = Requests()
