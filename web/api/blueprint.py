"""The blueprint of the API. Draws no page.

A request passes tokens (who is it?), limits (how much?), operations (is it what was asked for?), and then the view of
its subject: predictions, lesions, batches. What is checked is what `openapi` writes down.
"""

from __future__ import annotations

from flask import Blueprint, Flask, abort, current_app, g, request

from web.api.account import account
from web.api.batches import batches
from web.api.lesions import lesions
from web.api.limits import add_headers, init_limits
from web.api.openapi import openapi
from web.api.predictions import predictions
from web.api.reference import reference
from web.security import API, csrf, is_public

api = Blueprint("api", __name__, url_prefix=API.rstrip("/"))
for _part in (predictions, lesions, batches, account, openapi):
    api.register_blueprint(_part)
    csrf.exempt(_part)  # a form of another site cannot send a token, and cookies open nothing here
api.after_request(add_headers)


@api.before_request
def _require_token() -> None:
    """Lets nobody in without a token, however else the site may know them."""
    if not is_public(current_app.view_functions[request.endpoint or ""]) and "api_credentials" not in g:
        abort(401)


def init_api(app: Flask) -> None:
    """Gives the app its API, and the page about it."""
    init_limits(app)
    app.register_blueprint(api)
    app.register_blueprint(reference)
