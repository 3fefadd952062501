"""The website's look as a Gradio theme: reads the tokens of static/tokens.css, names no colour and no size itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

import gradio as gr

from desktop.markup import STATIC

# Gradio's variables by the token whose value they take, in light and in dark.
_COLOURS = {
    "color-page": ("body_background_fill", "background_fill_secondary"),
    "color-surface": (
        "background_fill_primary",
        "block_background_fill",
        "input_background_fill",
        "button_secondary_background_fill",
    ),
    "color-sunken": ("button_secondary_background_fill_hover", "table_even_background_fill"),
    "color-text": (
        "body_text_color",
        "block_title_text_color",
        "button_secondary_text_color",
        "button_secondary_text_color_hover",
        "button_secondary_border_color_hover",
    ),
    "color-muted": ("body_text_color_subdued", "input_placeholder_color", "block_label_text_color"),
    "color-line": ("border_color_primary", "block_border_color"),
    "color-control": ("input_border_color", "button_secondary_border_color"),
    "color-accent": (
        "button_primary_background_fill",
        "button_primary_border_color",
        "slider_color",
        "link_text_color",
        "loader_color",
        "checkbox_background_color_selected",
        "input_border_color_focus",
    ),
    "color-accent-hover": (
        "button_primary_background_fill_hover",
        "button_primary_border_color_hover",
        "link_text_color_hover",
    ),
    "color-on-accent": ("button_primary_text_color", "button_primary_text_color_hover"),
    "color-accent-soft": ("color_accent_soft",),
    "color-refer": ("error_text_color", "error_border_color", "error_icon_color"),
    "color-refer-soft": ("error_background_fill",),
    "shadow-1": ("block_shadow",),
    "focus-ring": ("input_shadow_focus",),
}
# And those that are the same in both.
_MEASURES = {
    "radius-2": ("button_large_radius", "button_medium_radius", "button_small_radius", "input_radius"),
    "radius-3": ("block_radius", "container_radius"),
    "text-md": ("body_text_size", "button_large_text_size"),
    "text-sm": ("block_label_text_size",),
    "weight-medium": ("button_large_text_weight",),
}


def read_tokens(css: str) -> tuple[dict[str, str], dict[str, str]]:
    """Returns the tokens of a style sheet by name, in light and in dark, with references to other tokens resolved."""
    light = _declared(css, r"^\.gradio-container \{(.*?)^\}")
    dark = light | _declared(css, r"^  \.dark \.gradio-container \{(.*?)^  \}")
    return _resolved(light), _resolved(dark)


def make_theme() -> gr.themes.Base:
    """Returns the theme. Its fonts are names alone, which the machine has or has not: nothing is fetched."""
    light, dark = read_tokens((STATIC / "tokens.css").read_text("utf-8"))
    values = {name: light[token] for token, names in (_COLOURS | _MEASURES).items() for name in names}
    values |= {f"{name}_dark": dark[token] for token, names in _COLOURS.items() for name in names}
    theme = gr.themes.Base(font=_fonts(light["font-sans"]), font_mono=_fonts(light["font-mono"]))
    return theme.set(
        **values,
        color_accent=light["color-accent"],
        block_border_width="0px",
        input_border_width="1px",
        button_transition="background var(--motion-fast), border-color var(--motion-fast)",
    )


def _declared(css: str, block: str) -> dict[str, str]:
    (body,) = re.findall(block, css, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"--([\w-]+):\s*([^;]+);", body))


def _resolved(tokens: Mapping[str, str]) -> dict[str, str]:
    return {
        name: re.sub(r"var\(--([\w-]+)\)", lambda match: tokens[match[1]], value)
        for name, value in tokens.items()
    }


def _fonts(stack: str) -> list[gr.themes.Font]:
    return [_SystemFont(name.strip().strip('"')) for name in stack.split(",")]


class _SystemFont(gr.themes.Font):
    """A font that is named without quotes: in quotes `system-ui` would be a font of that name."""

    def __str__(self) -> str:
        return f'"{self.name}"' if " " in self.name else self.name
