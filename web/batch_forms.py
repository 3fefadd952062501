"""What is asked of a batch: a name beside the files, and at its end what becomes of the answers."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import RadioField, StringField
from wtforms.validators import InputRequired, Length

from web.forms import tidy_line
from web.models.batches import BATCH_NAME_LENGTH


class BatchForm(FlaskForm):
    """A name beside the files."""

    name = StringField(
        "Name",
        filters=[tidy_line],
        validators=[Length(max=BATCH_NAME_LENGTH, message=f"Use at most {BATCH_NAME_LENGTH} characters.")],
    )


class DeleteBatchForm(FlaskForm):
    """Whether the answers go with the batch."""

    answers = RadioField(
        "Answers",
        choices={
            "keep": "Keep the answers in the history",
            "delete": "Delete the answers and their pictures too",
        },
        default="keep",
        validators=[InputRequired("Choose what becomes of the answers.")],
    )
