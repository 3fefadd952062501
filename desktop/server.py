"""Shows an interface to this machine alone: address, look, limits. Builds no page and loads no model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
from starlette.middleware import Middleware

from desktop.guard import Guard
from desktop.markup import STATIC
from desktop.theme import make_theme

HOST = "127.0.0.1"
MAX_FILE_SIZE = "64mb"


@contextmanager
def serve(interface: gr.Blocks, *, port: int) -> Iterator[str]:
    """Serves an interface on 127.0.0.1 and gives its address; stops when the block is left.

    Raises OSError where the port cannot be used.
    """
    interface.launch(
        server_name=HOST,
        server_port=port,
        prevent_thread_lock=True,
        inline=False,
        inbrowser=False,
        quiet=True,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        show_error=False,
        max_file_size=MAX_FILE_SIZE,
        favicon_path=STATIC / "icon.svg",
        theme=make_theme(),
        head=page_head(),
        app_kwargs={
            "middleware": [Middleware(Guard, port=port)],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    )
    try:
        yield f"http://{HOST}:{port}"
    finally:
        interface.close(verbose=False)


def page_head() -> str:
    """Returns what the page needs of its own: style sheets and script, inside the page, so that they come with it."""
    styles = "".join((STATIC / name).read_text("utf-8") for name in ("tokens.css", "page.css"))
    script = (STATIC / "page.js").read_text("utf-8")
    return f"<style>{styles}</style><script>{script}</script>"
