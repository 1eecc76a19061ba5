import time

import anyio
import pytest

pytestmark = pytest.mark.anyio


async def test_sleeping_an_hour_takes_no_time() -> None:
    """A sleep moves the loop's clock by its length, and the wall clock hardly at all."""
    before, started = anyio.current_time(), time.monotonic()
    await anyio.sleep(3600)
    assert anyio.current_time() - before == pytest.approx(3600, abs=0.01)
    assert time.monotonic() - started < 30


async def test_a_thread_finishes_before_time_moves_on() -> None:
    """Work in a thread is waited for in real time."""
    with anyio.fail_after(5):
        assert await anyio.to_thread.run_sync(sum, range(1000)) == 499_500
