"""Special registers that say something of the launch, on engine and oracle."""

import numpy as np
import pytest

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
