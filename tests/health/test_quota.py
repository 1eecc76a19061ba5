import pytest

from harvester.health import Grade
from harvester.health.quota import QuotaFacts, quota


def grades(facts: QuotaFacts) -> list[Grade]:
    """How good each finding is."""
    return [check.grade for check in quota(facts)]


def test_nothing_configured_is_worth_a_note() -> None:
    """Without requests_per_minute the note says what was learned and where to write it."""
    found = quota(QuotaFacts(app="main", learned=980, used=1234))[0]
    assert found.grade is Grade.NOTE
    assert "980 a minute learned" in found.what
    assert "1,234 requests sent" in found.what
    assert "[apps.main]" in found.advice


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (QuotaFacts(app="a", per_minute=1000), [Grade.OK]),
        (QuotaFacts(app="a", per_minute=1000, per_day=1000, used=100), [Grade.OK]),
        (QuotaFacts(app="a", per_minute=1000, per_day=1000, used=901), [Grade.OK, Grade.WARNING]),
        (QuotaFacts(app="a", per_minute=1000, per_day=1000, used=1000), [Grade.OK, Grade.FAILURE]),
        (QuotaFacts(app="a", per_minute=1000, day_left=99, minute_left=98), [Grade.OK, Grade.OK]),
        (QuotaFacts(app="a", per_minute=1000, day_left=9, minute_left=98), [Grade.OK, Grade.WARNING]),
        (QuotaFacts(app="a", per_minute=1000, day_left=99, minute_left=19), [Grade.OK, Grade.WARNING]),
        (QuotaFacts(app="a", per_minute=1000, day_left=0, minute_left=50), [Grade.OK, Grade.FAILURE]),
    ],
)
def test_what_is_left(facts: QuotaFacts, expected: list[Grade]) -> None:
    """A day that is nearly used up warns, one that is used up fails, by our count as by the API's."""
    assert grades(facts) == expected
