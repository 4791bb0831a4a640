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
# # 40 Fusion by hand
#
# One formula, eight [operators](glossary/operator.md), nine times the [memory traffic](glossary/memory-traffic.md) that
# it needs. In this chapter you count the waste, remove it by writing one [kernel](glossary/kernel.md), and learn to tell
# real fusion from a line of code that only looks fused. You will also meet fusion that gains nothing, and fusion that
# loses.
#
# **Objective.** You can say, before running it, how many [launches](glossary/kernel-launch.md) and how many bytes a
# formula costs, operator by operator and in one kernel; you can write that kernel; you can tell which operators can
# share a kernel and what each choice moves; and you know when fusion is worth nothing.
#
# **Prerequisites.** [00 Start here](00_start_here.ipynb). Some PyTorch and NumPy. Chapters 10 to 30 help and are not
# needed.
#
# **Time.** An hour, and about an hour and a half for the exercises.

# %% tags=["setup"]
import itertools
import math
import timeit

import numba
import numpy as np
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit import cuda
from teachkit.kernels import ladder
from teachkit.model.fusion import eager, is_legal, n_launches, tanh_gelu_graph, traffic_bytes
from teachkit.viz.explore_fusion import explore_fusion
from teachkit.viz.plot_fusion import plot_fusion_graph, plot_traffic_waterfall

# %% [markdown]
# ## The formula
#
# GELU is the function between the two matrix products of a transformer's feed-forward layer. Its tanh form is
#
# $$\begin{aligned} \mathrm{gelu}(x) &= \tfrac12\,x\,(1 + \tanh u) \\ u &= \sqrt{2/\pi}\,(x + 0.044715\,x^3) \end{aligned}$$
#
# In PyTorch you can write it as one line. Python still evaluates it operator by operator: each `*`, `+`, `**` and
# `tanh` is a separate call ([eager execution](glossary/eager-execution.md)).

# %%
SCALE = math.sqrt(2 / math.pi)


def gelu_eager(x):
    return 0.5 * x * (1 + torch.tanh(SCALE * (x + 0.044715 * x**3)))


# %% [markdown]
# The tensor is large on purpose: 2<sup>24</sup> float32 elements are 67 MB, more than the cache of a V100, A100 or
# H100 (6, 40 and 50 MB). So a result cannot hide in the cache until the next operator reads it; it goes to
# [DRAM](glossary/dram.md) and back.

# %%
torch.manual_seed(0)
N = 2**24
x = torch.randn(N, device=tk.device())

# %% [markdown]
# **Predict before you run.** Look at the line in `gelu_eager` and count:
#
# 1. How many kernels are launched?
# 2. Each reads whole tensors and writes a whole tensor of N elements. How many elements move in all, as a multiple of N?
#
# Write both numbers down.

# %%
with tk.profile() as eager_prof:
    y_eager = gelu_eager(x)
print("launches:      ", eager_prof.n_launches)
print("elements moved:", eager_prof.dram_bytes / 4 / N, "N")

# %% [markdown]
# <details><summary>Where do 8 and 18N come from?</summary>
#
# Eight operators, in the order in which Python runs them: `0.5 * x`, `x ** 3`, `0.044715 * …`, `x + …`, `SCALE * …`,
# `tanh`, `1 + …` and the last `*`. Six of them read one tensor and write one: 6 × 2N. Two (`x + …` and the last `*`)
# read two tensors and write one: 2 × 3N. Together 18N. The constants are not tensors and cost nothing. `SCALE` is
# computed once, in Python.
# </details>

# %% [markdown]
# Here they are, one by one, with what each reads and writes.

# %%
for kernel in eager_prof.kernels:
    counters = kernel.counters
    read, written = counters.dram_read_bytes // (4 * N), counters.dram_write_bytes // (4 * N)
    print(f"{kernel.name:10}  reads {read} N  writes {written} N")

# %% [markdown]
# ## How little would do?
#
# Forget operators for a moment and ask only what *must* move. The input has to be read: N elements. The result has to
# be written: N elements. Everything between exists for one element only for a moment, and a
# [register](glossary/register.md) can hold it. So the least is 2N, a ninth of 18N.
#
# ## One kernel
#
# To get there, one kernel has to do all eight steps on a block of elements before it stores anything. Compare its
# middle lines with the formula: it is the same formula, but `inner` and `tanh` are now registers instead of
# tensors. (`tl` has no `tanh`; tanh(u) = 2 sigmoid(2u) − 1. A kernel cannot see Python's variables outside it, so
# `SCALE` is passed to it, as a constant.)


# %%
@triton.jit
def gelu_kernel(x_ptr, y_ptr, n_elements, SCALE: tl.constexpr, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    inner = SCALE * (x + 0.044715 * x * x * x)
    tanh = 2 * tl.sigmoid(2 * inner) - 1
    y = 0.5 * x * (1 + tanh)
    tl.store(y_ptr + offsets, y, mask=mask)


# %%
def gelu_fused(x):
    y = torch.empty_like(x)
    gelu_kernel[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), SCALE=SCALE, BLOCK_SIZE=1024)
    return y


# %% [markdown]
# First, is it right? The two need not agree in the last bit, because they round at different places; they have to
# agree within float32's precision.

# %%
y_fused = gelu_fused(x)
torch.testing.assert_close(y_fused, y_eager, rtol=1e-5, atol=1e-6)
print("same values as the eager version, within float32 rounding")

# %% [markdown]
# **Predict before you run.** How many launches, and how many N, for the fused version?

# %%
with tk.profile() as fused_prof:
    gelu_fused(x)
print("launches:      ", fused_prof.n_launches)
print("elements moved:", fused_prof.dram_bytes / 4 / N, "N")
print("eager moves", eager_prof.dram_bytes / fused_prof.dram_bytes, "times as many bytes")

# %% [markdown]
# ## The picture to remember
#
# Each bar is one launch, placed where the one before it ended. This is a *waterfall*: the end of the last bar is the
# total, which the thick bar below shows once more, reads and writes each added up.

# %%
operators = [
    "0.5 * x",
    "x ** 3",
    "0.044715 * …",
    "x + …",
    "0.798 * …",
    "tanh(…)",
    "1 + …",
    "… * …",
]
plot_traffic_waterfall(
    {"eager": eager_prof, "fused": fused_prof},
    labels={"eager": operators, "fused": ["gelu_kernel"]},
    element_bytes=4 * N,
)

# %% [markdown]
# *In words: eight bars descend like a staircase to 18N elements, 1.21 GB; the fused kernel is one bar of 2N elements,
# 134 MB, as long as the first step of the stairs.*
#
# Nothing was left out. The fused kernel computes every step of the formula for every element (the cube as two
# multiplications, tanh by way of a sigmoid: if anything, more arithmetic than before); it only stopped writing down
# what it was about to read again. That is all that [operator fusion](glossary/operator-fusion.md) is.

# %% [markdown]
# Where do these bytes come from? ([provenance](glossary/provenance.md)) Those of PyTorch's operators are
# counted from what the [dispatcher](glossary/dispatcher.md) sees of each call: one launch, every distinct input read
# once, every output written once. What happens inside such an operator is not looked at.
#
# The loads and stores of our own kernel are counted one by one. Then they pass through the model of a GPU's large
# [cache](glossary/cache.md), called L2, and what the cache does not have is the bytes to and from DRAM. Where a kernel
# touches every byte once, a cache can change nothing:

# %%
asked_for = fused_prof.total.global_load_bytes + fused_prof.total.global_store_bytes
print("bytes the kernel asked for (counted):            ", asked_for)
print("bytes that reached DRAM (counted, then L2 model):", fused_prof.dram_bytes)

# %% [markdown]
# ## The same kernel in two other languages
#
# Fusion is not a feature of Triton. A *thread* is the smallest worker of a GPU: it runs your code for itself, with
# [registers](glossary/register.md) of its own. In CUDA C++ and in Numba-CUDA you write what one thread does. Threads start
# in groups, which CUDA calls *blocks* (in Triton, a block was the elements of one program). A thread works out which
# element is its own: a block has `blockDim.x` threads, so thread `threadIdx.x` of block `blockIdx.x` has
# element `blockIdx.x * blockDim.x + threadIdx.x`. Numba's name for this number is `cuda.grid(1)`. The formula is the
# same once more. Both compilers produce [PTX](glossary/ptx.md), as Triton does, and it runs and is counted the same way.
#
# If you have not read C before: `__global__` marks a kernel, `const float *x` is the address of the first of some float32
# numbers that are not changed, `x[i]` is the i-th of them, and `0.5f` is 0.5 as a float32. `np.float32(0.5)` is the same
# in Numba, where a plain `0.5` has 64 bits and would make everything it meets 64 bits wide.

# %%
cuda_source = r"""
__global__ void gelu(const float *x, float *y, int n, float scale) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        float value = x[i];
        float inner = scale * (value + 0.044715f * value * value * value);
        y[i] = 0.5f * value * (1.0f + tanhf(inner));
    }
}
"""
cuda_c_gelu = tk.compile_cuda_c(cuda_source)["gelu"]


# %%
@cuda.jit
def numba_gelu(x, y):
    i = cuda.grid(1)
    if i < x.size:
        value = x[i]
        inner = np.float32(SCALE) * (value + np.float32(0.044715) * value * value * value)
        y[i] = np.float32(0.5) * value * (np.float32(1) + math.tanh(inner))


# %% [markdown]
# A launch now has two numbers in its brackets: blocks, and threads in each block. (256 divides N, so `//` is enough and no
# thread is spare; for other sizes, round up as `triton.cdiv` does.)
#
# **Predict before you run.** `if (i < n)` stands where Triton has a [mask](glossary/mask.md). Does either version move
# more bytes than Triton's?

# %%
y_cuda_c, y_numba = torch.empty_like(x), torch.empty_like(x)
with tk.profile() as languages_prof:
    cuda_c_gelu[N // 256, 256](x, y_cuda_c, N, SCALE)
    numba_gelu[N // 256, 256](x, y_numba)
for report, y in zip(languages_prof.kernels, (y_cuda_c, y_numba), strict=True):
    torch.testing.assert_close(y, y_eager, rtol=1e-5, atol=1e-6)
    print(
        f"{report.name:10}  {report.counters.n_launches} launch, "
        f"{report.counters.dram_bytes / 4 / N} N"
    )

# %% [markdown]
# All three languages reach 2N. They differ in what you have to write: Triton loads a *block* of elements and masks the
# end of it; the other two give each thread one element, and `if` lets threads beyond the end do nothing.


# %% [markdown]
# ## What is it worth in time?
#
# Fusion saves two different things: 7 launches and 16N elements of traffic. Which of the two matters?
#
# **Predict before you run.** For N = 2<sup>24</sup>, is the fused version nearer to 8 times or to 9 times as fast?
# And for N = 1,024? (A launch costs a few microseconds; 1,024 elements are 4 kB, and an A100 moves that many bytes in
# about 3 nanoseconds.)
#
# These times are **modelled** from the counts above and published facts about each GPU; nothing was timed here.

# %%
small_x = x[:1024]
with tk.profile() as small_eager_prof:
    gelu_eager(small_x)
with tk.profile() as small_fused_prof:
    gelu_fused(small_x)

# %%
GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")
print(f"{'modelled, microseconds':24} {'N':>10} {'eager':>9} {'fused':>9} {'ratio':>7}")
for n, pair in ((N, (eager_prof, fused_prof)), (1024, (small_eager_prof, small_fused_prof))):
    for gpu in GPUS:
        eager_us, fused_us = (tk.predict(prof, gpu=gpu).seconds * 1e6 for prof in pair)
        print(f"{gpu:24} {n:10,} {eager_us:9.1f} {fused_us:9.1f} {eager_us / fused_us:7.1f}")

# %% [markdown]
# Two regimes. With 16 million elements the bytes decide, and the ratio is near that of the bytes, 9. With 1,024
# elements the launches decide ([launch overhead](glossary/launch-overhead.md)), the three GPUs are within a third of each
# other, and the ratio is near that of the launches, 8. The newest GPU does not make the eager version good: an H100 running eight operators is still slower
# than a V100 running one kernel. (Not modelled: what Python and PyTorch spend on the CPU for each operator, which for
# tensors this small can be more than the launch.)
#
# If this machine has a GPU, each launch was timed while it was counted. Then the next cell compares.

# %% tags=["nbval-ignore-output"]
runs = {
    "eager, large": eager_prof,
    "fused, large": fused_prof,
    "eager, small": small_eager_prof,
}
for run_name, run_prof in (runs | {"fused, small": small_fused_prof}).items():
    if run_prof.seconds is None:
        print(f"{run_name}: not measured, no GPU here")
    else:
        print(
            f"{run_name}: {run_prof.seconds * 1e6:8.1f} microseconds (measured "
            "once, on this machine's GPU)"
        )

# %% [markdown]
# How sure is such a number? A prediction carries a band, *low* to *high*, and says what it spends the time on. Below
# *high* stand the launch, and then the time that each part of the GPU would need if it were the only limit.
# These parts work side by side, so the longest decides; it has a star, and the footnote has the fine print. The true time
# should lie in the band, which is no guarantee. (You need not know all the parts yet.)

# %%
tk.predict(fused_prof, gpu="A100-SXM4-40GB")

# %% [markdown]
# The star stands at DRAM bandwidth: the fused kernel is [memory-bound](glossary/memory-bound.md). Even with all eight
# operators in it, it does so little arithmetic for each byte (its [arithmetic
# intensity](glossary/arithmetic-intensity.md) is so low) that no line of arithmetic comes near: the longest of them, *instruction issue*,
# is a small part of the time.
#
# ## Somebody else's kernel
#
# PyTorch has a GELU of its own. It is one operator, written and tuned by hand, and the reason is now plain.


# %%
def a100_us(prof):
    """Modelled time on an A100, microseconds."""
    return tk.predict(prof, gpu="A100-SXM4-40GB").seconds * 1e6


with tk.profile() as builtin_prof:
    torch.nn.functional.gelu(x, approximate="tanh")
print("launches:      ", builtin_prof.n_launches)
print("elements moved:", builtin_prof.dram_bytes / 4 / N, "N")
ratio_to_eager = a100_us(eager_prof) / a100_us(builtin_prof)
print(f"A100 (modelled): {ratio_to_eager:.1f} times as fast as the eight operators")

# %% [markdown]
# This is how eager frameworks became faster for years: for every popular chain of operators somebody wrote a kernel,
# and it became one more operator. It works, and it does not scale: change one constant in the formula and the
# built-in is of no use, the eight operators are back, and each built-in has to be tuned again for each new chip.
# Writing kernels is one way out, which this chapter takes; a compiler that writes them is the other, and the subject
# of part 5.

# %% [markdown]
# ## A line that only looks fused
#
# Is this a fused GELU? It is one line, vectorised, without a loop.


# %%
def gelu_one_liner(x):
    return 0.5 * x * (1 + np.tanh(SCALE * (x + 0.044715 * x**3)))


# %% [markdown]
# **Predict before you run.** How many times does this one line pass over memory?
#
# NumPy lets an array class see every operation done on it. The next cell uses that to write a counter: each call of a
# *ufunc* is one pass that reads whole arrays and writes a whole array.


# %%
def count_passes(function, values):
    passes = []

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, **options):
            plain = [
                np.asarray(item) if isinstance(item, np.ndarray) else item for item in inputs
            ]
            result = getattr(ufunc, method)(*plain, **options)
            n_read = sum(item.size for item in plain if isinstance(item, np.ndarray))
            passes.append((ufunc.__name__, n_read, result.size))
            return result.view(Watched)

    function(values.view(Watched))
    return passes


# %%
numpy_passes = count_passes(gelu_one_liner, np.ones(1000, dtype=np.float32))
for ufunc_name, n_read, n_written in numpy_passes:
    print(f"{ufunc_name:9} reads {n_read:5}  writes {n_written:5}")
n_moved = sum(n_read + n_written for _, n_read, n_written in numpy_passes)
print(
    f"{len(numpy_passes)} passes, {n_moved} elements moved for 1000 elements: "
    f"{n_moved / 1000} N"
)

# %% [markdown]
# Eight passes and 18N, exactly as PyTorch's eager mode. (For counting, 1,000 elements do. Arrays that small stay in the
# CPU's cache; large ones go to memory and back in every pass.) One line of Python is not one pass over memory. *Vectorised*
# says that the loop is not in Python; *fused* says that there is one loop. They are different properties, and only
# counting tells them apart.
#
# ## One loop, in Numba
#
# To fuse on the CPU, write the loop and let Numba compile it. Every step now happens to one `value` before the next
# is loaded.


# %%
@numba.njit
def gelu_loop(x, y):
    for i in range(x.size):
        value = x[i]
        inner = SCALE * (value + 0.044715 * value * value * value)
        y[i] = 0.5 * value * (1 + math.tanh(inner))


# %% [markdown]
# Counting works here too. The same function, not compiled (`py_func`), runs on a stand-in for an array that counts
# its reads and writes. It is slow, so 1,000 elements are enough.


# %%
class CountedArray:
    def __init__(self, values):
        self.values, self.size, self.n_reads, self.n_writes = values, values.size, 0, 0

    def __getitem__(self, i):
        self.n_reads += 1
        return self.values[i]

    def __setitem__(self, i, value):
        self.n_writes += 1
        self.values[i] = value


# %%
source, result = CountedArray(np.linspace(-4, 4, 1000)), CountedArray(np.zeros(1000))
gelu_loop.py_func(source, result)
print(
    "same values as the one-liner:", np.allclose(result.values, gelu_one_liner(source.values))
)
print(f"{source.n_reads} reads and {result.n_writes} writes for 1000 elements")

# %% [markdown]
# One pass, 2N. Now you may time both on your own CPU. These two numbers are **measured** and differ from machine to
# machine and from run to run.
#
# **Predict before you run.** The loop moves a ninth of the bytes. Is it nine times as fast?

# %% tags=["nbval-ignore-output"]
x_cpu = np.linspace(-4, 4, 2**22, dtype=np.float32)
y_cpu = np.empty_like(x_cpu)
gelu_loop(x_cpu, y_cpu)  # the first call compiles
for title, call in {
    "NumPy one-liner": lambda: gelu_one_liner(x_cpu),
    "Numba loop": lambda: gelu_loop(x_cpu, y_cpu),
}.items():
    best_s = min(timeit.repeat(call, number=1, repeat=5))
    print(f"{title:16} {best_s * 1e3:7.1f} ms (measured, best of 5)")

# %% [markdown]
# No: nowhere near nine times, and on some machines it is slower. The time goes into arithmetic, the loop's into
# `math.tanh`, one element after the other; NumPy's tanh is fast, its `x**3` is not. (The loop computes with 64 bits, as its
# constants have.) Fewer bytes help a program that waits for bytes. Keep that in mind; a GPU shows the same further down.
#
# ## Which operators may share a kernel?
#
# Draw the formula as a graph: a box is an operator, an arrow is a tensor. To fuse is to put boxes into one group; a
# group becomes one kernel. An arrow inside a group is a register. An arrow between groups is a tensor that is written
# to memory and read again.

# %%
graph = tanh_gelu_graph(N)
labels = {
    "cube": "x ** 3",
    "scaled": "0.044715 * cube",
    "inner": "x + scaled",
    "argument": "0.798 * inner",
    "tanh": "tanh(argument)",
    "one_plus": "1 + tanh",
    "half_x": "0.5 * x",
    "gelu": "half_x * one_plus",
}
groupings = {"every operator alone": eager(graph), "all in one kernel": [set(graph.names)]}
plot_fusion_graph(graph, groupings, labels=labels)

# %% [markdown]
# *In words: a chain of seven operators from x down to gelu, with `half_x` as a branch of its own. On the left all
# arrows go through memory, on the right only the three from x, which count as one read, and the result. K1, K2 and so on
# are the kernels. (PyTorch ran `0.5 * x` first; for the bytes the order makes no difference.)*
#
# The model behind the drawing counts bytes by two rules: a group reads each tensor made outside it once, and writes
# each tensor wanted outside it once. Does it agree with what was counted when the code really ran? (For the eight operators
# the dispatcher counts by the same rule, so they must agree; chapter 20 runs them as kernels and finds 18N there too. The
# fused kernel is the test: its loads and stores were counted one by one.)

# %%
for partition, prof in ((eager(graph), eager_prof), ([set(graph.names)], fused_prof)):
    print(
        "model:",
        n_launches(graph, partition),
        "launches",
        traffic_bytes(graph, partition),
        "bytes",
        end="   ",
    )
    print("run:", prof.n_launches, "launches", prof.dram_bytes, "bytes")

# %% [markdown]
# ## Group them yourself
#
# **Predict before you touch anything:**
#
# 1. You fuse only `cube` and `scaled`. How many launches and how many N remain?
# 2. You put `cube` and `inner` into one kernel and leave `scaled` outside. Why can this not run?
# 3. You may use two kernels. What is the least traffic you can reach, and where do you cut?
#
# Then try it. The figure draws; Python counts, with the same functions as the cell above. The times are modelled.

# %% tags=["nbval-ignore-output"]
explore_fusion(graph, labels=labels, gpus=GPUS)

# %% [markdown]
# <details><summary>Answers to 1 and 2</summary>
#
# 1. 7 launches and 16N: the tensor between them is neither written (N) nor read (N).
# 2. `inner` needs `scaled`, which needs `cube`. The kernel with `cube` and `inner` would have to stop in the middle, wait for another
#    kernel, and go on. Data may not leave a group and come back to it.
# </details>

# %% [markdown]
# For the third question, try every way to make two kernels: any choice of operators goes into the first, `gelu` and the
# rest into the second.

# %%
cuts = {}
for size in range(1, len(graph.names)):
    for first in itertools.combinations(graph.names[:-1], size):
        plan = [set(first), set(graph.names) - set(first)]
        cost = (
            f"{traffic_bytes(graph, plan) / 4 / N} N" if is_legal(graph, plan) else "not legal"
        )
        cuts.setdefault(cost, []).append(first)
print({cost: len(choices) for cost, choices in sorted(cuts.items())})
for first in cuts["5.0 N"]:
    print("5.0 N with the first kernel:", " ".join(first))

# %% [markdown]
# Of 127 ways 13 are legal, and none of them needs less than 5N. The seven that need 5N have in their first kernel either
# a piece of the chain from its beginning or `half_x` alone. That is 3N on top of the 2N: the tensor at the cut is written
# and read again, and x has to be read a second time, because both kernels need it. With `half_x` beside a piece of the
# chain two tensors cross the cut, and it costs more. Two kernels are far better than eight (5N instead of 18N), and still
# move 2.5 times the bytes of one.

# %% [markdown]
# ## What stops fusion
#
# Every operator so far is [pointwise](glossary/pointwise.md): element *i* of the result needs element *i* of the inputs
# and nothing else, so one loop can do it all. A *reduction* such as a sum is different: its value is known only when the
# last element has been read, and whatever uses it has to wait.
#
# What if you fuse it all the same? Divide every element of a vector by the sum of the vector. In PyTorch, `x / x.sum()`
# is two launches. In one kernel, no block can ask the others for their part of the sum, since blocks do not wait for each
# other. So every block has to add up the whole vector by itself before it divides its own 1,024 elements. (N is a
# multiple of 1,024 here, so there is no mask. `sums` holds 1,024 partial sums, and `tl.sum` adds them up.)


# %%
@triton.jit
def share_kernel(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    places = tl.arange(0, BLOCK_SIZE)
    sums = tl.zeros([BLOCK_SIZE], tl.float32)
    for start in range(0, n_elements, BLOCK_SIZE):
        sums += tl.load(x_ptr + start + places)
    mine = tl.program_id(0) * BLOCK_SIZE + places
    tl.store(y_ptr + mine, tl.load(x_ptr + mine) / tl.sum(sums))


# %% [markdown]
# **Predict before you run.** One launch instead of two, and no intermediate tensor. With 4, 64 and 256 blocks: how many
# elements does the kernel load for each element of `x`? How many come from DRAM? Which version is faster? (An A100's cache
# delivers three or four times as many bytes a second as its memory.)

# %%
print(f"{'':8}   {'two launches':>18} | {'one launch':>28}")
print(f"{'N':>8}   {'DRAM':>6} {'A100':>11} | {'loaded':>7} {'DRAM':>8} {'A100':>11}")
for length in (2**12, 2**16, 2**18):
    numbers = torch.rand(length, device=tk.device())
    shares = torch.empty_like(numbers)
    with tk.profile() as two_prof:
        expected_shares = numbers / numbers.sum()
    with tk.profile() as share_prof:
        share_kernel[(length // 1024,)](numbers, shares, length, BLOCK_SIZE=1024)
    torch.testing.assert_close(shares, expected_shares, rtol=1e-5, atol=0)
    both = (two_prof, share_prof)
    two, one = (f"{p.dram_bytes / 4 / length:6.1f} N {a100_us(p):8.1f} us" for p in both)
    loaded = share_prof.total.global_load_bytes / 4 / length
    print(f"{length:8,} {two} | {loaded:5.0f} N {one}")

# %% [markdown]
# This is the surprise of the chapter: **one launch less, no byte more from DRAM, and with 262,144 elements about nine times
# slower.** (Launches and loads are counted; the kernel's DRAM bytes come from the cache model; times are modelled. The 3N is
# what two operators take and return. With vectors this small, a GPU would find x in its cache the second time: 2N as well.)
#
# With 256 blocks the kernel loads 257N: the vector once for each block, and each element once more. The vector fits into
# the cache, so DRAM sees x once; it is the cache that has to deliver 257N. Of these three sizes only the smallest gains; at
# 64 blocks a second launch is already the cheaper price. Two lessons:
#
# - Fusion that repeats work pays for it. A rule for this chapter: **nobody reads a reduction made in the same kernel.**
#   Chapter 41 has algorithms that get around it.
# - Bytes from DRAM alone would have called this kernel a success. Count what a kernel asks for as well.
#
# Matrix products are out of reach here for another reason: PyTorch calls library kernels that nobody can open. The exercise
# `plan_fusion` has graphs with both.

# %% [markdown]
# ## An honest null result
#
# Now a fusion that is right in every way: two pointwise kernels, half of the bytes saved, no work repeated. The first kernel
# multiplies and adds K times; the second is GELU. With `WITH_GELU=True` the first does the work of both.


# %%
@triton.jit
def steps_kernel(
    x_ptr, y_ptr, n, K, SCALE: tl.constexpr, WITH_GELU: tl.constexpr, BLOCK_SIZE: tl.constexpr
):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n
    value = tl.load(x_ptr + offsets, mask=mask)
    for _ in range(K):
        value = value * 0.5 + 1.0
    if WITH_GELU:
        tanh = 2 * tl.sigmoid(2 * SCALE * (value + 0.044715 * value * value * value)) - 1
        value = 0.5 * value * (1 + tanh)
    tl.store(y_ptr + offsets, value, mask=mask)


# %% [markdown]
# **Predict before you run.** For K = 1, K = 64 and K = 1,024: how many N move with two kernels, and with one? How many
# times as fast is the one? (While 8 bytes arrive from its memory, an A100 does about 100 additions and multiplications; K
# steps are 2K of them. Each launch is counted as if it found the cache empty, as for tensors too large for the cache; these
# have 4 MB, and a real A100 may find `between` in its 40 MB.)

# %%
M = 2**20
first_in, between, apart_out, joint_out = (torch.rand(M, device=tk.device()) for _ in range(4))
grid, joined = (M // 1024,), {}
for k in (1, 64, 1024):
    with tk.profile() as apart_prof:
        steps_kernel[grid](first_in, between, M, k, SCALE, WITH_GELU=False, BLOCK_SIZE=1024)
        gelu_kernel[grid](between, apart_out, M, SCALE=SCALE, BLOCK_SIZE=1024)
    with tk.profile() as joint_prof:
        steps_kernel[grid](first_in, joint_out, M, k, SCALE, WITH_GELU=True, BLOCK_SIZE=1024)
    torch.testing.assert_close(joint_out, apart_out)
    joined[k] = (apart_prof, joint_prof)

# %%
print("times on an A100, modelled")
for k_steps, pair_of_profs in joined.items():
    moved = [one.dram_bytes / 4 / M for one in pair_of_profs]
    took_us = [a100_us(one) for one in pair_of_profs]
    texts = [f"{n} N {us:6.1f} us" for n, us in zip(moved, took_us, strict=True)]
    ratio = took_us[0] / took_us[1]
    print(f"K = {k_steps:4}  two: {texts[0]}  one: {texts[1]}  {ratio:.2f} times as fast")

# %% [markdown]
# Every row saves the same 2N and the same launch, about as many microseconds each time. With K = 1 that is half of the time;
# with K = 1,024 it is a few percent, and it shrinks further as K grows, because the time goes into arithmetic. Fusion is a cure for launches and bytes; ask first whether the program suffers from them (chapter 30).

# %% [markdown]
# ## Is there a step below 2N?
#
# The course keeps its reference kernels as *ladders*, from the naive way to the best. This one is GELU's. Its last rung
# lets each thread load four elements with one instruction.
#
# **Predict before you run.** Which of the three numbers can still fall after the fused rung: launches, bytes, instructions?

# %%
print("times on an A100, modelled")
for rung in ladder("gelu"):
    with tk.profile() as rung_prof:
        rung.run(x[:M])
    requests, moved_n = rung_prof.total.global_load_requests, rung_prof.dram_bytes / 4 / M
    seen = f"{rung_prof.n_launches} launches {moved_n:3.0f} N {requests:6,} load requests"
    print(f"{rung.name:11} {rung.language:8} {seen} {a100_us(rung_prof):5.1f} us")

# %% [markdown]
# Below 2N: no. Only instructions can still fall. (A load request is one load instruction of 32 threads; inside PyTorch's
# operators nobody counts, hence the 0. The two Triton kernels load three tensors with fewer requests than the CUDA C++ kernel
# needs for one, because Triton lets each thread load four elements with one instruction by itself. In CUDA C++ you write
# that, and the last rung does.) It asks a quarter as often for the same 2N. From 8 launches to 1 the time fell to an eighth;
# this step is worth less than a tenth in the model. Bytes first, then the rest.

# %% [markdown]
# ## Claimed, and found here
#
# The course re-derives the claims of one article on CUDA, PyTorch 2 and Triton. Those that this chapter touches:
#
# | | claimed | found here | how |
# |---|---|---|---|
# | C03 | In eager mode each operator reads its inputs from memory, computes, and writes its result back before the next one starts | Holds for what each call takes and returns. tanh-GELU: 8 calls, one launch each; every one takes whole tensors and returns a whole tensor, 18N elements in all. That large tensors really pass through DRAM follows from their size, not from this count | counted |
# | C06 | More built-in operators mean fewer memory reads and writes, so eager got faster by growing operators | Holds for the traffic: `F.gelu` is 1 launch and 2N instead of 8 and 18N (attention: chapter 20). "Faster" follows for tensors larger than the cache: 9 times on an A100, where DRAM bandwidth binds | counted; time modelled |
# | C20 | Operator fusion computes several functions in one pass and writes no intermediate | Holds. The kernel in Triton, CUDA C++ and Numba-CUDA: 1 launch, 2N, a ninth of the bytes. The NumPy one-liner: 8 passes, 18N, not fused, though one line | counted |
# | C20, continued | It is the main optimisation for eager-style models | Only where bytes or launches decide. The same saving was worth 2.00 times the speed beside little arithmetic and 1.06 times beside much. A reduction fused by force lost: one launch less, no DRAM byte more, about 9 times slower | counted; time modelled |
# | C05, C07 | PyTorch grew to more than 2,000 operators; a chip that must optimise them all favours the incumbent | Not tested here. This chapter shows the mechanism: a built-in saves 16N for one formula and nothing for its neighbour. Chapter 20 counts the operators | - |

# %% [markdown]
# ## Summary
#
# - Eager execution writes every intermediate tensor to memory and reads it back. For tanh-GELU: 8 launches, 18N elements.
# - The least that must move is the inputs and the outputs: 2N. A fused kernel reaches it, with no step of the formula left out.
# - Large tensors gain by the bytes saved, small ones by the launches saved.
# - One line of NumPy is not one pass. Count before you believe.
# - Operators can share a kernel if one loop can compute them all and no data leaves the group and comes back.
# - Fusion saves launches and bytes. Where arithmetic decides, that is worth little; where it repeats work, it costs.
#
# Words: [operator](glossary/operator.md), [eager execution](glossary/eager-execution.md), [kernel launch](glossary/kernel-launch.md), [memory
# traffic](glossary/memory-traffic.md), [operator fusion](glossary/operator-fusion.md), [arithmetic
# intensity](glossary/arithmetic-intensity.md), [memory-bound](glossary/memory-bound.md),
# [register](glossary/register.md), [pointwise operator](glossary/pointwise.md), [provenance](glossary/provenance.md).
#
# ## Exercises
#
# In [the exercise notebook](../exercises/40_fusion_by_hand/40_fusion_by_hand.ipynb), each with a check that counts,
# and hints:
#
# | exercise | you write |
# |---|---|
# | `fused_gelu` | the kernel of this chapter from memory, for any shape, views with gaps and very large numbers |
# | `fused_bias_dropout_residual` | three operators and a random mask in one launch |
# | `plan_fusion` | the legal grouping of any graph that moves the fewest bytes |
# | `is_it_fused` | a verdict on six claims of fusion, from what each one moves |
