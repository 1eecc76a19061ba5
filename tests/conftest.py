import pytest
from hypothesis import settings

from tests.virtual_time import VirtualTimeLoop

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Every async test runs on asyncio, in virtual time."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}
