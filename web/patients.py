"""What may be known of a patient beside the photograph: the fields that ask for it, and how it is written."""

from __future__ import annotations

from dataclasses import replace

from flask_wtf import FlaskForm
from wtforms import Field, SelectField, StringField, ValidationError

from derm_core import SEXES, SITES, ConfigError, PatientContext
from web.models import Prediction

AGES = (0, 120)
"""In years, the ends of what a browser sends; the server asks PatientContext."""


def _list_field(label: str, known: tuple[str, ...]) -> SelectField:
    return SelectField(
        label,
        choices={"": "Not recorded"} | {word: word.capitalize() for word in known},
        default="",
        invalid_choice_message=f"Choose a {label.lower()} of the list, or Not recorded.",
    )


class PatientForm(FlaskForm):
    """Age, sex and body site; each may be left out."""

    age = StringField(
        "Age in years",
        filters=[lambda text: (text or "").strip()],
        render_kw={"type": "number", "min": AGES[0], "max": AGES[1], "step": "any", "autocomplete": "off"},
    )
    sex = _list_field("Sex", SEXES)
    site = _list_field("Body site", SITES)

    def validate_age(self, field: Field) -> None:
        """Refuses what is no age."""
        try:
            _of_age(field.data)
        except ConfigError as err:
            raise ValidationError(str(err)) from err
        except ValueError as err:
            raise ValidationError("Enter the age in years, such as 54, or leave it empty.") from err

    @property
    def names_patient(self) -> bool:
        """Whether anything of the patient was sent."""
        return any(field.data for field in (self.age, self.sex, self.site))

    def patient(self) -> PatientContext:
        """Returns what is known of the patient; the form must be valid."""
        return replace(_of_age(self.age.data), sex=self.sex.data, site=self.site.data)


def patient_text(prediction: Prediction) -> str:
    """Writes what was given of the patient: 54 years, female, back; empty where nothing was."""
    return ", ".join(_given(prediction).values())


def answered_with(prediction: Prediction) -> str:
    """Says what an answer rests on, in one line; empty where there is none and nothing was given."""
    given = _given(prediction)
    if prediction.advice == "unsure":
        return f"Given with it: {patient_text(prediction)}" if given else ""
    used = [given.pop(name) for name in prediction.context.split() if name in given]
    sentence = f"Answered with: {', '.join(used)}" if used else "From the photograph alone"
    unused = ", ".join(given.values())
    return f"{sentence}. Given with it, but not used by this model: {unused}" if unused else sentence


def _given(prediction: Prediction) -> dict[str, str]:
    """Returns what was given, by its name in `Prediction.context`."""
    age = prediction.age
    years = "" if age is None else "1 year" if age == 1 else f"{age:g} years"
    words = {"age": years, "sex": prediction.sex, "site": prediction.site}
    return {name: text for name, text in words.items() if text}


def _of_age(text: str) -> PatientContext:
    """Reads an age in years; raises ValueError where it is no number, and ConfigError where it is nobody's."""
    return PatientContext(float(text)) if text else PatientContext()
