"""`harvester doctor`: is it well, and what is to be mended?"""

import logging
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harvester.config import Settings
    from harvester.harvest.checkup.files import Papers


@click.command("doctor")
@click.argument("config", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--no-probe", "probe", flag_value=False, default=True, help="Ask the API nothing.")
@click.option("--account", type=int, metavar="ID", help="Whose calls show what no document says of the API.")
@click.option("--json", "as_json", is_flag=True, help="Every finding, as JSON.")
def doctor_command(config: Path, *, probe: bool, account: int | None, as_json: bool) -> None:
    """Check config, files, ledger, disk, clock, every token, the quota: is all well, and what is to be mended?

    Asks the API once under each token, and about 15 times for one account's calls, to find out what no document says.
    That counts against the quota as a run's requests do, and holds the lock for as long; while a run is going nothing
    is asked.

    Exit codes: 0 healthy, or nothing but notes and warnings; 3 a run would lose a part of the night, such as all under
    a token; 4 storage; 5 no token works; 8 the API gives no usable answer, or the day's quota is used up; 2 usage or
    config. Where several would fit: 4 before 5 before 8 before 3.
    """
    import anyio

    from harvester.assign import Options, assignment_of
    from harvester.config import load
    from harvester.harvest.doctor import Orders, examine
    from harvester.model import BEIJING, AccountId
    from harvester.report.health import in_words, to_json
    from harvester.report.logs import set_up

    set_up("text", quiet=True)
    logging.getLogger("harvester").setLevel(logging.CRITICAL)  # what it would tell is among the findings
    settings = load(config)
    assignment = assignment_of(settings, Options(), datetime.now(BEIJING).date())
    chosen = None if account is None else AccountId(account)
    orders = Orders(papers=_papers(settings), probe=probe, account=chosen)
    health = anyio.run(examine, assignment, orders)
    click.echo(_as_json(to_json(health)) if as_json else in_words(health))
    sys.exit(health.exit_code)


def _papers(settings: "Settings") -> "Papers":
    """The files that hold secrets: the config names each value's origin."""
    from harvester.harvest.checkup.files import Papers

    keys = [f"apps.{name}.client_secret" for name in settings.apps]
    keys += [f"tokens.{name}.{key}" for name in settings.tokens for key in ("access_token", "refresh_token")]
    keys += [f"notify.{number}.{key}" for number in range(len(settings.notify)) for key in ("url", "secret")]
    origins = [origin for key in keys for origin in settings.origins.get(key, "").split(", ") if origin]
    named = [settings.source.parent / origin.removeprefix("file ") for origin in origins if origin.startswith("file ")]
    literal = [settings.source] if any(origin.startswith("config file") for origin in origins) else []
    return Papers(config=settings.source, secrets=tuple(dict.fromkeys([*literal, *named])), notes=settings.notes)


def _as_json(value: object) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
