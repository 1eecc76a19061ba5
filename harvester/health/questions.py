"""What no document says of the API, as far as answers have shown it. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from harvester.health.values import Area, Check, Hint, Question, note, ok, warning
from harvester.model import BEIJING, LARGEST, PageSize

_EITHER_WAY: Final = "nothing has to be done: harvester is right whatever the answers are"
_WITH_MORE: Final = f"name an account with more calls by --account, if you want to know; {_EITHER_WAY}"


def questions(hints: Sequence[Hint], page_size: PageSize) -> list[Check]:
    """One check a question that is answered; those that are not, together.

    Args:
        hints: What is known; each question once at most.
        page_size: What the config asks for.
    """
    answered = [hint for hint in hints if hint.answer is not None or hint.odd]
    checks = [_shown(hint) for hint in answered] + _page_size(hints, page_size)
    unshown = [hint for hint in hints if hint not in answered]
    if unshown:
        told = "; ".join(f"{hint.question} ({hint.evidence})" for hint in unshown)
        checks.append(note(Area.QUESTIONS, f"not shown: {told}", _WITH_MORE))
    if not hints:
        checks.append(note(Area.QUESTIONS, "nobody's calls were looked at for them", _EITHER_WAY))
    return checks


def _shown(hint: Hint) -> Check:
    on = f"{datetime.fromtimestamp(hint.at, BEIJING):%F}"
    if not hint.odd:
        return ok(Area.QUESTIONS, f"{hint.question}: {hint.answer} ({hint.evidence}; {on})")
    what = f"{hint.question}: {f'{hint.answer}, ' if hint.answer else ''}{hint.evidence} ({on})"
    if hint.answer is None:
        return warning(
            Area.QUESTIONS, what, "run doctor again; if it stays so, tell the project: harvester copes with it"
        )
    return warning(Area.QUESTIONS, what, "tell the project: harvester copes with it, by many more requests")


def _page_size(hints: Sequence[Hint], wanted: PageSize) -> list[Check]:
    """Whether another `page_size` would do better; one that is searched for finds its best by itself."""
    if wanted == LARGEST:
        return []
    answers = {hint.question: hint.answer for hint in hints}
    largest, refused = answers.get(Question.PAGE_SIZE), answers.get(Question.REFUSED_SIZE)
    served = int(largest) if largest else None
    advice = f'write page_size = {served} into [api], or "{LARGEST}"'
    if served is not None and wanted < served:
        times = served / wanted
        what = f"[api] page_size is {wanted}, and {served} calls come on a page: {times:.3g} times fewer requests"
        return [note(Area.QUESTIONS, what, advice)]
    too_many = served is not None and wanted > served and (refused is None or wanted >= int(refused))
    if too_many:
        what = f"[api] page_size is {wanted}, and only {served} calls come on a page"
        return [note(Area.QUESTIONS, what, f"{advice}: each run finds that out by itself, by some requests")]
    return []
