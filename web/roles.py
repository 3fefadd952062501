"""Which role a view asks for. Holds the marks alone: `web.security` reads them before every request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from web.models import ROLES

View = TypeVar("View", bound=Callable[..., Any])


def requires_role(role: str) -> Callable[[View], View]:
    """Marks a view that only people of this role, or of one above it, may ask; all others get 403.

    Raises ValueError for a role that is not one of ROLES.
    """
    if role not in ROLES:
        raise ValueError(f"There is no role {role!r}. Known: {', '.join(ROLES)}.")

    def mark(view: View) -> View:
        view.required_role = role  # type: ignore[attr-defined]
        return view

    return mark


def required_role(view: Callable[..., Any]) -> str:
    """Returns the least role that may ask a view."""
    return getattr(view, "required_role", ROLES[0])
