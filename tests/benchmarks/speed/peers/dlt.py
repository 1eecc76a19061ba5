"""dlt: a custom resource that yields whole pages, parallelised over the accounts, into JSON lines on the file system.

As its guide to performance says: pages instead of single calls, `parallelized` resources on a pool of threads, orjson
(dlt takes it where it is installed), its own HTTP session with retries. The columns are declared, nested tables off,
files uncompressed. One process normalises: there is one core.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

os.environ |= {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "EXTRACT__WORKERS": "16",
    "EXTRACT__MAX_PARALLEL_ITEMS": "64",
    "NORMALIZE__WORKERS": "1",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
}  # before dlt reads it

import dlt
import orjson
from dlt.sources.helpers import requests

from tests.benchmarks.speed.peers.work import PATH, Work, given

COLUMNS: Final = {
    **{
        name: {"data_type": "text"}
        for name in (
            "call_id", "caller", "callee", "call_direction", "call_start_time", "call_end_time", "ring_time",
            "answer_time", "call_record_url",
        )
    },
    **{name: {"data_type": "bigint"} for name in ("account_id", "leads_id", "duration", "end_status")},
}  # fmt: skip


def pages(work: Work, account: int) -> Iterator[list[dict[str, Any]]]:
    """Every page of one account."""
    parameters = work.parameters(account)
    while True:
        response = requests.get(work.base_url + PATH, params=parameters)
        calls = orjson.loads(response.content)["data"]["entities"]
        if calls:
            yield calls
        if len(calls) < work.page_size:
            return
        parameters["search_after"] = calls[-1]["call_start_time"]


@dlt.source(max_table_nesting=0)
def source(work: Work) -> Iterator[Any]:
    """A resource an account, all into one table."""
    for account in work.accounts:
        yield dlt.resource(
            pages, name=f"calls_{account}", table_name="calls", columns=COLUMNS, parallelized=True
        )(work, account)  # fmt: skip


def main() -> None:
    """Extracts, normalises and loads."""
    work = given(__doc__)
    pipeline = dlt.pipeline(
        pipeline_name="calls",
        pipelines_dir=str(work.output / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(work.output / "landed").as_uri()),
        dataset_name="landing",
    )
    pipeline.run(source(work), loader_file_format="jsonl")


if __name__ == "__main__":
    main()
