"""The files under `runs/`: what the latest runs did. Reads; one file at a time, and of each what the page needs."""

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from harvester.disk import storage
from harvester.model import BEIJING
from harvester.page.values import Cause, Run, Runs
from harvester.page.words import shown

_READ: Final = 60
_CAUSES: Final = 20
_SIZE_MOST: Final = 2**28
_TRACE: Final = re.compile(r" \(trace [^)]*\)")
"""Each answer has a trace id of its own: a cause has none."""


class _Trouble(msgspec.Struct):
    status: str
    reason: str


class _File(msgspec.Struct):
    """What is looked at of a run's file; fields that an older harvester did not write have defaults."""

    run_id: str
    started: datetime
    complete: bool
    exit_code: int
    ended: datetime | None = None
    accounts: int = 0
    calls: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    quarantined: int = 0
    requests: Mapping[str, int] = {}
    failed_attempts: int = 0
    not_begun: int = 0
    ended_by: str | None = None
    dead_tokens: Mapping[str, str] = {}
    troubles: Sequence[_Trouble] = ()


_decode: Final = msgspec.json.Decoder(_File).decode


def latest_runs(folder: Path) -> Runs:
    """The latest runs, the last one last; a file that cannot be read is named.

    Args:
        folder: `runs/` of the landing zone; it need not be there.

    Raises:
        StorageError: The folder cannot be read.
    """
    with storage(folder, "read"):
        names = sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208 - names are all that is wanted
    names = [name for name in names if name.endswith(".json")]
    found: list[tuple[Run, list[Cause]]] = []
    damaged: list[tuple[str, str]] = []
    for name in names[-_READ:]:
        try:
            run = _read(folder / name)
        except (OSError, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
            damaged.append((shown(name), _why(error)))
            continue
        found.append((_run_of(run), _causes(run)))
    found.sort(key=lambda pair: pair[0].started)
    return Runs(
        runs=tuple(run for run, _ in found),
        damaged=tuple(damaged),
        causes=tuple(found[-1][1]) if found else (),
        older=max(0, len(names) - _READ),
    )


def _read(path: Path) -> _File:
    if path.stat().st_size > _SIZE_MOST:
        raise ValueError("it is larger than any run's file")
    return _decode(path.read_bytes())


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or type(error).__name__}"
    return f"not a run's file: {shown(error)}"


def _run_of(file: _File) -> Run:
    started = file.started if file.started.tzinfo else file.started.replace(tzinfo=BEIJING)
    ended = file.ended or started
    ended = ended if ended.tzinfo else ended.replace(tzinfo=BEIJING)
    return Run(
        run_id=shown(file.run_id),
        started=started.astimezone(BEIJING),
        seconds=max(0.0, (ended - started).total_seconds()),
        complete=file.complete,
        exit_code=file.exit_code,
        accounts=file.accounts,
        calls=file.calls,
        new=file.new,
        changed=file.changed,
        missing=file.missing,
        quarantined=file.quarantined,
        requests=sum(file.requests.values()),
        failed_attempts=file.failed_attempts,
        lacking=len(file.troubles) + file.not_begun,
        ended_by=shown(file.ended_by) if file.ended_by else None,
        dead_tokens={shown(name): shown(why) for name, why in file.dead_tokens.items()},
    )


def _causes(file: _File) -> list[Cause]:
    by_cause = Counter((one.status, _TRACE.sub("", one.reason)) for one in file.troubles)
    return [
        Cause(status=shown(status), reason=shown(reason), slices=slices)
        for (status, reason), slices in by_cause.most_common(_CAUSES)
    ]
