"""Headers that programs name out of habit and NVRTC cannot take: the C and C++ library, the driver API, all of CUB.

NVRTC takes them as text. Those of the C++ library lead to libcu++, whose names they also give in ``std``. CUB's own
``cub/cub.cuh`` names device-wide algorithms too, which are host code: ours names its block and warp primitives.
``cuda.h`` declares functions of the host: ours has what kernels may take from it.
Not modelled: what libcu++ has not (streams, containers that allocate); such a header stays missing.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

_BOTH = "assert limits stddef stdint stdlib string time".split()  # <cassert> and <assert.h>
_CXX = (
    "algorithm array atomic barrier bit bitset chrono complex concepts expected functional initializer_list iterator "
    "latch limits memory numbers numeric optional ranges ratio semaphore source_location span tuple type_traits "
    "utility variant"
).split()
_IN_STD = "namespace cuda { namespace std {} }\nnamespace std { using namespace ::cuda::std; }\n"
_CUB_PARTS = ("block", "warp", "thread")

# NVRTC knows the functions without a header, which libcu++'s <cmath> would take seconds to say again.
_FUNCTIONS = (
    "abs acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor "
    "fma fmax fmin fmod frexp hypot ilogb isfinite isinf isnan ldexp lgamma llrint llround log log10 log1p log2 logb "
    "lrint lround modf nearbyint nextafter pow remainder remquo rint round scalbn signbit sin sinh sqrt tan tanh "
    "tgamma trunc"
).split()
_CONSTANTS = {
    "M_E": 2.7182818284590452354, "M_LOG2E": 1.4426950408889634074, "M_LOG10E": 0.43429448190325182765,
    "M_LN2": 0.69314718055994530942, "M_LN10": 2.30258509299404568402, "M_PI": 3.14159265358979323846,
    "M_PI_2": 1.57079632679489661923, "M_PI_4": 0.78539816339744830962, "M_1_PI": 0.31830988618379067154,
    "M_2_PI": 0.63661977236758134308, "M_2_SQRTPI": 1.12837916709551257390, "M_SQRT2": 1.41421356237309504880,
    "M_SQRT1_2": 0.70710678118654752440,
}  # fmt: skip
# CUtensorMap is 128 bytes that only instructions look into.
_DRIVER = """#pragma once
#ifndef CUDA_VERSION
#define CUDA_VERSION (1000 * __CUDACC_VER_MAJOR__ + 10 * __CUDACC_VER_MINOR__)
#endif
typedef unsigned long long CUdeviceptr;
typedef struct CUtensorMap_st { alignas(64) unsigned long long opaque[16]; } CUtensorMap;
"""
_FLOAT = {
    "FLT_MAX": "3.402823466e+38f", "FLT_MIN": "1.175494351e-38f", "FLT_TRUE_MIN": "1.401298464e-45f",
    "FLT_EPSILON": "1.192092896e-07f", "FLT_DIG": "6", "FLT_MANT_DIG": "24", "FLT_MAX_EXP": "128",
    "FLT_MIN_EXP": "(-125)", "FLT_MAX_10_EXP": "38", "FLT_MIN_10_EXP": "(-37)", "FLT_RADIX": "2",
    "DBL_MAX": "1.7976931348623157e+308", "DBL_MIN": "2.2250738585072014e-308",
    "DBL_TRUE_MIN": "4.9406564584124654e-324", "DBL_EPSILON": "2.2204460492503131e-16", "DBL_DIG": "15",
    "DBL_MANT_DIG": "53", "DBL_MAX_EXP": "1024", "DBL_MIN_EXP": "(-1021)", "DBL_MAX_10_EXP": "308",
    "DBL_MIN_10_EXP": "(-307)",
}  # fmt: skip
_INFINITIES = {
    "INFINITY": "__int_as_float(0x7f800000)",
    "NAN": "__int_as_float(0x7fffffff)",
    "HUGE_VAL": "__longlong_as_double(0x7ff0000000000000ll)",
    "HUGE_VALF": "__int_as_float(0x7f800000)",
}


@functools.cache
def standard_headers(folders: tuple[str, ...]) -> dict[str, str]:
    """Text of each header by name, as far as the folders of ``include_folders()`` have what it needs."""
    found = {
        "cuda.h": _DRIVER,
        "stdio.h": "#pragma once\n",
        "cstdio": "#pragma once\nnamespace std { using ::printf; }\n",
        "math.h": "#pragma once\n" + _macros({name: repr(value) for name, value in _CONSTANTS.items()} | _INFINITIES),
        **dict.fromkeys(("float.h", "cfloat"), "#pragma once\n" + _macros(_FLOAT)),
        "cmath": "#pragma once\n#include <math.h>\nnamespace std {\n"
        + "".join(f"using ::{name};\n" for name in _FUNCTIONS)
        + "}\n",
    }
    for folder in map(Path, folders):
        if (folder / "cuda" / "std" / "cstdint").exists():
            return {**_of_libcuxx(folder / "cuda" / "std"), **found, **_of_cub(folder)}
    return found


def undefined_hint(messages: str) -> str:
    """What to do about a name that a compiler's messages say nobody has defined; empty where that is not known."""
    for name in re.findall(r'identifier "(\w+)" is undefined', messages):
        if name in ("uint", "ushort", "ulong"):
            kind = f"unsigned {name[1:]}"
            return f'nvcc has {name} from the C library of the host, NVRTC has not: options=["-D{name}={kind}"].'
        for header, is_there in (
            ("cfloat", name in _FLOAT),
            ("cmath", name in _CONSTANTS or name in _INFINITIES),
            ("cstdint", re.fullmatch(r"u?int(8|16|32|64|ptr)_t", name)),
        ):
            if is_there:
                return f"{name} is in a header: #include <{header}>."
    return ""


def _macros(values: dict[str, str]) -> str:
    return "".join(f"#ifndef {name}\n#define {name} {value}\n#endif\n" for name, value in values.items())


def _of_libcuxx(folder: Path) -> dict[str, str]:
    found = {f"{name}.h": f"#pragma once\n#include <cuda/std/c{name}>\n" for name in _BOTH}
    for name in [*(f"c{name}" for name in _BOTH), *_CXX]:
        # Some releases have an <algorithm> that only they themselves name, with a bar around it.
        real = next((file for file in (name, f"__{name}_") if (folder / file).exists()), None)
        if real is not None:
            found[name] = f"#pragma once\n#include <cuda/std/{real}>\n{_IN_STD}"
    return found


def _of_cub(folder: Path) -> dict[str, str]:
    if not (folder / "cub" / "cub.cuh").exists():
        return {}
    parts = [file for part in _CUB_PARTS for file in sorted((folder / "cub" / part).glob("*.cuh"))]
    return {
        "cub/cub.cuh": "#pragma once\n" + "".join(f"#include <{p.relative_to(folder).as_posix()}>\n" for p in parts)
    }
