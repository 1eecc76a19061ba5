"""Listens to what answers say besides what was asked: the clock, the quota, the API's own words."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from harvester.api.accounts import ADVERTISER_PATH, ORGANIZATION_PATH
from harvester.api.envelope import Request, Response, http_date, read
from harvester.api.protocol import read_figure
from harvester.api.quota.figures import Figure
from harvester.api.tokens.oauth import EXTEND_PATH, ROTATE_PATH
from harvester.api.transport import Transport
from harvester.errors import AttemptError, Complaint

_RENEWALS = frozenset({EXTEND_PATH, ROTATE_PATH})
_LISTS = frozenset({ADVERTISER_PATH, ORGANIZATION_PATH})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The last answer, or why there was none.

    Attributes:
        status: The HTTP status; `None` when no answer came.
        complaint: What the API said instead of what was asked for; `None` when it gave that, or no answer came.
        unreachable: Whether no connection came about.
    """

    status: int | None = None
    complaint: Complaint | None = None
    unreachable: bool = False


class Ear:
    """A transport that listens to another one.

    Args:
        transport: Sends.
        wall: Unix seconds.

    Attributes:
        last: The last answer; `None` before the first.
        calls: What the API said last instead of what was asked for under a token; `None` when it gave that.
        renewal: The same of a renewal.
        figure: The last figures of a quota; `None` when there were none.
        lists: Requests for lists of accounts.
        skew_s: What has to be added to this machine's clock, from the answer that came soonest; `None` when none said.
    """

    def __init__(self, transport: Transport, wall: Callable[[], float]) -> None:
        self._transport = transport
        self._wall = wall
        self._soonest_s = inf
        self.last: Heard | None = None
        self.calls: Complaint | None = None
        self.renewal: Complaint | None = None
        self.figure: Figure | None = None
        self.lists = 0
        self.skew_s: float | None = None

    def forget(self) -> None:
        """What was said under one token says nothing of the next one."""
        self.last = self.calls = self.renewal = self.figure = None

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        self.lists += request.path in _LISTS
        renewing, sent_at = request.path in _RENEWALS, self._wall()
        try:
            response = await self._transport.send(request)
        except AttemptError as error:
            self.renewal = None if renewing else self.renewal
            self.last = Heard(unreachable=error.unreachable)
            raise
        fault = read(response, lambda _: None)
        complaint = fault.complaint if fault else None
        self.last = Heard(status=response.status, complaint=complaint)
        if renewing:
            self.renewal = complaint
        else:
            self.calls = complaint
        self.figure = read_figure(response) or self.figure
        self._compare(http_date(response), sent_at, self._wall())
        return response

    def _compare(self, date: float | None, sent_at: float, came_at: float) -> None:
        """A date has whole seconds, and is of some moment between the question and the answer."""
        took_s = came_at - sent_at
        if date is not None and took_s < self._soonest_s:
            self._soonest_s = took_s
            self.skew_s = date + 0.5 - (sent_at + came_at) / 2
