# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Start here
#
# This course is about one question: **why is a GPU program fast or slow?** You answer it by counting. Every kernel in
# the course is compiled for a real GPU and run, here, on the machine in front of you, with or without a GPU in it.
#
# **Objective.** At the end of this page you have run your first GPU kernel, know how many bytes it moved, and can say
# where each number on the page comes from.
#
# **Prerequisites.** Python, and having seen NumPy or PyTorch once. No GPU, and no knowledge of one.
#
# **Time.** 15 minutes.

# %% [markdown]
# ## What this machine can run
#
# Run a cell with <kbd>Shift</kbd>+<kbd>Enter</kbd>; **Run > Run All Cells** runs the whole page. The table tells what
# is installed here and on what your kernels will run. It differs from machine to machine; nothing after it does.
#
# In a narrow window, <kbd>Ctrl</kbd>+<kbd>B</kbd> (<kbd>Cmd</kbd>+<kbd>B</kbd> on a Mac) closes the list of files on the
# left, and figures and tables get its room; once more brings it back.

# %% tags=["setup"]
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit.viz.plot_sectors import plot_sectors

# %% tags=["nbval-ignore-output"]
tk.describe()

# %% [markdown]
# ## Your first kernel
#
# A [kernel](glossary/kernel.md) is a function that runs on the GPU. This one adds two vectors. It is written in
# [Triton](glossary/triton.md): many copies (*programs*) run at once, and each adds one *block* of `BLOCK_SIZE`
# elements.
#
# Read it line by line: which block am I, which elements are mine, which of them exist (the
# [mask](glossary/mask.md)), load, add, store. Three things are not as in NumPy:
#
# - A tensor arrives as the address of its first element, hence the names `x_ptr`, `y_ptr`. `x_ptr + offsets` is a whole
#   vector of addresses, and `tl.load` fetches what lies there.
# - A name marked `tl.constexpr` is fixed when the kernel is compiled; `tl.arange` needs that, and a power of two.
# - Nothing is returned. `tl.store` writes the result into a tensor that exists already.


# %%
@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    block = tl.program_id(0)
    offsets = block * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements  # the last block may reach past the end
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, x + y, mask=mask)


# %% [markdown]
# A [launch](glossary/kernel-launch.md) says how many programs to start: that is the
# [grid](glossary/grid-and-block.md), in square brackets before the arguments. To cover `n` elements with blocks of
# 1,024 it takes `triton.cdiv(n, 1024)` of them: n / 1024, rounded up. `tk.device()`, two cells down, is `"cuda"` if this
# machine has a GPU for PyTorch, otherwise `"cpu"`.


# %%
def add(x, y):
    out = torch.empty_like(x)
    n_blocks = triton.cdiv(x.numel(), 1024)
    add_kernel[(n_blocks,)](x, y, out, x.numel(), BLOCK_SIZE=1024)
    return out


# %%
torch.manual_seed(0)
N = 2**20
first = torch.randn(N, device=tk.device())
second = torch.randn(N, device=tk.device())
print("same as PyTorch:", torch.equal(add(first, second), first + second))

# %% [markdown]
# That was a real GPU kernel. Triton compiled it to [PTX](glossary/ptx.md), the assembly language of NVIDIA GPUs. If
# this machine has a GPU, it ran there; if not, it ran on the course's [GPU emulator](glossary/emulator.md). The code
# is the same.
#
# ## Count it
#
# **Predict before you run.** The kernel reads `x` and `y` and writes `out`. Each has N = 2<sup>20</sup> = 1,048,576
# elements of 4 bytes (float32). How many bytes move between the GPU's memory and the chip? How many launches? Write
# your two numbers down, then run the cell.

# %%
with tk.profile() as prof:
    add(first, second)
n_loaded, n_stored = prof.total.global_load_bytes, prof.total.global_store_bytes
print("launches:    ", prof.n_launches)
print("bytes loaded:", n_loaded)
print("bytes stored:", n_stored)
print("together:    ", (n_loaded + n_stored) / N, "bytes an element")

# %% [markdown]
# <details><summary>Why 12 bytes an element?</summary>
#
# Two elements read and one written, 4 bytes each: 8N + 4N = 12N. No addition can move less, because every element of
# both inputs must arrive and every element of the result must leave. The kernel does the least that is possible.
# </details>

# %% [markdown]
# `tk.profile()` counts everything launched inside its `with` block. It counts; it does not estimate: the numbers are
# the same on every machine and at every run, which is why this course can check them, and grade with them.
#
# ## Do the counters tell the truth?
#
# Do not take a measuring instrument on trust: test it on cases whose answer you know. Memory moves in
# [sectors](glossary/sector.md) of 32 bytes, 8 float32 elements each: who needs one element gets its whole sector. So
# n elements in a row touch ⌈n / 8⌉ sectors, if the first lies where a sector begins, as a new tensor's first does.
# Vector add reads two such rows and writes one. The counters `compulsory_read_bytes` and `compulsory_write_bytes`
# give the bytes of all sectors that a launch touches, each once. They and the formula must agree, for round sizes and
# for awkward ones.

# %%
print(f"{'n':>5} {'bytes read':>10} {'expected':>8} {'written':>7} {'expected':>8}")
for n in (1, 7, 8, 255, 256, 257, 1024, 1025, 10_007):
    with tk.profile() as small:
        add(first[:n], second[:n])
    got = (small.total.compulsory_read_bytes, small.total.compulsory_write_bytes)
    n_sectors = triton.cdiv(n, 8)
    print(f"{n:5} {got[0]:10} {2 * 32 * n_sectors:8} {got[1]:7} {32 * n_sectors:8}")
    assert got == (2 * 32 * n_sectors, 32 * n_sectors)

# %% [markdown]
# A second test, with a different access. This kernel copies every `stride`-th element. The number of elements stays
# the same, the distance between them grows.
#
# **Predict before you run.** 1,024 elements are copied each time. With stride 1 they fill 128 sectors. With stride 2
# only every other element of a sector is used: how many sectors? With stride 8? With stride 32?


# %%
@triton.jit
def strided_copy_kernel(x_ptr, out_ptr, stride, BLOCK_SIZE: tl.constexpr):
    offsets = tl.arange(0, BLOCK_SIZE)
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets * stride))


# %%
target = torch.empty(1024, device=tk.device())
for stride in (1, 2, 8, 32):
    with tk.profile() as strided:
        strided_copy_kernel[(1,)](first, target, stride, BLOCK_SIZE=1024)
    expected = min(1024, 128 * stride)
    n_read = strided.total.compulsory_read_bytes // 32
    print(f"stride {stride:2}: {n_read:5} sectors read, expected {expected:5}")
    assert n_read == expected

# %% [markdown]
# From stride 8 on, every element has a sector to itself, and it cannot get worse: 7 of every 8 bytes that arrive are
# thrown away. The kernel did the same work each time. Only the counter shows the difference. The figure draws the first
# 16 elements.

# %%
plot_sectors((1, 2, 8), n_elements=16)

# %% [markdown]
# *In words: 16 elements with stride 1 lie in 2 sectors, each used in full; with stride 2 in 4 sectors, half used; with
# stride 8 in 16 sectors, an eighth used.*
#
# ## From counts to time
#
# How long would the vector addition take on a GPU that you do not have? That depends above all on how fast the GPU moves
# bytes to and from its main memory, the [DRAM](glossary/dram.md). Its data sheet promises a rate (1,555 GB/s for this
# A100), and published benchmarks say how much of it a real kernel reaches (1,360 GB/s). How many bytes go there depends on
# the kernel and, a little, on the GPU's cache, so teachkit passes the counted loads and stores through the model of a
# cache. From these bytes, that rate and about 2 microseconds for the launch the time can be *modelled*. It is not a
# measurement of your kernel, and the course never calls it one.

# %%
print(
    "bytes to and from DRAM:",
    prof.dram_bytes,
    "=",
    prof.dram_bytes / N,
    "an element (modelled cache)",
)
for gpu in ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB"):
    print(f"{gpu}: {tk.predict(prof, gpu=gpu).seconds * 1e6:.1f} microseconds (modelled)")

# %% [markdown]
# ## Where numbers come from
#
# Each number in this course carries one of five words ([glossary](glossary/provenance.md)):
#
# | word | meaning | on this page |
# |---|---|---|
# | **counted** | by the emulator, or by PyTorch's dispatcher, through which every call of an operator goes; exact, the same everywhere | launches, bytes loaded and stored, sectors |
# | **modelled** | computed from counts and published facts about a GPU; the same everywhere, but only as good as the model | DRAM bytes, the three times |
# | **measured** | by a clock on your machine; differs from run to run | none |
# | **recorded** | measured earlier on a named GPU, with its date | none |
# | **cited** | published by somebody else, with its source | the GPUs' facts: data sheets, benchmarks |

# %% [markdown]
# ## Map of the course
#
# Chapters with a link are in this edition; the others are announced so that you see where the road leads. Chapter 40
# needs nothing but this page.
#
# | part | chapters |
# |---|---|
# | Before you start | **00 Start here** (this page) |
# | 1 Parallel machines | [**10 CPU against GPU**](10_cpu_vs_gpu.ipynb) · [**11 Blocks and warps**](11_blocks_and_warps.ipynb) · 12 measuring honestly |
# | 2 What eager costs | [**20 Eager execution**](20_eager_execution.ipynb) · 21 eager against graph |
# | 3 The memory wall | [**30 The roofline**](30_roofline.ipynb) · 31 memory hierarchy · 32 access patterns · 33 the memory wall |
# | 4 Operator fusion | [**40 Fusion by hand**](40_fusion_by_hand.ipynb) · 41 reductions · 42 tiling and tensor cores · 43 flash attention |
# | 5 The compiler that does it for you | 50 x-ray · 51 Dynamo · 52 AOTAutograd · 53 PrimTorch · 54 Inductor · 55 Triton to PTX · 56 new hardware |
# | 6 At scale | 60 Hopper · 61 CUDA-X · 62 language models at scale · 70 diagnosis · 71 capstone |

# %% [markdown]
# ## Your progress
#
# Each lesson ends with exercises, and each exercise with a check that says at once what is right and what is not. The best
# points of every exercise are kept on disk, so this table survives a restart. Come back and run the cell again whenever you
# like; the file is yours, and nobody grades it.

# %% tags=["nbval-ignore-output"]
tk.progress()

# %% [markdown]
# ## Summary
#
# - A kernel is launched over a grid of blocks; each block handles its own elements, and a mask guards the end.
# - `tk.profile()` counts what a launch does. Vector add moves 12 bytes an element, and the counters agree with the formula.
# - Two kernels that do the same work can move very different numbers of sectors.
# - Counted is not modelled, and modelled is not measured.
#
# Words you met: [kernel](glossary/kernel.md), [launch](glossary/kernel-launch.md), [grid and
# block](glossary/grid-and-block.md), [mask](glossary/mask.md), [DRAM](glossary/dram.md),
# [sector](glossary/sector.md), [memory traffic](glossary/memory-traffic.md), [provenance](glossary/provenance.md).
# All of them: [glossary](glossary/README.md).
#
# **Next:** [10 CPU against GPU](10_cpu_vs_gpu.ipynb), where one job runs on one core, on all of them and on a GPU; or
# straight to [40 Fusion by hand](40_fusion_by_hand.ipynb), where eight launches become one.
