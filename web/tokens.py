"""The pages of API tokens: making one, which is shown once, the list, and revoking."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import func, select
from wtforms import Field, SelectField, SelectMultipleField, StringField, ValidationError
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from web.api.tokens import SCOPES, new_token
from web.audit import record
from web.database import db, now
from web.forms import tidy_line
from web.models import ApiToken
from web.models.api import TOKEN_NAME_LENGTH

tokens = Blueprint("tokens", __name__)

LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year"}


class TokenForm(FlaskForm):
    """Making a token."""

    name = StringField(
        "What it is for",
        filters=[tidy_line],
        validators=[
            InputRequired("Say what it is for, so that you know it again."),
            Length(1, TOKEN_NAME_LENGTH, f"Use 1 to {TOKEN_NAME_LENGTH} characters."),
        ],
    )
    scopes = SelectMultipleField(
        "What it may do",
        choices=SCOPES,
        default=["read", "predict"],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    days = SelectField("Valid for", choices=LIFETIMES, default="90")

    def validate_scopes(self, field: Field) -> None:
        """Refuses a token that may do nothing."""
        if not field.data:
            raise ValidationError("Choose at least one.")


def own_token(key: str) -> ApiToken:
    """Returns the signed-in user's token of that key; for anybody else's, as for one that never was, 404."""
    query = select(ApiToken).where(ApiToken.key == key, ApiToken.user_id == current_user.id)
    return db.session.scalar(query) or abort(404)


@tokens.get("/account/tokens")
def index() -> ResponseReturnValue:
    """Lists the tokens, and offers a form for another."""
    return _page(TokenForm())


@tokens.post("/account/tokens")
def create() -> ResponseReturnValue:
    """Makes a token and shows it, this once."""
    form = TokenForm()
    if not form.validate():
        return _page(form, status=400)
    most = current_app.config["TOKENS_PER_ACCOUNT"]
    if _usable() >= most:
        problem = f"You have {most} tokens in use. Revoke one that is no longer needed."
        return _page(form, problem, status=400)
    row, token = new_token(
        current_user, name=form.name.data, scopes=form.scopes.data, days=int(form.days.data)
    )
    record("token.made", "token", row.start, scopes=row.scopes)
    db.session.commit()
    return render_template("token_made.html", token=row, secret=token), 201


@tokens.route("/account/tokens/<token>/revoke", methods=["GET", "POST"])
def revoke(token: str) -> ResponseReturnValue:
    """Asks once more, then ends a token for good."""
    row = own_token(token)
    if request.method == "GET":
        return render_template("token_revoke.html", token=row)
    if row.revoked_at is None:
        row.revoked_at = now()
        record("token.revoked", "token", row.start)
    db.session.commit()
    flash(f"The token “{row.name}” is revoked. Programs that use it are turned away.")
    return redirect(url_for("tokens.index"))


def state_of(token: ApiToken) -> str:
    """Returns what a token is: in use, expired or revoked."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at <= now() else "in use"


def _usable() -> int:
    query = select(func.count()).select_from(ApiToken)
    mine = ApiToken.user_id == current_user.id
    return (
        db.session.scalar(query.where(mine, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now())) or 0
    )


def _page(form: TokenForm, problem: str = "", *, status: int = 200) -> ResponseReturnValue:
    query = select(ApiToken).where(ApiToken.user_id == current_user.id)
    rows = db.session.scalars(query.order_by(ApiToken.created_at.desc(), ApiToken.id.desc())).all()
    listed = [(row, state_of(row)) for row in rows]
    return render_template("tokens.html", form=form, problem=problem, listed=listed), status
