"""The program as a shell sees it: at debug level, against an echo on real time."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from harvester.model import ONE_DAY, Window
from harvester.sandbox.grants import CLIENT_ID, Grant
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World, beijing_day
from tests.secrets.stage import PLAIN, Keys
from tests.secrets_hunt import (
    Echo,
    Hunt,
    echoing,
    phones_of,
)  # fmt: skip

ROOT = Path(__file__).parent.parent.parent
LOUD = (sys.executable, "-X", "dev", "-X", "faulthandler", "-m", "tests.secrets_hunt")


def environment(keys: Keys) -> dict[str, str]:
    """What `write_config` refers to."""
    return {"HARVESTER_TOKEN": keys.access, "HARVESTER_REFRESH": keys.refresh, "HARVESTER_SECRET": keys.client}


def write_config(folder: Path, base_url: str, *, ids: str = "ids = [7]\n", renewal: str = "extend") -> Path:
    """A config that holds no secret by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nightly.toml"
    config.write_text(
        f'[api]\nbase_url = "{base_url}"\npage_size = 3\n[window]\nstart = "today-2"\n'
        '[retry]\nattempts = 2\nmax_backoff = "5ms"\ngive_up_after = "1s"\n'
        f'[apps.app]\nclient_id = "{CLIENT_ID}"\nclient_secret = "${{HARVESTER_SECRET}}"\n'
        '[tokens.agency]\naccess_token = "${HARVESTER_TOKEN}"\nrefresh_token = "${HARVESTER_REFRESH}"\n'
        f'renewal = "{renewal}"\n[accounts]\n{ids}'
    )
    return config


def program(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the program at debug level to its end, whatever the umask."""
    return subprocess.run(
        [*LOUD, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | env,
        check=False,
        timeout=120,
        umask=0,
    )


@dataclass
class Town:
    """An echo on real time, and a config for it."""

    echo: Echo
    hunt: Hunt
    config: Path

    def look(self, *texts: str) -> None:
        """Searches what was said, and all that lies beside the config."""
        for text in texts:
            self.hunt.in_text("what was printed", text)
        self.hunt.in_folder(self.config.parent, tokens=self.config.parent / "landing" / ".harvester" / "tokens")
        assert self.hunt.nothing()


@contextmanager
def town(folder: Path, keys: Keys = PLAIN, renewal: str = "extend", **switches: object) -> Iterator[Town]:
    """Serves an echo from another thread."""
    today = beijing_day(time.time())
    world = World(accounts=2, calls_per_day=6, today=today)
    phones = phones_of(world, Window(today - ONE_DAY * 2, today - ONE_DAY))
    hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client}, phones)
    grant = Grant(name="grant", access=keys.access, refresh=keys.refresh, client_secret=keys.client)
    options = Switches(**{"grants": (grant,), **switches})  # type: ignore[arg-type]  # a test's shorthand
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(echoing(world, options, time.time)) as echo,
    ):
        echo.arm(hunt)
        ids = f"ids = {list(world.account_ids)}\n"
        yield Town(echo, hunt, write_config(folder, echo.base_url, ids=ids, renewal=renewal))
