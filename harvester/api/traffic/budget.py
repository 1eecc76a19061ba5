"""What a whole run may use, all apps together. Pure."""

from dataclasses import dataclass

from harvester.api.decisions import GO, Decision, Over


@dataclass(slots=True, kw_only=True)
class Budget:
    """A run's requests and time.

    Attributes:
        requests_left: Requests that may still be sent; `None` for any number.
        deadline: Loop time from which on none is sent; `None` for never.
    """

    requests_left: int | None = None
    deadline: float | None = None

    def decide(self, at: float) -> Decision:
        """Whether something may be sent at loop time `at`, now or later."""
        if self.requests_left is not None and self.requests_left <= 0:
            return Over("the run's budget of requests (--max-requests) is used up")
        if self.deadline is not None and at >= self.deadline:
            return Over("the run's time (--max-duration) is over")
        return GO

    def take(self) -> None:
        """Counts one request."""
        if self.requests_left is not None:
            self.requests_left -= 1
