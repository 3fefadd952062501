"""The website: photographs in, answers with their reasons out, kept for each user.

create_app ─► settings ─► database · store of pictures · model ─► accounts · predictions · pages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from web.accounts import accounts
from web.answering import init_store
from web.database import init_database
from web.errors import init_errors
from web.inference import Explains, init_inference
from web.pages import pages
from web.passwords import init_passwords
from web.predictions import predictions
from web.presentation import init_presentation
from web.security import init_security
from web.settings import load_settings


def create_app(config: Mapping[str, Any] | None = None, predictor: Explains | None = None) -> Flask:
    """Returns the website as a WSGI application. Makes no table and loads no model: `web.wsgi` does both at start.

    Args:
        config: settings that go before the environment's; see `web.settings.DEFAULTS`.
        predictor: what answers the pictures; None for the model that DERM_MODEL names, loaded when first needed.
    """
    app = Flask(__name__)
    load_settings(app, config)
    init_database(app)
    init_store(app)
    init_inference(app, predictor)
    init_passwords(app)
    init_security(app)
    init_presentation(app)
    init_errors(app)
    for blueprint in (pages, accounts, predictions):
        app.register_blueprint(blueprint)
    return app
