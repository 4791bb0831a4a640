"""Triton kernels whose PTX the parser and the oracle are tried on: one idea each."""

import triton
import triton.language as tl
from triton.language.extra import libdevice


@triton.jit
def vector_add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(out_ptr + i, tl.load(x_ptr + i, mask=mask) + tl.load(y_ptr + i, mask=mask), mask=mask)


@triton.jit
def strided_copy(x_ptr, out_ptr, n, stride, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(out_ptr + i, tl.load(x_ptr + i * stride, mask=mask), mask=mask)


@triton.jit
def transpose(x_ptr, out_ptr, n_rows, n_cols, BLOCK: tl.constexpr):
    rows = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = (rows[:, None] < n_rows) & (cols[None, :] < n_cols)
    tile = tl.load(x_ptr + rows[:, None] * n_cols + cols[None, :], mask=inside)
    inside = (cols[:, None] < n_cols) & (rows[None, :] < n_rows)
    tl.store(out_ptr + cols[:, None] * n_rows + rows[None, :], tl.trans(tile), mask=inside)


@triton.jit
def gelu_tanh(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n).to(tl.float32)
    y = 0.5 * x * (1 + libdevice.tanh(0.7978845608 * (x + 0.044715 * x * x * x)))
    tl.store(out_ptr + i, y, mask=i < n)


@triton.jit
def unary_maths(x_ptr, out_ptr, n, WHICH: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    if WHICH == "exp":
        y = tl.exp(x)
    elif WHICH == "log":
        y = tl.log(x)
    elif WHICH == "sin":
        y = tl.sin(x)
    elif WHICH == "cos":
        y = tl.cos(x)
    elif WHICH == "sqrt":
        y = tl.sqrt(x)
    elif WHICH == "rsqrt":
        y = tl.rsqrt(x)
    elif WHICH == "erf":
        y = tl.erf(x)
    elif WHICH == "floor":
        y = tl.floor(x) + tl.ceil(x)
    elif WHICH == "div_rn":
        y = tl.div_rn(x, x + 3)
    elif WHICH == "sqrt_rn":
        y = tl.sqrt_rn(x)
    elif WHICH == "pow":
        y = libdevice.pow(x, x)
    elif WHICH == "log1p":
        y = libdevice.log1p(x)
    elif WHICH == "lgamma":
        y = libdevice.lgamma(x)
    elif WHICH == "fmod":
        y = libdevice.fmod(x, x * 0.3)
    elif WHICH == "expm1":
        y = libdevice.expm1(x)
    elif WHICH == "sigmoid":
        y = tl.sigmoid(x)
    elif WHICH == "nearbyint":
        y = libdevice.nearbyint(x) + libdevice.trunc(x) + libdevice.round(x)
    elif WHICH == "fma":
        y = tl.fma(x, x, x) + tl.abs(x) - tl.maximum(x, 1.0, propagate_nan=tl.PropagateNan.ALL) + tl.minimum(x, 2.0)
    tl.store(out_ptr + i, y, mask=i < n)


@triton.jit
def softmax(x_ptr, out_ptr, n_cols, stride, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * stride + i, mask=i < n_cols, other=-float("inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, 0))
    tl.store(out_ptr + row * stride + i, e / tl.sum(e, 0), mask=i < n_cols)


@triton.jit
def layer_norm(x_ptr, out_ptr, weight_ptr, bias_ptr, mean_ptr, rstd_ptr, stride, n_cols, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    x_ptr += row * stride
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n_cols, BLOCK):
        i = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + i, mask=i < n_cols, other=0.0).to(tl.float32)
    mean = tl.sum(total, 0) / n_cols
    total = tl.zeros([BLOCK], tl.float32)
    for start in range(0, n_cols, BLOCK):
        i = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + i, mask=i < n_cols, other=0.0).to(tl.float32)
        x = tl.where(i < n_cols, x - mean, 0.0)
        total += x * x
    rstd = 1 / tl.sqrt(tl.sum(total, 0) / n_cols + eps)
    tl.store(mean_ptr + row, mean)
    tl.store(rstd_ptr + row, rstd)
    for start in range(0, n_cols, BLOCK):
        i = start + tl.arange(0, BLOCK)
        mask = i < n_cols
        x = tl.load(x_ptr + i, mask=mask, other=0.0).to(tl.float32)
        y = (x - mean) * rstd * tl.load(weight_ptr + i, mask=mask) + tl.load(bias_ptr + i, mask=mask)
        tl.store(out_ptr + row * stride + i, y, mask=mask)


@triton.jit
def dropout(x_ptr, out_ptr, n, p, seed, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    keep = tl.rand(seed, i) > p
    tl.store(out_ptr + i, tl.where(keep, x / (1 - p), 0.0), mask=i < n)


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr):
    rm = tl.program_id(0) * BM + tl.arange(0, BM)
    rn = tl.program_id(1) * BN + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), dtype=tl.float64 if c_ptr.dtype.element_ty == tl.float64 else tl.float32)
    if a_ptr.dtype.element_ty == tl.int8:
        acc = tl.zeros((BM, BN), dtype=tl.int32)
    for k in range(0, K, BK):
        a = tl.load(a_ptr + rm[:, None] * K + (k + rk)[None, :], mask=(rm[:, None] < M) & ((k + rk)[None, :] < K))
        b = tl.load(b_ptr + (k + rk)[:, None] * N + rn[None, :], mask=((k + rk)[:, None] < K) & (rn[None, :] < N))
        acc = tl.dot(a, b, acc, input_precision=PRECISION, out_dtype=acc.dtype)
    tl.store(
        c_ptr + rm[:, None] * N + rn[None, :],
        acc.to(c_ptr.dtype.element_ty),
        mask=(rm[:, None] < M) & (rn[None, :] < N),
    )


@triton.jit
def atomics(x_ptr, out_ptr, n, KIND: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    if KIND == "add":
        tl.atomic_add(out_ptr + i % 7, x, mask=i < n)
    elif KIND == "max":
        tl.atomic_max(out_ptr + i % 7, x, mask=i < n)
    elif KIND == "and":
        tl.atomic_and(out_ptr + i % 7, x, mask=i < n)
    elif KIND == "xchg":
        old = tl.atomic_xchg(out_ptr + 1 + i, x, mask=i < n)
        tl.store(x_ptr + i, old, mask=i < n)
    elif KIND == "cas":
        old = tl.atomic_cas(out_ptr + i, x, x + 1)
        tl.store(x_ptr + i, old, mask=i < n)


@triton.jit
def locked_sum(x_ptr, out_ptr, lock_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.sum(tl.load(x_ptr + i, mask=i < n, other=0.0), 0)
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    tl.store(out_ptr, tl.load(out_ptr) + total)
    tl.debug_barrier()
    tl.atomic_xchg(lock_ptr, 0)


@triton.jit
def scan(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n, other=0)
    tl.store(out_ptr + i, tl.cumsum(x, 0), mask=i < n)


@triton.jit
def sort(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i)
    tl.store(out_ptr + i, tl.sort(x))


@triton.jit
def argmax(x_ptr, out_ptr, n_cols, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * n_cols + i, mask=i < n_cols, other=-float("inf"))
    tl.store(out_ptr + tl.program_id(0), tl.argmax(x, 0))


@triton.jit
def histogram(x_ptr, out_ptr, n, BLOCK: tl.constexpr, BINS: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    counts = tl.histogram(tl.load(x_ptr + i, mask=i < n), BINS, mask=i < n)
    tl.atomic_add(out_ptr + tl.arange(0, BINS), counts)


@triton.jit
def integers(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    y = tl.load(y_ptr + i, mask=i < n)
    z = (x // y) * 3 + (x % y) - (x << 2) + (x >> 3) ^ (y & 255) | (~x & 15)
    z += tl.maximum(x, y) - tl.minimum(x, y) + tl.abs(x)
    tl.store(out_ptr + i, z, mask=i < n)


@triton.jit
def convert(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.store(out_ptr + i, x.to(out_ptr.dtype.element_ty), mask=i < n)


@triton.jit
def attention(q_ptr, k_ptr, v_ptr, out_ptr, n, scale, BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr):
    rm = tl.program_id(0) * BM + tl.arange(0, BM)
    rd = tl.arange(0, D)
    q = tl.load(q_ptr + rm[:, None] * D + rd[None, :], mask=rm[:, None] < n, other=0.0)
    top = tl.full([BM], -float("inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    acc = tl.zeros([BM, D], tl.float32)
    for start in range(0, n, BN):
        rn = start + tl.arange(0, BN)
        k = tl.load(k_ptr + rn[None, :] * D + rd[:, None], mask=rn[None, :] < n, other=0.0)
        s = tl.where(rn[None, :] < n, tl.dot(q, k) * scale, -float("inf"))
        new_top = tl.maximum(top, tl.max(s, 1))
        p = tl.exp2(s - new_top[:, None])
        alpha = tl.exp2(top - new_top)
        total = total * alpha + tl.sum(p, 1)
        v = tl.load(v_ptr + rn[:, None] * D + rd[None, :], mask=rn[:, None] < n, other=0.0)
        acc = tl.dot(p.to(v.dtype), v, acc * alpha[:, None])
        top = new_top
    tl.store(out_ptr + rm[:, None] * D + rd[None, :], acc / total[:, None], mask=rm[:, None] < n)


@triton.jit
def printing(x_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    tl.device_print("value", x)
    tl.device_assert(x > -1000, "too small")


@triton.jit
def inline_assembly(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, mask=i < n)
    y = tl.inline_asm_elementwise(
        "{ .reg .b32 tmp<2>; shl.b32 tmp0, $1, 1; add.s32 tmp1, tmp0, 1; mov.b32 $0, tmp1; }",
        "=r,r",
        [x],
        dtype=tl.int32,
        is_pure=True,
        pack=1,
    )
    tl.store(out_ptr + i, y, mask=i < n)
