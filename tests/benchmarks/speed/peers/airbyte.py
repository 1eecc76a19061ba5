"""A connector on the Airbyte CDK: a declarative manifest, a partition an account, read concurrently.

The manifest is what its builder makes of such an API, with the concurrency level that suits one core. Messages go into
one buffered file instead of through `print`. It is a source alone: a destination would come on top.
"""

import json
import logging
from pathlib import Path
from typing import Any, Final

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from tests.benchmarks.speed.peers.work import PATH, Work, given

CONCURRENCY: Final = 4
"""Threads; more were slower on one core."""
_TEXTS: Final = (
    "call_id", "caller", "callee", "call_direction", "call_start_time", "call_end_time", "ring_time", "answer_time",
    "call_record_url",
)  # fmt: skip
_NUMBERS: Final = ("account_id", "leads_id", "duration", "end_status")
SCHEMA: Final = {
    "type": "object",
    "properties": {
        **{name: {"type": ["string", "null"]} for name in _TEXTS},
        **{name: {"type": ["integer", "null"]} for name in _NUMBERS},
    },
}
CATALOG: Final = {
    "streams": [
        {
            "stream": {"name": "calls", "json_schema": SCHEMA, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
    ]
}


def manifest(work: Work) -> dict[str, Any]:
    """The connector, as its YAML file would have it."""
    accounts = [str(account) for account in work.accounts]
    of_all = {name: value for name, value in work.parameters(0).items() if name not in ("account_id", "page_size")}
    stream = {
        "type": "DeclarativeStream",
        "name": "calls",
        "primary_key": ["call_id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": work.base_url,
                "path": PATH,
                "http_method": "GET",
                "request_parameters": of_all,
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data", "entities"]},
            },
            "partition_router": {
                "type": "ListPartitionRouter",
                "cursor_field": "account_id",
                "values": accounts,
                "request_option": _parameter("account_id"),
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_size_option": _parameter("page_size"),
                "page_token_option": _parameter("search_after"),
                "pagination_strategy": {
                    "type": "CursorPagination",
                    "page_size": work.page_size,
                    "cursor_value": "{{ last_record['call_start_time'] }}",
                    "stop_condition": "{{ last_page_size < page_size }}",
                },
            },
        },
        "schema_loader": {"type": "InlineSchemaLoader", "schema": SCHEMA},
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["calls"]},
        "streams": [stream],
        "concurrency_level": {"type": "ConcurrencyLevel", "default_concurrency": CONCURRENCY},
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }


def _parameter(name: str) -> dict[str, str]:
    return {"type": "RequestOption", "inject_into": "request_parameter", "field_name": name}


def _file(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def main() -> None:
    """Reads."""
    work = given(__doc__)
    logging.disable(logging.INFO)
    arguments = AirbyteEntrypoint.parse_args([
        "read",
        "--config", _file(work.output / "config.txt", {}),
        "--catalog", _file(work.output / "catalog.txt", CATALOG),
    ])  # fmt: skip
    source = ConcurrentDeclarativeSource(catalog=None, config={}, state=None, source_config=manifest(work))
    with (work.output / "messages.ndjson").open("w", encoding="utf-8", buffering=2**20) as file:
        for message in AirbyteEntrypoint(source).run(arguments):
            file.write(message + "\n")


if __name__ == "__main__":
    main()
