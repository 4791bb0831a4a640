"""Which dispatch modes are on. The only module that asks PyTorch for its stack of modes, which is private.

Not modelled: modes of other threads.
"""

from __future__ import annotations

from typing import Any


def active_modes() -> list[Any]:
    """Return the dispatch modes of this thread, outermost first."""
    from torch.utils import _python_dispatch

    return list(_python_dispatch._get_current_dispatch_mode_stack())
