"""The run: the walk over one slice, and the schedule of all of them.

It can be called: `from harvester import harvest` finds this folder, since a package's folders come before its names.
What a caller gets is `harvester.library.harvest`, loaded when it is first called.
"""

import importlib
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `harvester.library.harvest`."""
        return await importlib.import_module("harvester.library").harvest(*args, **kwargs)


sys.modules[__name__].__class__ = _Callable
