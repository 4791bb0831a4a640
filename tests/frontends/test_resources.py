"""Registers, spills, shared memory and occupancy, from ptxas."""

import pytest

from teachkit import hardware
from teachkit.errors import AssemblerError
from teachkit.frontends import resources

MODULE = """
.version 8.7
.target {target}
.address_size 64
.visible .entry first(.param .u64 out) {{
    .reg .b64 %rd<2>; .reg .b32 %r<2>;
    .shared .align 4 .b8 tile[4096];
    mov.u32 %r1, tile;
    st.shared.u32 [%r1], 1;
    bar.sync 0;
    ld.shared.u32 %r1, [%r1];
    ld.param.u64 %rd1, [out];
    st.global.u32 [%rd1], %r1;
    ret;
}}
.visible .entry second() {{ ret; }}
"""


def test_usage_of_each_kernel():
    assembly = resources.assemble(MODULE.format(target="sm_80"))
    assert assembly.cubin.startswith(b"\x7fELF")
    assert set(assembly.usage) == {"first", "second"}
    assert assembly.usage["first"].static_shared_bytes == 4096
    assert assembly.usage["second"].static_shared_bytes == 0
    assert 0 < assembly.usage["first"].n_registers < 32
    assert assembly.usage["first"].n_spill_bytes == 0


@pytest.mark.parametrize(("version", "target"), [("8.7", "sm_75"), ("8.7", "sm_90a"), ("9.0", "sm_100a")])
def test_every_architecture_has_an_assembler(version, target):
    text = MODULE.format(target=target).replace("8.7", version)
    assert resources.assemble(text).cubin.startswith(b"\x7fELF")


def test_resources_of_a_launch():
    gpu = hardware.gpu("A100-SXM4-40GB")
    text = MODULE.format(target="sm_80")
    got = resources.kernel_resources(text, "first", n_threads=256, dynamic_shared_bytes=1000, gpu=gpu)
    assert (got.shared_bytes, got.n_spill_bytes, got.occupancy) == (5096, 0, 1.0)
    # 4,096 static, 40,000 dynamic and 1,024 reserved bytes: three blocks of eight warps on an SM that holds 64.
    got = resources.kernel_resources(text, "first", n_threads=256, dynamic_shared_bytes=40_000, gpu=gpu)
    assert got.occupancy == 3 * 8 / 64
    got = resources.kernel_resources(text, "first", n_threads=256, dynamic_shared_bytes=200_000, gpu=gpu)
    assert got.occupancy == 0.0


def test_rejected_text():
    with pytest.raises(AssemblerError, match="ptxas"):
        resources.assemble(MODULE.format(target="sm_80").replace("bar.sync", "bar.sink"))
    with pytest.raises(AssemblerError, match=r"\.target"):
        resources.assemble("// nothing")


def test_missing_assembler(monkeypatch):
    monkeypatch.setattr(resources.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(resources.shutil, "which", lambda name: None)
    with pytest.raises(AssemblerError, match="found neither"):
        resources.assemble(MODULE.format(target="sm_80") + "// not assembled before")
