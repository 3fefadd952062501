"""The form that takes in the file of a model. Opens no file."""

from __future__ import annotations

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import Field, StringField, ValidationError
from wtforms.validators import Length

from web.forms import tidy_line

_HEX_DIGITS = 64


class ModelFileForm(FlaskForm):
    """The file, what it is to be called here, and the hash that was told where it was exported."""

    file = FileField("File")
    name = StringField(
        "Name", filters=[tidy_line], validators=[Length(max=64, message="Use at most 64 characters.")]
    )
    sha256 = StringField(
        "SHA-256 of the file", filters=[lambda text: tidy_line(text).replace(" ", "").lower()]
    )

    def validate_sha256(self, field: Field) -> None:
        """Refuses what is no SHA-256; nothing is one, too."""
        if field.data and (len(field.data) != _HEX_DIGITS or set(field.data) - set("0123456789abcdef")):
            raise ValidationError(
                "A SHA-256 has 64 digits from 0 to 9 and a to f. Copy all of it, or leave it out."
            )
