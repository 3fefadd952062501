"""Shows an interface, to this machine alone unless told otherwise: address, look, limits. Builds no page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from ipaddress import ip_address

import gradio as gr
from starlette.middleware import Middleware

from derm_core import ConfigError
from desktop.guard import Guard, bracketed
from desktop.markup import STATIC
from desktop.password import SHORTEST, USER, Password
from desktop.texts import say
from desktop.theme import make_theme

HOST = "127.0.0.1"
MAX_FILE_SIZE = "64mb"
_STYLES = ("tokens.css", "page.css", "tables.css", "training.css", "cases.css")


@contextmanager
def serve(interface: gr.Blocks, *, port: int, host: str = HOST, password: str = "") -> Iterator[str]:
    """Serves an interface and gives its address; stops when the block is left.

    Args:
        interface: what `build_interface` made.
        port: of this machine.
        host: an address of this machine; any but a loopback one opens the app to a network.
        password: asked for, with the name `desk`, before anything is shown; needed where the app is open to a network.

    Raises:
        ConfigError: it is to be open to a network without a password.
        OSError: the port cannot be used.
    """
    if not ip_address(host).is_loopback and len(password) < SHORTEST:
        raise ConfigError(say("password-needed", host=host, shortest=SHORTEST))
    interface.launch(
        server_name=host,
        auth=Password(password) if password else None,
        auth_message=say("password-ask", user=USER) if password else None,
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
            "middleware": [Middleware(Guard, port=port, host=host)],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    )
    # Gradio imports it at the first thing that is done, which would wait for it.
    import_module("matplotlib")
    try:
        yield f"http://{bracketed(host)}:{port}"
    finally:
        interface.close(verbose=False)


def page_head() -> str:
    """Returns what the page needs of its own: style sheets and script, inside the page, so that they come with it."""
    styles = "".join((STATIC / name).read_text("utf-8") for name in _STYLES)
    script = (STATIC / "page.js").read_text("utf-8")
    return f"<style>{styles}</style><script>{script}</script>"
