"""Networks built for weights that are at hand: no random start is drawn for what is overwritten. Loads no weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

_OF_INIT = frozenset({init.kaiming_normal_, init.kaiming_uniform_, init.normal_, init.uniform_})


class Uninitialised(TorchFunctionMode):
    """Within it, in this thread, the parameters of new modules are not drawn at random.

    Drawing takes up to nine tenths of the time in which a network is built. The generator's state stays as it is.
    Whatever is built here must be given all of its weights.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _OF_INIT:
            return named["tensor"]
        # trunc_normal_ asks these two again until all values lie within its bounds: so there must be some.
        if func is Tensor.normal_:
            return args[0].fill_(args[1] if len(args) > 1 else 0.0)
        if func is Tensor.uniform_:
            return args[0].zero_()
        return func(*args, **named)
