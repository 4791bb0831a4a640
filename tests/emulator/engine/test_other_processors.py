"""The same results and counts where LLVM may use AVX-512, AVX2 or only SSE2: half precision, gathers, masks."""

import os
import pathlib
import pickle
import subprocess
import sys

import llvmlite.binding as llvm
import pytest

_HERE = pathlib.Path(__file__).parent
_FEATURES = llvm.get_host_cpu_features()
# Names of LLVM, poorest first, as far as this processor can run them; a simulated one runs AVX-512 (x86-64-v4).
_X86 = ["x86-64", *(["x86-64-v3"] if _FEATURES.get("avx2") else []), "x86-64-v4"]
CPUS = _X86 if _FEATURES.get("sse2") else ["generic"]

CHILD = """
import pickle, sys
sys.path[:0] = sys.argv[1:]
import both, software_processor
from teachkit.emulator.engine.processor import converts_half, has_wide_vectors
found = []
with software_processor.where_needed() as simulated:
    for text, kernel, grid, block, arguments, shared_bytes in pickle.load(sys.stdin.buffer):
        arguments = [both.placed(argument) for argument in arguments]
        launch, memory = both.observed(text, kernel, grid, block, arguments, shared_bytes)
        found.append((launch.counters, launch.by_line, memory))
    n_calls = simulated.n_calls if simulated else None
pickle.dump((converts_half(), has_wide_vectors(), n_calls, found), sys.stdout.buffer)
"""


# LLVM ends the process where it cannot do what it is asked for.
CROSS_COMPILE = """
import pickle, sys
import llvmlite.binding as llvm
from teachkit.emulator import load_ptx
from teachkit.emulator.engine import apart, jit, processor
from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
parse = llvm.parse_assembly
unknown, wanted = (f'target triple = "{name}"' for name in ("unknown-unknown-unknown", "aarch64-linux-gnu"))
llvm.parse_assembly = lambda text: parse(wanted + "\\n" + text.replace(unknown, ""))
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
target = llvm.Target.from_triple("aarch64-linux-gnu")
machine = target.create_target_machine(cpu=sys.argv[1], opt=1, reloc="pic", codemodel="small")
jit.cpu = lambda: (sys.argv[1], "")
jit.target_machine = processor.target_machine = lambda: machine
jit.keeps_registers = apart.keeps_registers = lambda: False
objects = [jit.compile_object(jit.runtime_text(), thorough=True)]
for text, kernel, *_ in pickle.load(sys.stdin.buffer):
    module = load_ptx(text)
    for mode in (Mode(), Mode(counting=False, partial_warps=True), Mode(checked=True)):
        objects.append(jit.compile_object(translate(module.module, module[kernel].function, mode).text))
print(len(objects), min(map(len, objects)), {code[18] for code in objects})
"""
ELF_AARCH64 = 183


def kernels(samples, both):
    """Launches of kernels that differ most between instruction sets."""
    import importlib.util

    def tests(name):
        spec = importlib.util.spec_from_file_location(f"teachkit_{name}", _HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    module, products, fifth = tests("test_triton_kernels"), tests("test_wgmma"), tests("test_tcgen05")
    wanted = [
        *(("vector_add", kind) for kind in ("fp16", "bf16", "i8")),
        *(
            ("softmax", "fp16"),
            ("transpose", "fp32"),
            ("dropout", "fp32"),
            ("convert", "fp8e5"),
            ("strided_copy", "fp32"),
        ),
    ]
    for kernel, kind in wanted:
        sample = next(s for s in samples.TRITON if s.kernel == kernel and s.types.startswith(f"*{kind} "))
        *launch, arguments, shared_bytes = module.prepared(sample, samples)
        octets = [argument if (view := both.octets(argument)) is None else view for argument in arguments]
        yield *launch, octets, shared_bytes
    cuda = samples.cuda_ptx("divergence")
    x, out = both.array(200, "i4"), both.array(200, "i4")
    x[:] = range(-3, 197)
    yield cuda, "loops", 2, 100, [x, out], 0
    yield cuda, "nested", 2, 100, [x, out], 0
    for form, options in (("m64n24k16.f32.f16.f16", "1101"), ("m64n8k32.f16.e4m3.e5m2", "11")):
        text = products.program(both, form, tuple(options))
        yield text, "k", 1, 128, products.arguments(both, form, products.PLAIN), 0
    for m, n, d, a, b in (fifth.SHAPES[0], fifth.SHAPES[5]):
        number = fifth.what(m, n, d, a, b)
        text = fifth.program(both, fifth.TYPES[a][0], n)
        yield text, "k", 1, 128, fifth.arguments(both, number, a, b, d, n, fifth.PLAIN), 0


@pytest.fixture(scope="module")
def here(samples, both):
    """The launches, and what this processor makes of them."""
    launches, results = list(kernels(samples, both)), []
    for text, kernel, grid, block, arguments, shared_bytes in launches:
        arguments = [both.placed(argument) for argument in arguments]
        results.append(both.observed(text, kernel, grid, block, arguments, shared_bytes))
    return launches, results


@pytest.mark.parametrize("cpu", CPUS)
def test_same_results_and_counts(cpu, here, both, tmp_path):
    launches, expected = here
    environment = os.environ | {"TEACHKIT_CPU": cpu, "TEACHKIT_CACHE_DIR": str(tmp_path)}
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(_HERE), str(_HERE.parent)],
        input=pickle.dumps(launches),
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    converts_half, has_wide_vectors, n_calls, found = pickle.loads(child.stdout)
    assert converts_half == (cpu != "x86-64")
    assert has_wide_vectors == (cpu == "x86-64-v4")
    assert n_calls is None or n_calls >= len(launches)
    for (counters, by_line, memory), (launch, same_memory) in zip(found, expected, strict=True):
        both.check(counters, launch.counters)
        assert by_line.keys() == launch.by_line.keys()
        for line in by_line:
            both.check(by_line[line], launch.by_line[line], f"{line}: ")
        assert all((mine == theirs).all() for mine, theirs in zip(memory, same_memory, strict=True))


@pytest.mark.parametrize("cpu", ["cortex-a72", "neoverse-v1", "apple-m1"])
def test_code_for_aarch64_compiles(cpu, here, tmp_path):
    """Whether it also runs, only such a processor shows."""
    launches, _ = here
    child = subprocess.run(
        [sys.executable, "-c", CROSS_COMPILE, cpu],
        input=pickle.dumps(launches),
        env=os.environ | {"TEACHKIT_CACHE_DIR": str(tmp_path)},
        capture_output=True,
    )
    assert child.returncode == 0, child.stderr.decode()[-2000:]
    n_objects, smallest, machines = child.stdout.split(maxsplit=2)
    assert (int(n_objects), machines.strip()) == (1 + 3 * len(launches), b"{%d}" % ELF_AARCH64)
    assert int(smallest) > 1000
