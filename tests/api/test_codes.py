import re
from typing import assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.codes import TABLE, Fault, Verdict, judge

# the table of api.md §3, word for word; an en dash is a range
RETURN_CODES = [
    ("11000", Verdict.RENEW_TOKEN),
    ("11002", Verdict.REREAD_TOKEN),
    ("11004 11005 11007 11011 11010 11012 11030", Verdict.STOP_TOKEN),
    ("11014, 60001, 60081", Verdict.STOP_TOKEN),
    ("12100", Verdict.RETRY_NOW),
    ("12101", Verdict.FIX_CLOCK),
    ("12201 12203", Verdict.SKIP_ACCOUNT),
    ("32211 64015 60002 60003 80008", Verdict.SKIP_ACCOUNT),
    (
        "12000 12003 12007 12008 12009 18001–18014 60008–60011 60014 60015 60069–60073 31002 31057",  # noqa: RUF001 - as documented
        Verdict.FAIL_SLICE,
    ),
    ("71003 71004", Verdict.FAIL_SLICE),  # of organization_account_relation/get
    ("60012 60022", Verdict.LESS_DEEP),
    ("60013", Verdict.SMALLER_PAGE),
    ("11016", Verdict.WAIT_A_SECOND),
    ("11017", Verdict.PAUSE_APP),
    ("11018", Verdict.END_APP_DAY),
    ("11008 11019 60005 64016 30104 1000003 1000284", Verdict.SLOW_APP),
    ("10000 10001 30000–30099 51001 60000 60007 62000 1000000 1000002 12700", Verdict.RETRY),  # noqa: RUF001 - as documented
]


def codes_of(text: str) -> list[int]:
    """The codes of a cell of the table, ranges spelled out."""
    ranges = (re.split("\N{EN DASH}", part) for part in re.split("[ ,]+", text))
    return [code for ends in ranges for code in range(int(ends[0]), int(ends[-1]) + 1)]


DOCUMENTED = {code: verdict for text, verdict in RETURN_CODES for code in codes_of(text)}


@pytest.mark.parametrize(("text", "verdict"), RETURN_CODES)
@pytest.mark.parametrize("system", [False, True])
def test_every_documented_code_has_its_verdict(text: str, verdict: Verdict, *, system: bool) -> None:
    """A known code is judged by the table alone, whatever its type and status."""
    for code in codes_of(text):
        for status in (200, 403, 502):
            assert judge(Fault(text="", code=code, status=status, system=system)) is verdict, code


def test_the_table_holds_the_documented_codes_and_no_other() -> None:
    """Nothing was invented, nothing forgotten."""
    assert {code: meaning.verdict for code, meaning in TABLE.items()} == DOCUMENTED


@pytest.mark.parametrize(
    ("status", "system", "verdict"),
    [
        (200, True, Verdict.RETRY),
        (200, False, Verdict.FAIL_SLICE),
        (400, False, Verdict.FAIL_SLICE),
        (500, False, Verdict.RETRY),
        (502, True, Verdict.RETRY),
    ],
)
def test_an_unknown_code_is_judged_by_its_type(status: int, verdict: Verdict, *, system: bool) -> None:
    """The system's own errors and those of a 5xx are repeated, the others fail their slice."""
    assert judge(Fault(text="", code=999_999, status=status, system=system)) is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (None, Verdict.RETRY),  # no answer at all
        (200, Verdict.RETRY),  # an answer that is no envelope
        (204, Verdict.RETRY),
        (301, Verdict.RETRY),
        (302, Verdict.RETRY),
        (400, Verdict.RETRY),
        (401, Verdict.RETRY),
        (403, Verdict.RETRY),
        (404, Verdict.RETRY),
        (408, Verdict.RETRY),
        (425, Verdict.RETRY),
        (429, Verdict.SLOW_APP),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
        (504, Verdict.RETRY),
        (599, Verdict.RETRY),
    ],
)
def test_an_answer_without_a_code_is_judged_by_its_status(status: int | None, verdict: Verdict) -> None:
    """Whatever stands before the API may change its mind: all is repeated but 429, which slows the app."""
    assert judge(Fault(text="", status=status)) is verdict


faults = st.builds(
    Fault,
    text=st.text(max_size=20),
    code=st.none() | st.integers() | st.sampled_from(sorted(TABLE)),
    status=st.none() | st.integers(-1, 1000),
    system=st.booleans(),
    trace_id=st.none() | st.text(max_size=5),
)


@given(faults)
def test_every_fault_has_a_verdict_and_a_text(fault: Fault) -> None:
    """No fault is without a verdict, and each says its code and what the API said."""
    assert isinstance(judge(fault), Verdict)
    assert fault.text in str(fault)
    assert fault.code is None or str(fault.code) in str(fault)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(text="HTTP 502"), "HTTP 502"),
        (Fault(text="HTTP 502", trace_id="t-1"), "HTTP 502 (trace t-1)"),
        (
            Fault(text="slow down", code=11017, trace_id="t-2"),
            "code 11017, the app's limit per minute is reached, the API says: slow down (trace t-2)",
        ),
        (Fault(text="", code=999_999), "code 999999, an unknown code"),
    ],
)
def test_a_fault_reads_well(fault: Fault, text: str) -> None:
    """What happened, what the API said, what its support asks for."""
    assert str(fault) == text


@pytest.mark.parametrize("verdict", Verdict)
def test_the_verdicts_are_a_closed_set(verdict: Verdict) -> None:
    """Each is told apart here, which mypy checks, and each is the verdict of some documented code."""
    match verdict:
        case Verdict.RETRY | Verdict.RETRY_NOW | Verdict.FIX_CLOCK:
            again = True
        case Verdict.WAIT_A_SECOND | Verdict.PAUSE_APP | Verdict.SLOW_APP:
            again = True
        case Verdict.RENEW_TOKEN | Verdict.REREAD_TOKEN | Verdict.STOP_TOKEN | Verdict.END_APP_DAY:
            again = False
        case Verdict.SKIP_ACCOUNT | Verdict.FAIL_SLICE | Verdict.SMALLER_PAGE | Verdict.LESS_DEEP:
            again = False
        case _:
            assert_never(verdict)
    reached = {judge(Fault(text="", code=code)) for code in DOCUMENTED}
    assert verdict in reached
    assert isinstance(again, bool)
