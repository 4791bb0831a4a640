"""Sectors and wavefronts of lanes in no order, repeated, off, or terabytes apart: engine against oracle."""

import numpy as np
import pytest

HEAD = ".version 8.0\n.target sm_80\n.address_size 64\n"
BODY = """
{{
  .reg .pred %p<4>;
  .reg .b32 %r<16>;
  .reg .b64 %rd<16>;
  .shared .align 16 .b8 window[4096];
  ld.param.b64 %rd1, [places]; ld.param.b64 %rd2, [out];
  mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; shl.b32 %r3, %r2, 5; add.u32 %r3, %r3, %r1;
  mul.wide.u32 %rd3, %r3, 8; add.s64 %rd4, %rd1, %rd3; ld.global.b64 %rd5, [%rd4];
  setp.ne.s64 %p1, %rd5, 0;
  mov.u32 %r8, 0; mov.u32 %r9, 0; mov.u32 %r10, 0; mov.u32 %r11, 0;
  {access}
  add.u32 %r8, %r8, %r9; add.u32 %r10, %r10, %r11; add.u32 %r8, %r8, %r10;
  mul.wide.u32 %rd6, %r3, 4; add.s64 %rd7, %rd2, %rd6; st.global.b32 [%rd7], %r8;
  ret;
}}
"""
PARAMETERS = ".visible .entry k(.param .u64 places, .param .u64 out, .param .u64 near, .param .u64 far)"
ACCESSES = {
    "load 2": "@%p1 ld.global.u16 %r8, [%rd5];",
    "load 4": "@%p1 ld.global.b32 %r8, [%rd5];",
    "load 8": "@%p1 ld.global.v2.b32 {%r8, %r9}, [%rd5];",
    "load 16": "@%p1 ld.global.v4.b32 {%r8, %r9, %r10, %r11}, [%rd5];",
    # What is stored follows from where: blocks race to the same places.
    "store 4": "cvt.u32.u64 %r4, %rd5; @%p1 st.global.b32 [%rd5], %r4;",
    "store 16": "cvt.u32.u64 %r4, %rd5; not.b32 %r5, %r4; @%p1 st.global.v4.b32 [%rd5], {%r4, %r4, %r5, %r5};",
    "atomic": "@%p1 red.global.add.u32 [%rd5], %r1;",
}
SHARED = {
    "load 4": "@%p1 ld.shared.b32 %r8, [%r12];",
    "load 8": "@%p1 ld.shared.v2.b32 {%r8, %r9}, [%r12];",
    "load 16": "@%p1 ld.shared.v4.b32 {%r8, %r9, %r10, %r11}, [%r12];",
    "store 8": "@%p1 st.shared.v2.b32 [%r12], {%r1, %r2};",
}
N_WARPS = 24


def chosen(rng, near, far, size, spread):
    """A host address for each lane; 0 for those that are off."""
    bases = np.array([a.ctypes.data for a in (near, far)])
    rooms = [a.nbytes // size for a in (near, far)]
    places = np.zeros((N_WARPS, 32), np.uint64)
    for warp in range(N_WARPS):
        n_distinct = (1, 2, 5, 17, 32, 400)[warp % 6]
        pool = rng.integers(0, min(rooms), n_distinct) * size
        which = rng.integers(0, 2, 32) if spread else np.zeros(32, int)
        places[warp] = bases[which] + pool[rng.integers(0, n_distinct, 32)]
        if warp % 4 == 3:
            places[warp, rng.random(32) < 0.5] = 0
    return places


def by_quarters(rng, array, size):
    """The same where the lanes of each quarter of a warp follow each other, or are at one place: blocks may be 8 or 16
    threads wide. Quarters and halves are the same, overlap, rise or fall; in every fifth warp one lane is elsewhere."""
    n = array.nbytes // size
    places = np.zeros((N_WARPS, 4, 8), np.int64)
    for warp in range(N_WARPS):
        starts = rng.integers(0, n - 8, 4)
        match warp % 6:
            case 0:
                starts[2:] = starts[:2]
            case 1:
                starts[:] = starts[0]
            case 2:
                starts = np.sort(starts)
            case 3:
                starts = starts[0] // 4 + np.arange(4) * rng.integers(0, n // 8)
            case 4:
                starts = starts[0] // 2 + rng.integers(0, 9, 4)
        step = rng.integers(0, 2) if warp % 5 else 1
        places[warp] = starts[:, None] + step * np.arange(8)
        if warp % 5 == 4:
            places[warp, rng.integers(4), rng.integers(8)] = rng.integers(n)
    found = (array.ctypes.data + size * places.reshape(N_WARPS, 32)).astype(np.uint64)
    found[7, 5:] = found[8, :9] = found[9, 13] = 0
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ACCESSES)
def test_quarters_of_global_accesses(both, name, seed):
    size = int(name.split()[-1]) if name[-1].isdigit() else 4
    near = both.array(1024, "u4")
    near[:] = np.arange(1024)
    places, out = both.array(N_WARPS * 32, "u8"), both.array(N_WARPS * 32, "u4")
    places[:] = by_quarters(np.random.default_rng(seed), near, size).reshape(-1)
    text = HEAD + PARAMETERS + BODY.format(access=ACCESSES[name])
    result = both.run_both(text, "k", N_WARPS, 32, [places, out, near, near])
    result.check_counters()
    result.check_memory()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", SHARED)
def test_quarters_of_shared_accesses(both, name, seed):
    near = both.array(1024, "u4")
    offsets = by_quarters(np.random.default_rng(seed), near, int(name.split()[-1]))
    check_shared(both, name, near, offsets)


@pytest.mark.parametrize("spread", [False, True], ids=["one array", "two arrays far apart"])
@pytest.mark.parametrize("name", ACCESSES)
def test_global(both, name, spread):
    rng = np.random.default_rng(7)
    near, far = both.array(1024, "u4"), both.array(1 << 20, "u4")
    if spread:  # small arrays come from the heap, large ones are mapped, at the other end of the address space
        near = np.zeros(1024, "u4")
        if abs(near.ctypes.data - far.ctypes.data) < 1 << 40:
            pytest.skip("this system's allocator keeps small and large arrays together")
    near[:], far[:] = np.arange(1024), np.arange(1 << 20)
    size = int(name.split()[-1]) if name[-1].isdigit() else 4
    places, out = both.array(N_WARPS * 32, "u8"), both.array(N_WARPS * 32, "u4")
    places[:] = chosen(rng, near, far, size, spread).reshape(-1)
    text = HEAD + PARAMETERS + BODY.format(access=ACCESSES[name])
    result = both.run_both(text, "k", N_WARPS, 32, [places, out, near, far])
    result.check_counters()
    result.check_memory()


@pytest.mark.parametrize("name", SHARED)
def test_shared(both, name):
    near, far = both.array(4096, "u1"), both.array(64, "u4")
    check_shared(both, name, near, chosen(np.random.default_rng(8), near, far, int(name.split()[-1]), False))


def check_shared(both, name, array, addresses):
    """Accesses in shared memory as far behind its start as the addresses are behind the array's."""
    places, out = both.array(N_WARPS * 32, "u8"), both.array(N_WARPS * 32, "u4")
    places[:] = addresses.reshape(-1)
    offset = f"sub.s64 %rd8, %rd5, {array.ctypes.data}; cvt.u32.u64 %r12, %rd8;"
    address = "mov.u32 %r13, window; add.u32 %r12, %r12, %r13;"
    text = HEAD + PARAMETERS + BODY.format(access=f"{offset} {address} {SHARED[name]}")
    both.run_both(text, "k", N_WARPS, 32, [places, out, array, array]).check_counters()


@pytest.mark.parametrize(("kind", "shift"), [("u32", 2), ("u64", 3)])
def test_the_highest_lane_of_a_quarter_is_what_stays(both, kind, shift):
    body = f"""
    and.b32 %r4, %r1, 31; shr.u32 %r5, %r4, 3; shl.b32 %r5, %r5, {shift}; cvt.u64.u32 %rd2, %r5;
    add.s64 %rd2, %rd2, %rd0; cvt.u64.u32 %rd3, %r4; st.global.{kind} [%rd2], {"%r4" if kind == "u32" else "%rd3"};"""
    out = both.array(4, kind.replace("u", "uint"))
    run = both.run_both(both.kernel(body), "k", 1, 32, [out])
    run.check_memory()
    run.check_counters()
    assert out.tolist() == [7, 15, 23, 31]
