import gc
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.virtual_time import VirtualTimeLoop

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it, with a name that nobody can guess
"""Where syncing a file is free."""
MEMORY_BYTES: Final = 2 * 2**30
"""What must be free there; the files of all tests together take a fifth of it."""

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.hookimpl(tryfirst=True)  # before pytest makes up its mind where `tmp_path` is
def pytest_configure(config: pytest.Config) -> None:
    """Every temporary folder is in memory, if there is room and no `--basetemp`; nothing of it outlives the tests."""
    if config.option.basetemp is not None:
        return
    try:
        if shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
            return
        root = Path(tempfile.mkdtemp(prefix="harvester-tests-", dir=MEMORY))
    except OSError:
        return
    config.add_cleanup(lambda: shutil.rmtree(root, ignore_errors=True))
    root.chmod(0o711)  # a test that goes on as somebody else must come through
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(tempfile, "tempdir", str(root))
    patch.setenv("TMPDIR", str(root))  # for the processes that run some of the tests each
    patch.setattr(config.option, "basetemp", root / "pytest")
    if sys.dont_write_bytecode:  # hundreds of processes would compile the program anew, each for itself
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(root / "bytecode"))


def pytest_collection_finish() -> None:
    """What is there to the end, thousands of tests, is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Every async test runs on asyncio, in virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}
