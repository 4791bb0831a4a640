"""Triton programs nobody thought of, on three executors: the engine, the oracle, and Triton's own interpreter.

Hypothesis writes straight-line kernels over blocks of every type: arithmetic, casts, masks, reductions, scans, sorts
and gathers. What the compiler makes of each runs on the engine and on the oracle, which must agree on every byte (of
NaNs, that they are) and on every count; the source itself runs in the interpreter, on NumPy, and must give the same
values. Only operations whose result is defined to the bit are drawn, so there is no tolerance; fusing of multiply and
add is off.

``TEACHKIT_LONG=1`` runs many more of them.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys
import zlib

import hypothesis
import numpy as np
import pytest
import torch
import triton
from hypothesis import strategies as st

N = 64
N_EXAMPLES = 200 if os.environ.get("TEACHKIT_LONG") == "1" else 8
TYPES = {
    "int8": torch.int8, "int16": torch.int16, "int32": torch.int32, "int64": torch.int64, "uint8": torch.uint8,
    "float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64,
}  # fmt: skip
INTEGERS = [name for name in TYPES if "int" in name]
FLOATS = ["float16", "float32", "float64"]
BITS = {name: 8 * dtype.itemsize for name, dtype in TYPES.items()}


class Program:
    """Statements so far, and the variables of each type; ``bool`` for masks."""

    def __init__(self, draw):
        self.draw = draw
        self.lines, self.variables = [], {name: [name + "_in"] for name in TYPES}
        self.variables["bool"] = ["mask"]

    def one_of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def any(self, kind):
        return self.draw(st.sampled_from(self.variables[kind]))

    def put(self, kind, expression):
        name = f"v{len(self.lines)}"
        cast = "" if kind == "bool" else f".to(tl.{kind})"  # Triton promotes small types; every variable keeps its own
        self.lines.append(f"{name} = ({expression}){cast}")
        self.variables[kind].append(name)

    def integer(self):
        kind = self.one_of(*INTEGERS)
        a, b = self.any(kind), self.any(kind)
        shift = self.draw(st.integers(0, BITS[kind] - 1))
        inverse = f"{a} ^ 255" if kind == "uint8" else f"~{a}"  # the interpreter refuses ~ of unsigned numbers
        self.put(
            kind,
            self.one_of(
                f"{a} + {b}", f"{a} - {b}", f"{a} * {b}", f"{a} & {b}", f"{a} | {b}", f"{a} ^ {b}", inverse,
                f"{a} << {shift}", f"{a} >> {shift}", f"tl.minimum({a}, {b})", f"tl.maximum({a}, {b})",
                f"{a} // (({b} & 7) + 1)", f"{a} % (({b} & 7) + 1)", f"{a} * {self.draw(st.integers(-100, 100))}"
                if kind != "uint8" else f"{a} * 3",
            ),
        )  # fmt: skip

    def floating(self):
        kind = self.one_of(*FLOATS)
        a, b = self.any(kind), self.any(kind)
        choices = [f"{a} + {b}", f"{a} - {b}", f"{a} * {b}", f"-{a}", f"tl.abs({a})"]
        choices += [f"tl.where({a} < {b}, {a}, {b})", f"{a} * {self.one_of('0.5', '-3.0', '1.25')}"]
        if kind != "float16":
            choices += [f"tl.floor({a})", f"tl.ceil({a})"]
        if kind == "float32":
            choices += [f"tl.div_rn({a}, {b})", f"tl.sqrt_rn(tl.abs({a}))"]
        self.put(kind, self.one_of(*choices))

    def cast(self):
        # The interpreter does not round to bfloat16 as the manual says; it is converted from only.
        to, of = self.one_of(*(name for name in TYPES if name != "bfloat16")), self.one_of(*TYPES)
        value = self.any(of)
        if "int" in to and "float" in of:  # beyond the range, machines differ
            high = 100.0
            value = f"tl.where(tl.abs({value}.to(tl.float32)) < {high}, {value}.to(tl.float32), 0.0)"
            if to.startswith("u"):
                value = f"tl.abs({value})"
        self.put(to, value)

    def select(self):
        kind = self.one_of(*TYPES)
        self.put(kind, f"tl.where({self.any('bool')}, {self.any(kind)}, {self.any(kind)})")

    def compare(self):
        kind = self.one_of(*INTEGERS, *FLOATS)
        relation = self.one_of("<", "<=", "==", "!=", ">", ">=")
        self.put("bool", f"{self.any(kind)} {relation} {self.any(kind)}")

    def combine(self):
        a, b = self.any("bool"), self.any("bool")
        self.put("bool", self.one_of(f"{a} & {b}", f"{a} | {b}", f"{a} ^ {b}", f"~{a}"))

    def reduce(self):
        kind = self.one_of("int32", "int64")
        value = self.any(kind)
        how = self.one_of("tl.sum", "tl.max", "tl.min", "tl.xor_sum", "tl.argmax", "tl.argmin")
        if how == "tl.sum":  # the interpreter refuses sums that overflow
            value = f"{value} >> 8"
        self.put(kind, f"{self.any(kind)} + {how}({value}, 0)")

    def scan(self):
        kind = self.one_of("int32", "int64")
        back = self.one_of("True", "False")
        self.put(kind, f"tl.cumsum({self.any(kind)} >> 8, 0, reverse={back})")

    def move(self):
        kind = self.one_of("int32", "int64", "float32", "float16")
        value, at = self.any(kind), self.any("int32")
        choices = [f"tl.gather({value}, {at} & {N - 1}, 0)"]
        choices += [f"tl.reshape(tl.trans(tl.reshape({value}, [8, {N // 8}])), [{N}])"]
        if kind.startswith("int"):
            choices += [f"tl.sort({value}, 0)", f"tl.flip({value}, 0)"]
        self.put(kind, self.one_of(*choices))

    def masked_load(self):
        # The interpreter takes other=1 for the bits of a bfloat16.
        kind = self.one_of(*(name for name in TYPES if name != "bfloat16"))
        self.put(
            kind, f"tl.load({kind}_ptr + {self.any('int32')} % 64 * 0 + (at ^ 5), mask={self.any('bool')}, other=1)"
        )


@st.composite
def programs(draw):
    """The source of a kernel: two pointers for each type, the last variable of each stored to the second."""
    program = Program(draw)
    kinds = ["integer"] * 4 + ["floating"] * 4 + ["cast"] * 4
    kinds += ["select", "compare", "combine", "reduce", "scan", "move", "masked_load"]
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=4, max_size=14)):
        getattr(program, kind)()
    loads = [f"{name}_in = tl.load({name}_ptr + at)" for name in TYPES]
    stores = [f"tl.store({name}_out + at, {program.variables[name][-1]})" for name in TYPES]
    mask = program.variables["bool"][-1]
    body = [f"at = tl.arange(0, {N})", *loads, "mask = int32_in > int32_in * 0 + 3", *program.lines, *stores]
    body += [f"tl.store(uint8_out + at, 7, mask={mask})"]
    pointers = ", ".join([*(f"{name}_ptr" for name in TYPES), *(f"{name}_out" for name in TYPES)])
    return f"def kernel({pointers}):\n    " + "\n    ".join(body) + "\n"


def inputs():
    generator = torch.Generator().manual_seed(5)
    result = []
    for dtype in TYPES.values():
        if dtype.is_floating_point:
            x = torch.randn(N, generator=generator, dtype=torch.float64) * 4
            x[:4] = torch.tensor([0.0, -0.0, 1.0, -2.5])
        else:
            info = torch.iinfo(dtype)
            x = torch.randint(max(info.min, -(2**40)), min(info.max, 2**40), (N,), generator=generator)
            x[:4] = torch.tensor([0, 1, info.max % 2**40, max(info.min, -(2**40))])
        result.append(x.to(dtype))
    # Results go elsewhere: another warp may load a block in a second layout after the first has stored.
    return result + [torch.zeros(N, dtype=dtype) for dtype in TYPES.values()]


def numbers(tensor):
    """Bits of integers; floats with every NaN alike."""
    if tensor.dtype.is_floating_point:
        wide = tensor.double().numpy()
        return np.where(np.isnan(wide), np.nan, wide)
    return tensor.numpy()


class Interpreter:
    """Triton's interpreter in a child process, which lives as long as the test does."""

    def __init__(self, folder):
        self.data = folder / "tensors.pt"
        script = pathlib.Path(__file__).parent.parent / "kernels" / "interpreter.py"
        self.process = subprocess.Popen(
            [sys.executable, script],
            env=os.environ | {"TRITON_INTERPRET": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, path, tensors):
        torch.save(tensors, self.data)
        self.process.stdin.write(f"{path} {self.data}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", f"{answer}\n{path.read_text()}"
        return torch.load(self.data)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture
def interpreter(tmp_path):
    child = Interpreter(tmp_path)
    yield child
    child.close()


@hypothesis.settings(
    max_examples=N_EXAMPLES, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(source=programs(), num_warps=st.sampled_from([1, 2, 4]))
def test_random_triton_program(both, interpreter, tmp_path, source, num_warps):
    path = tmp_path / f"program{zlib.crc32(source.encode()):08x}.py"
    path.write_text("import triton.language as tl\n\n\n" + source)
    expected = interpreter.run(path, inputs())
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    got = inputs()
    kernel = triton.jit(module.kernel)[(1,)](*got, num_warps=num_warps, enable_fp_fusion=False)
    for name, mine, theirs in zip([*TYPES, *TYPES], got, expected, strict=True):
        np.testing.assert_array_equal(numbers(mine), numbers(theirs), err_msg=f"{name}:\n{source}")
    text = kernel.asm["ptx"]
    arguments = [*inputs(), None, None]
    found = both.run_both(text, kernel.metadata.name, 1, 32 * num_warps, arguments, kernel.metadata.shared)
    for (name, dtype), pair in zip([*TYPES.items()] * 2, found.memory, strict=True):
        mine, theirs = (numbers(torch.from_numpy(octets.copy()).view(dtype)) for octets in pair)
        np.testing.assert_array_equal(mine, theirs, err_msg=f"{name}, engine and oracle:\n{source}")
    found.check_counters()
