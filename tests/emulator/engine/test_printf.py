"""``printf`` in kernels prints what it prints in a C program of the same lines."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.emulator.oracle import run
from teachkit.emulator.ptx import parse

SOURCE = r"""
__global__ void k(double inf) {
    printf("%d|%5d|%-5d|%05d|%+d|% d|%.4d|%i|%u\n", -1, 42, 42, 42, 42, 42, 42, -42, -42);
    printf("%x|%X|%#x|%o|%#o|%08x|%lx|%llu\n", 4095, 4095, 255, 9, 9, -1, -1l, 0xffffffffffffffffull);
    printf("%hd|%hu|%hhd|%hhu|%ld|%lld|%zu\n", 70000, -1, 300, -1, -5l, -123456789012345ll, (size_t)7);
    printf("%c|%3c|%-3c|%s|%5s|%-5s|%.2s|%%\n", 'a', 'b', 'c', "yes", "ab", "ab", "abcdef");
    printf("%f|%.2f|%10.3f|%-10.1e|%g|%G|%#g|%.0f|%+.1f|%8.3g\n",
           1.5, 3.14159, -2.71828, 123456.789, 1e-5, 1e20, 1.0, 2.5, 2.5, 1234567.0);
    printf("%a|%A|%.2a|%a\n", 1.0, -0.1, 1.999, 0.0);
    printf("%f|%F|%5.1f|%05f|%e\n", inf, -inf, inf, inf, -0.0);
    printf("%*d|%-*d|%.*f|%*.*f|%*s\n", 6, 42, 6, 42, 2, 1.23456, 9, 3, 1.23456, 4, "x");
    printf("%p|%16p\n", (void*)0x1234, (void*)0xabcdef);
    printf("plain %d%% %y\n", 5);
}
"""

# The output of the same lines in a C++ program, by g++ 12 and glibc 2.36.
EXPECTED = r"""
-1|   42|42   |00042|+42| 42|0042|-42|4294967254
fff|FFF|0xff|11|011|ffffffff|ffffffffffffffff|18446744073709551615
4464|65535|44|255|-5|-123456789012345|7
a|  b|c  |yes|   ab|ab   |ab|%
1.500000|3.14|    -2.718|1.2e+05   |1e-05|1E+20|1.00000|2|+2.5|1.23e+06
0x1p+0|-0X1.999999999999AP-4|0x2.00p+0|0x0p+0
inf|-INF|  inf|  inf|-0.000000e+00
    42|42    |1.23|    1.235|   x
0x1234|        0xabcdef
plain 5% %y
"""


def test_every_conversion(capsys):
    pytest.importorskip("cuda.bindings.nvrtc")
    module = tk.compile_cuda_c(SOURCE)
    module["k"][1, 1](float("inf"))
    assert capsys.readouterr().out == EXPECTED.lstrip()
    result = run(parse(module.ptx), module.names["k"], 1, 1, [float("inf")])
    assert "".join(result.printed) == EXPECTED.lstrip()


def test_each_lane_has_its_own_arguments(capsys):
    pytest.importorskip("cuda.bindings.nvrtc")
    source = """__global__ void k() {
        const char* names[3] = {"one", nullptr, "three"};
        if (threadIdx.x % 2) printf("%d %s %.1f%c", threadIdx.x, names[threadIdx.x % 3], threadIdx.x * 0.5, 10);
    }"""
    tk.compile_cuda_c(source)["k"][2, 6]()
    once = "1 (null) 0.5\n3 one 1.5\n5 three 2.5\n"
    assert capsys.readouterr().out == 2 * once


def test_what_it_returns(capsys):
    """The number of arguments, -1 without a format: CUDA Programming Guide, "Formatted Output"."""
    pytest.importorskip("cuda.bindings.nvrtc")
    source = r"""__global__ void k(int* out, const char* none) {
        out[threadIdx.x] = threadIdx.x % 2 ? printf("%d %5.1f%% %*s\n", 1, 2.0, 3, "x") : printf("plain\n");
        if (threadIdx.x == 2) out[2] = printf(none);
        if (threadIdx.x == 4) out[4] = printf("%s%c", "ab", 10);
    }"""
    module = tk.compile_cuda_c(source)
    expected = [0, 4, -1, 4, 2, 4]
    out = np.zeros(6, np.int32)
    module["k"][1, 6](out, 0)
    assert out.tolist() == expected
    printed = capsys.readouterr().out
    out[:] = 0
    result = run(parse(module.ptx), module.names["k"], 1, 6, [out, 0])
    assert out.tolist() == expected
    lines = sorted(3 * ["plain"] + 3 * ["1   2.0%   x"] + ["ab"])  # which branch runs first is nobody's promise
    assert sorted("".join(result.printed).splitlines()) == sorted(printed.splitlines()) == lines
