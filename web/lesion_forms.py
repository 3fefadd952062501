"""The forms about a lesion: its name, its place, and what becomes of its photographs. Opens no database."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from web.body_map import REGION_OF, REGIONS, Place, place_in
from web.forms import tidy_line, tidy_text
from web.models import NOTE_LENGTH, Lesion
from web.models.lesions import LESION_NAME_LENGTH


class LesionForm(FlaskForm):
    """A lesion: name, place on the body, notes. `point` is where the drawing was clicked; the list does without."""

    name = StringField(
        "Name or patient code",
        filters=[tidy_line],
        validators=[
            DataRequired("Give the lesion a name, such as P-0317, left shoulder."),
            Length(1, LESION_NAME_LENGTH, f"Use 1 to {LESION_NAME_LENGTH} characters."),
        ],
    )
    place = RadioField(
        "Place on the body",
        choices={"": "Not recorded"} | {region.code: region.name.capitalize() for region in REGIONS},
        default="",
    )
    point = HiddenField()
    notes = TextAreaField(
        "Notes",
        filters=[tidy_text],
        validators=[Length(max=NOTE_LENGTH, message=f"Use at most {NOTE_LENGTH} characters.")],
    )

    @classmethod
    def of(cls, lesion: Lesion) -> LesionForm:
        """Returns the form of a lesion that is there; what was sent goes before what was kept."""
        place = place_of(lesion)
        region = place.region if place else None
        point = f"{place.x:.4f},{place.y:.4f}" if place and region else ""
        return cls(name=lesion.name, place=region.code if region else "", point=point, notes=lesion.notes)

    def fill(self, lesion: Lesion) -> None:
        """Writes what was sent into a lesion; the form must be valid."""
        lesion.name, lesion.notes = self.name.data, self.notes.data
        region = REGION_OF.get(self.place.data)
        if region is not None:
            place = place_in(region, self.point.data or "")
            lesion.site, lesion.body_view = region.site, place.view
            lesion.body_x, lesion.body_y = place.x, place.y
        elif lesion.body_view:
            lesion.site = lesion.body_view = ""
            lesion.body_x = lesion.body_y = None


class DeleteLesionForm(FlaskForm):
    """What becomes of the photographs of a lesion that is deleted."""

    photographs = RadioField(
        "Its photographs",
        choices={
            "keep": "Keep them in the history, without a lesion",
            "delete": "Delete them too, with their answers",
        },
        default="keep",
        validators=[InputRequired("Choose what becomes of the photographs.")],
    )


def place_of(lesion: Lesion) -> Place | None:
    """Returns where a lesion is on the drawn body, or None where that was not told."""
    if not lesion.body_view or lesion.body_x is None or lesion.body_y is None:
        return None
    return Place(lesion.body_view, lesion.body_x, lesion.body_y)


def place_name(lesion: Lesion) -> str:
    """Writes where a lesion is: left palm, or its site; empty where that was not told."""
    place = place_of(lesion)
    return place.region.name if place and place.region else lesion.site
