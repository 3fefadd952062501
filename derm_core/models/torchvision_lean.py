"""torchvision without the compiler that its import would bring: 0.1 s where it takes 1.4 s. Changes nothing in it.

torchvision.ops.roi_align takes one function of torch._dynamo, for detectors on a GPU, and with it all of PyTorch's
compiler is imported: half of the time to a first answer. While torchvision is imported, a module stands in its place
that imports the real one as soon as anything in it is used.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo.utils"


class _Deferred(ModuleType):
    """A module that is imported when the first of its names is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def called(*arguments: Any, **named: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*arguments, **named)

        return called


def _import_lean() -> ModuleType:
    if _COMPILER in sys.modules:
        return importlib.import_module("torchvision")
    deferred = _Deferred(_COMPILER)
    sys.modules[_COMPILER] = deferred
    try:
        return importlib.import_module("torchvision")
    finally:
        if sys.modules.get(_COMPILER) is deferred:
            del sys.modules[_COMPILER]


torchvision: Any = _import_lean()
