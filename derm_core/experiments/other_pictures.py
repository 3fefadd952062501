"""Pictures of anything but a lesion, drawn at random: what a model is shown so that it learns what it does not know.

Dead leaves, things on a ground, coloured noise, writing and bare grounds. Such pictures share the statistics of
photographs closely enough that networks learn to see from them (Baradad et al. 2021, arXiv 2106.05963); shown as
examples of what not to answer, they sharpen the border towards pictures that nobody drew (outlier exposure: Hendrycks
et al. 2019, arXiv 1812.04606). Reads no files.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = (200, 150)
"""Width and height in pixels, those at which HAM10000 is prepared."""
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:-()    "))


def draw_other_picture(generator: np.random.Generator, colours: np.ndarray) -> Image.Image:
    """Draws a picture that shows no lesion.

    Args:
        generator: where its chance comes from.
        colours: uint8 (N, 3), colours of dermoscopic photographs. Half of the pictures are drawn in these, so that
            colour alone does not tell them apart.

    Returns:
        An RGB image of SIZE.
    """
    own = generator.random() < 0.5
    palette = (
        colours[generator.integers(0, len(colours), 24)] if own else generator.integers(0, 256, (24, 3))
    ).astype(np.float64)
    draw = _KINDS[generator.choice(len(_KINDS), p=_SHARES)]
    pixels = draw(generator, palette)
    if generator.random() < 0.5:
        light = 1 + generator.uniform(0, 0.6) * (coloured_noise(generator, 2.2) - 0.5)
        pixels = pixels * light[..., None]
    if generator.random() < 0.15:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    pixels = pixels + generator.normal(0, generator.uniform(0, 5), pixels.shape)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(generator.uniform(0, 1.2)))


def coloured_noise(generator: np.random.Generator, exponent: float) -> np.ndarray:
    """Returns float64 (H, W) in [0, 1]: noise whose amplitude falls with frequency to the power of `exponent`."""
    width, height = SIZE
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(generator.normal(size=(height, width))) / frequency**exponent
    values = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray((values - values.min()) / np.ptp(values))


def _leaves(generator: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """Shapes of all sizes that lie over each other, as leaves do (Lee, Mumford and Huang, IJCV 41:35, 2001)."""
    image = Image.fromarray(_ground(generator, palette).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    smallest, largest = 3.0, generator.uniform(20, 120)
    for _ in range(int(generator.choice([4, 15, 60, 200]))):
        # The density of sizes falls with their cube, which is what makes the picture look alike at every scale.
        size = smallest / np.sqrt(1 - generator.random() * (1 - (smallest / largest) ** 2))
        at = generator.uniform(0, SIZE, 2)
        _shape(pen, generator, at, size * generator.uniform(0.4, 1.0, 2), _colour(generator, palette))
    return _textured(generator, np.asarray(image, dtype=np.float64))


def _thing(generator: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """One thing in the middle of a ground, with parts in pairs on it: the layout of a portrait."""
    image = Image.fromarray(_ground(generator, palette).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    middle = np.array(SIZE) * generator.uniform(0.35, 0.65, 2)
    size = SIZE[1] * generator.uniform(0.25, 0.6, 2)
    for share in (1.25, 1.0)[int(generator.integers(2)) :]:
        _shape(pen, generator, middle - [0, size[1] * (share - 1)], size * share, _colour(generator, palette))
    for _ in range(int(generator.integers(1, 5))):
        off, part = size * generator.uniform(0.1, 0.6, 2), size * generator.uniform(0.05, 0.3, 2)
        colour, down = _colour(generator, palette), generator.choice([-1, 1])
        for side in (-1, 1):
            _shape(pen, generator, middle + off * [side, down], part, colour)
    return _textured(generator, np.asarray(image, dtype=np.float64))


def _noise(generator: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """Noise between three colours."""
    exponent = generator.uniform(0.3, 2.2)
    shares = np.stack([coloured_noise(generator, exponent) for _ in range(3)], axis=2)
    sharpened = np.exp(generator.uniform(2, 20) * shares)
    return np.asarray(sharpened / sharpened.sum(axis=2, keepdims=True) @ palette[:3])


def _writing(generator: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """Lines of letters, dark on light or light on dark, perhaps slanted."""
    light, dark = generator.uniform(180, 255, 3), generator.uniform(0, 90, 3)
    ground, ink = (light, dark) if generator.random() < 0.75 else (dark, light)
    image = Image.new("RGB", SIZE, _plain(ground))
    pen = ImageDraw.Draw(image)
    size = float(np.exp(generator.uniform(np.log(6), np.log(48))))
    font = ImageFont.load_default(size)
    y = -generator.uniform(0, size)
    spacing = generator.uniform(1.1, 2.2)
    while y < SIZE[1]:
        line = "".join(generator.choice(_LETTERS, int(generator.uniform(0.2, 1.2) * 2 * SIZE[0] / size) + 1))
        pen.text((generator.uniform(0, 20), y), line, font=font, fill=_plain(ink))
        y += spacing * size
    if generator.random() < 0.4:
        edge = _colour(generator, palette)
        image = image.rotate(generator.uniform(-30, 30), Image.Resampling.BILINEAR, fillcolor=edge)
    return np.asarray(image, dtype=np.float64)


def _ground(generator: np.random.Generator, palette: np.ndarray) -> np.ndarray:
    """One colour, or one that runs into another, with a little texture: a wall, a sky, skin with nothing on it."""
    angle = generator.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    along = np.cos(angle) * columns / SIZE[0] + np.sin(angle) * rows / SIZE[1]
    along = (along - along.min()) / np.ptp(along) * generator.integers(2)
    texture = 1 + generator.uniform(0, 0.25) * (coloured_noise(generator, generator.uniform(0.5, 2.0)) - 0.5)
    return np.asarray((palette[0] + along[..., None] * (palette[1] - palette[0])) * texture[..., None])


def _textured(generator: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    texture = 1 + generator.uniform(0, 0.8) * (coloured_noise(generator, generator.uniform(0.4, 1.6)) - 0.5)
    return np.asarray(pixels * texture[..., None])


def _shape(
    pen: ImageDraw.ImageDraw,
    generator: np.random.Generator,
    at: np.ndarray,
    size: np.ndarray,
    colour: tuple[int, ...],
) -> None:
    """Draws an ellipse, a rectangle, a polygon or a line of half the width and height `size` about `at`."""
    box = (*(at - size).tolist(), *(at + size).tolist())
    kind = generator.integers(4)
    if kind == 0:
        pen.ellipse(box, fill=colour)
    elif kind == 1:
        pen.rectangle(box, fill=colour)
    elif kind == 2:
        angles = np.sort(generator.uniform(0, 2 * np.pi, 6))
        corners = at + size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        pen.polygon([tuple(corner) for corner in corners.tolist()], fill=colour)
    else:
        end = at + generator.normal(0, 3, 2) * size
        pen.line((*at.tolist(), *end.tolist()), fill=colour, width=int(generator.integers(1, 6)))


def _colour(generator: np.random.Generator, palette: np.ndarray) -> tuple[int, ...]:
    return _plain(palette[generator.integers(len(palette))])


def _plain(colour: np.ndarray) -> tuple[int, ...]:
    return tuple(colour.astype(int).tolist())


_KINDS = (_leaves, _thing, _noise, _writing, _ground)
_SHARES = (0.4, 0.2, 0.15, 0.15, 0.1)
