"""The instruction set: one decorated function per PTX instruction, found by its name, each a whitelist row.

``table`` matches opcodes against rows exactly; the other files hold the rows by family. A row's function
receives an :class:`~teachkit.emulator.engine.emit.Emitter` and says what the instruction does to a warp.
"""
