"""PTX of the sample kernels, made by the real compilers when a test asks for it."""

import functools
import importlib.util
import pathlib
import re
from typing import NamedTuple

_HERE = pathlib.Path(__file__).parent


@functools.cache
def sources(name):
    """The module of kernels ``name`` in this folder (the folder is not a package)."""
    spec = importlib.util.spec_from_file_location(f"teachkit_sample_{name}", _HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Triton(NamedTuple):
    """One specialisation: pointer and scalar types in order, then the compile-time constants.

    Pointers, and integers written ``i32/16``, are promised to be multiples of 16.
    """

    kernel: str
    types: str
    constants: dict
    num_warps: int = 4
    num_stages: int = 3

    def __str__(self):
        values = "-".join(str(value) for value in self.constants.values())
        return f"{self.kernel}-{self.types.replace(' ', ',').replace('*', 'p')}-{values}-w{self.num_warps}"


def _matmul(types, precision="ieee", bm=64, bn=64, bk=32, warps=4, stages=3):
    return Triton(
        "matmul", types + " i32 i32 i32", {"BM": bm, "BN": bn, "BK": bk, "PRECISION": precision}, warps, stages
    )


_B = {"BLOCK": 1024}
_UNARY = (
    "exp",
    "log",
    "sin",
    "cos",
    "sqrt",
    "rsqrt",
    "erf",
    "floor",
    "div_rn",
    "sqrt_rn",
    "pow",
    "log1p",
    "lgamma",
    "fmod",
    "expm1",
    "sigmoid",
    "nearbyint",
    "fma",
)
_CONVERSIONS = (
    "*fp32 *fp16",
    "*fp32 *bf16",
    "*fp16 *fp32",
    "*bf16 *fp32",
    "*fp32 *i32",
    "*fp32 *i8",
    "*i32 *fp32",
    "*i8 *fp16",
    "*fp64 *fp32",
    "*fp32 *fp64",
    "*fp16 *bf16",
    "*i64 *fp64",
    "*fp64 *i64",
    "*i32 *i8",
    "*i8 *i64",
    "*u8 *fp32",
    "*fp32 *u8",
    "*fp16 *fp8e5",
    "*fp8e5 *fp32",
)
TRITON = (
    *(Triton("vector_add", f"*{t} *{t} *{t} i32", _B) for t in ("fp32", "fp16", "bf16", "fp64", "i32", "i8", "i64")),
    Triton("vector_add", "*fp32 *fp32 *fp32 i32/16", _B),
    Triton("strided_copy", "*fp32 *fp32 i32 i32", _B),
    *(Triton("transpose", f"*{t} *{t} i32 i32", {"BLOCK": 32}) for t in ("fp32", "fp16", "fp64", "i8")),
    *(Triton("gelu_tanh", f"*{t} *{t} i32", _B) for t in ("fp32", "fp16", "bf16")),
    *(Triton("unary_maths", "*fp32 *fp32 i32", {"WHICH": which, "BLOCK": 256}) for which in _UNARY),
    *(
        Triton("unary_maths", "*fp64 *fp64 i32", {"WHICH": which, "BLOCK": 256})
        for which in ("exp", "log", "sqrt", "rsqrt", "erf", "floor", "fma")
    ),
    *(Triton("softmax", f"*{t} *{t} i32 i32", _B) for t in ("fp32", "fp16", "bf16")),
    Triton("softmax", "*fp32 *fp32 i32/16 i32/16", _B),
    Triton("softmax", "*fp64 *fp64 i32 i32", {"BLOCK": 128}),
    *(Triton("layer_norm", f"*{t} *{t} *{t} *{t} *fp32 *fp32 i32 i32 fp32", _B) for t in ("fp32", "fp16", "bf16")),
    Triton("dropout", "*fp32 *fp32 i32 fp32 i32", _B),
    Triton("dropout", "*fp16 *fp16 i32 fp32 i32", _B),
    _matmul("*fp16 *fp16 *fp16"),
    _matmul("*bf16 *bf16 *fp32"),
    _matmul("*fp32 *fp32 *fp32", "tf32"),
    _matmul("*fp32 *fp32 *fp32", "ieee", 32, 32, 16),
    _matmul("*i8 *i8 *i32", "ieee", 64, 64, 64),
    _matmul("*fp64 *fp64 *fp64", "ieee", 32, 32, 16),
    *(Triton("atomics", f"*{t} *{t} i32", {"KIND": "add", "BLOCK": 256}) for t in ("fp32", "fp16", "i32", "fp64")),
    *(Triton("atomics", "*i32 *i32 i32", {"KIND": k, "BLOCK": 256}) for k in ("max", "and", "xchg", "cas")),
    Triton("atomics", "*fp32 *fp32 i32", {"KIND": "max", "BLOCK": 256}),
    Triton("locked_sum", "*fp32 *fp32 *i32 i32", {"BLOCK": 256}),
    Triton("scan", "*i32 *i32 i32", {"BLOCK": 512}),
    Triton("scan", "*fp32 *fp32 i32", {"BLOCK": 512}),
    Triton("sort", "*i32 *i32 i32", {"BLOCK": 256}),
    Triton("sort", "*fp32 *fp32 i32", {"BLOCK": 128}),
    Triton("argmax", "*fp32 *i32 i32", {"BLOCK": 512}),
    Triton("histogram", "*i32 *i32 i32", {"BLOCK": 512, "BINS": 64}),
    Triton("integers", "*i32 *i32 *i32 i32", {"BLOCK": 256}),
    Triton("integers", "*i64 *i64 *i64 i32", {"BLOCK": 256}),
    Triton("integers", "*i16 *i16 *i16 i32", {"BLOCK": 256}),
    *(Triton("convert", f"{pair} i32", {"BLOCK": 256}) for pair in _CONVERSIONS),
    Triton("attention", "*fp16 *fp16 *fp16 *fp32 i32 fp32", {"BM": 64, "BN": 32, "D": 64}),
    Triton("printing", "*i32 i32", {"BLOCK": 128}),
    Triton("inline_assembly", "*i32 *i32 i32", {"BLOCK": 256}),
)


@functools.cache
def _triton(kernel, types, constants, num_warps, num_stages, arch):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    function = getattr(sources("triton_kernels"), kernel)
    names = [name for name in function.arg_names if name not in dict(constants)]
    given = dict(zip(names, types.split(), strict=True))
    multiples = {name for name, kind in given.items() if kind.startswith("*") or kind.endswith("/16")}
    signature = {name: kind.removesuffix("/16") for name, kind in given.items()} | {
        n: "constexpr" for n, _ in constants
    }
    source = ASTSource(
        function,
        signature=signature,
        constexprs=dict(constants),
        attrs={(i,): [["tt.divisibility", 16]] for i, name in enumerate(function.arg_names) if name in multiples},
    )
    options = {"num_warps": num_warps, "num_stages": num_stages, "debug": kernel == "printing"}
    return compile(source, target=GPUTarget("cuda", arch, 32), options=options)


def _compiled(sample, arch):
    constants = tuple(sample.constants.items())
    return _triton(sample.kernel, sample.types, constants, sample.num_warps, sample.num_stages, arch)


def triton_ptx(sample, arch=80):
    """PTX of one specialisation for compute capability ``arch``."""
    # Triton's cache may hold what was compiled from a copy of this folder that is gone.
    here = f'"{_HERE / "triton_kernels.py"}"'
    return re.sub(r'"[^"]*/triton_kernels\.py"', lambda _: here, _compiled(sample, arch).asm["ptx"])


def triton_shared_bytes(sample, arch=80):
    """Dynamic shared memory of one block, bytes."""
    return _compiled(sample, arch).metadata.shared


def cuda_source(name):
    """Text of ``name.cu``."""
    return (_HERE / f"{name}.cu").read_text()


@functools.cache
def cuda_ptx(name, *, arch=80, options=("-lineinfo",)):
    """PTX that NVRTC makes of ``name.cu`` in this folder; the NUL byte at its end is kept."""
    from cuda.bindings import nvrtc

    source = (_HERE / f"{name}.cu").read_bytes()
    _, program = nvrtc.nvrtcCreateProgram(source, f"{name}.cu".encode(), 0, [], [])
    flags = [f"--gpu-architecture=compute_{arch}".encode(), *(option.encode() for option in options)]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        _, n_bytes = nvrtc.nvrtcGetProgramLogSize(program)
        log = b" " * n_bytes
        nvrtc.nvrtcGetProgramLog(program, log)
        raise RuntimeError(log.decode())
    _, n_bytes = nvrtc.nvrtcGetPTXSize(program)
    text = b" " * n_bytes
    nvrtc.nvrtcGetPTX(program, text)
    return text.decode()


@functools.cache
def numba_ptx(name, *, cc=(8, 0)):
    """PTX that Numba-CUDA makes of the function ``name`` in numba_kernels.py."""
    from numba import cuda

    kernels = sources("numba_kernels")
    text, _ = cuda.compile(
        getattr(kernels, name), kernels.SIGNATURES[name], device=False, abi="numba", cc=cc, lineinfo=True
    )
    return text
