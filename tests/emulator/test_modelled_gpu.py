"""Where nobody names a GPU, the one that is modelled runs the kernel's code."""

import numpy as np
import pytest

from teachkit.emulator import kernel, load_ptx
from teachkit.errors import LaunchError

TEXT = """
.version 8.5
.target {target}
.address_size 64
.visible .entry k(.param .u64 k_param_0) {{
.reg .b32 %r<2>; .reg .b64 %rd<2>;
ld.param.u64 %rd1, [k_param_0];
mov.u32 %r1, %nsmid;
st.global.u32 [%rd1], %r1;
ret;
}}
"""


def n_sms(target, shared_bytes=0):
    out = np.zeros(1, np.uint32)
    load_ptx(TEXT.format(target=target))["k"].launch(1, 1, [out], shared_bytes=shared_bytes)
    return int(out[0])


OLD = [("sm_52", 108), ("sm_80", 108), ("sm_86", 108)]
NEW = [("sm_90", 132), ("sm_90a", 132), ("sm_100a", 148), ("sm_120", 148)]


@pytest.mark.parametrize(("target", "expected"), OLD + NEW)
def test_it_is_new_enough(target, expected):
    assert n_sms(target) == expected


def test_a_chosen_one_counts():
    old = kernel.configure(gpu="V100-SXM2-16GB")
    try:
        assert n_sms("sm_90") == 80
    finally:
        kernel.configure(gpu=old.gpu)


def test_its_limits_hold():
    assert n_sms("sm_90", shared_bytes=200_000) == 132
    with pytest.raises(LaunchError, match=r"166912 bytes.*A100"):
        n_sms("sm_80", shared_bytes=200_000)
