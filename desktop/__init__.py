"""The offline app: `build_interface(predictor)` makes its page, and `serve` shows it to this machine alone.

Importing the package switches off whatever Gradio would send or look up elsewhere. Gradio itself is imported with what
is first asked for here, so that a process that shows no page does without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from desktop.offline import go_offline

go_offline()

if TYPE_CHECKING:
    from desktop.interface import build_interface
    from desktop.server import serve

__all__ = ["build_interface", "serve"]

_HOME_OF = {"build_interface": "desktop.interface", "serve": "desktop.server"}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'desktop' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
