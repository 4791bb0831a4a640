"""The instruction set: one decorated function per PTX instruction, found by its name, each a whitelist row.

``table`` matches opcodes against rows exactly; the other files hold the rows by family. A row's function
receives an :class:`~teachkit.emulator.engine.emit.Emitter` and says what the instruction does to a warp.

Not modelled, and refused by name: textures and surfaces (``tex``, ``tld4``, ``txq``, ``suld``, ``sust``, ``sured``,
``suq``, ``istypep``), the stack as a program sees it (``alloca``, ``stacksave``, ``stackrestore``), ``shfl`` and
``vote`` without ``.sync`` (of GPUs before V100), sparse products of 4-bit elements, and what came with H100 and later
but for the rows that are here. NVRTC writes no ``alloca``: it calls a function of that name, which nobody defines.
"""
