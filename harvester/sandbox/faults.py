"""What can go wrong with an answer, as values, and which request it happens to. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self


class FaultKind(StrEnum):
    """One way to go wrong; every one was judged by the sandbox as a good request first, so it has used its nonce."""

    RESET = "reset"
    """The connection is reset before the first header."""
    CLOSE = "close"
    """A good answer that promises to keep the connection, which is closed right behind it."""
    CUT = "cut"
    """Half of the promised body, then the connection is closed."""
    GARBAGE = "garbage"
    """HTTP 200 and half of a JSON text, its length promised rightly."""
    BAD_GATEWAY = "bad-gateway"
    """HTTP 502 with a gateway's HTML."""
    UNAVAILABLE = "unavailable"
    """HTTP 503, no body."""
    CODE = "code"
    """HTTP 200 and a business error; written `code:51001`."""
    HUGE = "huge"
    """A good beginning of a body that goes on for `Switches.fault_bytes`."""
    BOMB = "bomb"
    """A small gzip body that becomes `Switches.fault_bytes`."""
    REDIRECT = "redirect"
    """HTTP 302 to another host, which must not be told the token."""
    HANG = "hang"
    """No answer until the client goes."""
    DRIP = "drip"
    """A good answer in sixteen pieces, `Switches.drip_s` apart."""
    STALL = "stall"
    """Headers and half of the promised body, then nothing until the client goes."""
    HTML = "html"
    """HTTP 200 with a page of HTML, such as a login or a captcha in between."""
    NOISE = "noise"
    """Bytes that are no HTTP, then the connection is closed."""
    TOO_MANY = "too-many"
    """HTTP 429 with `Retry-After: 7`, no envelope."""
    LOOP = "loop"
    """HTTP 302 to the request itself, by a relative address; whoever follows it meets the same again, for ever."""
    SERVER_ERROR = "server-error"
    """HTTP 500 with HTML."""
    ODD_GZIP = "odd-gzip"
    """A good answer that claims to be compressed and is not."""
    LONG_HEADER = "long-header"
    """A good answer with a header of a mebibyte."""


IN_FRONT: Final = frozenset(
    {
        FaultKind.BAD_GATEWAY, FaultKind.UNAVAILABLE, FaultKind.SERVER_ERROR, FaultKind.HTML,
        FaultKind.REDIRECT, FaultKind.LOOP, FaultKind.TOO_MANY,
    }
)  # fmt: skip
"""Something in front of the API answers: a request for tokens has changed none. After all others but a code it has."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: Which.
        code: The return code of `FaultKind.CODE`; 0 for all others.
    """

    kind: FaultKind
    code: int = 0

    def __post_init__(self) -> None:
        if (self.kind is FaultKind.CODE) != (self.code > 0):
            raise ValueError(f"a return code above 0 goes with the fault 'code' and with no other: {self}")

    def __str__(self) -> str:
        return f"{self.kind}:{self.code}" if self.code else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Self:
        """A fault by its name: `reset`, or with a return code `code:51001`.

        Raises:
            ValueError: There is no such fault.
        """
        kind, _, code = text.partition(":")
        return cls(FaultKind(kind), int(code or 0))

    @classmethod
    def of(cls, what: int | str) -> Self:
        """The fault of a return code, or the one of a name.

        Raises:
            ValueError: There is no such fault.
        """
        return cls(FaultKind.CODE, what) if isinstance(what, int) else cls.parse(what)


def pick(faults: Mapping[Fault, float], share: float) -> Fault | None:
    """The fault that a uniform number from 0 to 1 falls on; `None`: none. Probabilities add up to at most 1."""
    for fault, probability in faults.items():
        share -= probability
        if share < 0:
            return fault
    return None
