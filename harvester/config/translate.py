"""pydantic's complaints in plain words: what was found, what is expected, what was probably meant."""

from collections.abc import Iterator

from pydantic import ValidationError

from harvester.config.leaves import leaf_of
from harvester.config.settings import Document, keys, tables
from harvester.config.show import Unresolved, did_you_mean, shown

Location = tuple[str | int, ...]


def complaints(error: ValidationError) -> Iterator[tuple[Location, str]]:
    """Every complaint as a key's full name and a message that shows no secret.

    What could not be expanded has been reported before, and apps and tokens that are missing are reported with the
    references to them: both are left out.
    """
    for complaint in error.errors(include_url=False):
        location = complaint["loc"]
        if complaint["type"] == "extra_forbidden":
            yield location, _unknown(location)
        elif isinstance(complaint["input"], Unresolved):
            continue
        elif complaint["type"] == "missing":
            if len(location) > 1:
                yield location, f"is missing; expected {_expected(location)}"
        elif complaint["type"] == "value_error":
            yield location[:-1] if location[-1] == "[key]" else location, str(complaint["ctx"]["error"])
        else:
            kind = "an array of tables" if f"[{location[0]}]" in tables() and len(location) == 1 else "a table"
            yield location, f"found {shown(complaint['input'])}; expected {kind}, [{_heading(location)}]"


def _expected(location: Location) -> str:
    field = keys(tables()[_heading(location[:-1])])[str(location[-1])]
    return leaf_of(field.metadata).expected


def _heading(location: Location) -> str:
    """The heading that a table's place in the document belongs to: `apps.NAME` for `("apps", "main")`."""
    if (several := f"[{location[0]}]") in tables():
        return several
    return ".".join([str(location[0]), *("NAME" for _ in location[1:])])


def _unknown(location: Location) -> str:
    """What to say about a key that nobody knows; its value is nobody's business."""
    name = str(location[-1])
    known = list(keys(tables()[_heading(location[:-1])] if location[1:] else Document))
    homes = [f"it belongs in [{heading}]" for heading, section in tables().items() if name in keys(section)]
    return "unknown key; " + (did_you_mean(name, known) or next(iter(homes), f"expected {', '.join(known)}"))
