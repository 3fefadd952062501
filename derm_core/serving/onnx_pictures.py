"""Operations of ONNX on the pixels of pictures, in TensorFlow: convolutions, pooling, normalisation and means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from derm_core.serving.onnx_values import Tensor, Value, constant, plain, turned, unknown_operation


def convolution(given: list[Value], settings: Mapping[str, Any]) -> Value:
    """Convolution over pixels: plain, in groups, or of each channel alone."""
    picture, kernels = turned(given[0]), tf.transpose(given[1].tensor, (2, 3, 1, 0))
    groups, strides = settings.get("group", 1), list(settings.get("strides", (1, 1)))
    dilations = list(settings.get("dilations", (1, 1)))
    height, width, within, outputs = kernels.shape
    reach = [(size - 1) * dilation for size, dilation in zip((height, width), dilations, strict=True)]
    pads = list(settings.get("pads", (0, 0, 0, 0)))
    if _named(settings) == "VALID":
        pads = [0, 0, 0, 0]
    padding = "VALID"
    if (
        strides == [1, 1]
        and pads == [extent // 2 for extent in reach] * 2
        and all(extent % 2 == 0 for extent in reach)
    ):
        padding = "SAME"
    elif any(pads):
        picture = _padded(picture, pads, 0.0)
    if groups > 1 and within == 1 and picture.shape[-1] == groups:
        of_each = tf.reshape(kernels, (height, width, groups, outputs // groups))
        answer = tf.nn.depthwise_conv2d(picture, of_each, [1, *strides, 1], padding, dilations=dilations)
    elif groups == 1:
        answer = tf.nn.conv2d(picture, kernels, strides, padding, dilations=dilations)
    else:
        parts = zip(tf.split(picture, groups, axis=-1), tf.split(kernels, groups, axis=-1), strict=True)
        answer = tf.concat(
            [tf.nn.conv2d(part, kernel, strides, padding, dilations=dilations) for part, kernel in parts],
            axis=-1,
        )
    return Value(answer if len(given) < 3 else answer + given[2].tensor, turned=True)


def pooling(function: Callable[..., Tensor], outside: float) -> Callable[..., Value]:
    """Returns a pooling by a function of TensorFlow; `outside` stands beyond the edges."""

    def operation(given: list[Value], settings: Mapping[str, Any]) -> Value:
        pads = list(settings.get("pads", (0, 0, 0, 0)))
        if settings.get("ceil_mode") or any(item != 1 for item in settings.get("dilations", (1, 1))):
            raise unknown_operation("a pooling that rounds up or is dilated")
        if any(pads) and np.isfinite(outside) and not settings.get("count_include_pad"):
            raise unknown_operation("an average over the part of a window that lies inside")
        picture = _padded(turned(given[0]), pads, outside) if any(pads) else turned(given[0])
        return Value(function(picture, settings["kernel_shape"], settings["strides"], "VALID"), turned=True)

    return operation


def _named(settings: Mapping[str, Any]) -> str:
    named = settings.get("auto_pad", b"NOTSET").decode()
    if named not in ("NOTSET", "VALID"):
        raise unknown_operation(f"padding of the kind {named}")
    return named


def _padded(picture: Tensor, pads: list[int], value: float) -> Tensor:
    top, left, bottom, right = pads
    around = [[0, 0], [top, bottom], [left, right], [0, 0]]
    return tf.pad(picture, around, constant_values=max(value, picture.dtype.min))


def batch_norm(given: list[Value], settings: Mapping[str, Any]) -> Value:
    """Normalisation of each channel by statistics that are given."""
    scale, bias, mean, variance = (value.tensor for value in given[1:])
    factor = scale / tf.sqrt(variance + settings.get("epsilon", 1e-5))
    return Value(turned(given[0]) * factor + (bias - mean * factor), turned=True)


def reduce_mean(given: list[Value], settings: Mapping[str, Any]) -> Value:
    """The mean over some axes; over a picture's pixels it stays turned."""
    value, axes = given[0], list(settings.get("axes", ())) or constant(given[1] if len(given) > 1 else None)
    keep = bool(settings.get("keepdims", 1))
    if not value.turned or sorted(axis % 4 for axis in axes) != [2, 3]:
        return Value(tf.reduce_mean(plain(value), axes or None, keepdims=keep))
    return Value(tf.reduce_mean(value.tensor, (1, 2), keepdims=keep), turned=keep)


def global_mean(given: list[Value], settings: Mapping[str, Any]) -> Value:
    """The mean of each channel over all pixels."""
    return Value(tf.reduce_mean(turned(given[0]), (1, 2), keepdims=True), turned=True)
