"""Every mathematical function of CUDA C++, with and without fast maths, against mpmath within CUDA's stated bounds.

Bounds are those of the CUDA C++ Programming Guide, appendix "Mathematical Functions" (single, double): the distance to
the correctly rounded result in units of the last place.
"""

import itertools

import mpmath as mp
import numpy as np
import pytest

import teachkit as tk


def _erfinv(y):
    return mp.erfinv(y)


def _normcdf(x):
    return mp.ncdf(x)


# name: function of mpmath, least and greatest argument, ulp single, ulp double
ONE = {
    "sqrt": (mp.sqrt, 0, 1e6, 0, 0),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), 1e-6, 1e6, 2, 1),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), -1e3, 1e3, 1, 1),
    "rcbrt": (lambda x: 1 / mp.cbrt(x), 1e-3, 1e3, 1, 1),
    "exp": (mp.exp, -20, 20, 2, 1),
    "exp2": (lambda x: mp.power(2, x), -20, 20, 2, 1),
    "exp10": (lambda x: mp.power(10, x), -10, 10, 2, 1),
    "expm1": (mp.expm1, -3, 3, 1, 1),
    "log": (mp.log, 1e-6, 1e6, 1, 1),
    "log2": (lambda x: mp.log(x, 2), 1e-6, 1e6, 1, 1),
    "log10": (mp.log10, 1e-6, 1e6, 2, 1),
    "log1p": (mp.log1p, -0.9, 10, 1, 1),
    "sin": (mp.sin, -1e4, 1e4, 2, 2),
    "cos": (mp.cos, -1e4, 1e4, 2, 2),
    "tan": (mp.tan, -100, 100, 4, 2),
    "sinpi": (mp.sinpi, -20, 20, 1, 2),
    "cospi": (mp.cospi, -20, 20, 1, 2),
    "asin": (mp.asin, -1, 1, 2, 2),
    "acos": (mp.acos, -1, 1, 2, 2),
    "atan": (mp.atan, -50, 50, 2, 2),
    "sinh": (mp.sinh, -10, 10, 3, 2),
    "cosh": (mp.cosh, -10, 10, 2, 1),
    "tanh": (mp.tanh, -5, 5, 2, 1),
    "asinh": (mp.asinh, -50, 50, 3, 3),
    "acosh": (mp.acosh, 1, 50, 4, 3),
    "atanh": (mp.atanh, -0.99, 0.99, 3, 2),
    "erf": (mp.erf, -3, 3, 2, 2),
    "erfc": (mp.erfc, -3, 5, 4, 5),
    "erfinv": (_erfinv, -0.99, 0.99, 2, 5),
    "erfcinv": (lambda y: _erfinv(1 - y), 0.01, 1.9, 4, 6),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), -2, 10, 4, 4),
    "normcdf": (_normcdf, -5, 5, 5, 5),
    "normcdfinv": (lambda p: mp.sqrt(2) * _erfinv(2 * p - 1), 0.01, 0.99, 5, 8),
    "lgamma": (lambda x: mp.log(abs(mp.gamma(x))), 3, 50, 6, 4),
    "tgamma": (mp.gamma, 0.1, 20, 5, 10),
    "j0": (lambda x: mp.besselj(0, x), 0, 7, 9, 7),
    "j1": (lambda x: mp.besselj(1, x), 0.1, 7, 9, 7),
    "y0": (lambda x: mp.bessely(0, x), 0.1, 7, 9, 7),
    "y1": (lambda x: mp.bessely(1, x), 0.1, 7, 9, 7),
    "cyl_bessel_i0": (lambda x: mp.besseli(0, x), -5, 5, 6, 6),
    "cyl_bessel_i1": (lambda x: mp.besseli(1, x), -5, 5, 6, 6),
    "floor": (mp.floor, -99, 99, 0, 0),
    "ceil": (mp.ceil, -99, 99, 0, 0),
    "trunc": (lambda x: mp.floor(x) if x > 0 else mp.ceil(x), -99, 99, 0, 0),
    "rint": (mp.nint, -99, 99, 0, 0),
    "nearbyint": (mp.nint, -99, 99, 0, 0),
    "round": (lambda x: mp.sign(x) * mp.floor(abs(x) + mp.mpf(1) / 2), -99, 99, 0, 0),
    "fabs": (abs, -99, 99, 0, 0),
    "logb": (lambda x: mp.floor(mp.log(x, 2)), 1e-3, 1e3, 0, 0),
}

# The same of two arguments, both from one range.
TWO = {
    "pow": (mp.power, 0.1, 10, 4, 2),
    "atan2": (mp.atan2, -10, 10, 3, 2),
    "hypot": (mp.hypot, -1e3, 1e3, 3, 2),
    "rhypot": (lambda x, y: 1 / mp.hypot(x, y), 1, 1e3, 2, 1),
    "fmod": (lambda x, y: x - y * mp.floor(x / y), 0.1, 99, 0, 0),
    "remainder": (lambda x, y: x - y * mp.nint(x / y), 0.1, 99, 0, 0),
    "fdim": (lambda x, y: max(x - y, mp.mpf(0)), -9, 9, 0, 0),
    "fmax": (max, -9, 9, 0, 0),
    "fmin": (min, -9, 9, 0, 0),
    "copysign": (lambda x, y: abs(x) * (1 if y > 0 else -1), -9, 9, 0, 0),
}

# Intrinsics with a rounding direction: mpmath's own rounding says what is right.
DIRECTED = {
    "add": (2, lambda a, b, **how: mp.fadd(a, b, **how)),
    "mul": (2, lambda a, b, **how: mp.fmul(a, b, **how)),
    "div": (2, lambda a, b, **how: mp.fdiv(a, b, **how)),
    "rcp": (1, lambda a, **how: mp.fdiv(1, a, **how)),
    "sqrt": (1, lambda a, **how: mp.mpf(mp.libmp.mpf_sqrt(abs(a)._mpf_, how["prec"], how["rounding"]))),
    "fma": (3, lambda a, b, c, **how: mp.fadd(mp.fmul(a, b, exact=True), c, **how)),
}
DIRECTIONS = {"rn": "n", "rz": "d", "rd": "f", "ru": "c"}

# Fast intrinsics: absolute error (or relative, where negative) that the guide states for arguments from the range.
FAST = {
    "__sinf": (mp.sin, -3.14, 3.14, 2**-21.41),
    "__cosf": (mp.cos, -3.14, 3.14, 2**-21.19),
    "__expf": (mp.exp, -5, 5, -(2 + 5 * 1.173) * 2**-23),
    "__exp10f": (lambda x: mp.power(10, x), -3, 3, -(2 + 3 * 2.97) * 2**-23),
    "__logf": (mp.log, 0.5, 2, 2**-21.41),
    "__log2f": (lambda x: mp.log(x, 2), 0.5, 2, 2**-22),
    "__log10f": (mp.log10, 0.5, 2, 2**-24),
    "__tanf": (mp.tan, -1, 1, -(2.0**-19)),
    "__saturatef": (lambda x: min(max(x, mp.mpf(0)), mp.mpf(1)), -2, 2, 0),
    "__frsqrt_rn": (lambda x: 1 / mp.sqrt(x), 0.1, 100, -(2.0**-24)),
}

N = 64
PER_KERNEL = 4  # functions: large kernels take long to compile
KINDS = {"float": np.float32, "double": np.float64}
mp.mp.prec = 200


def compile_rows(kind, calls, options=()):
    """Kernels that evaluate every call, a row of the result each; ``a``, ``b`` and ``c`` are the row's inputs."""
    lines = [
        f"{{ {kind} a = x[{k} * 64 + i], b = y[{k} * 64 + i], c = z[{k} * 64 + i]; out[{k} * 64 + i] = {call}; }}"
        for k, call in enumerate(calls)
    ]
    head = f"const {kind}* x, const {kind}* y, const {kind}* z, {kind}* out"
    parts = ["\n".join(lines[k : k + PER_KERNEL]) for k in range(0, len(calls), PER_KERNEL)]
    source = "\n".join(
        f"__global__ void part{k}({head}) {{ int i = threadIdx.x;\n{text}\n}}" for k, text in enumerate(parts)
    )
    module = tk.compile_cuda_c(source, options=[*options, "-w"])

    def run(x, y, z):
        out = np.zeros((len(calls), N), KINDS[kind])
        for k in range(len(parts)):
            module[f"part{k}"][1, N](x, y, z, out)
        return out

    return run


def draw(rows, kind, seed):
    random = np.random.default_rng(seed)
    return np.stack([random.uniform(row[1], row[2], N) for row in rows]).astype(KINDS[kind])


def check(name, got, inputs, function, ulp, kind):
    """Distance of each result to the correctly rounded one, counted in floats."""
    expected = np.array(
        [rounded(function(*(mp.mpf(float(v)) for v in values)), kind) for values in zip(*inputs, strict=True)]
    )
    whole = {"float": np.int32, "double": np.int64}[kind]
    place = [np.where(v.view(whole) < 0, np.iinfo(whole).min - v.view(whole), v.view(whole)) for v in (got, expected)]
    apart = np.abs(place[0].astype(object) - place[1].astype(object))
    worst = int(np.argmax(apart))
    at = [v[worst] for v in inputs]
    assert apart[worst] <= ulp, f"{name}({at}): {got[worst]!r}, expected {expected[worst]!r}, {apart[worst]} ulp"


def rounded(value, kind):
    bits = 24 if kind == "float" else 53
    with mp.workprec(bits):
        return KINDS[kind](float(+mp.mpf(value.real if hasattr(value, "real") else value)))


@pytest.mark.parametrize("kind", ["float", pytest.param("double", marks=pytest.mark.slow)])
def test_functions(kind):
    suffix = "f" if kind == "float" else ""
    rows = [*ONE.values(), *TWO.values()]
    calls = [f"{name}{suffix}(a)" for name in ONE] + [f"{name}{suffix}(a, b)" for name in TWO]
    x, y = draw(rows, kind, 1), draw(rows, kind, 2)
    out = compile_rows(kind, calls)(x, y, x)
    for k, (name, row) in enumerate({**ONE, **TWO}.items()):
        check(name, out[k], [x[k], y[k]][: 2 if name in TWO else 1], row[0], row[3 if kind == "float" else 4], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_directions(kind):
    prefix = "f" if kind == "float" else "d"
    names = list(itertools.product(DIRECTED, DIRECTIONS))
    calls = []
    for name, way in names:
        n, function = DIRECTED[name][0], f"__{prefix}{name}_{way}"
        if name == "fma":
            function = f"__fma{'f' if kind == 'float' else ''}_{way}"
        argument = "a < 0 ? -a : a" if name == "sqrt" else "a"
        calls.append(f"{function}({', '.join([argument, 'b', 'c'][:n])})")
    random = np.random.default_rng(3)
    x, y, z = (random.normal(size=(len(names), N)).astype(KINDS[kind]) for _ in range(3))
    out = compile_rows(kind, calls)(x, y, z)
    bits = 24 if kind == "float" else 53
    for k, (name, way) in enumerate(names):
        n, function = DIRECTED[name]
        for values, got in zip(zip(x[k], y[k], z[k], strict=True), out[k], strict=True):
            given = [mp.mpf(float(v)) for v in values[:n]]
            expected = function(*given, prec=bits, rounding=DIRECTIONS[way])
            assert got == float(expected), (name, way, values)


def test_fast_intrinsics():
    x = draw([(0, *row[1:]) for row in FAST.values()], "float", 4)
    out = compile_rows("float", [f"{name}(a)" for name in FAST])(x, x, x)
    for k, (name, (function, _, _, bound)) in enumerate(FAST.items()):
        for value, got in zip(x[k], out[k], strict=True):
            expected = function(mp.mpf(float(value)))
            allowed = bound if bound >= 0 else max(-bound * abs(expected), 2.0**-140)
            half_ulp = 2.0**-24 * abs(expected)  # of the result itself
            assert abs(mp.mpf(float(got)) - expected) <= allowed + half_ulp, (name, value, got, float(expected))


@pytest.mark.slow
def test_with_fast_maths():
    """``--use_fast_math`` turns functions into their fast forms; results stay near."""
    names = [name for name in ONE if ONE[name][3] and name not in ("sin", "cos", "tan")]
    x = draw([ONE[name] for name in names], "float", 5)
    out = compile_rows("float", [f"{name}f(a)" for name in names], ["--use_fast_math"])(x, x, x)
    for k, name in enumerate(names):
        expected = np.array([float(ONE[name][0](mp.mpf(float(v)))) for v in x[k]])
        np.testing.assert_allclose(out[k], expected, rtol=3e-5, atol=3e-6, err_msg=name)
