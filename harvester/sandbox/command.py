"""`harvester sandbox`: the stand-in API from the command line."""

import datetime as dt
import signal
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from harvester.examples import examples
from harvester.sandbox.grants import SCOPES, Grant
from harvester.sandbox.options import switch_options
from harvester.sandbox.switches import REFRESH, Switches
from harvester.sandbox.world import World, beijing_day


@click.command("sandbox", epilog=examples("harvester sandbox"))
@click.option("--port", type=click.IntRange(0, 65_535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--accounts", type=click.IntRange(min=1), default=20, show_default=True, help="How many accounts.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, another world, other faults.")
@click.option("--days", type=click.IntRange(min=1), default=400, show_default=True, help="How far back calls go.")
@click.option(
    "--calls-per-day", type=click.FloatRange(min=0), default=200.0, show_default=True, help="Mean of accounts."
)
@click.option(
    "--skew",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="How unequal accounts are; 0: all are of one size.",
)
@click.option(
    "--tie-share", type=click.FloatRange(0, 1), default=0.02, show_default=True, help="Calls sharing a second."
)
@click.option("--tie-size", type=click.IntRange(min=0), default=0, show_default=True, help="Calls of a giant second.")
@click.option(
    "--tie-day-share", type=click.FloatRange(0, 1), default=0.1, show_default=True, help="Days that have one."
)
@click.option("--today", type=click.DateTime(["%Y-%m-%d"]), help="Calls end the day before.  [default: today, Beijing]")
@switch_options
@click.option(
    "--write-config", type=click.Path(dir_okay=False, path_type=Path), help="Write a config and its accounts."
)
def sandbox_command(port: int, today: dt.datetime | None, write_config: Path | None, **options: object) -> None:
    """Serve a stand-in for the API on loopback until interrupted; prints a config that harvests it."""
    import anyio  # noqa: PLC0415 - `harvester --help` need not wait for it

    now_s = time.time()
    settings = {"today": today.date() if today else beijing_day(now_s), **options}
    settings["grants"] = (the_grant(settings, now_s),)
    try:
        world, switches = World(**_known(World, settings)), Switches(**_known(Switches, settings))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        anyio.run(_serve, world, switches, port, write_config)
    except OSError as error:
        doing = (
            f"cannot write {error.filename}"
            if error.filename
            else f"cannot serve on port {port} (--port 0 takes a free one)"
        )
        raise click.ClickException(f"{doing}: {error.strerror or error}") from error


def the_grant(settings: Mapping[str, Any], now_s: float) -> Grant:
    """The one grant: its first access token is as young as the sandbox."""
    return Grant(
        refresh=REFRESH,
        expires_at=now_s + settings["access_life_s"],
        access_life_s=settings["access_life_s"],
        refresh_life_s=settings["refresh_life_s"],
        scopes=settings["scopes"] or SCOPES,
        kind=settings["kind"],
    )


def _known(kind: type[World | Switches], settings: Mapping[str, object]) -> dict[str, Any]:
    return {field.name: settings[field.name] for field in fields(kind) if field.name in settings}


async def _serve(world: World, switches: Switches, port: int, write_config: Path | None) -> None:
    import anyio  # noqa: PLC0415 - as above

    from harvester.sandbox.server import serve  # noqa: PLC0415 - aiohttp is slow to import

    async with serve(world, switches, port=port) as sandbox:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            _announce(sandbox.base_url, world, switches, write_config)
            async for _signal in signals:
                return


def _announce(base_url: str, world: World, switches: Switches, write_config: Path | None) -> None:
    """Print the address on stdout's first line, then a config, or write that with its accounts beside it."""
    click.echo(f"Serving {base_url}")
    if write_config is None:
        click.echo("\n" + config(base_url, switches, accounts=f"ids = {list(world.account_ids)}"))
        return
    accounts = write_config.with_suffix(".accounts.csv")
    write_config.parent.mkdir(parents=True, exist_ok=True)
    accounts.write_text("account_id\n" + "".join(f"{account_id}\n" for account_id in world.account_ids))
    write_config.write_text(config(base_url, switches, accounts=f'file = "{accounts.name}"'))
    click.echo(f"Now run: harvester run {write_config}")


def config(base_url: str, switches: Switches, *, accounts: str) -> str:
    """A nightly config, TOML, for a sandbox at this address.

    Args:
        base_url: Where it serves.
        switches: For its quotas and its first grant.
        accounts: The line of the `[accounts]` table.
    """
    names = ("requests_per_second", "requests_per_minute", "requests_per_day")
    grant = switches.grants[0]
    refresh = f'refresh_token = "{grant.refresh}"\n# renewal = "extend"   # or "rotate"\n' if grant.refresh else ""
    quotas = "".join(f"{name} = {limit}\n" for name in names if (limit := getattr(switches, name)) is not None)
    return f"""\
# A config for the sandbox at {base_url}
# What it holds: {base_url}/sandbox/accounts, {base_url}/sandbox/truth?account_id=…&start_date=…&end_date=…
[api]
base_url = "{base_url}"
page_size = {min(100, switches.max_page_size)}

[window]
start = "today-7"
end = "yesterday"

[output]
dir = "landing"

[apps.sandbox]
client_id = "{grant.client_id}"
client_secret = "{grant.client_secret}"
{quotas}
[tokens.sandbox]
app = "sandbox"
access_token = "{grant.access}"
{refresh}
[accounts]
{accounts}
"""
