"""One logical call of any endpoint: what is sent, and how its answer is read. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from harvester.api.codes import Fault
from harvester.api.envelope import Passport, Request, Response
from harvester.model import AccountId, AppName, TokenName

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[Answer]):
    """What is asked for.

    Attributes:
        what: For logs and errors: "account 2045867 2026-10-01..2026-10-30".
        app: Whose quota it uses.
        token: Under which it is asked.
        account_id: Which account it is about; 0 for none. Failures of one account are no outage.
        request: Makes the request of an attempt, from the token, nonce and timestamp of that attempt.
        read: Reads an answer.
        ahead: Whether it goes before calls that begin something new: how many follow it, from 1; 0 for not.
        attempts: How often it is tried at most, the first included; `None`: as the config says.
        patient: Whether it is repeated until an API that is down is up again; what may be the reason itself is not.
    """

    what: str
    app: AppName
    token: TokenName
    account_id: AccountId | None = None
    request: Callable[[Passport], Request]
    read: Callable[[Response], Answer | Fault]
    ahead: int = 0
    attempts: int | None = None
    patient: bool = True
