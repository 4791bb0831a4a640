"""Programs that know nothing of teachkit, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

KERNEL = """
import torch, triton, triton.language as tl

@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) + tl.load(y_ptr + offsets, mask=mask), mask=mask)

def add(x, y):
    out = torch.empty_like(x)
    compiled = add_kernel[(triton.cdiv(x.numel(), 64),)](x, y, out, x.numel(), BLOCK=64)
    return out, compiled
"""


def run(tmp_path, program, *, expect_failure=False, **environment):
    script = tmp_path / "program.py"
    script.write_text(KERNEL + textwrap.dedent(program))
    env = os.environ | {"TRITON_CACHE_DIR": str(tmp_path / "cache"), "PYTHONWARNINGS": "error"} | environment
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, str(script)], env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode != 0) == expect_failure, done.stderr
    return done.stderr if expect_failure else done.stdout.split()


def test_plain_triton_program(tmp_path):
    program = """
    out, compiled = add(torch.arange(1000.0), torch.ones(1000))
    print(torch.equal(out, torch.arange(1.0, 1001.0)), compiled.metadata.arch)
    """
    assert run(tmp_path, program) == ["True", "sm80"]
    assert run(tmp_path, program, TEACHKIT_ARCH="90") == ["True", "sm90"]
    assert run(tmp_path, program, TEACHKIT_EMULATE="1") == ["True", "sm80"]


def test_second_process_uses_the_cache(tmp_path):
    program = """
    hits = []
    triton.knobs.compilation.listener = lambda *, cache_hit, **_: hits.append(cache_hit)
    add(torch.ones(10), torch.ones(10))
    print(*hits)
    """
    assert run(tmp_path, program) == ["False"]
    assert run(tmp_path, program) == ["True"]


def test_interpreter_still_interprets(tmp_path):
    program = """
    out, compiled = add(torch.ones(100), torch.ones(100))
    print(out.eq(2).all().item(), compiled, type(add_kernel).__name__)
    """
    assert run(tmp_path, program, TRITON_INTERPRET="1") == ["True", "None", "InterpretedFunction"]


def test_wrong_architecture_is_named(tmp_path):
    message = run(tmp_path, "add(torch.ones(1), torch.ones(1))", expect_failure=True, TEACHKIT_ARCH="sm_35")
    assert "UnsupportedArchitecture" in message
    assert "TEACHKIT_ARCH" in message


def test_importing_triton_loads_neither_torch_nor_the_emulator(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("import sys, triton\nprint('torch' in sys.modules, 'llvmlite' in sys.modules)")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.slow
def test_torch_compile_keeps_its_cpp_back_end(tmp_path):
    program = """
    from torch.utils._triton import has_triton, triton_hash_with_backend
    print(has_triton(), len(triton_hash_with_backend()))

    @torch.compile
    def f(x, w):
        return torch.softmax(torch.nn.functional.gelu(x @ w), -1).sum(0)

    x = torch.randn(33, 17, requires_grad=True)
    w = torch.randn(17, 9, requires_grad=True)
    out = f(x, w)
    out.square().sum().backward()
    expected = torch.softmax(torch.nn.functional.gelu(x @ w), -1).sum(0)
    print(torch.allclose(out, expected, atol=1e-5), w.grad.shape == w.shape)

    from torch._inductor.utils import run_and_get_code
    torch._dynamo.reset()
    _, (code, *_) = run_and_get_code(torch.compile(lambda x: torch.relu(x) + 1), torch.randn(100))
    print("cpp" in code, "triton.jit" in code)
    """
    got = run(tmp_path, program, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "inductor"), PYTHONWARNINGS="default")
    assert got == ["True", "64", "True", "True", "True", "False"]


@pytest.mark.slow
def test_torch_compile_of_a_program_with_a_triton_kernel(tmp_path):
    program = """
    @torch.compile
    def f(x):
        return add(x * 2, x)[0] + 1

    print(torch.equal(f(torch.arange(300.0)), torch.arange(300.0) * 3 + 1))
    """
    inductor = str(tmp_path / "inductor")
    assert run(tmp_path, program, TORCHINDUCTOR_CACHE_DIR=inductor, PYTHONWARNINGS="default") == ["True"]


@pytest.mark.slow
def test_inductor_with_triton_for_the_cpu(tmp_path):
    program = """
    import torch._inductor.config
    torch._inductor.config.cpu_backend = "triton"
    gelu, layer_norm = torch.nn.functional.gelu, torch.nn.functional.layer_norm

    def f(x):
        return gelu(layer_norm(x, (100,))) + x

    x = torch.randn(64, 100, requires_grad=True)
    out = torch.compile(f)(x)
    print(torch.allclose(out, f(x), atol=1e-5))
    print(torch.allclose(*(torch.autograd.grad(y.square().sum(), x)[0] for y in (out, f(x))), atol=1e-3))

    from torch._inductor.runtime.hints import DeviceProperties
    print(DeviceProperties.create(x.device).multi_processor_count)
    """
    inductor = str(tmp_path / "inductor")
    got = run(tmp_path, program, TORCHINDUCTOR_CACHE_DIR=inductor, PYTHONWARNINGS="default")
    assert got == ["True", "True", "108"]  # shaped for the A100, not for this machine
    got = run(tmp_path, program, TORCHINDUCTOR_CACHE_DIR=inductor, PYTHONWARNINGS="default", TEACHKIT_ARCH="90")
    assert got == ["True", "True", "132"]


@pytest.mark.parametrize("module", ["compiler", "driver", "clock", "launcher"])
def test_plug_in_may_be_imported_before_triton(tmp_path, module):
    program = f"from teachkit.frontends.triton_backend import {module}; import triton; triton.runtime.driver.active"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
