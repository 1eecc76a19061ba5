"""The floor: what aiohttp and orjson cost, and nothing else. No retries, no limits, no dedupe, no days, no durability.

`python -m tests.benchmarks.speed.floor --base-url URL --accounts FILE --start D --end D --page-size N --output DIR`
walks every account by its bare cursor, 16 at a time, and writes the calls of all of them into one NDJSON file.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import orjson
from yarl import URL

WALKS = 16


async def walk(session: aiohttp.ClientSession, url: str, size: int, out: BinaryIO) -> None:
    """One account to its end; `url` has all parameters but the cursor."""
    after = ""
    while True:
        async with session.get(URL(url + after, encoded=True)) as response:
            entities: list[dict[str, Any]] = orjson.loads(await response.read())["data"]["entities"]
        if entities:
            out.write(b"\n".join([orjson.dumps(one) for one in entities]) + b"\n")
        if len(entities) < size:
            return
        after = "&search_after=" + entities[-1]["call_start_time"].replace(" ", "%20")


async def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--accounts", type=Path, required=True, help="a file with an id a line")
    parser.add_argument("--start", required=True)
    parser.add_argument("--end", required=True)
    parser.add_argument("--page-size", type=int, default=100)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    accounts = iter(given.accounts.read_text().split())
    url = (
        f"{given.base_url}/v3.0/leads_call_records/get?access_token=none&timestamp=0&nonce=0&account_id={{}}&page=1"
        f"&page_size={given.page_size}&start_date={given.start}&end_date={given.end}"
    )
    given.output.mkdir(parents=True, exist_ok=True)

    async def work() -> None:
        for account in accounts:
            await walk(session, url.format(account), given.page_size, out)

    with (given.output / "calls.ndjson").open("wb") as out:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(work() for _ in range(WALKS)))


if __name__ == "__main__":
    asyncio.run(main())
