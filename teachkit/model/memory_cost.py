"""What a gigabyte costs on a chip, beside it and in a server: SRAM, stacked DRAM, DRAM.

Modelled: silicon area from the size of a memory cell, cost from the price of a wafer, prices from costs and margins.
Every number is an argument, so that a learner's own take the place of the defaults, which are cited.
Not modelled: yield by defect density, dies lost at the wafer's edge, prices of design and test.
"""

from __future__ import annotations

import dataclasses
import math

from teachkit.errors import ModelInputError

GIGABYTE = 1 << 30

N5_BIT_CELL_UM2 = 0.021
"""Area of a high-density six-transistor cell on TSMC N5. Source: G. Yeap et al., "5nm CMOS Production Technology
Platform", IEDM 2019; unchanged on N3E (WikiChip Fuse, "IEDM 2022: Did We Just Witness The Death Of SRAM?")."""
N5_WAFER_USD = 16_988.0
"""Foundry's price of a 300 mm wafer on N5 in 2020. Source: S. Khan, A. Mann, "AI Chips: What They Are and Why They
Matter", CSET, 2020, table "Calculation of foundry sale price per chip in 2020 by node"."""
WAFER_DIAMETER_MM = 300.0
ARRAY_EFFICIENCY = 0.354
"""Share of a cache's area that is memory cells; the rest is decoders, sense amplifiers, tags, wiring and contacts.
Source: AMD's 3D V-Cache, 64 MiB on 41 mm2 in TSMC N7 (J. Wuu et al., ISSCC 2022) with a cell of 0.027 um2
(S.-Y. Wu et al., IEDM 2016): 14.5 mm2 of cells."""
DRAM_USD_PER_GB = 2.0
"""Lowest retail price in 2023; the market moves by a factor of 2 and more within a year.
Source: J. C. McCallum, "Memory Prices 1957+", jcmit.net/memoryprice.htm."""
HBM_PREMIUM = 4.5
"""Price of a gigabyte of HBM3E over one of DDR5. Source: TrendForce, 18 December 2025: "four to five times"."""
DRAM_SHARE_OF_SERVER = 0.5
"""Source: H. Li et al., "Pond: CXL-Based Memory Pooling for Cloud Platforms", ASPLOS 2023, section 1 (Azure)."""


@dataclasses.dataclass(frozen=True)
class SramCost:
    """Area and price of on-chip memory.

    Attributes
    ----------
    n_bytes
        Capacity.
    cells_mm2, area_mm2
        Area of the memory cells alone, and with what they need around them.
    cost_usd
        Share of the wafer's price.
    price_usd
        What a buyer pays when the chip's vendor keeps its margin.
    """

    n_bytes: int
    cells_mm2: float
    area_mm2: float
    cost_usd: float
    price_usd: float

    @property
    def cost_usd_per_gb(self) -> float:
        """Cost of 2^30 bytes without margin."""
        return self.cost_usd * GIGABYTE / self.n_bytes


def sram_cost(
    n_bytes: int = GIGABYTE,
    *,
    bit_cell_um2: float = N5_BIT_CELL_UM2,
    array_efficiency: float = ARRAY_EFFICIENCY,
    wafer_usd: float = N5_WAFER_USD,
    wafer_diameter_mm: float = WAFER_DIAMETER_MM,
    yield_fraction: float = 1.0,
    gross_margin: float = 0.75,
) -> SramCost:
    """Return area, cost and price of on-chip memory.

    Parameters
    ----------
    n_bytes
        Capacity.
    bit_cell_um2
        Area of one bit's cell, square micrometres.
    array_efficiency
        Cells' share of the area, 0 to 1.
    wafer_usd, wafer_diameter_mm
        Price and size of a wafer.
    yield_fraction
        Share of the silicon that works, 0 to 1; memory is repaired with spare rows, hence 1.
    gross_margin
        Share of the price that the vendor keeps, 0 to less than 1.

    Raises
    ------
    ModelInputError
        If a quantity is out of its range.

    Examples
    --------
    >>> cost = sram_cost()
    >>> round(cost.cells_mm2), round(cost.area_mm2), round(cost.cost_usd)
    (180, 510, 122)
    """
    _require_positive(
        n_bytes=n_bytes, bit_cell_um2=bit_cell_um2, wafer_usd=wafer_usd, wafer_diameter_mm=wafer_diameter_mm
    )
    _require_share(array_efficiency=array_efficiency, yield_fraction=yield_fraction)
    if not 0 <= gross_margin < 1:
        raise ModelInputError(f"Expected a gross margin of 0 to less than 1, got {gross_margin!r}.")
    cells_mm2 = 8 * n_bytes * bit_cell_um2 * 1e-6
    area_mm2 = cells_mm2 / array_efficiency
    wafer_mm2 = math.pi * (wafer_diameter_mm / 2) ** 2
    cost_usd = area_mm2 / wafer_mm2 * wafer_usd / yield_fraction
    return SramCost(n_bytes, cells_mm2, area_mm2, cost_usd, cost_usd / (1 - gross_margin))


@dataclasses.dataclass(frozen=True)
class DramCost:
    """Price of memory beside the chip.

    Attributes
    ----------
    n_bytes
        Capacity.
    dram_usd, hbm_usd
        As plain DRAM and as HBM.
    """

    n_bytes: int
    dram_usd: float
    hbm_usd: float


def dram_cost(n_bytes: int, *, dram_usd_per_gb: float = DRAM_USD_PER_GB, hbm_premium: float = HBM_PREMIUM) -> DramCost:
    """Return the price of memory as plain DRAM and as HBM.

    Parameters
    ----------
    n_bytes
        Capacity.
    dram_usd_per_gb
        Price of 2^30 bytes of plain DRAM.
    hbm_premium
        How many times dearer stacked DRAM is.

    Raises
    ------
    ModelInputError
        If a quantity is not positive.

    Examples
    --------
    >>> dram_cost(80 * GIGABYTE).hbm_usd
    720.0
    """
    _require_positive(n_bytes=n_bytes, dram_usd_per_gb=dram_usd_per_gb, hbm_premium=hbm_premium)
    dram_usd = n_bytes / GIGABYTE * dram_usd_per_gb
    return DramCost(n_bytes, dram_usd, dram_usd * hbm_premium)


def server_dram_share(n_bytes: int, rest_usd: float, *, dram_usd_per_gb: float = DRAM_USD_PER_GB) -> float:
    """Return DRAM's share of a server's cost.

    Parameters
    ----------
    n_bytes
        Memory of the server.
    rest_usd
        Cost of everything else in it.
    dram_usd_per_gb
        Price of 2^30 bytes.

    Raises
    ------
    ModelInputError
        If a quantity is not positive.

    Examples
    --------
    >>> server_dram_share(1024 * GIGABYTE, rest_usd=2048)
    0.5
    """
    _require_positive(n_bytes=n_bytes, rest_usd=rest_usd, dram_usd_per_gb=dram_usd_per_gb)
    dram_usd = n_bytes / GIGABYTE * dram_usd_per_gb
    return dram_usd / (dram_usd + rest_usd)


def _require_positive(**quantities: float) -> None:
    for name, value in quantities.items():
        if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
            raise ModelInputError(f"Expected {name} to be a positive number, got {value!r}.")


def _require_share(**quantities: float) -> None:
    for name, value in quantities.items():
        if not 0 < value <= 1:
            raise ModelInputError(f"Expected {name} above 0 and at most 1, got {value!r}.")
