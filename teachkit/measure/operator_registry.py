"""Which operators the installed PyTorch registers. The only module that asks the dispatcher for its list of names.

Counted: names and overloads, as the dispatcher holds them now; importing other libraries can add to namespaces other
than ``aten``, which is PyTorch's own.
Not modelled: which of them have a kernel for which device.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True, slots=True)
class RegisteredOperators:
    """Operators of one namespace.

    Attributes
    ----------
    namespace
        For example ``"aten"``.
    names
        Operators such as ``"add"``, sorted; each counts once, however many overloads it has.
    n_overloads
        Variants that differ in their arguments, such as ``add.Tensor`` and ``add.out``.
    """

    namespace: str
    names: tuple[str, ...]
    n_overloads: int

    def matching(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """The names for which ``wanted`` is true."""
        return tuple(name for name in self.names if wanted(name))


def registered_operators() -> dict[str, RegisteredOperators]:
    """Return the registered operators by namespace.

    Examples
    --------
    >>> "add" in registered_operators()["aten"].names
    True
    """
    import torch

    overloads: dict[str, list[str]] = {}
    for full_name in torch._C._dispatch_get_all_op_names():
        namespace, _, rest = full_name.partition("::")
        overloads.setdefault(namespace, []).append(rest.partition(".")[0])
    return {
        namespace: RegisteredOperators(namespace, tuple(sorted(set(names))), len(names))
        for namespace, names in sorted(overloads.items())
    }
