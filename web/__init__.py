"""The website: photographs in, answers with their reasons out, kept for each user.

create_app ─► settings ─► database · store of pictures · model ─► accounts · predictions · pages
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from web.accounts import accounts
from web.admin import admin
from web.admin_models import admin_models
from web.answering import init_store
from web.api.blueprint import init_api
from web.batch_uploads import init_uploads
from web.batch_worker import init_worker
from web.batches import batches
from web.beside import beside
from web.commands import init_commands
from web.database import init_database
from web.errors import init_errors
from web.explains import Explains
from web.exports import exports
from web.inference import init_inference
from web.interchange import interchange
from web.invitations import invitations
from web.lesions import lesions
from web.logs import init_logs
from web.model_files import model_files
from web.multipart import Request
from web.operations import init_operations, operations
from web.pages import pages
from web.passwords import init_passwords
from web.predictions import predictions
from web.presentation import init_presentation
from web.reports import reports
from web.reviews import reviews
from web.scanning import init_scanning
from web.second_factor_pages import second_factor_pages
from web.second_factor_sign_in import second_factor_sign_in
from web.security import init_security
from web.selection import selection
from web.serving_model import init_serving_model
from web.session_pages import sessions
from web.settings import load_settings
from web.tokens import tokens
from web.tour import is_on_tour, tour


def create_app(config: Mapping[str, Any] | None = None, predictor: Explains | None = None) -> Flask:
    """Returns the website as a WSGI application. Makes no table and loads no model: `web.wsgi` does both at start.

    Args:
        config: settings that go before the environment's; see `web.settings.DEFAULTS`.
        predictor: what answers the pictures; None for the model that DERM_MODEL names, loaded when first needed.
    """
    app = Flask(__name__)
    app.request_class = Request
    load_settings(app, config)
    init_database(app)
    init_store(app)
    init_inference(app, predictor)
    init_serving_model(app)
    init_uploads(app)
    init_scanning(app)
    init_worker(app)
    init_logs(app)
    init_operations(app)
    init_passwords(app)
    init_security(app)
    init_presentation(app)
    init_errors(app)
    init_commands(app)
    app.jinja_env.globals["is_on_tour"] = is_on_tour
    for blueprint in (
        pages,
        accounts,
        sessions,
        second_factor_pages,
        second_factor_sign_in,
        invitations,
        admin,
        admin_models,
        model_files,
        tour,
        predictions,
        beside,
        selection,
        lesions,
        batches,
        reviews,
        reports,
        exports,
        interchange,
        operations,
    ):
        app.register_blueprint(blueprint)
    app.register_blueprint(tokens)
    init_api(app)
    return app
