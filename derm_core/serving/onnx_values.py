"""What stands for a value of an ONNX graph in TensorFlow, and the order of its axes.

ONNX has the channels of a picture before its pixels, and TensorFlow on a CPU, like LiteRT, wants them behind. So a
value is either as in ONNX or, from the picture on, turned; it is turned back only where an operation needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from derm_core.errors import ConfigError

Tensor = Any
TURN_BACK = (0, 3, 1, 2)
_TURN = (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor; `turned` where its channels, which ONNX has second, come last."""

    tensor: Tensor
    turned: bool = False


def unknown_operation(what: str) -> ConfigError:
    """Returns the error for what has no form in TensorFlow here."""
    return ConfigError(
        f"The network holds {what}, which cannot be written for TensorFlow. Export it as onnx."
    )


def plain(value: Value) -> Tensor:
    """Returns a tensor with its axes as in ONNX."""
    return tf.transpose(value.tensor, TURN_BACK) if value.turned else value.tensor


def turned(value: Value) -> Tensor:
    """Returns a picture with its channels last."""
    return value.tensor if value.turned else tf.transpose(value.tensor, _TURN)


def constant(value: Value | None) -> list[int]:
    """Returns what is a constant of the graph, such as axes; empty for none."""
    if value is None:
        return []
    found = tf.get_static_value(tf.convert_to_tensor(value.tensor))
    if found is None:
        raise unknown_operation("a shape that depends on its input")
    return [int(item) for item in np.atleast_1d(found)]
