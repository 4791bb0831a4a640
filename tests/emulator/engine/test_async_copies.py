"""cp.async: full and empty copies, hints, guards, and the copies of a part that are refused."""

import numpy as np
import pytest

from teachkit.emulator import load_ptx
from teachkit.errors import KernelFault, LaunchError

pytestmark = pytest.mark.usefixtures("straight_and_in_a_loop")

TILE = ".shared .align 16 .b8 tile[512];"
START = """
mov.u32 %r4, tile; mad.lo.u32 %r5, %r1, 16, %r4; mad.wide.u32 %rd2, %r1, 16, %rd10; mad.wide.u32 %rd3, %r1, 16, %rd0;
mov.u32 %r6, -1; st.shared.v4.u32 [%r5], {%r6, %r6, %r6, %r6}; setp.lt.u32 %p1, %r1, 20; setp.gt.u32 %p2, %r1, 10;
selp.u32 %r7, 16, 0, %p1;"""
END = """
cp.async.commit_group; cp.async.wait_group 0; bar.sync 0;
ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r5]; st.global.v4.u32 [%rd3], {%r10, %r11, %r12, %r13};"""

LANE = np.arange(32)[:, None]
NOTHING = np.uint32(0xFFFFFFFF)


def copied(both, statement):
    out, x = both.array(128), both.array(128)
    x[:] = np.arange(1, 129)
    text = both.kernel(START + statement + END, variables=TILE, pointers=["x"])
    found = both.run_both(text, "k", 1, 32, [out, x])
    found.check_memory()
    found.check_counters()
    return out.reshape(32, 4), x.reshape(32, 4), found.launch.counters


def test_all_lanes(both):
    out, x, counters = copied(both, "cp.async.cg.shared.global [%r5], [%rd2], 16;")
    assert (out == x).all()
    assert (counters.global_load_bytes, counters.global_load_sectors) == (512, 16)


@pytest.mark.parametrize(
    "statement",
    [
        "cp.async.cg.shared.global [%r5], [%rd2], 16, %r7;",
        "cp.async.cg.shared.global [%r5], [%rd2], 16, !%p1;",
        "cp.async.cg.shared.global.L2::cache_hint [%r5], [%rd2], 16, %r7, %rd9;",
        "cp.async.cg.shared.global.L2::128B [%r5], [%rd2], 16, %r7;",
    ],
)
def test_lanes_without_a_source_write_zeros(both, statement):
    out, x, counters = copied(both, statement)
    assert (out == np.where(LANE < 20, x, 0)).all()
    assert (counters.global_load_requests, counters.global_load_bytes) == (1, 20 * 16)


def test_a_cache_policy_is_no_size(both):
    out, x, _ = copied(both, "cp.async.cg.shared.global.L2::cache_hint [%r5], [%rd2], 16, %rd9;")
    assert (out == x).all()


def test_guarded_lanes_write_nothing(both):
    out, x, _ = copied(both, "@%p2 cp.async.ca.shared.global [%r5], [%rd2], 16, %r7;")
    assert (out == np.where(LANE > 10, np.where(LANE < 20, x, 0), NOTHING)).all()


@pytest.mark.parametrize("n_bytes", [4, 8])
def test_short_copies(both, n_bytes):
    out, x, _ = copied(both, f"cp.async.ca.shared.global [%r5], [%rd2], {n_bytes};")
    assert (out == np.where(np.arange(4) < n_bytes // 4, x, NOTHING)).all()


def test_a_part_of_a_copy_is_refused(both):
    text = both.kernel(f"{START} selp.u32 %r7, 16, 8, %p1; cp.async.cg.shared.global [%r5], [%rd2], 16, %r7;{END}",
                       variables=TILE, pointers=["x"])  # fmt: skip
    with pytest.raises(KernelFault, match="all its bytes or of none") as caught:
        load_ptx(text)["k"][1, 32](both.array(128), both.array(128))
    assert (caught.value.kind, caught.value.thread) == ("partial copy", (20, 0, 0))


def test_the_source_names_its_argument(both):
    text = both.kernel(f"{START} cp.async.cg.shared.global [%r5], [%rd2], 16;{END}", variables=TILE, pointers=["x"])
    kernel = load_ptx(text)["k"]
    with pytest.raises(KernelFault, match="Out-of-bounds load of 16 bytes") as caught:
        kernel[1, 32](both.array(128), np.zeros(100, np.uint32))
    assert caught.value.argument == "x"
    assert caught.value.thread == (25, 0, 0)
    read_only = np.zeros(128, np.uint32)
    read_only.flags.writeable = False
    kernel[1, 32](both.array(128), read_only)
    with pytest.raises(LaunchError, match="read-only"):
        kernel[1, 32](read_only, both.array(128))
