"""Time of a copy between the CPU's memory and the GPU's, over PCI Express.

Modelled: a fixed cost for each copy, and bytes over a rate. Rate of the link: the standard's. How much of it a copy
reaches, and the fixed cost, are assumptions, and parameters, so that you can put in what you measured.
Not modelled: copies in both directions at once, memory that is not page-locked (it is copied once more by the CPU).
Source: PCI-SIG, PCI Express Base Specification 4.0 and 5.0: 16 and 32 GT/s a lane, 128 of 130 bits are data.
"""

from __future__ import annotations

_TRANSFERS_PER_S = {3: 8e9, 4: 16e9, 5: 32e9}
_DATA_SHARE = 128 / 130
ASSUMED_EFFICIENCY = 0.8
ASSUMED_COPY_S = 10e-6


def pcie_bytes_per_s(generation: int = 4, lanes: int = 16) -> float:
    """Rate of the link in one direction, bytes/s, before the headers of packets.

    Examples
    --------
    >>> f"{pcie_bytes_per_s() / 1e9:.1f} GB/s"
    '31.5 GB/s'
    """
    return _TRANSFERS_PER_S[generation] * _DATA_SHARE * lanes / 8


def copy_seconds(
    n_bytes: int,
    *,
    generation: int = 4,
    efficiency: float = ASSUMED_EFFICIENCY,
    copy_s: float = ASSUMED_COPY_S,
) -> float:
    """Modelled time of one copy over 16 lanes.

    Parameters
    ----------
    n_bytes : bytes to copy.
    generation : of PCI Express: 3, 4 or 5.
    efficiency : share of the link's rate that a large copy reaches (assumed).
    copy_s : fixed cost of a copy, seconds (assumed).
    """
    return copy_s + n_bytes / (efficiency * pcie_bytes_per_s(generation))
