"""The way in, what the product is, and a sign of life. Shows nothing that belongs to anybody."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from web.inference import inference
from web.security import public

pages = Blueprint("pages", __name__)


@pages.get("/")
@public
def home() -> ResponseReturnValue:
    """Leads to the next picture, or to the door."""
    return redirect(url_for("predictions.new" if current_user.is_authenticated else "accounts.login"))


@pages.get("/about")
@public
def about() -> ResponseReturnValue:
    """Says how an answer comes about, what is stored, and which keys work."""
    return render_template("about.html")


@pages.get("/healthz")
@public
def health() -> ResponseReturnValue:
    """Says that the server answers, and whether its model is loaded."""
    return {"status": "ok", "model": inference().state}
