"""The website as a server starts it: `gunicorn web.wsgi:app`. Schema at head, model loading, leftovers swept."""

from __future__ import annotations

import threading

from flask import Flask

from web import create_app
from web.answering import sweep_pictures
from web.database import upgrade_database
from web.inference import Inference


def start_app() -> Flask:
    """Returns the app, ready to serve; the model is loaded beside the first requests."""
    app = create_app()
    upgrade_database(app)
    inference: Inference = app.extensions["inference"]
    inference.load_in_background()
    threading.Thread(target=sweep_pictures, args=[app], name="sweep-pictures", daemon=True).start()
    return app


app = start_app()
