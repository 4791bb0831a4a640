"""Special registers that say something of the launch, on engine and oracle."""

import numpy as np
import pytest

from teachkit.errors import UnsupportedInstruction

SHARED = """.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 dynamic[];
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<4>; .reg .b64 %rd<4>; .shared .align 4 .b8 declared[20];
    ld.param.u64 %rd1, [out]; mov.u32 %r1, %dynamic_smem_size; mov.u32 %r2, %total_smem_size;
    mov.u64 %rd2, declared; st.shared.u32 [%rd2], %r1;
    mov.u64 %rd3, dynamic; st.global.u32 [%rd1], %r1; st.global.u32 [%rd1+4], %r2;
    ret;
}"""


@pytest.mark.parametrize(("dynamic", "total"), [(0, 20), (4, 36), (64, 96)])
def test_sizes_of_shared_memory(both, dynamic, total):
    run = both.run_both(SHARED, "k", 1, 32, [both.array(2)], dynamic)
    run.check_memory()
    assert run.memory[0][0].view(np.uint32).tolist() == [dynamic, total]


RESERVED = """.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 dynamic[];
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<8>; .reg .b64 %rd<4>; .shared .align 4 .b8 declared[20];
    ld.param.u64 %rd1, [out]; mov.u32 %r1, %reserved_smem_offset_begin; mov.u32 %r2, %reserved_smem_offset_1;
    mov.u32 %r3, %reserved_smem_offset_end; mov.u32 %r4, %total_smem_size; mov.u32 %r5, %dynamic_smem_size;
    mov.u32 %r6, declared; sub.u32 %r6, %r6, %r3; st.global.v4.u32 [%rd1], {%r1, %r3, %r4, %r5};
    ld.shared.u32 %r1, [%r2]; st.shared.u32 [%r2], %r4; ld.shared.u32 %r3, [%r2+284];
    st.global.v4.u32 [%rd1+16], {%r1, %r3, %r6, %r6};
    ret;
}"""


@pytest.mark.parametrize(("dynamic", "total"), [(0, 20), (64, 96)])
def test_shared_memory_that_the_toolkit_keeps_to_itself(both, dynamic, total):
    """It is zero when a block begins, and no part of what the kernel has."""
    run = both.run_both(RESERVED, "k", 3, 32, [both.array(8)], dynamic)
    run.check_memory()
    assert run.memory[0][0].view(np.uint32).tolist() == [0, 1024, total, dynamic, 0, 0, 0, 0]


ALIGNED = """.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<2>; .reg .b64 %rd<6>;
    .local .align 256 .b8 own[20]; .shared .align 512 .b8 common[20];
    ld.param.u64 %rd1, [out]; mov.u64 %rd2, own; cvta.local.u64 %rd2, %rd2; mov.u64 %rd3, common;
    cvta.shared.u64 %rd3, %rd3; and.b64 %rd2, %rd2, 255; and.b64 %rd3, %rd3, 511; or.b64 %rd2, %rd2, %rd3;
    mov.u32 %r1, %tid.x; mul.wide.u32 %rd4, %r1, 8; add.u64 %rd4, %rd1, %rd4; st.global.u64 [%rd4], %rd2;
    ret;
}"""


def test_alignment_of_private_and_shared_memory(both):
    out = np.ones(64, np.uint64)
    assert both.observed(ALIGNED, "k", 1, 64, [out])[1][0].view(np.uint64).tolist() == [0] * 64


PLACE = """.version 8.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<20>; .reg .b64 %rd<8>;
    ld.param.u64 %rd1, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r1, %r2, 32, %r1;
    mul.wide.u32 %rd2, %r1, 64; add.u64 %rd1, %rd1, %rd2;
    mov.u32 %r3, %smid; mov.u32 %r4, %nsmid; mov.u32 %r5, %clusterid.x; mov.u32 %r6, %cluster_nctarank;
    mov.u32 %r7, %gridid; mov.u32 %r8, %cluster_ctaid.x; mov.u32 %r9, %laneid; mov.u32 %r10, %lanemask_lt;
    mov.u64 %rd3, %clock64; mov.u64 %rd4, %globaltimer; mov.u32 %r11, %clock; mov.u32 %r12, %clock_hi;
    st.global.v4.u32 [%rd1], {%r3, %r4, %r5, %r6}; st.global.v4.u32 [%rd1+16], {%r7, %r8, %r9, %r10};
    st.global.v2.u64 [%rd1+32], {%rd3, %rd4}; st.global.v2.u32 [%rd1+48], {%r11, %r12};
    ret;
}"""


def test_where_and_when(both):
    """Blocks are dealt to an H100's 132 multiprocessors in turn; a block's clock moves by its own readings alone."""
    run = both.run_both(PLACE, "k", 200, 32, [both.array(200 * 32 * 16)])
    run.check_memory()
    words = run.memory[0][0].view(np.uint32).reshape(200, 32, 16)
    assert (words[:, 0, 0] == np.arange(200) % 132).all()
    assert words[7, 3, :8].tolist() == [7, 132, 7, 1, 0, 0, 3, 7]
    assert words[199, 31, 8:14].tolist() == [32, 0, 64, 0, 96, 0]


WORKSPACE = """.version 8.0
.target sm_80
.address_size 64
.visible .global .align 8 .b8 tk_grid_workspace[8];
.visible .entry k(.param .u64 out)
{
    .reg .b32 %r<4>; .reg .b64 %rd<6>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [out]; mov.u32 %r1, %envreg1; mov.u32 %r2, %envreg2; mov.b64 %rd2, {%r2, %r1};
    mov.u64 %rd3, tk_grid_workspace; cvta.global.u64 %rd3, %rd3; setp.eq.u64 %p1, %rd2, %rd3; selp.u32 %r3, 7, 0, %p1;
    st.global.u32 [%rd1], %r3; st.u32 [%rd2], %r3; ld.global.u32 %r3, [%rd3]; st.global.u32 [%rd1+4], %r3;
    ret;
}"""


def test_where_the_memory_of_cooperative_groups_is(both):
    run = both.run_both(WORKSPACE, "k", 1, 32, [out := both.array(2)])
    run.check_memory()
    run.check_counters()
    assert out.tolist() == [7, 7]


def test_registers_of_a_driver_that_is_not_there_are_refused(both):
    text = WORKSPACE.replace("tk_grid_workspace", "another")
    with pytest.raises(UnsupportedInstruction, match="special register %envreg1"):
        both.observed(text, "k", 1, 32, [both.array(2)])
