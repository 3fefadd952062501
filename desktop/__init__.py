"""The offline app: `build_interface(predictor)` makes its page, and `serve` shows it to this machine alone.

Importing the package switches off whatever Gradio would send or look up elsewhere, before Gradio is imported.
"""

from __future__ import annotations

from desktop.offline import go_offline

go_offline()

from desktop.interface import build_interface  # noqa: E402
from desktop.server import serve  # noqa: E402

__all__ = ["build_interface", "serve"]
