"""LLVM text, written line by line as instructions are made: types, values, the builder of instructions, modules.

The names are those of ``llvmlite.ir``, as far as the engine needs them. Its builder keeps an object for every
instruction and formats them all at the end; that took ten times as long (``benchmarks/llvm_text.py``) and was most of
a translation.
"""

from teachkit.emulator.engine.ir.builder import IRBuilder as IRBuilder
from teachkit.emulator.engine.ir.module import Block as Block
from teachkit.emulator.engine.ir.module import Function as Function
from teachkit.emulator.engine.ir.module import FunctionType as FunctionType
from teachkit.emulator.engine.ir.module import Module as Module
from teachkit.emulator.engine.ir.types import DoubleType as DoubleType
from teachkit.emulator.engine.ir.types import FloatType as FloatType
from teachkit.emulator.engine.ir.types import HalfType as HalfType
from teachkit.emulator.engine.ir.types import IntType as IntType
from teachkit.emulator.engine.ir.types import LiteralStructType as LiteralStructType
from teachkit.emulator.engine.ir.types import PointerType as PointerType
from teachkit.emulator.engine.ir.types import Type as Type
from teachkit.emulator.engine.ir.types import VectorType as VectorType
from teachkit.emulator.engine.ir.types import VoidType as VoidType
from teachkit.emulator.engine.ir.values import Constant as Constant
from teachkit.emulator.engine.ir.values import FloatBits as FloatBits
from teachkit.emulator.engine.ir.values import Indexed as Indexed
from teachkit.emulator.engine.ir.values import Poison as Poison
from teachkit.emulator.engine.ir.values import Splat as Splat
from teachkit.emulator.engine.ir.values import Stored as Stored
from teachkit.emulator.engine.ir.values import Value as Value
