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
# # 11 Blocks and warps
#
# A GPU kernel is written for one [thread](glossary/thread.md) and run by thousands. This chapter is about what stands between:
# threads come in blocks, blocks are cut into warps of 32, and the 32 lanes of a warp share one instruction. You will see which
# element belongs to whom, watch lanes being switched off, and find out what an `if` costs, and when it costs nothing.
#
# **Objective.** You can compute how many blocks and warps a launch has and how many lanes idle; you can read a map of which
# thread touches which element, in Numba-CUDA, CUDA C++ and Triton; you can say whether a branch diverges, and rearrange a kernel
# so that it does not; you recognise a data race.
#
# **Prerequisites.** [00 Start here](00_start_here.ipynb) and the kernels of [10 CPU against GPU](10_cpu_vs_gpu.ipynb).
#
# **Time.** 45 minutes, and about an hour for the exercises.

# %% tags=["setup"]
import inspect
import math
import re

import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit import cuda
from teachkit.errors import KernelFault
from teachkit.viz.explore_trace import explore_trace
from teachkit.viz.plot_trace import plot_lanes, plot_owner_map

# %% [markdown]
# ## One kernel, three languages
#
# The smallest kernel that has everything: `out = x + y`. In **Numba-CUDA** and in **CUDA C++** the code is that of *one thread*.
# It asks for its number, and does one element. `cuda.grid(1)` is short for
# `cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x`: the threads in all blocks before mine, plus my place in my block.
#
# If you have not read C before: `__global__` marks a kernel, `const float *x` is the address of the first of some numbers that are
# not changed, `x[i]` is the i-th of them, and `int i = ...;` makes a whole number. The indentation is for the reader only.


# %%
@cuda.jit
def add_numba(x, y, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i] + y[i]


# %%
add_source = r"""
__global__ void add_cuda(const float *x, const float *y, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = x[i] + y[i];
}
"""
add_cuda = tk.compile_cuda_c(add_source)["add_cuda"]

# %% [markdown]
# In **Triton** the code is that of *one block*. `i` is a vector of element numbers, and a [mask](glossary/mask.md) takes the place
# of the `if`. You never see a thread.


# %%
@triton.jit
def add_triton(x_ptr, y_ptr, out_ptr, n, BLOCK_SIZE: tl.constexpr):
    i = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = i < n
    total = tl.load(x_ptr + i, mask=mask) + tl.load(y_ptr + i, mask=mask)
    tl.store(out_ptr + i, total, mask=mask)


# %% [markdown]
# **Predict before you run.** N = 500 elements. With 128 threads a block (Numba, CUDA C++): how many blocks, how many threads in
# all, and how many of them have nothing to do? A block is cut into [warps](glossary/warp.md) of 32 threads: how many warps? With
# `BLOCK_SIZE=256` in Triton: how many blocks?

# %%
N = 500
x, y = torch.randn(N, device=tk.device()), torch.randn(N, device=tk.device())
outs = [torch.empty_like(x) for _ in range(3)]
with tk.profile() as prof, tk.emulator.trace() as traces:
    add_numba[triton.cdiv(N, 128), 128](x, y, outs[0])
    add_cuda[triton.cdiv(N, 128), 128](x, y, outs[1], N)
    add_triton[(triton.cdiv(N, 256),)](x, y, outs[2], N, BLOCK_SIZE=256)
print("same as PyTorch:", all(torch.equal(out, x + y) for out in outs))
for trace in traces:
    n_threads = trace.n_blocks * trace.n_threads
    print(f"{trace.name:10} {trace.n_blocks} blocks of {trace.n_threads}: {n_threads} threads")

# %% [markdown]
# Four blocks, 512 threads, 12 of them without an element, 16 warps. In Triton two blocks, and here is a difference in the words:
# Triton's `BLOCK_SIZE` counts *elements*. The compiler took 128 threads for 256 elements, so each thread has two.
#
# ## Who has which element?
#
# `tk.emulator.trace()` recorded every instruction of every warp, with the addresses it touched. The map shows the 500 elements
# of `out`, 32 in a row, in the colour of the block that wrote them; a thick line goes around what one warp wrote.
#
# **Predict before you run.** How large is one warp's share in CUDA C++? In Triton? What shape has the last one?

# %%
maps = {"CUDA C++, 128 threads a block": traces[1], "Triton, BLOCK_SIZE = 256": traces[2]}
plot_owner_map(maps, place=2, n_elements=N)  # place 2: the third array, out

# %% [markdown]
# *In words: on the left 16 shares of 32 consecutive elements, a row each, four to a block; the last one has only 20. On the right
# 8 shares of 64 consecutive elements, four to a block; the last one has 52. On both sides every element has exactly one owner.*
#
# Neighbouring lanes have neighbouring elements. That is no accident: the 32 lanes of a warp ask for memory together, and memory
# comes in [sectors](glossary/sector.md) of 8 floats. Chapter 32 is about what happens when they are not neighbours.

# %% [markdown]
# ## Blocks are cut into warps
#
# The hardware knows no threads that run alone. It runs warps: 32 lanes, one instruction. A block of 33 threads is two warps, and
# the second has one lane.
#
# **Predict before you run.** 4,096 elements, with blocks of 32, 33, 64, 100 or 256 threads. Which choice is the worst, and how
# much worse than the best?

# %%
M = 4096
u, v = torch.randn(2, M, device=tk.device())
w = torch.empty_like(u)
for block in (32, 33, 64, 100, 256):
    with tk.profile() as sized:
        add_cuda[triton.cdiv(M, block), block](u, v, w, M)
    n_warps = triton.cdiv(M, block) * triton.cdiv(block, 32)
    c = sized.total
    lanes = c.thread_instructions / c.warp_instructions
    print(
        f"block {block:3}: {n_warps:3} warps, {c.warp_instructions:5,} warp "
        f"instructions, {lanes:4.1f} lanes at work"
    )

# %% [markdown]
# (Even where no lane idles it is not quite 32: one of the instructions is the jump for threads without an element, which nobody
# takes.) Blocks of 33 need twice the instructions of blocks of 32 for the same sums: every second warp runs for a single lane. So choose
# multiples of 32. (Between 32, 64 and 256 nothing differs here; that choice is about how many warps an
# [SM](glossary/sm.md) can hold, a later subject.)

# %% [markdown]
# In Triton you choose elements, and the compiler takes 128 threads (4 warps) unless told otherwise. What does it do with a block of
# 32 elements?
#
# **Predict before you run.** How many bytes are loaded for each element, with blocks of 256, 128 and 32 elements? (Two floats of 4
# bytes make one sum.)

# %%
for n_elements, num_warps in ((256, 4), (128, 4), (32, 4), (32, 1)):
    with tk.profile() as narrow:
        add_triton[(triton.cdiv(M, n_elements),)](
            u, v, w, M, BLOCK_SIZE=n_elements, num_warps=num_warps
        )
    loaded, stored = narrow.total.global_load_bytes / M, narrow.total.global_store_bytes / M
    print(
        f"BLOCK_SIZE {n_elements:3}, warps {num_warps}: {loaded:4.1f} bytes "
        f"loaded, {stored:.1f} stored for each element"
    )

# %% [markdown]
# A surprise that no error message tells: with 32 elements and 128 threads, each element is loaded by four threads, and three of them
# throw it away (one stores). The result is right. The caches keep it from the DRAM, but four warps
# ask where one would do. Give a block at least as many elements as it has threads, or say `num_warps=1`.

# %% [markdown]
# ## What the mask is for
#
# 12 threads had no element. `if (i < n)` sent them home. What if it is forgotten?

# %%
unmasked_source = r"""
__global__ void add_unmasked(const float *x, const float *y, float *out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = x[i] + y[i];
}
"""
add_unmasked = tk.compile_cuda_c(unmasked_source)["add_unmasked"]
try:
    add_unmasked[4, 128](torch.randn(N), torch.randn(N), torch.empty(N), N)
except KernelFault as fault:
    print(f"{fault.kind}: block {fault.block}, thread {fault.thread}")
    reached = 128 * fault.block[0] + fault.thread[0]
    print(f"it reaches for element {reached} and the last one is {N - 1}")

# %% [markdown]
# The emulator checks every access and names the first thread that stepped outside. A GPU notices only accesses to
# memory that nobody has allocated: the 12 elements past the end usually belong to some other tensor, and are silently
# overwritten.
#
# With the mask, the last warp runs with 20 of its lanes. In the figure each column is one instruction of that warp, each row
# a lane.

# %%
with tk.emulator.trace() as masked:
    add_cuda[4, 128](torch.randn(N), torch.randn(N), torch.empty(N), N)
plot_lanes({"the last warp (block 3, warp 3)": masked[0]}, block=3, warp=3)

# %% [markdown]
# *In words: all 32 lanes compute their number and compare it with n; then lanes 20 to 31 are off for the loads, the addition and
# the store, and all come back for the last instruction.* Off is not skipped: the warp spends those instructions all the same, for
# 20 lanes instead of 32.

# %% [markdown]
# ## Divergence: when lanes disagree
#
# An `if` whose two sides are both long is another matter. Threads with even numbers take roots, the others squares, `n_rounds`
# times. With `group` = 1 neighbours disagree; with `group` = 32 whole warps agree. (In C, `for (int k = 0; k < n_rounds; k++)` is
# Python's `for k in range(n_rounds)`, and `/` between whole numbers is `//`.)


# %%
@cuda.jit
def two_ways_numba(x, y, n_rounds, group):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        if (i // group) % 2 == 0:
            for _ in range(n_rounds):
                v = math.sqrt(v)
        else:
            for _ in range(n_rounds):
                v = v * v
        y[i] = v


# %%
two_ways_source = r"""
__global__ void two_ways(const float *x, float *y, int n, int n_rounds, int group) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    if ((i / group) % 2 == 0) {
        for (int k = 0; k < n_rounds; k++) v = sqrtf(v);
    } else {
        for (int k = 0; k < n_rounds; k++) v = v * v;
    }
    y[i] = v;
}
"""
two_ways_cuda = tk.compile_cuda_c(two_ways_source)["two_ways"]

# %% [markdown]
# **Predict before you run.** 1,024 threads, 32 warps, 8 rounds. A warp has one instruction at a time for all its lanes. If half of
# them want roots and half want squares, how long does it take, compared with a warp that agrees? And is `group` = 16, where lanes
# 0 to 15 agree with each other, better than `group` = 1?

# %%
x1 = torch.rand(1024, device=tk.device()) + 0.5
y1 = torch.empty_like(x1)
for group in (1, 2, 16, 32, 64):
    with tk.profile() as ways:
        two_ways_cuda[4, 256](x1, y1, 1024, 8, group)
    d = ways.total
    mean = d.thread_instructions / d.warp_instructions
    counts = f"{d.divergent_branches:2} divergent branches, {d.warp_instructions:5,}"
    print(f"group {group:2}: {counts} warp instructions, {mean:4.1f} lanes")

# %% [markdown]
# The same arithmetic for the same elements, and where lanes disagree the warps need many more instructions: they go through *both*
# sides, one after the other, each time with half their lanes off. That is [divergence](glossary/divergence.md).
#
# It is not quite twice as many, because everything before and behind the `if` is still done together.
#
# Is it the fine mixture that hurts? No: `group` = 16 is exactly as bad as `group` = 1. And if only *one* lane of each warp disagrees?

# %%
one_lane_source = two_ways_source.replace("(i / group) % 2 == 0", "i % 32 != 0")
one_lane = tk.compile_cuda_c(one_lane_source)["two_ways"]
with tk.profile() as lonely:
    one_lane[4, 256](x1, y1, 1024, 8, 1)
print(f"one lane of 32: {lonely.total.divergent_branches} divergent branches,", end=" ")
print(f"{lonely.total.warp_instructions:,} warp instructions")

# %% [markdown]
# Hardly fewer (the condition itself is simpler to compute). A warp pays in full as soon as one lane disagrees. Only when the border
# falls between warps, at 32, the cost is gone.
#
# Here are the lanes of the first warp, with `group` = 1 and with `group` = 32.

# %%
small_x = torch.rand(128) + 0.5
with tk.emulator.trace() as ways_traces:
    for size in (1, 32):
        two_ways_cuda[2, 64](small_x, torch.empty(128), 128, 3, size)
titles = ("group = 1, lanes disagree", "group = 32, lanes agree")
plot_lanes(dict(zip(titles, ways_traces, strict=True)))

# %% [markdown]
# *In words: above, all lanes are at work until the branch; then every second lane is off while the others go through their loop,
# then it is the other way round, and after that all are at work again. Below, all 32 lanes are at work from beginning to end, and
# it is over sooner.* (The figure shows lanes that are not switched off: 32 where a warp agrees. The counters said 29.2, because a jump
# that no lane takes is an instruction in which no lane does anything.)
#
# ## Step through it yourself
#
# The figure plays the first of the two traces, instruction by instruction. **Predict before you play:** at which line of the kernel
# do the lanes part, and at which line do they meet again? Which side goes first?

# %% tags=["nbval-ignore-output"]
explore_trace(ways_traces[0], source=two_ways_source, names={0: "x", 1: "y"})

# %% [markdown]
# To see a kernel of your own: launch it inside `with tk.emulator.trace() as mine:`, on a hundred elements or so, and give `mine[0]`
# to `explore_trace`. Edit `two_ways_source` above, run three cells again (its own, the one that traces, the one above), and the
# figure plays your version.
#
# <details><summary>Answers</summary>
#
# They part behind `if ((i / group) % 2 == 0)` and meet again at `y[i] = v`. Which side goes first is up to the compiler and the
# hardware; nothing may depend on it. In the strip, the marks under the columns are accesses to memory: one load at the beginning,
# one store at the end, both with all lanes.
# </details>

# %% [markdown]
# ## And in Triton?
#
# Triton has no `if` for single elements. You compute both sides for the whole block and pick: `tl.where`.


# %%
@triton.jit
def two_ways_triton(x_ptr, y_ptr, n, n_rounds, group, BLOCK_SIZE: tl.constexpr):
    i = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    v = tl.load(x_ptr + i, mask=i < n)
    for _ in range(n_rounds):
        v = tl.where((i // group) % 2 == 0, tl.sqrt(v), v * v)
    tl.store(y_ptr + i, v, mask=i < n)


# %%
y2, y3 = torch.empty_like(x1), torch.empty_like(x1)
with tk.profile() as both:
    two_ways_numba[4, 256](x1, y2, 8, 1)
    two_ways_triton[(4,)](x1, y3, 1024, 8, 1, BLOCK_SIZE=256)
two_ways_cuda[4, 256](x1, y1, 1024, 8, 1)
print(
    "all three agree:", torch.allclose(y1, y2, rtol=1e-4) and torch.allclose(y1, y3, rtol=1e-4)
)
for report in both.kernels:
    print(f"{report.name:16} {report.counters.divergent_branches:3} divergent branches")

# %% [markdown]
# No divergent branch, and yet nothing is won: every lane computes a root *and* a square in every round and throws one away. Counting
# divergent branches tells whether lanes waited, not whether they did useful work. In all three languages the cure is the same: give
# lanes of one warp the same kind of work.

# %% [markdown]
# ## An honest null result
#
# So every `if` is expensive? Here is one that looks as bad as can be: it depends on the data, and on average half of the lanes take
# each side.
#
# **Predict before you run.** 1,024 random numbers of both signs, 32 warps. How many divergent branches?

# %%
leaky_source = r"""
__global__ void leaky(const float *x, float *y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float v = x[i];
    if (v < 0) v = 0.01f * v;
    y[i] = v;
}
"""
leaky = tk.compile_cuda_c(leaky_source)["leaky"]
torch.manual_seed(0)
with tk.profile() as leaky_prof:
    leaky[4, 256](torch.randn(1024, device=tk.device()), y1, 1024)
print("branches:", leaky_prof.total.branches, end="   ")
print("divergent:", leaky_prof.total.divergent_branches)

# %% [markdown]
# None. The only branch left is `if (i >= n)`. The compiler saw that the other one guards a single multiplication, computes it for all
# lanes, and picks with one instruction (`selp`): what you did by hand in Triton. Let us look:

# %%
for line in tk.compile_cuda_c(leaky_source).ptx.splitlines():
    if re.match(r"\s*(setp\.lt|mul\.f32|selp)", line):
        print(line.strip())

# %% [markdown]
# `setp` asks whether x is below 0 and keeps the answer in `%p2`; `mul` multiplies by 0.01 (0f3C23D70A, the bits of that float); `selp`
# takes one or the other.
#
# Short sides are no reason to worry. Long ones, with loops or memory accesses in them, are. Between the two: count.

# %% [markdown]
# ## Two threads, one place
#
# Threads of a block can use [shared memory](glossary/shared-memory.md) (`__shared__`), which is fast and lies in the SM. This
# kernel turns each block of 64 numbers around: every thread puts its number into the shared tile, and takes out the one at the
# mirrored place.

# %%
reverse_source = r"""
__global__ void reverse(const float *x, float *y) {
    __shared__ float tile[64];
    int first = blockIdx.x * 64;
    tile[threadIdx.x] = x[first + threadIdx.x];
    y[first + threadIdx.x] = tile[63 - threadIdx.x];
}
"""
reverse = tk.compile_cuda_c(reverse_source)["reverse"]

# %% [markdown]
# **Predict before you run.** Thread 0 takes out what thread 63 puts in. They are in different warps. Who says that thread 63 has been
# there already?

# %%
numbers = torch.arange(64, dtype=torch.float32)
with tk.emulator.check(race=True, init=False, raises=False) as found:
    reverse[1, 64](numbers, torch.empty(64))
for finding in found.of_kind("race"):
    print(f"{finding.what}:")
    for side in (finding.thread, finding.other):
        print(f"  {side.action} in {side.source_text}")

# %% [markdown]
# Nobody does. This is a [data race](glossary/data-race.md): two threads at one place, at least one of them writes, and nothing puts
# them in order. The result depends on which warp is faster. On your GPU it may be right a million times. `tk.emulator.check` does
# not look at the result; it looks at whether the order is guaranteed, and names both lines.
# The pair is listed twice, once from each side. (`init=False` leaves out another search, for memory that is read before anybody
# wrote it; `raises=False` collects what is found and goes on.)
#
# The cure is a [barrier](glossary/barrier.md), `__syncthreads()`: nobody goes on until everybody in the block is there. So everybody
# has to get there: never put it inside an `if` that some threads do not take.

# %%
repaired = tk.compile_cuda_c(
    reverse_source.replace("    y[first", "    __syncthreads();\n    y[first")
)["reverse"]
mirrored = torch.empty(64)
with tk.emulator.check(race=True, init=False, raises=False) as clean:
    repaired[1, 64](numbers, mirrored)
print(
    "races found:",
    len(clean.of_kind("race")),
    "  mirrored:",
    torch.equal(mirrored, numbers.flip(0)),
)

# %% [markdown]
# A barrier orders threads of *one block*. Blocks cannot wait for each other inside a kernel; the next launch is their barrier.
#
# There is one thing that many threads may do to one place without a barrier: an *atomic* operation. `atomicAdd(&total, 1)` reads, adds
# and writes back in one piece, one thread after the other. The sum is right; only the order is open.

# %% [markdown]
# ## How hard is CUDA?
#
# The article behind this course says that CUDA needs deep knowledge of the hardware and that Triton is far easier. Let us count for
# our smallest kernel: lines, and words that one has to learn because they mean something about GPUs.

# %%
SPECIAL = (
    r"__\w+__|\b(?:blockIdx|blockDim|threadIdx|mask|pointers)\b|\b(?:cuda|tl|triton)\.\w+"
)
POINTERS = r"\w+_ptr\b|\*(?=\w+[,)])"
kernel_texts = {
    "CUDA C++": add_source,
    "Numba-CUDA": inspect.getsource(add_numba.py_func),
    "Triton": inspect.getsource(add_triton.fn),
    "PyTorch": "out = x + y",
}
for language, text in kernel_texts.items():
    n_lines = len([line for line in text.splitlines() if line.strip() and line.strip() != "}"])
    words = sorted(set(re.findall(SPECIAL, re.sub(POINTERS, " pointers ", text))))
    print(f"{language:10} lines: {n_lines}  words to learn: {len(words)}")
    print("   ", *words)

# %% [markdown]
# For this kernel the claim cannot be confirmed: Triton's version is the longest and has the most words. What it does not have is
# `blockDim` and `threadIdx`: nothing in it says how many threads there are. That is worth nothing yet, and much as soon as the threads
# of a block must work together, with shared memory and barriers as in `reverse`, which Triton writes for you. Chapters 41, 42 and 55
# count again.

# %% [markdown]
# ## Claimed, and found here
#
# The course re-derives the claims of one article on CUDA, PyTorch 2 and Triton. Those that this chapter touches:
#
# | | claimed | found here | how |
# |---|---|---|---|
# | C01 | A CPU runs complex, varied instructions one after another, fast; a GPU runs very many simple or repeated ones at once | Holds, and *repeated* is the word that matters: a warp has one instruction for 32 lanes. Where lanes of a warp wanted different ones, it went through both, with half its lanes off each time | counted |
# | C31 | CUDA needs deep hardware knowledge, so ML experts depend on CUDA experts; Triton is far easier | Not confirmed for the smallest kernel: CUDA C++ 4 lines, Numba-CUDA 5, Triton 6, and Triton has the most special words. What Triton hides, threads, shared memory and barriers, is what went wrong in `reverse`. Whom it helps, chapter 55 asks with larger kernels | counted |

# %% [markdown]
# ## Summary
#
# - A launch is a grid of blocks; a block is cut into warps of 32 lanes; a warp has one instruction at a time. Choose multiples of 32.
# - Numba-CUDA and CUDA C++ are written for a thread, Triton for a block of elements; all three end as warps.
# - A mask switches lanes off. Off lanes cost as much as busy ones, and without the mask they write into somebody else's memory.
# - A warp whose lanes disagree goes through both sides. One lane is enough; how they are mixed does not matter; a border between
#   warps is free. Short sides become a selection and cost nothing.
# - Two threads at one place, one of them writing, need a barrier between them. A right result proves nothing.
#
# Words: [thread](glossary/thread.md), [grid and block](glossary/grid-and-block.md), [warp](glossary/warp.md), [SM](glossary/sm.md),
# [mask](glossary/mask.md), [divergence](glossary/divergence.md), [sector](glossary/sector.md),
# [data race](glossary/data-race.md), [barrier](glossary/barrier.md), [shared memory](glossary/shared-memory.md),
# [provenance](glossary/provenance.md).
#
# ## Exercises
#
# In [the exercise notebook](../exercises/11_blocks_and_warps/11_blocks_and_warps.ipynb), each with a check that counts, and hints:
#
# | exercise | you write |
# |---|---|
# | `vector_add` | the kernel of this chapter from memory, for any size and block, with every byte moved once |
# | `diverge_less` | a rearrangement after which lanes of a warp agree |
# | `find_the_race` | the name of the racy one of four kernels, and its repair |
#
# **Next:** [20 Eager execution](20_eager_execution.ipynb), where PyTorch launches the kernels, and you count them.
