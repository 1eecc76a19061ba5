"""Which page size to ask for where the config leaves that to harvester: `page_size = "largest"`. Pure.

The largest page that the API serves is documented nowhere; siblings of the endpoint allow 100 to 200 (documented). It
is searched for in the course of asking, by one walk at a time that has more to read than a page brings: twice as many
are asked for while that is served, then the middle between what is served and what is refused. A try that is served is
the walk's next page and costs nothing; nor does one that a server answers with fewer calls, without a word; one that is
refused costs a request, one that fails a few.
"""

from typing import Final

USUAL: Final = 100
"""What is asked for while nothing is known, and when a larger page fails. No search is made for less."""
LARGEST_PAGE: Final = 10_000
"""No config and no hint asks for more."""
_MOST: Final = 5_000
"""No larger page is tried: a sibling endpoint refuses what lies beyond 5,000 calls (documented); and so many are about
2.5 MB, of the 8 MiB that are read of a body."""
ATTEMPTS: Final = 2
"""Of a try: one failure is daily bread, and a server that cannot do it is not asked for long."""
_NEAR: Final = 20
"""One part in so many may lie between what is served and what is refused when the search ends."""


def known(served: int, refused: int | None) -> int:
    """The size to ask for: the largest that was served, the usual one until then; half of it where that is refused.

    Args:
        served: The largest that was served; 0 when none is known of.
        refused: The smallest that was refused; `None` while none was.
    """
    size = max(served, USUAL)
    return size if refused is None or size < refused else max(1, served or refused // 2)


def larger(size: int, refused: int | None, left: int) -> int | None:
    """The size to try next, twice as many at most; `None`: what there is to find is found, or of no use.

    Args:
        size: What is known to be served.
        refused: As above.
        left: Calls that are still to be read; when they fit on a page nothing is to be gained.
    """
    most = _MOST if refused is None else min(_MOST, refused - 1)
    if left <= size or is_near(size, most):
        return None
    return min(2 * size, _MOST, _MOST if refused is None else (size + refused) // 2)


def is_near(size: int, most: int) -> bool:
    """Whether a size is as good as the larger one."""
    return most - size <= size // _NEAR


def below(refused: int, *served: int) -> int:
    """The largest of the sizes that were served, of those that are not refused by now; a smaller one if all are."""
    if not any(served):
        return 0
    return max((size for size in served if 0 < size < refused), default=min(USUAL, refused // 2))
