"""A probe: what the adapter touches of Numba-CUDA is as it was; the message says which version changed what."""

import importlib
import inspect
from importlib.metadata import version

import pytest

NEEDED = {
    "numba.cuda.cudadrv.driver": {
        "_Linker.__init__": ("max_registers", "cc", "lto"),
        "_Linker.complete": (),
        "_Linker._get_linker_options": ("ptx",),
        "_Linker.add_ptx": ("ptx",),
        "_Linker.add_cu": ("cu", "name"),
        "_Linker.add_file_guess_ext": ("path_or_code",),
        "driver.__init__": (),
    },
    "numba.cuda.dispatcher": {
        "_Kernel.__init__": ("py_func", "argtypes", "lineinfo"),
        "_Kernel.launch": ("args", "griddim", "blockdim"),
        "launch": None,  # of cuda.core, compiled
        "get_current_device": (),
    },
    "numba.cuda.codegen": {
        "CUDACodeLibrary.get_cufunc": (),
        "CUDACodeLibrary.get_asm_strs": ("cc",),
        "CUDACodeLibrary.get_function": ("name",),
    },
    "numba.cuda.compiler": {
        "compile_cuda": (
            *("pyfunc", "return_type", "args", "debug", "lineinfo", "fastmath", "forceinline", "max_registers"),
            *("nvvm_options", "cc"),
        ),
        "kernel_fixup": ("kernel", "debug"),
    },
    "numba.cuda.cudadrv.nvvm": {"set_launch_bounds": ("kernel", "launch_bounds")},
    "numba.cuda.cudadrv.nvrtc": {"_get_nvrtc_version": ()},
    "numba.cuda.cuda_paths": {"get_cuda_paths": ()},
    "numba.cuda.typing.typeof": {"typeof": ("val", "purpose")},
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NEEDED.items() for name in names])
def test_private_names(module, name):
    where = f"{module}.{name} of numba-cuda {version('numba-cuda')}"
    thing = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part, None)
        assert thing is not None, f"{where} is gone"
    parameters = NEEDED[module][name]
    if parameters is not None:
        missing = set(parameters) - set(inspect.signature(thing).parameters)
        assert not missing, f"{where} takes {inspect.signature(thing)}; {', '.join(missing)} is missing"


def test_what_was_linked_can_be_seen():
    from numba.cuda.cudadrv import driver

    linker = driver._Linker(cc=(8, 0), lto=False)
    linker.add_ptx(b".version 8.0\n.target sm_80\n.address_size 64\n")
    (code,) = linker._object_codes
    assert code.code_type == "ptx"
    assert b".target sm_80" in bytes(code.code)
