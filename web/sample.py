"""The sample picture: a pigmented lesion drawn by arithmetic, nobody's skin. `python -m web.sample` draws it anew."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from derm_core import heatmap_to_rgba
from web.pictures import SAMPLE

WIDTH, HEIGHT = 1200, 900
SEED = 2026
SAMPLE_HEATMAP = SAMPLE.with_name("sample-heatmap.png")

_SKIN = np.array([226.0, 178.0, 158.0])
_FLUSH = np.array([205.0, 128.0, 116.0])
_BROWN = np.array([150.0, 96.0, 66.0])
_DARK = np.array([62.0, 38.0, 32.0])
_BLUE_GREY = np.array([104.0, 106.0, 124.0])
_HAIR = (58, 40, 34)

Field = NDArray[np.floating]


def draw_sample(seed: int = SEED) -> Image.Image:
    """Draws a dermoscopic picture of WIDTH x HEIGHT: skin, an irregular brown lesion with a net, a dark part, hairs."""
    random = np.random.default_rng(seed)
    body = _lesion(random)
    dark = _dark_part(body)
    net = _net(random)
    skin = _SKIN + 9 * _cloud(random, 220)[..., None] + 5 * _cloud(random, 40)[..., None]
    flush = np.clip(_soft(body, 60) - body, 0, 1) * (0.45 + 0.25 * _cloud(random, 120))
    picture = _mix(skin, _FLUSH, flush)
    shade = 0.62 + 0.12 * _cloud(random, 90)
    picture = _mix(picture, _BROWN, body * np.clip(shade + 0.3, 0, 1))
    picture = _mix(picture, _DARK, body * net * 0.5)
    picture = _mix(picture, _DARK, dark * np.clip(0.78 + 0.2 * _cloud(random, 50), 0, 1))
    veil = body * _blob(0.43, 0.62, 0.085, 0.11) * 0.75
    picture = _mix(picture, _BLUE_GREY, veil)
    picture = _mix(picture, _DARK, _dots(random, body))
    picture *= (1.03 - 0.3 * _distance_from_centre() ** 2.4)[..., None]
    picture += 2.2 * random.standard_normal((HEIGHT, WIDTH, 1))
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    return _with_hairs(image, random)


def draw_sample_heatmap(seed: int = SEED) -> Image.Image:
    """Draws what a heatmap over the sample looks like, RGBA at two thirds of its size. No model made it."""
    body = _lesion(np.random.default_rng(seed))
    heat = _soft(_dark_part(body), 34) + 0.35 * _soft(body * _blob(0.43, 0.62, 0.1, 0.12), 30)
    size = (WIDTH * 2 // 3, HEIGHT * 2 // 3)
    small = Image.fromarray((heat / heat.max()).astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    return Image.fromarray(heatmap_to_rgba(np.asarray(small).clip(0, 1)))


def _grid() -> tuple[Field, Field]:
    """Row and column of each pixel, in shares of the height and of the width."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return rows / HEIGHT, columns / WIDTH


def _lesion(random: np.random.Generator) -> Field:
    """Where the lesion is, in [0, 1]: an ellipse whose edge swings in ever finer waves."""
    rows, columns = _grid()
    across, down = (columns - 0.49) * WIDTH / HEIGHT, rows - 0.5
    angle = np.arctan2(down, across)
    radius = np.hypot(across / 1.22, down)
    edge = np.full_like(angle, 0.265)
    for wave in range(2, 15):
        edge += 0.052 / wave**0.9 * random.uniform(0.3, 1) * np.cos(wave * angle + random.uniform(0, 6.3))
    edge += 0.006 * _cloud(random, 9)
    return 1 / (1 + np.exp((radius - edge) / 0.0075))


def _dark_part(body: Field) -> Field:
    return np.clip(body * (1.25 * _blob(0.56, 0.42, 0.12, 0.15) + 0.6 * _blob(0.62, 0.54, 0.07, 0.08)), 0, 1)


def _net(random: np.random.Generator) -> Field:
    """A pigment network, in [0, 1]: the lines along which two of many scattered points are equally near."""
    cell = 26
    rows, columns = np.mgrid[:HEIGHT:2, :WIDTH:2].astype(np.float64)
    tall, wide = HEIGHT // cell + 3, WIDTH // cell + 3
    jitter = random.uniform(-0.42, 0.42, (2, tall, wide))
    own_row, own_column = (rows / cell).astype(int) + 1, (columns / cell).astype(int) + 1
    first = np.full(rows.shape, np.inf)
    second = first.copy()
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            at_row, at_column = own_row + down, own_column + across
            point_row = (at_row - 0.5 + jitter[0, at_row, at_column]) * cell
            point_column = (at_column - 0.5 + jitter[1, at_row, at_column]) * cell
            distance = np.hypot(rows - point_row, columns - point_column)
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
    lines = np.clip(1.25 - (second - first) / 5.0, 0, 1)
    return _soft(np.kron(lines, np.ones((2, 2))), 1.6)


def _dots(random: np.random.Generator, body: Field) -> Field:
    """Small dark globules along the inner edge of the lesion, in [0, 1]."""
    canvas = Image.new("L", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(canvas)
    rim = np.argwhere((_soft(body, 22) > 0.55) & (_soft(body, 22) < 0.8))
    for row, column in random.permutation(rim)[:46]:
        size = random.uniform(3, 8)
        pen.ellipse(
            [column - size, row - size, column + size, row + size], fill=int(random.uniform(120, 215))
        )
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(1.7))) / 255 * body


def _with_hairs(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Lays a few thin curved hairs over the picture, drawn at twice the size so that they are smooth."""
    layer = Image.new("RGBA", (2 * WIDTH, 2 * HEIGHT))
    pen = ImageDraw.Draw(layer)
    for start, bend, end in (
        ((-0.02, 0.2), (0.16, 0.03), (0.44, -0.03)),
        ((0.7, 1.03), (0.86, 0.8), (1.03, 0.7)),
        ((0.9, -0.03), (0.88, 0.2), (1.02, 0.34)),
        ((-0.02, 0.82), (0.1, 0.9), (0.2, 1.03)),
    ):
        share = np.linspace(0, 1, 60)[:, None]
        curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * np.array(bend) + share**2 * end
        points = [tuple(point) for point in curve * (2 * WIDTH, 2 * HEIGHT)]
        pen.line(points, fill=(*_HAIR, 200), width=int(random.integers(5, 8)))
    smooth = layer.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
    return Image.alpha_composite(image.convert("RGBA"), smooth).convert("RGB")


def _cloud(random: np.random.Generator, grain: int) -> Field:
    """Smooth noise about 0 with a spread of 1; `grain` is the size of its patches in pixels."""
    coarse = random.standard_normal((HEIGHT // grain + 3, WIDTH // grain + 3)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float64)


def _blob(column: float, row: float, width: float, height: float) -> Field:
    rows, columns = _grid()
    return np.exp(-((((columns - column) / width) ** 2 + ((rows - row) / height) ** 2) ** 1.5))


def _distance_from_centre() -> Field:
    rows, columns = _grid()
    return np.hypot(columns - 0.5, rows - 0.5) / np.hypot(0.5, 0.5)


def _soft(field: Field, radius: float) -> Field:
    blurred = Image.fromarray((field * 255).clip(0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(radius)
    )
    return np.asarray(blurred) / 255


def _mix(picture: Field, colour: Field, cover: Field) -> Field:
    part = cover.clip(0, 1)[..., None]
    return picture * (1 - part) + colour * part


def main() -> None:
    """Draws both files anew."""
    buffer = io.BytesIO()
    draw_sample().save(buffer, "JPEG", quality=86, optimize=True)
    SAMPLE.write_bytes(buffer.getvalue())
    draw_sample_heatmap().save(SAMPLE_HEATMAP, optimize=True)


if __name__ == "__main__":
    main()
