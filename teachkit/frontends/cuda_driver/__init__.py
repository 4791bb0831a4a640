"""A CUDA driver, ``libcuda.so.1``, whose one GPU is the emulator: for programs that know nothing of teachkit.

It is made of the driver's public C interface alone, so that NVIDIA's own Python packages (``cuda.bindings``,
``cuda.core``) and all that is built on them, Numba-CUDA first, run unchanged. :func:`install` puts it into the process.
Modelled: one device, contexts, memory, modules, launches, streams and events, tensor maps of tiles.
Not modelled: concurrency (what is asked for has happened when the call returns), graphs, textures, arrays, virtual
memory, other processes' memory. A function that is not here answers ``CUDA_ERROR_NOT_SUPPORTED``.
"""

from teachkit.frontends.cuda_driver.install import install, is_installed

__all__ = ["install", "is_installed"]
