"""The engine: PTX to LLVM IR in which a register of a warp is one vector, compiled and run on the CPU."""
