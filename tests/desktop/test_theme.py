"""The look: the website's tokens in the same values, in light and in dark, and no font or file from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr

from desktop.server import page_head
from desktop.theme import make_theme, read_tokens

ROOT = Path(__file__).parents[2]
OWN = ROOT / "desktop" / "static"
WEBSITE = ROOT / "web" / "static"


def declared(body: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+|color-scheme):\s*([^;]+);", body))


def tokens(css: str, light: str, dark: str) -> tuple[dict[str, str], dict[str, str]]:
    found = re.findall(r"^( *[:.][^{\n]+)\{\n(.*?)^ *\}", css, re.DOTALL | re.MULTILINE)
    blocks = {selector.strip(): body for selector, body in found}
    return declared(blocks[light]), declared(blocks[dark])


def test_the_tokens_are_those_of_the_website() -> None:
    own = tokens((OWN / "tokens.css").read_text("utf-8"), ".gradio-container", ".dark .gradio-container")
    website = tokens((WEBSITE / "css" / "tokens.css").read_text("utf-8"), ":root", ':root[data-theme="dark"]')
    assert own == website
    assert len(own[0]) > 60


def test_the_icons_are_those_of_the_website() -> None:
    def symbols(path: Path) -> dict[str, str]:
        return dict(re.findall(r'<symbol id="(\w+)"(.*?)</symbol>', path.read_text("utf-8")))

    own, website = symbols(OWN / "icons.svg"), symbols(WEBSITE / "icons.svg")
    assert set(own) - set(website) <= {"lock", "down", "up", "pause", "play"}
    both = set(own) & set(website)
    assert {name: own[name] for name in both} == {name: website[name] for name in both}


def test_every_token_that_the_style_sheet_uses_exists() -> None:
    known, _ = read_tokens((OWN / "tokens.css").read_text("utf-8"))
    css = (OWN / "page.css").read_text("utf-8")
    own = set(re.findall(r"(--[\w-]+):", css)) | {"--heatmap-opacity"}
    used = set(re.findall(r"var\((--[\w-]+)", css))
    assert used - own - {f"--{name}" for name in known} == set()


def test_gradio_gets_a_value_for_light_and_one_for_dark() -> None:
    theme = make_theme()
    assert (theme.body_background_fill, theme.body_background_fill_dark) == ("#f6f3ee", "#161412")
    assert (theme.button_primary_background_fill, theme.button_primary_background_fill_dark) == (
        "#0b5d63",
        "#6cc7c4",
    )
    assert "#8fe0dc" in theme.input_shadow_focus_dark
    assert isinstance(theme, gr.themes.Base)


def test_no_font_is_fetched() -> None:
    theme = make_theme()
    assert theme._stylesheets == []
    assert theme._font_css == []
    assert theme.font.startswith('system-ui, -apple-system, "Segoe UI"')


def test_what_is_put_into_the_page_comes_from_nowhere_else() -> None:
    code = re.sub(r"(^|; )\s*// .*$", "", page_head(), flags=re.MULTILINE)
    assert [mark for mark in ("//", "@import", "url(") if mark in code] == []
