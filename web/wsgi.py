"""The website as a server starts it: `gunicorn web.wsgi:app`."""

from __future__ import annotations

from web.startup import start_app

app = start_app()
