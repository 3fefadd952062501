"""A graph of ONNX as operations of TensorFlow: those that networks for pictures are made of. Writes no files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

from derm_core.serving.onnx_pictures import batch_norm, convolution, global_mean, pooling, reduce_mean
from derm_core.serving.onnx_values import TURN_BACK, Tensor, Value, constant, plain, turned, unknown_operation

_TURNED_AXIS = {0: 0, 1: 3, 2: 1, 3: 2}


def run_graph(graph: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the outputs of an onnx.GraphProto by name; inside a tf.function, they become its operations.

    Raises:
        ConfigError: the graph holds an operation, or a form of one, that is not known here.
    """
    values = {name: Value(tensor) for name, tensor in inputs.items()}
    values |= {item.name: Value(onnx.numpy_helper.to_array(item)) for item in graph.initializer}
    for node in graph.node:
        settings = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        given = [values[name] if name else None for name in node.input]
        operation = _OPERATIONS.get(node.op_type)
        if operation is None:
            raise unknown_operation(node.op_type)
        values[node.output[0]] = operation(given, settings)
    return {item.name: plain(values[item.name]) for item in graph.output}


def _each(function: Callable[..., Tensor]) -> Callable[..., Value]:
    """An operation on each element, of one tensor or of several that are broadcast."""

    def operation(given: list[Value], settings: Mapping[str, Any]) -> Value:
        if not any(value.turned for value in given):
            return Value(function(*(value.tensor for value in given)))
        ranks = [len(value.tensor.shape) for value in given]
        if any(
            rank not in (0, 4) and np.prod(value.tensor.shape) != 1
            for rank, value in zip(ranks, given, strict=True)
        ):
            return Value(function(*map(plain, given)))
        alike = [
            turned(value) if rank == 4 else tf.reshape(value.tensor, [])
            for rank, value in zip(ranks, given, strict=True)
        ]
        return Value(function(*alike), turned=True)

    return operation


def _clip(given: list[Value], settings: Mapping[str, Any]) -> Value:
    value, *bounds = given
    tensor = value.tensor
    for bound, limit in zip(bounds, (tf.maximum, tf.minimum), strict=False):
        tensor = tensor if bound is None else limit(tensor, bound.tensor)
    return Value(tensor, value.turned)


def _cast(given: list[Value], settings: Mapping[str, Any]) -> Value:
    kind = onnx.helper.tensor_dtype_to_np_dtype(settings["to"])
    return Value(tf.cast(given[0].tensor, kind), given[0].turned)


def _transpose(given: list[Value], settings: Mapping[str, Any]) -> Value:
    order = tuple(settings["perm"])
    if order == TURN_BACK and not given[0].turned:
        return Value(given[0].tensor, turned=True)
    return Value(tf.transpose(plain(given[0]), order))


def _layer_norm(given: list[Value], settings: Mapping[str, Any]) -> Value:
    tensor = plain(given[0])
    axes = list(range(settings.get("axis", -1) % len(tensor.shape), len(tensor.shape)))
    mean, variance = tf.nn.moments(tensor, axes, keepdims=True)
    normal = (tensor - mean) * tf.math.rsqrt(variance + settings.get("epsilon", 1e-5)) * given[1].tensor
    return Value(normal if len(given) < 3 else normal + given[2].tensor)


def _reshape(given: list[Value], settings: Mapping[str, Any]) -> Value:
    tensor, shape = plain(given[0]), given[1].tensor
    known = tf.get_static_value(tf.convert_to_tensor(shape))
    if known is not None and not settings.get("allowzero"):
        sizes = tf.shape(tensor, out_type=tf.int64)
        shape = [sizes[place] if size == 0 else int(size) for place, size in enumerate(known)]
    return Value(tf.reshape(tensor, shape))


def _flatten(given: list[Value], settings: Mapping[str, Any]) -> Value:
    if settings.get("axis", 1) != 1:
        raise unknown_operation("a flattening of the batch")
    tensor = plain(given[0])
    return Value(tf.reshape(tensor, (-1, int(np.prod(tensor.shape[1:])))))


def _squeeze(given: list[Value], settings: Mapping[str, Any]) -> Value:
    return Value(tf.squeeze(plain(given[0]), constant(given[1]) if len(given) > 1 else None))


def _unsqueeze(given: list[Value], settings: Mapping[str, Any]) -> Value:
    tensor = plain(given[0])
    axes = constant(given[1])
    rank = len(tensor.shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        tensor = tf.expand_dims(tensor, axis)
    return Value(tensor)


def _concat(given: list[Value], settings: Mapping[str, Any]) -> Value:
    if all(value.turned for value in given):
        return Value(
            tf.concat([value.tensor for value in given], _TURNED_AXIS[settings["axis"] % 4]), turned=True
        )
    return Value(tf.concat([plain(value) for value in given], settings["axis"]))


def _gemm(given: list[Value], settings: Mapping[str, Any]) -> Value:
    first, second, *rest = (plain(value) for value in given)
    answer = tf.matmul(
        first, second, transpose_a=bool(settings.get("transA")), transpose_b=bool(settings.get("transB"))
    )
    answer = answer * settings.get("alpha", 1.0)
    return Value(answer + rest[0] * settings.get("beta", 1.0) if rest else answer)


def _on_plain(function: Callable[..., Tensor]) -> Callable[..., Value]:
    """An operation that depends on the order of the axes, or on no picture at all."""

    def operation(given: list[Value], settings: Mapping[str, Any]) -> Value:
        return Value(function(*(plain(value) for value in given), **settings))

    return operation


def _hard_sigmoid(given: list[Value], settings: Mapping[str, Any]) -> Value:
    slope, middle = settings.get("alpha", 0.2), settings.get("beta", 0.5)
    return Value(tf.clip_by_value(given[0].tensor * slope + middle, 0.0, 1.0), given[0].turned)


def _gelu(given: list[Value], settings: Mapping[str, Any]) -> Value:
    rough = settings.get("approximate", b"none") == b"tanh"
    return Value(tf.nn.gelu(given[0].tensor, approximate=rough), given[0].turned)


_OPERATIONS: Mapping[str, Callable[..., Value]] = {
    "Add": _each(tf.add),
    "AveragePool": pooling(tf.nn.avg_pool2d, 0.0),
    "BatchNormalization": batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": convolution,
    "Div": _each(tf.divide),
    "Erf": _each(tf.math.erf),
    "Exp": _each(tf.exp),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": global_mean,
    "Greater": _each(tf.greater),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _each(lambda tensor: tensor * tf.nn.relu6(tensor + 3.0) / 6.0),
    "Identity": _each(tf.identity),
    "LayerNormalization": _layer_norm,
    "Less": _each(tf.less),
    "MatMul": _on_plain(tf.matmul),
    "MaxPool": pooling(tf.nn.max_pool2d, float("-inf")),
    "Mul": _each(tf.multiply),
    "Neg": _each(tf.negative),
    "Pow": _each(tf.pow),
    "Reciprocal": _each(tf.math.reciprocal),
    "ReduceMean": reduce_mean,
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
