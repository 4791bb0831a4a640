"""How long it takes to write LLVM text: with the engine's own builder, and with that of llvmlite.

The same calls build a function of loads, vector arithmetic and stores with both, in turns; printed are medians of
processor time an LLVM instruction, the text of the module included, and their ratio.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType

sys.path[0] = str(Path(__file__).resolve().parent.parent)

BAR = 5.0  # times faster


def microseconds(of: ModuleType, n_rounds: int) -> float:
    """Processor time an instruction with the builder of the module ``of``."""
    started = time.process_time()
    number, module = of.IntType(32), of.Module()
    function = of.Function(module, of.FunctionType(number, [of.PointerType()]), "f")
    b = of.IRBuilder(function.append_basic_block("entry"))
    slot = b.alloca(of.VectorType(number, 32))
    for _ in range(n_rounds):
        x = b.load(slot)
        y = b.add(x, x)
        z = b.xor(y, x)
        b.store(b.select(b.icmp_unsigned("<", z, x), x, z), slot)
    b.ret(number(0))
    str(module)
    return 1e6 * (time.process_time() - started) / (6 * n_rounds)


def main() -> None:
    import llvmlite.ir

    from teachkit.emulator.engine import ir

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4000, help="of six instructions")
    parser.add_argument("--repeat", type=int, default=5, help="modules behind each median")
    options = parser.parse_args()
    gc.disable()  # as while a kernel is translated
    pairs = [[microseconds(of, options.rounds) for of in (llvmlite.ir, ir)] for _ in range(options.repeat)]
    theirs, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"llvmlite {theirs:.1f} us, ours {ours:.1f} us an instruction: {theirs / ours:.1f} times faster (bar: {BAR})")
    raise SystemExit(theirs / ours < BAR)


if __name__ == "__main__":
    main()
