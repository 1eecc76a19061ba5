"""A process that asks for one page and renews its token on the way: `python -m tests.crashes.renewer --url …`.

It kills itself after a step of the renewal, if told to. What it prints is the page, or what the token died of.
"""

import argparse
import os
import signal
import time
from collections import Counter
from pathlib import Path

import anyio

from harvester.api.client import Client
from harvester.api.effort import Retry, Surroundings
from harvester.api.quota import Limits, Quota
from harvester.api.tokens import Credentials, Renewal, Tokens, store
from harvester.api.tokens.apart import Apart
from harvester.api.tokens.store import Step, TokenStore
from harvester.api.traffic import Traffic
from harvester.api.transport import AiohttpTransport
from harvester.errors import TokenFault
from harvester.model import Account, AccountId, AppName, Page, Query, TokenName, Window
from harvester.sandbox.grants import ACCESS, CLIENT_ID, CLIENT_SECRET, REFRESH
from harvester.sandbox.world import beijing_day
from harvester.secret import Secret

APP, TOKEN = AppName("main"), TokenName("agency")


def main() -> None:
    """Asks, and says what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--account", type=int, required=True)
    parser.add_argument("--how", type=Renewal, required=True)
    parser.add_argument("--at", type=Step)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--apart", action="store_true")
    given = parser.parse_args()
    passes = Counter[Step]()

    def passed(step: Step) -> None:
        passes[step] += 1
        if step is given.at and passes[step] == given.nth:
            os.kill(os.getpid(), signal.SIGKILL)

    store.passed = passed
    print(anyio.run(_ask, given))  # noqa: T201 - that is what it is for


async def _ask(given: argparse.Namespace) -> str:
    credentials = Credentials(
        app=APP,
        access=Secret(ACCESS),
        refresh=Secret(REFRESH),
        client_id=CLIENT_ID,
        client_secret=Secret(CLIENT_SECRET),
        renewal=given.how,
    )
    today = beijing_day(time.time())
    query = Query(account_id=AccountId(given.account), window=Window(today, today), page=1, page_size=10)
    account = Account(id=query.account_id, token=TOKEN, app=APP)
    async with AiohttpTransport(given.url, timeout_s=10) as transport:
        apart = Apart(base_url=given.url, timeout_s=10, folder=given.folder) if given.apart else None
        tokens = Tokens({TOKEN: credentials}, transport, time.time, store=TokenStore(given.folder), apart=apart)
        quotas = {APP: Quota(APP, Limits(), Traffic(4, time.time))}
        client = Client(transport, quotas, tokens, Retry(), Surroundings(wall=time.time, chance=lambda: 0.5))
        try:
            answer = await client.fetch(account, query)
        except TokenFault:
            return tokens.dead[TOKEN]
    return "a page" if isinstance(answer, Page) else str(answer)


if __name__ == "__main__":
    main()
