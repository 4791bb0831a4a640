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
