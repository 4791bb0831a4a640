"""Addresses that are a pointer and a scaled index of 32 bits a lane, and what the engine makes of them.

Whether an access is one run shows in the indices; all else is left to the runtime, which is given them. Engine and
oracle must agree on every byte and count.
"""

import numpy as np
import pytest

from teachkit.emulator.engine.translate import translate
from teachkit.emulator.engine.warp_code import Mode
from teachkit.emulator.ptx import parse
from teachkit.errors import KernelFault

pytestmark = pytest.mark.usefixtures("straight_and_in_a_loop")

# Each ends with the address of lane %r1's word number %r20 of the array in %rd3.
FORMS = {
    "mul.wide.s32": "mul.wide.s32 %rd4, %r20, 4; add.s64 %rd5, %rd3, %rd4;",
    "mul.wide.u32": "mul.wide.u32 %rd4, %r20, 4; add.u64 %rd5, %rd4, %rd3;",
    "mad.wide.s32": "mad.wide.s32 %rd5, %r20, 4, %rd3;",
    "mad.wide.u32": "mad.wide.u32 %rd5, 4, %r20, %rd3;",
    "cvt and shl": "cvt.s64.s32 %rd4, %r20; shl.b64 %rd4, %rd4, 2; add.s64 %rd5, %rd4, %rd3;",
    "cvt without sign": "cvt.u64.u32 %rd4, %r20; shl.b64 %rd4, %rd4, 2; add.s64 %rd5, %rd4, %rd3;",
    "additions": "mul.wide.s32 %rd4, %r20, 4; add.s64 %rd4, %rd4, -8; add.s64 %rd4, %rd4, %rd3; add.s64 %rd5, 8, %rd4;",
    "shl of a sum": "cvt.s64.s32 %rd4, %r20; add.s64 %rd4, %rd4, 2; shl.b64 %rd4, %rd4, 2; add.s64 %rd4, %rd4, -8; "
    "add.s64 %rd5, %rd4, %rd3;",
    "a subtraction": "mad.wide.s32 %rd4, %r20, 4, %rd3; sub.s64 %rd5, %rd4, 0;",
}
ORDERS = {
    "in a row": np.arange(64),
    "shifted": 5 + np.arange(64),
    "one wrong": np.where(np.arange(64) == 17, 90, np.arange(64)),
    "the last one wrong": np.where(np.arange(64) % 32 == 31, 90, np.arange(64)),
    "reversed": np.arange(64)[::-1],
    "every third": 3 * np.arange(64) % 128,
    "all alike": np.full(64, 7),
    "shuffled": np.random.default_rng(0).permutation(128)[:64],
}
MASKS = {
    "": "",
    "first 20": "setp.lt.u32 %p1, %r1, 20;",
    "odd": "and.b32 %r6, %r1, 1; setp.eq.u32 %p1, %r6, 1;",
    "none": "setp.gt.u32 %p1, %r1, 99;",
}
HEAD = """
    mul.wide.u32 %rd1, %r1, 4; add.s64 %rd2, %rd11, %rd1; ld.global.b32 %r20, [%rd2];
    add.s64 %rd6, %rd0, %rd1;
"""


def _kernel(both, form, mask="", access="", offset=0, array="mov.b64 %rd3, %rd10;"):
    guard = "@%p1 " if mask else ""
    access = access or f"{guard}ld.global.b32 %r21, [%rd5+{offset}]; st.global.b32 [%rd6], %r21;"
    return both.kernel(HEAD + f"mov.u32 %r21, 3; {MASKS[mask]} {array} {FORMS[form]} {access}", pointers=["a", "table"])


def _is_indexed(text):
    module = parse(text)
    return "global_each" not in translate(module, module.functions["k"], Mode(False, rows=True)).text


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", FORMS)
def test_load(both, form, order, mask):
    text = _kernel(both, form, mask, offset=8)
    out, a, table = both.array(64), both.array(160), both.array(64)
    a[:], table[:] = 1000 + np.arange(160), ORDERS[order]
    found = both.run_both(text, "k", 1, 64, [out, a, table])
    found.check_memory()
    found.check_counters()
    if not mask:
        np.testing.assert_array_equal(out, a[table + 2])
        assert _is_indexed(text) == (form not in ("a subtraction", "shl of a sum"))


@pytest.mark.parametrize("order", ["in a row", "reversed", "shuffled", "one wrong"])
@pytest.mark.parametrize("mask", MASKS)
def test_store(both, order, mask):
    guard = "@%p1 " if mask else ""
    access = f"add.u32 %r21, %r20, 500; {guard}st.global.b32 [%rd5-4], %r21;"
    text = _kernel(both, "mad.wide.s32", mask, access, array="add.s64 %rd3, %rd10, 16;")
    out, a, table = both.array(64), both.array(160), both.array(64)
    table[:] = ORDERS[order]
    found = both.run_both(text, "k", 1, 64, [out, a, table])
    found.check_memory()
    found.check_counters()
    if not mask:
        np.testing.assert_array_equal(a[table + 3], table + 500)


@pytest.mark.parametrize("order", ["in a row", "shifted", "shuffled"])
@pytest.mark.parametrize(("scale", "n"), [(4, 2), (8, 2), (16, 2), (4, 4), (1, 1), (2, 1), (12, 1)])
def test_elements_of_other_sizes(both, order, scale, n):
    """A run of vectors has indices that grow by their length; a scale that is longer than an access leaves gaps."""
    names = ", ".join(f"%r{21 + i}" for i in range(n))
    width = 4 * n if scale % 4 == 0 else scale
    load = f"ld.global.v{n}.b32 {{{names}}}, [%rd5];" if n > 1 else f"ld.global.u{8 * min(width, 4)} %r21, [%rd5];"
    step = max(width // scale, 1)
    body = f"mul.lo.u32 %r20, %r20, {step}; mul.wide.s32 %rd4, %r20, {scale}; add.s64 %rd5, %rd10, %rd4; {load}"
    text = both.kernel(f"{HEAD} {body} st.global.b32 [%rd6], %r{20 + n};", pointers=["a", "table"])
    out, a, table = both.array(64), both.array(1024), both.array(64)
    a[:], table[:] = np.random.default_rng(1).integers(0, 2**32, 1024), ORDERS[order]
    found = both.run_both(text, "k", 1, 64, [out, a, table])
    found.check_memory()
    found.check_counters()


@pytest.mark.parametrize(("form", "end"), [("mul.wide.s32", 1 << 31), ("mad.wide.u32", 1 << 32)])
def test_indices_that_start_anew(both, form, end):
    """Behind the largest index comes the smallest, far away, though the numbers are in a row."""
    first = end - 16
    array = f"mov.u64 %rd7, {4 * first}; sub.s64 %rd3, %rd10, %rd7;"
    text = _kernel(both, form, array=array)
    out, a, table = both.array(32), both.array(64), both.array(32)
    table[:] = (first + np.arange(32)) % (1 << 32)
    with pytest.raises(KernelFault, match="Out-of-bounds load of 4 bytes") as caught:
        both.observed(text, "k", 1, 32, [out, a, table])
    assert caught.value.thread == (16, 0, 0)
    table[:] = first - 32 + np.arange(32)  # all before the end
    found = both.run_both(text.replace(str(4 * first), str(4 * first - 128)), "k", 1, 32, [out, a, table])
    found.check_memory()
    found.check_counters()


def test_negative_indices(both):
    text = _kernel(both, "mad.wide.s32", array="add.s64 %rd3, %rd10, 256;")
    out, a, table = both.array(64), both.array(160), both.array(64)
    a[:] = np.arange(160)
    for order in (np.arange(64) - 60, 20 - np.arange(64)):
        table[:] = order % (1 << 32)
        found = both.run_both(text, "k", 1, 64, [out, a, table])
        found.check_memory()
        found.check_counters()
        np.testing.assert_array_equal(out, 64 + order)


def test_negative_scales(both):
    access = "mad.wide.s32 %rd5, %r20, -4, %rd3; ld.global.b32 %r21, [%rd5]; st.global.b32 [%rd6], %r21;"
    text = _kernel(both, "mad.wide.s32", access=access, array="add.s64 %rd3, %rd10, 512;")
    out, a, table = both.array(64), both.array(160), both.array(64)
    a[:] = np.arange(160)
    for order in ("in a row", "reversed", "shuffled"):
        table[:] = ORDERS[order]
        found = both.run_both(text, "k", 1, 64, [out, a, table])
        found.check_memory()
        found.check_counters()
        np.testing.assert_array_equal(out, 128 - table)


def test_vectors_that_overlap(both):
    """Their indices grow by one, where a run's grow by two: every other one is misaligned."""
    access = "ld.global.v2.b32 {%r21, %r22}, [%rd5]; st.global.b32 [%rd6], %r22;"
    text = _kernel(both, "mad.wide.s32", access=access)
    out, a, table = both.array(64), both.array(160), both.array(64)
    table[:] = np.arange(64)
    with pytest.raises(KernelFault, match="Misaligned load of 8 bytes") as caught:
        both.observed(text, "k", 1, 64, [out, a, table])
    assert caught.value.thread == (1, 0, 0)


def test_an_index_that_changes_after_the_address(both):
    """The address is of the index that it was computed from."""
    access = "add.u32 %r20, %r20, 40; ld.global.b32 %r21, [%rd5]; add.u32 %r21, %r21, %r20; st.global.b32 [%rd6], %r21;"
    text = _kernel(both, "mul.wide.s32", access=access)
    out, a, table = both.array(64), both.array(160), both.array(64)
    a[:], table[:] = 1000 * np.arange(160), ORDERS["shuffled"]
    found = both.run_both(text, "k", 1, 64, [out, a, table])
    found.check_memory()
    np.testing.assert_array_equal(out, 1001 * table + 40)


def test_the_faulty_lane_is_named(both):
    text = _kernel(both, "mul.wide.s32")
    out, a, table = both.array(64), both.array(128), both.array(64)
    table[:] = ORDERS["shuffled"]
    table[41] = 300
    with pytest.raises(KernelFault, match=r"byte offset 1200 \(element 300\) of argument 'a'") as caught:
        both.observed(text, "k", 1, 64, [out, a, table])
    assert caught.value.thread == (41, 0, 0)
