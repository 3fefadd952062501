"""The forms, and what each field accepts. Sends nothing."""

from __future__ import annotations

import re
import unicodedata

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    Form,
    PasswordField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length

from web.models import EMAIL_LENGTH, NAME_LENGTH, NOTE_LENGTH
from web.passwords import LONGEST, password_fault
from web.patients import PatientForm
from web.visits import VisitForm

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")


def tidy_line(text: str | None) -> str:
    """Returns the text as one line, without control characters and outer spaces."""
    return " ".join(_without_controls(text or "").split())


def tidy_text(text: str | None) -> str:
    """Returns the text with plain line ends, without other control characters and outer spaces."""
    return _without_controls((text or "").replace("\r\n", "\n").replace("\r", "\n")).strip()


def tidy_email(text: str | None) -> str:
    """Returns an address as it is compared: of one spelling, in lower case."""
    return unicodedata.normalize("NFKC", tidy_line(text)).lower()


def _without_controls(text: str) -> str:
    return "".join(
        character
        for character in text
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
    )


def is_email(form: Form, field: Field) -> None:
    """Refuses what is no address."""
    if not _EMAIL.fullmatch(field.data):
        raise ValidationError("Enter the whole address, such as name@clinic.org.")


_needs_email = InputRequired("Enter your e-mail address.")
_needs_password = InputRequired("Enter your password.")
_bounded_password = Length(max=4 * LONGEST, message="This is longer than any password here.")


class LoginForm(FlaskForm):
    """Signing in."""

    email = EmailField("E-mail", filters=[tidy_email], validators=[_needs_email, is_email])
    password = PasswordField("Password", validators=[_needs_password, _bounded_password])


class RegisterForm(FlaskForm):
    """Making an account."""

    name = StringField(
        "Your name",
        filters=[tidy_line],
        validators=[
            InputRequired("Enter your name."),
            Length(1, NAME_LENGTH, f"Use 1 to {NAME_LENGTH} characters."),
        ],
    )
    email = EmailField(
        "E-mail",
        filters=[tidy_email],
        validators=[
            _needs_email,
            Length(max=EMAIL_LENGTH, message=f"Use at most {EMAIL_LENGTH} characters."),
            is_email,
        ],
    )
    password = PasswordField("Password", validators=[InputRequired("Choose a password.")])

    def validate_password(self, field: Field) -> None:
        """Refuses a poor password with its reason."""
        if fault := password_fault(field.data, self.email.data or "", self.name.data or ""):
            raise ValidationError(fault)


class ChangePasswordForm(FlaskForm):
    """Choosing another password."""

    current = PasswordField("Current password", validators=[_needs_password, _bounded_password])
    new = PasswordField("New password", validators=[InputRequired("Choose a new password.")])
    end_tokens = BooleanField("Revoke the API tokens, too", default=True)

    def __init__(self, *personal: str) -> None:
        super().__init__()
        self._personal = personal

    def validate_new(self, field: Field) -> None:
        """Refuses a poor password, and one that is not new."""
        if fault := password_fault(field.data, *self._personal):
            raise ValidationError(fault)
        if field.data == self.current.data:
            raise ValidationError("This is the password you have. Choose another.")


class OwnPasswordForm(FlaskForm):
    """The password, asked of somebody who is signed in."""

    password = PasswordField("Your password", validators=[_needs_password, _bounded_password])


_code = StringField(
    "Code",
    validators=[InputRequired("Enter the code."), Length(max=64, message="This is longer than any code.")],
)


class CodeForm(FlaskForm):
    """A code of an app, or a recovery code."""

    code = _code


class OwnPasswordAndCodeForm(OwnPasswordForm):
    """The password and a code, asked of somebody who is signed in."""

    code = _code


class PictureForm(PatientForm, VisitForm):
    """A photograph to be answered: from a file, or from a phone's camera. And whose it is, as far as that helps.

    It may be a visit of a lesion that is followed.
    """

    picture = FileField("Choose a file")
    camera = FileField("Take a photo")
    note = TextAreaField(
        "Note",
        filters=[tidy_text],
        validators=[Length(max=NOTE_LENGTH, message=f"Use at most {NOTE_LENGTH} characters.")],
    )


class NoteForm(FlaskForm):
    """What the user writes about an answer."""

    note = TextAreaField(
        "Note",
        filters=[tidy_text],
        validators=[Length(max=NOTE_LENGTH, message=f"Use at most {NOTE_LENGTH} characters.")],
    )
