"""Kernels as inference servers launch them: sequences of every length in one batch, pages, and work cut unevenly."""

import pytest
import torch
import triton
import triton.language as tl


@triton.jit
def packed_attention_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, starts_ptr, scale,
    HEADS: tl.constexpr, GROUP: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    first = tl.load(starts_ptr + tl.program_id(1))
    length = tl.load(starts_ptr + tl.program_id(1) + 1) - first
    head = tl.program_id(2)
    top = tl.program_id(0) * BLOCK
    if top >= length:
        return
    rows, dims = top + tl.arange(0, BLOCK), tl.arange(0, DIM)
    at = ((first + rows) * HEADS + head)[:, None] * DIM + dims[None, :]
    q = tl.load(q_ptr + at, mask=(rows < length)[:, None], other=0.0)
    largest = tl.full([BLOCK], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    mix = tl.zeros([BLOCK, DIM], tl.float32)
    end = tl.minimum(length, top + BLOCK) if CAUSAL else length
    for start in range(0, end, BLOCK):
        keys = start + tl.arange(0, BLOCK)
        key_at = ((first + keys) * (HEADS // GROUP) + head // GROUP)[:, None] * DIM + dims[None, :]
        k = tl.load(k_ptr + key_at, mask=(keys < length)[:, None], other=0.0)
        seen = (keys < length)[None, :]
        if CAUSAL:
            seen = seen & (rows[:, None] >= keys[None, :])
        scores = tl.where(seen, tl.dot(q, k.T) * scale, -float("inf"))
        new_largest = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp(scores - new_largest[:, None])
        shrink = tl.exp(largest - new_largest)
        total = total * shrink + tl.sum(weights, 1)
        v = tl.load(v_ptr + key_at, mask=(keys < length)[:, None], other=0.0)
        mix = mix * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        largest = new_largest
    tl.store(out_ptr + at, mix / total[:, None], mask=(rows < length)[:, None])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_packed_sequences_with_grouped_heads(causal):
    lengths, heads, group, dim = [5, 70, 33], 4, 2, 32
    starts = torch.tensor([0, *lengths]).cumsum(0).int()
    q = torch.randn(sum(lengths), heads, dim).half()
    k, v = (torch.randn(sum(lengths), heads // group, dim).half() for _ in range(2))
    out = torch.zeros(q.shape)
    packed_attention_kernel[(3, 3, heads)](q, k, v, out, starts, dim**-0.5, heads, group, dim, 32, causal)
    for i in range(3):
        own = slice(starts[i], starts[i + 1])
        one = (x[own].float().transpose(0, 1) for x in (q, k, v))
        expected = torch.nn.functional.scaled_dot_product_attention(*one, is_causal=causal, enable_gqa=True)
        # Scores and weights are products of numbers of 11 bits.
        torch.testing.assert_close(out[own], expected.transpose(0, 1), rtol=2e-3, atol=2e-3)


@triton.jit
def stream_k_kernel(
    a_ptr, b_ptr, c_ptr, arrived_ptr, partial_ptr, n_rows, n_cols, depth, steps_each, n_steps, BLOCK: tl.constexpr
):
    step = tl.program_id(0) * steps_each
    last = tl.minimum(step + steps_each, n_steps)
    steps_of_tile, tiles_across = tl.cdiv(depth, BLOCK), tl.cdiv(n_cols, BLOCK)
    within = tl.arange(0, BLOCK)
    while step < last:
        skipped = step % steps_of_tile
        stop = tl.minimum(step + steps_of_tile - skipped, last)
        tile = step // steps_of_tile
        rows, cols = tile // tiles_across * BLOCK + within, tile % tiles_across * BLOCK + within
        total = tl.zeros([BLOCK, BLOCK], tl.float32)
        for one in range(step, stop):
            inner = one % steps_of_tile * BLOCK + within
            a_mask = (rows < n_rows)[:, None] & (inner < depth)[None, :]
            b_mask = (inner < depth)[:, None] & (cols < n_cols)[None, :]
            a = tl.load(a_ptr + rows[:, None] * depth + inner[None, :], mask=a_mask, other=0.0)
            b = tl.load(b_ptr + inner[:, None] * n_cols + cols[None, :], mask=b_mask, other=0.0)
            total += tl.dot(a, b)
        of_tile = partial_ptr + tile * BLOCK * BLOCK + within[:, None] * BLOCK + within[None, :]
        if skipped == 0:
            # Whoever does a tile's first step waits for all others that have a part of it.
            while tl.atomic_add(arrived_ptr + tile, 0, sem="acquire") != steps_of_tile - (stop - step):
                pass
            total += tl.load(of_tile)
            mask = (rows < n_rows)[:, None] & (cols < n_cols)[None, :]
            tl.store(c_ptr + rows[:, None] * n_cols + cols[None, :], total, mask=mask)
        else:
            tl.atomic_add(of_tile, total, sem="relaxed")
            tl.debug_barrier()
            tl.atomic_add(arrived_ptr + tile, stop - step, sem="release")
        step = stop


def test_stream_k_waits_for_the_parts_of_later_blocks():
    m, n, k, block, n_programs = 60, 90, 300, 32, 7
    a, b = torch.randn(m, k).half(), torch.randn(k, n).half()
    n_tiles = triton.cdiv(m, block) * triton.cdiv(n, block)
    n_steps = n_tiles * triton.cdiv(k, block)
    c = torch.full((m, n), float("nan"))
    arrived, partial = torch.zeros(n_tiles, dtype=torch.int32), torch.zeros(n_tiles, block, block)
    steps_each = triton.cdiv(n_steps, n_programs)
    stream_k_kernel[(n_programs,)](a, b, c, arrived, partial, m, n, k, steps_each, n_steps, block)
    torch.testing.assert_close(c, a.float() @ b.float(), rtol=1e-4, atol=1e-4)  # sums in another order


@triton.jit
def paged_attention_kernel(
    q_ptr, keys_ptr, values_ptr, pages_ptr, lengths_ptr, out_ptr, scale, max_pages,
    PAGE: tl.constexpr, DIM: tl.constexpr, HEADS: tl.constexpr, PADDED: tl.constexpr,
):  # fmt: skip
    sequence = tl.program_id(0)
    length = tl.load(lengths_ptr + sequence)
    heads, dims, slots = tl.arange(0, PADDED), tl.arange(0, DIM), tl.arange(0, PAGE)
    at = (sequence * HEADS + heads)[:, None] * DIM + dims[None, :]
    q = tl.load(q_ptr + at, mask=(heads < HEADS)[:, None], other=0.0)
    largest = tl.full([PADDED], -float("inf"), tl.float32)
    total = tl.zeros([PADDED], tl.float32)
    mix = tl.zeros([PADDED, DIM], tl.float32)
    for i in range(tl.cdiv(length, PAGE)):
        page = tl.load(pages_ptr + sequence * max_pages + i).to(tl.int64)
        page_at = (page * PAGE + slots)[:, None] * DIM + dims[None, :]
        scores = tl.dot(q, tl.load(keys_ptr + page_at).T) * scale
        scores = tl.where((i * PAGE + slots < length)[None, :], scores, -float("inf"))
        new_largest = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp(scores - new_largest[:, None])
        shrink = tl.exp(largest - new_largest)
        total = total * shrink + tl.sum(weights, 1)
        mix = mix * shrink[:, None] + tl.dot(weights.to(tl.float16), tl.load(values_ptr + page_at))
        largest = new_largest
    tl.store(out_ptr + at, mix / total[:, None], mask=(heads < HEADS)[:, None])


def test_attention_over_pages():
    heads, dim, page, max_pages = 5, 32, 16, 4
    lengths = torch.tensor([1, 37, 64], dtype=torch.int32)
    q, keys, values = torch.randn(3, heads, dim).half(), *(torch.randn(20, page, dim).half() for _ in range(2))
    pages = torch.randperm(20)[: 3 * max_pages].view(3, max_pages).int()
    out = torch.empty(3, heads, dim)
    paged_attention_kernel[(3,)](q, keys, values, pages, lengths, out, 0.2, max_pages, page, dim, heads, 16)
    for i, length in enumerate(lengths.tolist()):
        k, v = (cache[pages[i]].reshape(-1, dim)[:length].float() for cache in (keys, values))
        torch.testing.assert_close(out[i], (q[i].float() @ k.T * 0.2).softmax(-1) @ v, rtol=2e-3, atol=2e-3)
