"""What protects every page: CSRF, sessions, who may come in, and response headers. Knows no page by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, Response, abort, current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_user
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from web.models import User
from web.roles import required_role
from web.second_factor import lacks_factor
from web.sessions import begin_session, user_of_session

View = TypeVar("View", bound=Callable[..., Any])

API = "/api/v1/"
"""Where programs ask. They sign in by a token; a cookie opens nothing there, and a token nothing elsewhere."""

csrf = CSRFProtect()
login_manager = LoginManager()

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",  # blob: the preview of a photograph before it is sent
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not stricter: over https the CSRF check reads the referrer
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def public(view: View) -> View:
    """Marks a view that may be seen without an account. All others may not."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def is_public(view: Callable[..., Any]) -> bool:
    """Says whether a view may be seen without an account."""
    return getattr(view, "is_public", False)


def without_second_factor(view: View) -> View:
    """Marks a view that opens to whoever must have a second factor and has none yet. All others lead to its page."""
    view.is_without_second_factor = True  # type: ignore[attr-defined]
    return view


def for_programs() -> bool:
    """Says whether this request is for the API: cookies do not count, and errors are problem documents."""
    return request.path.startswith(API)


def init_security(app: Flask) -> None:
    """Puts the protection around the app."""
    if proxies := app.config["DERM_PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
    app.session_interface = SessionCookies()
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.session_protection = "strong"
    login_manager.login_view = "accounts.login"
    login_manager.login_message = None
    app.before_request(_require_account)
    app.after_request(_add_headers)


class SessionCookies(SecureCookieSessionInterface):
    """Cookies that are sent over https only, wherever the site is served over https. The API has none."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return self.session_class() if request.path.startswith(API) else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not for_programs():
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        return app.config["SESSION_COOKIE_SECURE"] or request.is_secure


def sign_in(user: User) -> None:
    """Begins a fresh session for the user; nothing of the one before it is kept.

    It ends with the browser, after IDLE_TIMEOUT without a request, and at the latest PERMANENT_SESSION_LIFETIME after
    it began. (Of what Flask calls a permanent session Flask-Login would not notice that it moved to another browser.)
    """
    session.clear()
    g.pop("csrf_token", None)  # a form of this request has made one for the session before
    login_user(user)
    begin_session(user)


@login_manager.user_loader
def load_user(cookie: str) -> User | None:
    """Returns whose session this is, or None where it was ended (its row is gone, or its key is an old one)."""
    number, _, key = cookie.partition(":")
    user = user_of_session(int(number)) if number.isdecimal() else None
    return user if user is not None and user.session_key == key else None


def same_site(target: str | None) -> str | None:
    """Returns `target` where it is a path on this site, and None for anything else."""
    if not target or not target.isprintable() or "\\" in target:
        return None
    if not target.startswith("/") or target.startswith("//"):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def next_page() -> str:
    """Returns where the way leads after signing in: to the page that was asked for, or to the first one."""
    return same_site(request.args.get("next")) or url_for("predictions.new")


def _require_account() -> ResponseReturnValue | None:
    if request.endpoint is None or request.endpoint == "static":
        return None
    view = current_app.view_functions[request.endpoint]
    if is_public(view):
        return None
    if not current_user.is_authenticated:
        if for_programs():
            abort(401)
        return login_manager.unauthorized()
    waits = not for_programs() and not getattr(view, "is_without_second_factor", False)
    if waits and lacks_factor(current_user):
        return redirect(url_for("second_factor.overview"))
    if not current_user.has_role(required_role(view)):
        abort(403)
    return None


def _add_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "private, no-store"
    return response
