"""Keeps autotuning short: compiling every configuration of a kernel takes minutes and proves little."""

from __future__ import annotations

import math
from typing import Any


def keep_configurations(n_kept: int = 1) -> None:
    """Let every kernel that is decorated with ``triton.autotune`` from now on keep its smallest configurations only.

    With more than one, tuning itself takes part: each is compiled, launched and priced.
    """
    from triton.runtime import autotuner

    original = autotuner.Autotuner.__init__

    def init(self: Any, fn: Any, arg_names: Any, configs: Any, *args: Any, **kwargs: Any) -> None:
        original(self, fn, arg_names, sorted(configs, key=_size)[:n_kept], *args, **kwargs)

    autotuner.Autotuner.__init__ = init


def _size(config: Any) -> tuple[float, int, int]:
    """How much code a configuration makes: its block sizes multiplied, then stages, then warps."""
    sizes = [value for value in config.kwargs.values() if isinstance(value, int) and value > 1]
    return math.prod(sizes), config.num_stages, config.num_warps
