import logging
from collections.abc import Iterator

import pytest

from tests.api.helpers import PHONE, TOKEN


@pytest.fixture(autouse=True)
def _secrets_stay_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test of this folder does, no log of any level or library shows the token or the phone number."""
    caplog.set_level(logging.DEBUG)
    yield
    shown = caplog.text + "".join(record.getMessage() + str(record.args) for record in caplog.get_records("call"))
    assert TOKEN not in shown
    assert PHONE not in shown
