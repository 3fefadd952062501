"""All that the app says, in one place, so that it can be translated: a name a text, and `say` to write one.

A translation is another table with the same names and the same words in braces; the test of this file holds the names
to those that the app asks for.
"""

from __future__ import annotations

from typing import Any

from desktop.case_texts import CASE_TEXTS
from desktop.folder_texts import FOLDER_TEXTS
from desktop.training_texts import TRAINING_TEXTS

TEXTS = {
    # What every screen needs.
    "notice-offline": "On this machine only",
    "close": "Close",
    "needs-path": "Enter the whole path, such as {example}.",
    "file-missing": "There is no file {file}. Check how it is written, or copy it from the file manager.",
    "file-folder": "{file} is a folder. Enter the file in it.",
    "file-unreadable": "{file} cannot be read ({reason}). Ask whoever owns it, or copy it elsewhere.",
    "theme": "Light or dark",
    "theme-switch": "Switch between light and dark",
    "tab-picture": "One picture",
    "tab-folder": "A folder",
    "tab-models": "Models",
    "advice-refer": "Refer",
    "advice-routine": "Routine",
    "advice-unsure": "No answer",
    "advice-unread": "Not read",
    "password-needed": "On {host} others of the network could use the app: that takes a password of {shortest} "
    "characters or more. Give one by --password-file or DERM_DESKTOP_PASSWORD, or leave out --host.",
    "password-ask": "This app is open to the network. The name is {user}.",
    "machine-gpu": "Answers on the graphics card {name}",
    "machine-cpu": "Answers on the processor, {cores}",
    "machine-cores": "{count} cores",
    "machine-core": "1 core",
    "machine-memory": "{free} of {total} GB memory free",
    "machine-gpu-memory": "{free} of {total} GB of its memory free",
    "runtime": "Runtime: {name}, {reason}",
    "machine-no-gpu": "The graphics card cannot be used: {reason} Answers come from the processor, only slower.",
    # One picture.
    "picture-private": "Nothing leaves this machine, and nothing is kept unless you keep it in the case list: the "
    "picture’s file is deleted once it is answered, and what is shown of it goes with the next one.",
    "more-pdf": "PDF of this answer",
    "more-methods": "Other explanations",
    "more-methods-intro": "Grad-CAM, above, is one way of asking what an answer rests on. Others ask otherwise; where "
    "they agree, that is worth more.",
    "more-methods-show": "Show what there is",
    "more-methods-none": "No other explanation is quick enough for this model on this machine.",
    "more-method-shown": "What speaks for {name}, by {title}",
    "more-similar": "Similar confirmed cases",
    "more-similar-intro": "What the model sees as most like this picture, among {count} photographs of {data}.",
    "more-similar-likeness": "likeness {share}",
    "more-similar-confirmed": "confirmed by {how}",
    "more-failed": "That could not be done for this picture. The terminal says what happened.",
    # One picture, its patient and its answer; a text with a tag in it is written into the page as it stands.
    "picture-title": "New picture",
    "picture-intro": "One dermoscopic picture of one lesion.",
    "picture-drop": "# Drop a picture here, or paste it\nor click to choose a file: JPEG, PNG, WebP, TIFF, BMP or HEIC",
    "picture-failed": "This picture could not be answered. Try again; the window in which the app was started "
    "says what happened.",
    "patient-title": "About the patient",
    "optional": "(optional)",
    "patient-intro": "Age, sex and body site improve the answer. Enter them before the picture: it is answered "
    "at once.",
    "good-title": "A picture that can be answered",
    "good-whole": "Whole lesion, centred",
    "good-whole-more": "With a margin of clear skin all round",
    "good-blurred": "Blurred",
    "good-blurred-more": "Press gently, hold still, focus on the pigment",
    "good-cut": "Cut off",
    "good-cut-more": "The border carries much of the answer",
    "good-afar": "From afar",
    "good-afar-more": "A plain phone photo is not dermoscopy; attach the lens",
    "private-title": "Private",
    "answer-refer": "Refer to a dermatologist",
    "answer-routine": "Routine follow-up",
    "answer-unsure": "No answer for this picture",
    "answer-risk": "risk of<br>malignancy",
    "why-unsure": "Any probability here would be a guess, so none is given. <b>This says nothing about the "
    "lesion: judge it by examination.</b>",
    "why-routine": "The risk of malignancy is below the operating point of {point}. A low figure does not rule "
    "out malignancy: look again if the lesion changes.",
    "why-refer": "The risk of malignancy is at or above the operating point of {point}.",
    "why-leading": "Most of it is <b>{name}</b>.",
    "why-benign-first": "{name} is the most likely single diagnosis; the malignant ones together decide the advice.",
    "kind-malignant": "malignant",
    "kind-benign": "benign",
    "scale-label": "Risk of malignancy {risk}. Operating point {point}: refer at or above it.",
    "scale-point": "Operating point {point}",
    "answer-name": "Picture",
    "photo-alt": "The photograph",
    "photo-card": "Picture",
    "heatmap-alt": "Heatmap for {name}",
    "heatmap-of-photo": "The heatmap shows the photograph’s part in the answer, not the patient’s.",
    "quality-title": "Picture quality",
    "quality-good": "Good enough",
    "quality-fine": "Nothing was found wrong with its size, its light, its sharpness or what is in view. "
    "Whether it shows the whole lesion is yours to judge.",
    "risk-title": "Risk of malignancy",
    "probabilities-title": "Probabilities",
    "why-title": "Why",
    "do-title": "What to do",
    "do-again": "Take the picture again",
    "do-again-more": "Dermatoscope on the skin, lesion centred and sharp",
    "do-file": "Check the file",
    "do-file-more": "The wrong picture is easily chosen from a folder",
    "do-lesion": "It is a lesion after all?",
    "do-lesion-more": "Some pictures cannot be answered. Rely on examination.",
    "unlike-known": "This picture is too unlike those the model knows.",
    "explained": "What speaks for {name}",
    "show-what-speaks": "Show what speaks for",
    "no-heatmap": "No heatmap",
    "heatmap": "Heatmap",
    "legend-less": "Less weight",
    "legend-half": "White line: half of the peak",
    "legend-most": "Most",
    "patient-age": "Age in years",
    "patient-sex": "Sex",
    "patient-site": "Body site",
    "patient-unknown": "Not recorded",
    "patient-wrong-age": "Enter the age in years, such as 54, or leave it empty.",
    "patient-used": "Answered with: {words}",
    "patient-none": "From the photograph alone",
    "patient-given": "Given with it: {words}",
    "patient-unused": "{sentence}. Given with it, but not used by this model: {words}",
    "years": "{count} years",
    "year": "1 year",
    "measured": "At {point} this model finds {found} of malignant lesions and spares {spared} of benign ones.",
    "measured-on": "Measured on {count} lesions that it was not trained on.",
    # Models.
    "models-title": "Models",
    "models-intro": "What can answer on this machine. The one chosen answers pictures and folders from then on.",
    "models-column-model": "Model",
    "models-column-measured": "Measured",
    "models-column-actions": "",
    "models-chosen": "Answers now",
    "models-use": "Use",
    "models-card": "Model card",
    "models-card-close": "Close the card",
    "models-export": "Export",
    "models-now": "{model} answers from now on.",
    "models-fixed": "This app was started with one model alone. Start it by scripts/desktop to choose another.",
    "models-no-card": "This model came without a card.",
    "models-unmeasured": "Not measured",
    "models-measured": "Sensitivity {sensitivity}, specificity {specificity}",
    "models-point": "at the operating point {point}",
    "models-lesions": "on {count} lesions",
    "export-done": "{file} is being taken along. Its SHA-256, to be compared where it arrives: {sha}",
    "import-title": "Take a model in",
    "import-intro": "A file that was exported on another machine. It is checked against the hashes in it, and "
    "registered as the next version of its name.",
    "import-path": "File",
    "import-path-hint": "Such as {example}",
    "import-name": "Name",
    "import-name-hint": "Such as ham7",
    "import-start": "Take it in",
    "import-done": "Registered as {model} (weights {sha}…).",
    "compare-title": "Compare two",
    "compare-intro": "Both answer the same pictures, side by side.",
    "compare-first": "First model",
    "compare-second": "Second model",
    "compare-pictures": "Pictures",
    "compare-start": "Compare",
    "compare-same": "These are one and the same model. Choose two different ones.",
    "compare-how-many": "Give 1 to {most} pictures; these are {count}.",
    "compare-agree": "Same advice for {same} of {count} pictures",
    "compare-unread": "{count} could not be read.",
    "compare-unread-one": "1 could not be read.",
    "compare-differs": "Differs",
    "compare-risk": "risk {risk}, refer from {point}",
    # Durations.
    "time-seconds": "about {count} seconds",
    "time-minute": "about a minute",
    "time-minutes": "about {count} minutes",
    "time-hours": "about {hours} h {minutes} min",
    **FOLDER_TEXTS,
    **CASE_TEXTS,
    **TRAINING_TEXTS,
}


def say(name: str, /, **values: Any) -> str:
    """Returns a text with its values put in; raises KeyError for a name or a value that is not there."""
    return TEXTS[name].format_map(values)


def say_count(name: str, count: int, **values: Any) -> str:
    """Returns the text of that name for a number of things, and the one ending in -one where it is 1."""
    return say(f"{name}-one" if count == 1 else name, count=f"{count:,}", **values)


def duration(seconds: float) -> str:
    """Writes how long something still takes, in words."""
    if seconds < 50:
        return say("time-seconds", count=max(5, 5 * round(seconds / 5)))
    minutes = round(seconds / 60)
    if minutes <= 1:
        return say("time-minute")
    if minutes < 90:
        return say("time-minutes", count=minutes)
    return say("time-hours", hours=minutes // 60, minutes=minutes % 60)
