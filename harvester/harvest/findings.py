"""What answers have shown of the API's open questions, as walks hand it to each other. Pure."""

import sys
from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta

from harvester.harvest import sizes
from harvester.model import LARGEST, PageSize

Count = Annotated[int, Meta(ge=0)]
"""Never negative: what a saved walk says otherwise is not believed."""
_NO_LIMIT = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What answers have shown of the API's open questions: hints for later walks, never assumptions.

    Attributes:
        page_size_served: The largest `page_size` that was served.
        page_size_refused: The smallest `page_size` that was refused; `None` while none was.
        end_inclusive: Whether calls of `end_date` itself are returned; `None` while no answer has shown it.
    """

    page_size_served: Count = 0
    page_size_refused: Count | None = None
    end_inclusive: bool | None = None

    def page_size(self, wanted: PageSize) -> int:
        """The page size to ask for next: what is wanted, or the middle between what was served and what was refused.

        So the largest size that the API allows is found in the course of asking: half of the tries bring a page. Where
        that is what is wanted, it is the largest that is known of; `sizes.py` says how a larger one is searched for.
        """
        if wanted == LARGEST:
            return sizes.known(self.page_size_served, self.page_size_refused)
        if self.page_size_refused is None or wanted < self.page_size_refused:
            return wanted
        return max(1, (self.page_size_served + self.page_size_refused) // 2)

    def merge(self, other: Self) -> Self:
        """These findings and another walk's: the smaller refused size wins, and a call that shows an inclusive end."""
        if other == self:
            return other
        ends = (self.end_inclusive, other.end_inclusive)
        refused = min(self.page_size_refused or _NO_LIMIT, other.page_size_refused or _NO_LIMIT)
        return replace(
            self,
            page_size_served=sizes.below(refused, self.page_size_served, other.page_size_served),
            page_size_refused=None if refused == _NO_LIMIT else refused,
            end_inclusive=True if True in ends else False if False in ends else None,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A page that was asked for with more calls than is known to be served, and came with fewer than are left.

    Attributes:
        tried: The page size.
        known: The largest that was known to be served.
        rows: Records that came.
    """

    tried: int
    known: int
    rows: int
