"""A rotation in a process of its own, which a signal to the run does not reach.

A rotation kills the old pair before its answer is here (documented). Were the run to be killed between the answer and
the disk, nobody would have a pair that works. So a process that does nothing else asks, stores and ends; the run reads
the store. Secrets travel through a pipe, never as arguments.
"""

import json
import logging
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final

import anyio

from harvester.api.tokens.keeper import Keeper
from harvester.api.tokens.life import Life
from harvester.api.tokens.pair import Credentials, Renewal
from harvester.api.tokens.renewing import Renewer, Result
from harvester.api.tokens.store import TokenStore
from harvester.api.tokens.stored import held
from harvester.api.transport import AiohttpTransport
from harvester.errors import StorageError
from harvester.model import AppName, TokenName
from harvester.secret import Secret

_POLL_S: Final = 0.02
_running: Final = set["subprocess.Popen[bytes]"]()
"""What nobody waits for any more is not to be taken for a leak."""
_COMMAND: Final = (sys.executable, "-P", "-m", "harvester.api.tokens.apart")
"""Nothing of the working directory is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """Where a process of its own renews tokens.

    Attributes:
        base_url: Scheme, host and port of the API.
        timeout_s: For one attempt.
        folder: The store's.
    """

    base_url: str
    timeout_s: float
    folder: Path

    async def renew(self, keeper: Keeper) -> Result:
        """Lets a process of its own renew it; what it got is in the store then.

        Raises:
            StorageError: It could not store anything.

        Cancellation: at once; the process goes on, and what it gets is in the store.
        """
        try:
            process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own words; it starts in milliseconds
                _COMMAND, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, start_new_session=True
            )
            said = await _answer(process, json.dumps(self._errand(keeper)).encode())
            result = json.loads(said)
        except (OSError, ValueError) as error:
            return Result(failure=f"the process that renews could not do it ({type(error).__name__})")
        if "storage" in result:
            raise StorageError(result["storage"])
        return Result(**result)

    def _errand(self, keeper: Keeper) -> dict[str, Any]:
        one = keeper.credentials
        return {
            "base_url": self.base_url,
            "timeout_s": self.timeout_s,
            "folder": str(self.folder),
            "name": keeper.name,
            "serial": keeper.life.serial,
            "access": one.access.reveal(),
            "refresh": one.refresh.reveal() if one.refresh else None,
            "client_id": one.client_id,
            "client_secret": one.client_secret.reveal() if one.client_secret else None,
        }


async def _answer(process: "subprocess.Popen[bytes]", errand: bytes) -> bytes:
    """What it says when it has ended. Not asyncio's own way, which kills the process when nobody waits any more."""
    _running.add(process)
    if process.stdin is None or process.stdout is None:
        raise ValueError("a process without pipes")
    with process.stdin as its_stdin:
        its_stdin.write(errand)
    while process.poll() is None:  # noqa: ASYNC110 - nothing else would tell
        await anyio.sleep(_POLL_S)
    _running.discard(process)
    with process.stdout as its_stdout:
        return its_stdout.read()


async def _run(errand: dict[str, Any]) -> Result:
    """The errand, in the process of its own."""
    store = TokenStore(Path(errand["folder"]))
    credentials = Credentials(
        app=AppName(""),
        access=Secret(errand["access"]),
        refresh=Secret(errand["refresh"]) if errand["refresh"] else None,
        client_id=errand["client_id"],
        client_secret=Secret(errand["client_secret"]),
        renewal=Renewal.ROTATE,
    )
    name = TokenName(errand["name"])
    pair, former = held(credentials, store.read(name))
    keeper = Keeper(
        name, credentials, Life(pair=pair, former=former, serial=errand["serial"], renewable=True, equipped=True)
    )
    async with AiohttpTransport(errand["base_url"], timeout_s=errand["timeout_s"]) as transport:
        return await Renewer(transport, time.time, store).attempt(keeper)


def main() -> None:
    """Reads an errand from stdin, and writes what came of it to stdout; holds no secret any more then."""
    logging.disable()
    try:
        result = anyio.run(_run, json.load(sys.stdin))
        said = asdict(result)
    except StorageError as error:
        said = {"storage": str(error)}
    print(json.dumps(said))  # noqa: T201 - its only word


if __name__ == "__main__":
    main()
