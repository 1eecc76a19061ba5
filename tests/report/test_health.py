import pytest

from harvester.errors import ExitCode
from harvester.health import Area, Health, Hint, Question, failure, note, ok, warning
from harvester.report.health import in_words, to_json, verdict

GOOD = ok(Area.CLOCK, "in step")
NOTED = note(Area.CONFIG, "a remark", "nothing much")
WARNED = warning(Area.DISK, "nearly full", "free some")
FAILED = failure(Area.TOKENS, "token a does not work", "authorise")
WORSE = failure(Area.TOKENS, "no token works", "mend them", ExitCode.NO_TOKEN)


def test_findings_stand_under_their_area() -> None:
    """In the order of the areas, each with a sign that needs no colour, the advice indented below."""
    health = Health(checks=[FAILED, GOOD, WARNED, NOTED], requests=2)
    assert in_words(health) == (
        "config\n  note  a remark\n        → nothing much\n"
        "disk\n  WARN  nearly full\n        → free some\n"
        "clock\n  ok    in step\n"
        "tokens\n  FAIL  token a does not work\n        → authorise\n"
        "2 requests sent for calls\n"
        "not fit: token a does not work"
    )


def test_the_verdict() -> None:
    """Notes are healthy; of failures the one that decides the exit code is named."""
    assert verdict(Health(checks=[GOOD, NOTED])) == "healthy"
    assert verdict(Health(checks=[WARNED])) == "1 thing to look at"
    assert verdict(Health(checks=[WARNED, WARNED, NOTED])) == "2 things to look at"
    assert verdict(Health(checks=[FAILED, WORSE, WARNED])) == "not fit: no token works"
    full = failure(Area.DISK, "full", "free some")
    assert verdict(Health(checks=[FAILED, WORSE, full])) == "not fit: no token works, and 1 more"
    long = failure(Area.API, "word " * 100, "look")
    assert len(verdict(Health(checks=[long]))) < 100


@pytest.mark.parametrize(
    ("requests", "lists", "says"),
    [
        (1, 0, "1 request sent for calls"),
        (1, 1, "1 request sent for lists of accounts"),
        (12, 1, "11 requests sent for calls, 1 request sent for lists of accounts"),
    ],
)
def test_what_was_sent(requests: int, lists: int, says: str) -> None:
    """Requests for calls and for lists are told apart."""
    assert in_words(Health(checks=[GOOD], requests=requests, lists=lists)).splitlines()[-2] == says


def test_json_has_all_of_it() -> None:
    """Every check and every answer, for programs."""
    hint = Hint(question=Question.ORDER, answer="descending", evidence="seen", at=1_790_000_000.0)
    found = to_json(Health(checks=[GOOD, WORSE], hints=[hint], requests=7))
    assert (found["healthy"], found["exit_code"], found["requests"]) == (False, 5, 7)
    assert found["checks"][0] == {"area": "clock", "grade": "ok", "what": "in step", "advice": None}
    assert found["open_questions"][0]["at"] == "2026-09-21T14:13:20+00:00"
