"""The form of a training: recipe, the few settings that people change, and the others by name. Starts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from desktop.blocks import html
from desktop.texts import say
from desktop.training_recipes import FIRST_RECIPE, recipe_settings, recipe_words


def settings_form(recipes: Sequence[str], *, warning: str) -> tuple[list[Any], gr.Button]:
    """Makes the form; call it where it shall stand.

    Args:
        recipes: their names.
        warning: what to know before anything is started, as HTML; empty for nothing.

    Returns:
        Its fields (recipe, epochs, picture size, batch size, augmentation, other settings, name of the run), and the
        button that starts.
    """
    usual = recipe_settings(FIRST_RECIPE)
    with gr.Column(elem_id="training-form", elem_classes="group"):
        recipe = gr.Dropdown(
            list(recipes), value=FIRST_RECIPE, label=say("training-recipe"), elem_id="training-recipe"
        )
        words = html(_about(FIRST_RECIPE), elem_id="training-recipe-words")
        with gr.Row():
            numbers = [
                gr.Number(
                    value,
                    label=f"{say(name)} ({say(hint)})",
                    precision=0,
                    elem_id=name,
                )
                for name, hint, value in (
                    ("training-epochs", "training-epochs-hint", usual.epochs),
                    ("training-size", "training-size-hint", usual.image_size),
                    ("training-batch", "training-batch-hint", usual.batch_size),
                )
            ]
        augmented = gr.Checkbox(
            usual.augmented, label=say("training-augmented"), elem_id="training-augmented", container=False
        )
        more = gr.Textbox(
            label=say("training-more"),
            placeholder=say("training-more-hint"),
            lines=2,
            elem_id="training-more",
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )
        with gr.Row(elem_classes="ask-row"):
            name = gr.Textbox(
                label=say("training-name"),
                placeholder=say("training-name-hint"),
                max_lines=1,
                elem_id="training-name",
            )
            start = gr.Button(say("training-start"), variant="primary", elem_id="training-start")
        if warning:
            html(warning)

    def take(chosen: str) -> list[Any]:
        found = recipe_settings(chosen)
        return [_about(chosen), found.epochs, found.image_size, found.batch_size, found.augmented]

    recipe.input(take, recipe, [words, *numbers, augmented], show_progress="hidden", api_visibility="private")
    return [recipe, *numbers, augmented, more, name], start


def _about(recipe: str) -> str:
    return f'<p class="small muted">{escape(recipe_words(recipe))}</p>'
