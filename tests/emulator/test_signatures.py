"""A PTX file seen before is not read again until somebody asks for more than its kernels' signatures."""

import numpy as np
import pytest

from teachkit.emulator import kernel, load_ptx, observe, signatures
from teachkit.emulator.engine.program import _pack_sites, _unpack_sites
from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
from teachkit.errors import PtxSyntaxError

TEXT = """
.version 8.0
.target sm_80
.address_size 64
.visible .entry twice(.param .u64 .ptr .global .align 4 x, .param .f32 unused)
.reqntid 32, 1, 1
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<4>;
  ld.param.b64 %rd1, [x];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  ld.global.b32 %r2, [%rd3];
  add.s32 %r2, %r2, %r2;
  st.global.b32 [%rd3], %r2;
  ret;
}
"""


@pytest.fixture
def readings(monkeypatch, tmp_path):
    """How often a text was read, with a cache folder of its own."""
    monkeypatch.setenv("TEACHKIT_CACHE_DIR", str(tmp_path))
    seen = []
    for module in (kernel, signatures):
        read = module.parse
        monkeypatch.setattr(module, "parse", lambda text, read=read: (seen.append(text), read(text))[1])
    return seen


def run():
    x = np.arange(32, dtype=np.int32)
    found = []
    with observe(found.append):
        load_ptx(TEXT)["twice"][1, 32](x, 0.0)
    assert (x == 2 * np.arange(32)).all()
    return found[0].counters, found[0].by_line


def test_a_second_load_reads_nothing_and_counts_the_same(readings):
    first = run()
    assert len(readings) == 1
    assert run() == first
    assert len(readings) == 1


def test_the_signature_from_disk_is_the_one_that_was_read(readings):
    read, kept = load_ptx(TEXT)["twice"], load_ptx(TEXT)["twice"]
    assert len(readings) == 1
    assert kept.signature == read.signature
    assert kept.function == read.function
    assert len(readings) == 2


def test_what_is_no_ptx_is_refused_every_time(readings):
    for _ in range(2):
        with pytest.raises(PtxSyntaxError):
            load_ptx(TEXT.replace("ret;\n}", "ret"))


def test_sites_survive_packing():
    module = load_ptx(TEXT).module
    sites = translate(module, module.functions["twice"], Mode()).sites
    assert _unpack_sites(_pack_sites(sites)) == list(sites)
