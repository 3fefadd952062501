"""The forms of roles, invitations, reviews and shared answers. Opens no database and sends nothing."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import (
    EmailField,
    Field,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length

from derm_core import DIAGNOSES
from web.forms import is_email, tidy_email, tidy_line, tidy_text
from web.models import EMAIL_LENGTH, NAME_LENGTH, NOTE_LENGTH
from web.passwords import password_fault

ROLE_WORDS = {"user": "User", "clinician": "Clinician", "admin": "Admin"}
ROLE_CHOICES = {
    "user": "User: asks for answers, and sees what is theirs",
    "clinician": "Clinician: also records confirmed diagnoses, and may be asked for a second opinion",
    "admin": "Admin: also manages people and models, and reads the audit log",
}
CONFIRMED_BY = {
    "histopathology": "Histopathology",
    "follow-up": "Follow-up",
    "consensus": "Consensus of clinicians",
}
_address = EmailField(
    "E-mail",
    filters=[tidy_email],
    validators=[
        InputRequired("Enter an e-mail address."),
        Length(max=EMAIL_LENGTH, message=f"Use at most {EMAIL_LENGTH} characters."),
        is_email,
    ],
)


class InviteForm(FlaskForm):
    """Whom to invite, and as what."""

    email = _address
    role = RadioField("Role", choices=ROLE_CHOICES, default="user")


class RoleForm(FlaskForm):
    """What somebody may do from now on."""

    role = SelectField("Role", choices=ROLE_WORDS)


class NewPasswordForm(FlaskForm):
    """A new password, by a link."""

    password = PasswordField("New password", validators=[InputRequired("Choose a password.")])

    def __init__(self, *personal: str) -> None:
        super().__init__()
        self._personal = personal

    def validate_password(self, field: Field) -> None:
        """Refuses a poor password with its reason."""
        if fault := password_fault(field.data, *self._personal):
            raise ValidationError(fault)


class JoinForm(NewPasswordForm):
    """An account of one's own, by a link."""

    name = StringField(
        "Your name",
        filters=[tidy_line],
        validators=[
            InputRequired("Enter your name."),
            Length(1, NAME_LENGTH, f"Use 1 to {NAME_LENGTH} characters."),
        ],
    )

    def validate_password(self, field: Field) -> None:
        """Refuses a poor password, and the name as one."""
        self._personal = (*self._personal, self.name.data or "")
        super().validate_password(field)


class ShareForm(FlaskForm):
    """The clinician who is asked for a second opinion."""

    email = _address


class ReviewForm(FlaskForm):
    """What has become known of a case."""

    verdict = RadioField(
        "What is known",
        choices={"confirmed": "The diagnosis is confirmed", "bad-picture": "The picture cannot be used"},
        default="confirmed",
        validators=[InputRequired("Choose one.")],
    )
    diagnosis = SelectField("Diagnosis", choices={"": "Choose"}, validate_choice=False)
    confirmed_by = SelectField("Known by", choices={"": "Choose"} | CONFIRMED_BY, validate_choice=False)
    comment = TextAreaField(
        "Comment",
        filters=[tidy_text],
        validators=[Length(max=NOTE_LENGTH, message=f"Use at most {NOTE_LENGTH} characters.")],
    )

    def __init__(self, codes: list[str], **values: object) -> None:
        """Offers the diagnoses of these codes; see `web.reviews.diagnosis_codes`."""
        super().__init__(**values)
        self.diagnosis.choices = {"": "Choose"} | {code: DIAGNOSES[code].name for code in codes}
        self._codes = codes

    def validate_diagnosis(self, field: Field) -> None:
        """Asks for one of the diagnoses where one is confirmed."""
        if self.verdict.data == "confirmed" and field.data not in self._codes:
            raise ValidationError("Choose the diagnosis.")

    def validate_confirmed_by(self, field: Field) -> None:
        """Asks how it is known."""
        if self.verdict.data == "confirmed" and field.data not in CONFIRMED_BY:
            raise ValidationError("Choose how it is known.")
