"""A graph of ONNX as operations of TensorFlow: those that networks for pictures are made of. Writes no files.

ONNX has the channels of a picture before its pixels, and TensorFlow on a CPU, like LiteRT, wants them behind. So a
value is either as in ONNX or, from the picture on, turned; it is turned back only where an operation needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

from derm_core.errors import ConfigError

Tensor = Any
_TURN, _TURN_BACK = (0, 2, 3, 1), (0, 3, 1, 2)
_TURNED_AXIS = {0: 0, 1: 3, 2: 1, 3: 2}


@dataclass(frozen=True, eq=False)
class _Value:
    """A tensor; `turned` where its channels, which ONNX has second, come last."""

    tensor: Tensor
    turned: bool = False


def run_graph(graph: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the outputs of an onnx.GraphProto by name; inside a tf.function, they become its operations.

    Raises:
        ConfigError: the graph holds an operation, or a form of one, that is not known here.
    """
    values = {name: _Value(tensor) for name, tensor in inputs.items()}
    values |= {item.name: _Value(onnx.numpy_helper.to_array(item)) for item in graph.initializer}
    for node in graph.node:
        settings = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        given = [values[name] if name else None for name in node.input]
        operation = _OPERATIONS.get(node.op_type)
        if operation is None:
            raise _unknown(node.op_type)
        values[node.output[0]] = operation(given, settings)
    return {item.name: _plain(values[item.name]) for item in graph.output}


def _unknown(what: str) -> ConfigError:
    return ConfigError(
        f"The network holds {what}, which cannot be written for TensorFlow. Export it as onnx."
    )


def _plain(value: _Value) -> Tensor:
    return tf.transpose(value.tensor, _TURN_BACK) if value.turned else value.tensor


def _turned(value: _Value) -> Tensor:
    return value.tensor if value.turned else tf.transpose(value.tensor, _TURN)


def _constant(value: _Value | None) -> list[int]:
    """Returns what is a constant of the graph, such as axes; empty for none."""
    if value is None:
        return []
    found = tf.get_static_value(tf.convert_to_tensor(value.tensor))
    if found is None:
        raise _unknown("a shape that depends on its input")
    return [int(item) for item in np.atleast_1d(found)]


def _each(function: Callable[..., Tensor]) -> Callable[..., _Value]:
    """An operation on each element, of one tensor or of several that are broadcast."""

    def operation(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
        if not any(value.turned for value in given):
            return _Value(function(*(value.tensor for value in given)))
        ranks = [len(value.tensor.shape) for value in given]
        if any(
            rank not in (0, 4) and np.prod(value.tensor.shape) != 1
            for rank, value in zip(ranks, given, strict=True)
        ):
            return _Value(function(*map(_plain, given)))
        alike = [
            _turned(value) if rank == 4 else tf.reshape(value.tensor, [])
            for rank, value in zip(ranks, given, strict=True)
        ]
        return _Value(function(*alike), turned=True)

    return operation


def _clip(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    value, *bounds = given
    tensor = value.tensor
    for bound, limit in zip(bounds, (tf.maximum, tf.minimum), strict=False):
        tensor = tensor if bound is None else limit(tensor, bound.tensor)
    return _Value(tensor, value.turned)


def _cast(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    kind = onnx.helper.tensor_dtype_to_np_dtype(settings["to"])
    return _Value(tf.cast(given[0].tensor, kind), given[0].turned)


def _transpose(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    order = tuple(settings["perm"])
    if order == _TURN_BACK and not given[0].turned:
        return _Value(given[0].tensor, turned=True)
    return _Value(tf.transpose(_plain(given[0]), order))


def _conv(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    """Convolution over pixels: plain, in groups, or of each channel alone."""
    picture, kernels = _turned(given[0]), tf.transpose(given[1].tensor, (2, 3, 1, 0))
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
    return _Value(answer if len(given) < 3 else answer + given[2].tensor, turned=True)


def _pool(function: Callable[..., Tensor], outside: float) -> Callable[..., _Value]:
    def operation(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
        pads = list(settings.get("pads", (0, 0, 0, 0)))
        if settings.get("ceil_mode") or any(item != 1 for item in settings.get("dilations", (1, 1))):
            raise _unknown("a pooling that rounds up or is dilated")
        if any(pads) and np.isfinite(outside) and not settings.get("count_include_pad"):
            raise _unknown("an average over the part of a window that lies inside")
        picture = _padded(_turned(given[0]), pads, outside) if any(pads) else _turned(given[0])
        return _Value(function(picture, settings["kernel_shape"], settings["strides"], "VALID"), turned=True)

    return operation


def _named(settings: Mapping[str, Any]) -> str:
    named = settings.get("auto_pad", b"NOTSET").decode()
    if named not in ("NOTSET", "VALID"):
        raise _unknown(f"padding of the kind {named}")
    return named


def _padded(picture: Tensor, pads: list[int], value: float) -> Tensor:
    top, left, bottom, right = pads
    around = [[0, 0], [top, bottom], [left, right], [0, 0]]
    return tf.pad(picture, around, constant_values=max(value, picture.dtype.min))


def _batch_norm(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    scale, bias, mean, variance = (value.tensor for value in given[1:])
    factor = scale / tf.sqrt(variance + settings.get("epsilon", 1e-5))
    return _Value(_turned(given[0]) * factor + (bias - mean * factor), turned=True)


def _layer_norm(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    tensor = _plain(given[0])
    axes = list(range(settings.get("axis", -1) % len(tensor.shape), len(tensor.shape)))
    mean, variance = tf.nn.moments(tensor, axes, keepdims=True)
    normal = (tensor - mean) * tf.math.rsqrt(variance + settings.get("epsilon", 1e-5)) * given[1].tensor
    return _Value(normal if len(given) < 3 else normal + given[2].tensor)


def _mean(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    value, axes = given[0], list(settings.get("axes", ())) or _constant(given[1] if len(given) > 1 else None)
    keep = bool(settings.get("keepdims", 1))
    if not value.turned or sorted(axis % 4 for axis in axes) != [2, 3]:
        return _Value(tf.reduce_mean(_plain(value), axes or None, keepdims=keep))
    return _Value(tf.reduce_mean(value.tensor, (1, 2), keepdims=keep), turned=keep)


def _global_mean(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    return _Value(tf.reduce_mean(_turned(given[0]), (1, 2), keepdims=True), turned=True)


def _reshape(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    tensor, shape = _plain(given[0]), given[1].tensor
    known = tf.get_static_value(tf.convert_to_tensor(shape))
    if known is not None and not settings.get("allowzero"):
        sizes = tf.shape(tensor, out_type=tf.int64)
        shape = [sizes[place] if size == 0 else int(size) for place, size in enumerate(known)]
    return _Value(tf.reshape(tensor, shape))


def _flatten(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    if settings.get("axis", 1) != 1:
        raise _unknown("a flattening of the batch")
    tensor = _plain(given[0])
    return _Value(tf.reshape(tensor, (-1, int(np.prod(tensor.shape[1:])))))


def _squeeze(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    return _Value(tf.squeeze(_plain(given[0]), _constant(given[1]) if len(given) > 1 else None))


def _unsqueeze(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    tensor = _plain(given[0])
    axes = _constant(given[1])
    rank = len(tensor.shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        tensor = tf.expand_dims(tensor, axis)
    return _Value(tensor)


def _concat(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    if all(value.turned for value in given):
        return _Value(
            tf.concat([value.tensor for value in given], _TURNED_AXIS[settings["axis"] % 4]), turned=True
        )
    return _Value(tf.concat([_plain(value) for value in given], settings["axis"]))


def _gemm(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    first, second, *rest = (_plain(value) for value in given)
    answer = tf.matmul(
        first, second, transpose_a=bool(settings.get("transA")), transpose_b=bool(settings.get("transB"))
    )
    answer = answer * settings.get("alpha", 1.0)
    return _Value(answer + rest[0] * settings.get("beta", 1.0) if rest else answer)


def _on_plain(function: Callable[..., Tensor]) -> Callable[..., _Value]:
    """An operation that depends on the order of the axes, or on no picture at all."""

    def operation(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
        return _Value(function(*(_plain(value) for value in given), **settings))

    return operation


def _hard_sigmoid(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    slope, middle = settings.get("alpha", 0.2), settings.get("beta", 0.5)
    return _Value(tf.clip_by_value(given[0].tensor * slope + middle, 0.0, 1.0), given[0].turned)


def _gelu(given: list[_Value], settings: Mapping[str, Any]) -> _Value:
    rough = settings.get("approximate", b"none") == b"tanh"
    return _Value(tf.nn.gelu(given[0].tensor, approximate=rough), given[0].turned)


_OPERATIONS: Mapping[str, Callable[..., _Value]] = {
    "Add": _each(tf.add),
    "AveragePool": _pool(tf.nn.avg_pool2d, 0.0),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _each(tf.divide),
    "Erf": _each(tf.math.erf),
    "Exp": _each(tf.exp),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_mean,
    "Greater": _each(tf.greater),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _each(lambda tensor: tensor * tf.nn.relu6(tensor + 3.0) / 6.0),
    "Identity": _each(tf.identity),
    "LayerNormalization": _layer_norm,
    "Less": _each(tf.less),
    "MatMul": _on_plain(tf.matmul),
    "MaxPool": _pool(tf.nn.max_pool2d, float("-inf")),
    "Mul": _each(tf.multiply),
    "Neg": _each(tf.negative),
    "Pow": _each(tf.pow),
    "Reciprocal": _each(tf.math.reciprocal),
    "ReduceMean": _mean,
    "Relu": _each(tf.nn.relu),
    "Reshape": _reshape,
    "Sigmoid": _each(tf.sigmoid),
    "Softmax": _on_plain(lambda tensor, axis=-1: tf.nn.softmax(tensor, axis)),
    "Sqrt": _each(tf.sqrt),
    "Squeeze": _squeeze,
    "Sub": _each(tf.subtract),
    "Tanh": _each(tf.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _each(tf.where),
}
