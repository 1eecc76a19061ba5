"""Scrapy, tuned: 16 requests at a time, retries on, everything off that is not needed.

As an expert would: the callback parses a page once, with orjson, and writes its calls into one file. With `--feed` the
callback yields the calls, and Scrapy's own JSON-lines exporter writes them, as its tutorial shows.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

from tests.benchmarks.speed.peers.work import IN_FLIGHT, PATH, Work, given

SETTINGS: Final = {
    "AUTOTHROTTLE_ENABLED": False,
    "CONCURRENT_REQUESTS": IN_FLIGHT,
    "CONCURRENT_REQUESTS_PER_DOMAIN": IN_FLIGHT,
    "COOKIES_ENABLED": False,
    "DOWNLOAD_DELAY": 0,
    "EXTENSIONS": dict.fromkeys(
        ("scrapy.extensions.corestats.CoreStats", "scrapy.extensions.logstats.LogStats",
         "scrapy.extensions.memusage.MemoryUsage", "scrapy.extensions.telnet.TelnetConsole"),
    ),
    "HTTPCACHE_ENABLED": False,
    "LOG_ENABLED": False,
    "REDIRECT_ENABLED": False,
    "RETRY_ENABLED": True,
    "ROBOTSTXT_OBEY": False,
    "TELNETCONSOLE_ENABLED": False,
}  # fmt: skip


class Calls(Spider):
    """Walks every account; `dont_filter` spares the fingerprint of URLs that never repeat."""

    name = "calls"
    work: Work

    async def start(self) -> AsyncIterator[Request]:
        """The first page of every account."""
        self.file = None if self.work.feed else (self.work.output / "calls.ndjson").open("wb")
        for account in self.work.accounts:
            url = f"{self.work.base_url}{PATH}?{urlencode(self.work.parameters(account))}"
            yield Request(url, dont_filter=True, cb_kwargs={"first": url})

    def parse(self, response: Response, first: str) -> Iterator[Request | dict[str, Any]]:
        """One page: its calls, and the next page if it is full."""
        calls = orjson.loads(response.body)["data"]["entities"]
        if self.file is None:
            yield from calls
        elif calls:
            self.file.write(b"\n".join([orjson.dumps(call) for call in calls]) + b"\n")
        if len(calls) == self.work.page_size:
            after = urlencode({"search_after": calls[-1]["call_start_time"]})
            yield Request(f"{first}&{after}", dont_filter=True, cb_kwargs={"first": first})

    def closed(self, reason: str) -> None:
        """Once, at the end."""
        if self.file:
            self.file.close()
        if reason != "finished":
            raise SystemExit(reason)


def main() -> None:
    """Crawls."""
    work = given(__doc__)
    feeds = {str(work.output / "calls.jsonl"): {"format": "jsonlines", "encoding": "utf-8"}} if work.feed else {}
    process = CrawlerProcess({**SETTINGS, "FEEDS": feeds})
    process.crawl(Calls, work=work)
    process.start()


if __name__ == "__main__":
    main()
