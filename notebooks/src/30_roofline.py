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
# # 30 The roofline
#
# Two numbers of a device and two numbers of a program say, on the back of an envelope, how fast the program can be at most,
# and what would have to improve for it to be faster. Drawn, they look like a roof. In this chapter you put real operators
# under the roofs of five generations of GPUs, and one of your own CPU.
#
# **Objective.** You can count an operator's FLOPs and bytes, work out its arithmetic intensity, tell from a data sheet what
# limits it, and predict which upgrade helps and which does not.
#
# **Prerequisites.** [00 Start here](00_start_here.ipynb); [20 Eager execution](20_eager_execution.ipynb) helps.
#
# **Time.** 50 minutes, and about an hour and a half for the exercises.

# %% tags=["setup"]
import dataclasses

import numba
import numpy as np
import torch
import torch.nn.functional as F
import triton
import triton.language as tl

import teachkit as tk

# %% tags=["setup"]
from teachkit.hardware.spec import gpu
from teachkit.kernels.tanh_gelu import eager_gelu
from teachkit.measure import time_function
from teachkit.measure.accesses import record_accesses
from teachkit.measure.by_shape import CountByShape
from teachkit.model.regimes import regime
from teachkit.model.trends import generations
from teachkit.viz.explore_roofline import explore_roofline
from teachkit.viz.plot_rooflines import Roof, plot_rooflines, roof_of

# %% [markdown]
# ## Two speeds
#
# A device has a speed of arithmetic, in [FLOP](glossary/flop.md) per second (floating-point operations: an addition or a
# multiplication is one), and a speed of memory, in bytes per second. Both stand on its data sheet.
#
# **Predict before you run.** While *one* float32 number (4 bytes) arrives from the memory of an A100, how many float32
# operations can its arithmetic units do: one, ten, fifty? And how many on its tensor cores, units for matrix products of
# 16-bit numbers?

# %%
a100 = gpu("A100-SXM4-40GB")
print(f"memory:       {a100.dram_bytes_per_s / 1e9:7,.0f} GB/s (cited)")
print(f"float32:      {a100.fp32_flop_per_s / 1e9:7,.0f} GFLOP/s (cited)")
print(f"tensor cores: {a100.tensor_fp16_flop_per_s / 1e9:7,.0f} GFLOP/s (cited)")
print(
    "float32 operations while 4 bytes arrive: "
    f"{4 * a100.fp32_flop_per_s / a100.dram_bytes_per_s:.0f}"
)
print(
    "tensor operations while 2 bytes arrive:  "
    f"{2 * a100.tensor_fp16_flop_per_s / a100.dram_bytes_per_s:.0f}"
)

# %% [markdown]
# Fifty, and four hundred. So a kernel that does one addition with each number it loads keeps a fiftieth of the float32
# units busy. The rest waits.
#
# ## A kernel with a dial
#
# Here is a kernel in which you can set how much arithmetic is done with each number: it loads one, multiplies and adds K
# times, and stores it. K multiplications and K additions are 2K FLOP for 8 bytes moved.


# %%
@triton.jit
def dial_kernel(x_ptr, y_ptr, n_elements, K, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask)
    for _ in range(K):
        value = value * 0.5 + 1.0
    tl.store(y_ptr + offsets, value, mask=mask)


# %% [markdown]
# **Predict before you run.** The tensor has a million elements. On an A100, how many times as long does the kernel take with
# K = 16 as with K = 1? And with K = 256?

# %%
N = 2**20
source = torch.rand(N, device=tk.device())
target = torch.empty_like(source)
dial_profiles = {}
for k in (1, 4, 16, 64, 256):
    with tk.profile() as dial_profiles[k]:
        dial_kernel[(triton.cdiv(N, 1024),)](source, target, N, k, BLOCK_SIZE=1024)
    torch.testing.assert_close(target, (source - 2) * 0.5**k + 2)

# %%
print(f"{'K':>4} {'FLOP':>12} {'bytes':>10} {'FLOP/byte':>10}   A100 (modelled)")
for dial, seen in dial_profiles.items():
    estimate = tk.predict(seen, gpu=a100)
    intensity = seen.flop / seen.dram_bytes
    print(
        f"{dial:4} {seen.flop:12,} {seen.dram_bytes:10,} {intensity:10.2f} "
        f"{estimate.seconds * 1e6:8.1f} us"
    )

# %% [markdown]
# Sixteen times the arithmetic in the same time. Only where K is so large that the arithmetic takes longer than the bytes
# does the time begin to grow: about K = 50, since the A100 does about 100 FLOP while 8 bytes arrive. Up to there FLOPs are
# **free**. (Did you predict 5 times for K = 256, from 512 FLOP over 100? The 3.8 comes from what these two speeds leave
# out, above all 2 µs for the launch, with any K, and a memory that reaches 1,360 GB/s in practice.)
#
# ## The same on your CPU
#
# Is that a peculiarity of the model? Measure it, on real hardware: your CPU, one core. The loop, which Numba compiles to
# machine code, goes through the array in pieces of 1,024 elements. These stay in the nearest [cache](glossary/cache.md),
# small and fast memory inside the CPU, so that the main memory sees each element once, whatever K is.


# %%
@numba.njit(fastmath=True)
def dial_loop(x, y, k):
    piece = np.empty(1024, np.float32)
    for start in range(0, x.size, 1024):
        piece[:] = x[start : start + 1024]
        for _ in range(k):
            for i in range(1024):
                piece[i] = piece[i] * np.float32(0.5) + np.float32(1.0)
        y[start : start + 1024] = piece


# %% tags=["nbval-ignore-output"]
x_cpu = np.random.default_rng(0).random(2**24, dtype=np.float32)
y_cpu = np.empty_like(x_cpu)
cpu_times = {}
for n_steps in (1, 2, 4, 8, 16, 32, 64, 128):
    timing = time_function(dial_loop, x_cpu, y_cpu, n_steps, n_warmup=1, n_runs=4)
    cpu_times[n_steps] = min(timing.times_s)
    gflop_per_s = 2 * n_steps * x_cpu.size / cpu_times[n_steps] / 1e9
    print(
        f"K = {n_steps:3}: {cpu_times[n_steps] * 1e3:6.1f} ms (measured)   "
        f"{gflop_per_s:6.1f} GFLOP/s"
    )

# %% [markdown]
# The same shape: a flat piece, then a slope (on a CPU, and a busy one above all, with a round corner between them). At
# small K the two arrays' 134 MB travel, whatever is computed with them; at large K the rate of arithmetic levels off
# instead. From the two ends follow the two speeds of your core: bytes per second at K = 1, FLOP per second at K = 128.

# %% tags=["nbval-ignore-output"]
cpu_roof = Roof(
    "one core here",
    bytes_per_s=8 * x_cpu.size / cpu_times[1],
    flop_per_s=2 * 128 * x_cpu.size / cpu_times[128],
    how="measured",
)
print(
    f"{cpu_roof.bytes_per_s / 1e9:.1f} GB/s, {cpu_roof.flop_per_s / 1e9:.0f} "
    "GFLOP/s (measured)"
)
print(f"FLOPs are free up to about {cpu_roof.ridge_flop_per_byte:.1f} FLOP per byte")

# %% [markdown]
# ## The roof
#
# What you just used has names.
#
# - The **[arithmetic intensity](glossary/arithmetic-intensity.md)** of a program is its FLOPs over its bytes of [memory
#   traffic](glossary/memory-traffic.md): I = FLOP / bytes.
# - A device with F FLOP/s and B bytes/s needs at least FLOP / F seconds for the arithmetic and bytes / B for the traffic. Both
#   go on side by side, so the longer one counts: **time ≥ max(FLOP / F, bytes / B)**.
# - Divide FLOPs by that time: **speed ≤ min(F, I × B)**. Drawn over I, this is a slope that ends in a flat line: the
#   [roofline](glossary/roofline.md).
# - The corner is the **[ridge point](glossary/ridge-point.md)**, I = F / B. Left of it a program is
#   [memory-bound](glossary/memory-bound.md), right of it compute-bound.
#
# The kernels with a dial, on the roofline of the A100 (the time of each is modelled, so the markers are hollow;
# `seconds=None` leaves out what your GPU took, if you have one, since that is another roof):

# %%
points = [
    dataclasses.replace(seen.kernels[0], name=f"K = {dial}", seconds=None)
    for dial, seen in dial_profiles.items()
]
tk.roofline(points, gpu=a100)

# %% [markdown]
# *In words: two flat lines, since a device has a speed for each kind of number: here float32, and 16-bit products on tensor
# cores. Of the two slopes, the dotted one is the data sheet's bandwidth and the solid one what a published benchmark
# reached; the ridges belong to the solid one, which puts them a little further right. Five points: from K = 1 to K = 16
# they climb along the slope; K = 64 lies just right of the float32 ridge at 14 FLOP/byte, and K = 256 by the flat line at
# 19.5 TFLOP/s. (The points lie a little under the roof, since a launch takes time as well. Both axes are logarithmic.)*
#
# ## Ten operators
#
# Where do real operators lie? Addition, GELU (an activation function: *by hand* as eight operators, *built in* as one),
# softmax and layer normalisation (which rescale each row: to sum 1; to mean 0 and variance 1) work in float32; the matrix
# products and attention in bfloat16, a number of 16 bits for which GPUs since the A100 have tensor cores. (On older ones,
# read float16.)


# %%
def draw(*shape, dtype=torch.float32):
    return torch.randn(*shape, device=tk.device(), dtype=dtype)


torch.manual_seed(0)
half = torch.bfloat16
x, other = draw(4096, 1024), draw(4096, 1024)
weights, vector, rows = (
    draw(4096, 4096, dtype=half),
    draw(4096, 1, dtype=half),
    draw(8, 4096, dtype=half),
)
query, key, value = (draw(1, 8, 1024, 64, dtype=half) for _ in range(3))
small_a, small_b = draw(512, 512, dtype=half), draw(512, 512, dtype=half)
large_a, large_b = (torch.empty(2048, 2048, device="meta", dtype=half) for _ in range(2))

# %%
OPERATORS = {
    "add": lambda: x + other,
    "GELU by hand": lambda: eager_gelu(x),
    "GELU built in": lambda: F.gelu(x, approximate="tanh"),
    "softmax": lambda: x.softmax(-1),
    "layer norm": lambda: F.layer_norm(x, (1024,)),
    "matrix × vector": lambda: weights @ vector,
    "8 rows × matrix": lambda: rows @ weights,
    "product 512": lambda: small_a @ small_b,
    "attention": lambda: F.scaled_dot_product_attention(query, key, value),
    "product 2048": lambda: large_a @ large_b,
}

# %% [markdown]
# **Predict before you run.** Which of the ten does the most FLOPs for each byte? Which the fewest? Does the matrix times a
# vector, with 34 million FLOPs, lie nearer to the addition or to the product? (A product [M, K] × [K, N] has 2MNK FLOPs.)
#
# (Nine of the ten are computed while they are counted. The large product is only counted: `device="meta"` makes tensors
# that have a shape and no memory, and from two shapes PyTorch works out that of the product. `CountByShape` counts as
# `tk.profile()` does and needs no more; to compute the product would take a minute on a CPU without 16-bit arithmetic.)

# %%
profiles = {}
print(f"{'':15} {'launches':>8} {'FLOP':>14} {'bytes':>12} {'FLOP/byte':>10}")
for name, run in OPERATORS.items():
    count = CountByShape() if name == "product 2048" else tk.profile()
    with count as profiles[name]:
        run()
    total = profiles[name].total
    print(
        f"{name:15} {total.n_launches:8} {total.flop:14,} {total.dram_bytes:12,} "
        f"{total.flop / total.dram_bytes:10.3g}"
    )

# %% [markdown]
# <details><summary>How were the FLOPs counted?</summary>
#
# By convention: 1 for each element of a pointwise operator's result, whatever the function (GELU and tanh count 1); 5 an
# element for softmax (maximum, subtract, exponential, sum, divide), 8 for layer normalisation; 2MNK for a matrix product
# [M, K] × [K, N]. Bytes: each tensor that an operator takes or returns, once. Counting a tanh as 20 instead of 1 would move GELU
# to 2.5 FLOP/byte: still far left of every ridge.
# </details>

# %% [markdown]
# Between the addition and the large product lie nearly four orders of magnitude. And what counts is not whether it is "a
# matrix product": a matrix times a vector reads every weight for two FLOPs and lies with the pointwise operators. With 8
# rows it is 8 times better, because each weight, once read, is used 8 times. **Reuse** is what makes intensity.
#
# ## Five generations of roofs, and yours
#
# Six rows for five generations, since the H200 is an H100 with another memory. *Half precision* is 16-bit numbers, on
# tensor cores where there are any (the P100 has none).
#
# **Predict before you run.** From P100 (2016) to B200 (2024), did the ridge point move to the left or to the right?

# %%
print(f"{'':5} {'memory':>11} {'half precision':>16} {'ridge':>15}   (data sheets)")
for generation in generations():
    print(
        f"{generation.name.split('-')[0]:5} {generation.dram_bytes_per_s / 1e9:6,.0f} GB/s "
        f"{generation.half_flop_per_s / 1e12:9,.1f} TFLOP/s "
        f"{generation.flop_per_byte:8.0f} FLOP/byte"
    )

# %% [markdown]
# To the right, tenfold, until the H100: arithmetic grew much faster than memory. Then it *turned*: H200 and B200 have more
# bandwidth for each FLOP than the H100. That is not what one expects of a "memory wall", of memory that falls behind ever
# further (chapter 33). It holds only as long as you stay with 16 bits: for 8-bit numbers (H100 and later) the data sheets
# promise twice the FLOP/s, for the B200's 4-bit numbers four times, and the ridges lie as much further right.
#
# The main picture of this chapter: all roofs, and a line for each of the ten operators. Follow a line upwards; where it meets
# a device's roof is the most that the operator can reach there.

# %% tags=["nbval-ignore-output"]
roofs = [
    roof_of(generation.name) for generation in generations() if "H200" not in generation.name
] + [cpu_roof]
intensities = {
    name: seen.total.flop / seen.total.dram_bytes for name, seen in profiles.items()
}
plot_rooflines(roofs, intensities)

# %% [markdown]
# *In words: five roofs of GPUs, one above the other, with ridge points (dots) from 34 FLOP per byte for the P100 to 341 for
# the H100 and 375 for the B200, and far below them the roof of one core of this machine. The flat lines are half precision.
# A label with several names belongs to as many lines, from left to right, beginning with the one beside it. The lines of
# seven operators, from add to 8 rows × matrix, cross all GPU roofs on the slope. Only attention and the large product lie
# right of every ridge. The product of 512 lies between the ridges: right of V100's, left of A100's. (The slopes are
# bandwidths that programs reach, below the data sheets'; so the ridges lie further right than in the
# table, most of all that of the B200, of whose 8 TB/s copies reach 6.)*
#
# Two things to see.
#
# - **For most operators all GPUs look alike**: they are on the slope, everywhere. What they get from a newer GPU is its
#   bandwidth, and nothing of its FLOPs.
# - **An operator can change sides.** The product 512 is compute-bound on a V100 and memory-bound on an A100: the same bytes, the
#   same FLOPs, another limit. The exercise `which_bound` has more of these.
#
# ## Six times the FLOPs?
#
# A claim: "From A100 to H100, FLOPS grew more than 6x, memory bandwidth only 1.65x." Which FLOPS are these? (FP32 is
# another name for float32; FP64, FP16 and FP8 are numbers of 64, 16 and 8 bits.)
#
# **Predict before you run.** FP32, FP16, FP8: for which of them is the factor 6? The table gives the H100 over the A100
# with 80 GB, in TB/s and TFLOP/s.

# %%
a100_80, h100 = gpu("A100-SXM4-80GB"), gpu("H100-SXM5-80GB")
PAIRS = {
    "memory bandwidth": (h100.dram_bytes_per_s, a100_80.dram_bytes_per_s),
    "FP64": (h100.fp64_flop_per_s, a100_80.fp64_flop_per_s),
    "FP32": (h100.fp32_flop_per_s, a100_80.fp32_flop_per_s),
    "FP16 tensor": (h100.tensor_fp16_flop_per_s, a100_80.tensor_fp16_flop_per_s),
    "FP8 on H100 / FP16 on A100": (h100.tensor_fp8_flop_per_s, a100_80.tensor_fp16_flop_per_s),
}
for what, (newer, older) in PAIRS.items():
    print(f"{what:28} {newer / 1e12:8.2f} / {older / 1e12:6.2f} = {newer / older:.2f}")

# %% [markdown]
# The 1.64 is right. The "more than 6" compares 8-bit numbers on one with 16-bit numbers on the other, all dense. (Data
# sheets also print twice as much, for *sparse* matrices, half of whose numbers are zero.) Like for like it is 3.2 to 3.5.
# The conclusion stands, weaker: arithmetic grew twice as fast as memory, and for the same program in the same precision the
# ridge moved from 153 to 295. (153 and not 201 as in the table above: the A100 with 80 GB has a faster memory than that
# with 40.)
#
# ## Which wish helps?
#
# The roof has two limits; a third is not on it at all. Take the modelled time of each operator on an A100 and ask what twice
# the FLOPs, twice the bandwidth, or launches that cost nothing would do: `regime` models the time on each of these what-if
# devices and names the wish that helps most.
#
# **Predict before you run.** How many of the ten become faster by a tenth or more with twice the FLOPs?

# %%
print(
    f"{'A100, modelled':15} {'2x FLOP/s':>10} {'2x bandwidth':>13} "
    f"{'free launches':>14}   regime"
)
for operator, counted in profiles.items():
    found = regime(counted, "A100-SXM4-40GB")
    gains = found.speedups
    print(
        f"{operator:15} {gains['compute']:10.2f} {gains['bandwidth']:13.2f} "
        f"{gains['overhead']:14.2f}   {found.name}"
    )

# %% [markdown]
# Seven are bandwidth, two compute, one overhead: the product 512 is so quick that its launch takes longer than either its bytes
# or its arithmetic. On the roofline it would be a point far *below* the roof. That is what the picture can tell you about
# overhead, and all it can: a distance to the roof that it does not explain.
#
# No wish helps all ten. And none of the seven gains a hundredth from twice the FLOPs, which is the number that a data sheet
# prints largest.
#
# ## Does width help?
#
# Another claim: "Larger models use the machine better: FLOPs grow with the cube of the width, bandwidth needs with the
# square." Count it: in a language model each *token*, a word or a piece of one, is a row of d numbers, and d is the width.
# Take a product of [tokens, d] with a weight matrix [d, d], once with as many tokens as the width, once with 1.
#
# **Predict before you run.** The width grows by 8. By how much does the intensity grow in the first case, and in the second?

# %%
print(f"{'d':>4} | {'tokens = d':^35} | {'tokens = 1':^30}")
for d in (256, 512, 1024, 2048):
    cells = []
    for tokens in (d, 1):
        left, right = (
            torch.empty(shape, device="meta", dtype=half) for shape in ((tokens, d), (d, d))
        )
        c = record_accesses(lambda left=left, right=right: left @ right).counters
        cells.append(f"{c.flop:,} / {c.dram_bytes:10,} = {c.flop / c.dram_bytes:5.1f}")
    print(f"{d:4} | {cells[0]:>35} | {cells[1]:>30}")

# %% [markdown]
# With as many tokens as the width: FLOPs × 512 (8³), bytes × 64 (8²), intensity × 8, as claimed. With one token, **nothing**: FLOPs
# and bytes both grow with the square, and the intensity is 1.0 at every width. A wider model does not use the machine better
# when it answers one user word by word; more tokens at once do, and the exercise `smallest_compute_bound_batch` asks how many.
#
# (Again counted from shapes alone. `record_accesses` counts like `tk.profile()`, and remembers which tensors each operator
# touched, for the next section.)
#
# ## Move the roof
#
# The last picture is yours to change: bandwidth, arithmetic and cache of the device, and the programs on it. The
# **cache** does not move the roof; it moves *programs*, because what stays in the cache does not
# travel. (In the table above every operator found the cache empty. Here, what one operator of a chain leaves in the cache,
# the next one finds.) The tensors of addition, GELU and softmax are larger than before, 67 MB each, so that they do not fit
# by accident: the A100's cache has 40 MB.
#
# **Predict before you touch anything:**
#
# 1. Which programs move on the picture when you double the bandwidth, and which of them become faster?
# 2. Start from the A100 and make the cache larger, step by step. Which programs move to the right, and which never do?
# 3. Make the cache smaller, to 1/64. What happens to the large product, and why not to the addition?


# %%
def on_meta(*shape, dtype=torch.float32):
    return torch.empty(*shape, device="meta", dtype=dtype)


def attention_by_hand(q, k, v):
    return torch.softmax(q @ k.transpose(-2, -1) / 8, dim=-1) @ v


big, huge = on_meta(16384, 1024), on_meta(4096, 4096, dtype=half)
heads = [on_meta(1, 8, 1024, 64, dtype=half) for _ in range(3)]
passes = {
    "add": lambda: big + on_meta(16384, 1024),
    "GELU by hand": lambda: eager_gelu(big),
    "GELU built in": lambda: F.gelu(big, approximate="tanh"),
    "softmax": lambda: big.softmax(-1),
    "matrix × vector": lambda: huge @ on_meta(4096, 1, dtype=half),
}

# %%
products = {
    "8 rows × matrix": lambda: on_meta(8, 4096, dtype=half) @ huge,
    "attention by hand": lambda: attention_by_hand(*heads),
    "attention built in": OPERATORS["attention"],
    "product 512": lambda: on_meta(512, 512, dtype=half) @ on_meta(512, 512, dtype=half),
    "product 4096": lambda: huge @ on_meta(4096, 4096, dtype=half),
}
recorded = {title: record_accesses(program) for title, program in (passes | products).items()}

# %% tags=["nbval-ignore-output"]
explore_roofline(recorded)

# %% [markdown]
# <details><summary>Answers</summary>
#
# 1. Those on the slope move up with it and become faster; those on a flat line do not, and the product 512, which waits
#    mostly for its launch, gains 15 %. None moves sideways: FLOPs and bytes are the program's own.
# 2. GELU by hand moves right as soon as one of its tensors fits, and from 16 times the cache on it moves as few bytes as
#    the built-in GELU. (It then lies further right, because eight operators count as 8 FLOP an element and one as 1.)
#    Attention by hand reaches the built-in one already at twice the cache. The product 4096 moves a little, until at 4
#    times the cache its matrices travel once. All others never move: they read each element once already, and there is
#    nothing to find again.
# 3. A product is computed in tiles that fit into the cache. With smaller tiles each matrix is read more often: six times the
#    bytes, and the product slides down onto the slope. The addition reuses nothing, so it has nothing to lose.
# </details>
#
# ## Claimed, and found here
#
# The course re-derives the claims of one article on CUDA, PyTorch 2 and Triton. Those that this chapter touches:
#
# | | claimed | found here | how |
# |---|---|---|---|
# | C11 | A100 to H100: FLOPS more than 6x, memory bandwidth only 1.65x | Bandwidth 1.64, right. FLOPS: 3.2 for FP16 tensor cores, 3.4 for FP32; 6.3 only as FP8 on the H100 against FP16 on the A100. The ridge moved by 1.9, and back with the H200 (206) and B200 (281), from 295 | from cited data sheets |
# | C16 | If all time goes to memory transfer, more FLOPS help nothing; if all time goes to large matmuls, removing overhead helps nothing (three regimes) | Holds. Bandwidth-bound operators gain 1.00 from twice the FLOPs; the large product gains 1.00 from twice the bandwidth and 1.04 from free launches. The same kernel with 16 times the arithmetic takes the same time | counted, modelled; measured on the CPU |
# | C17 | Larger models use the machine better: FLOPs grow with the cube of the width, bandwidth and capacity needs with the square | Holds if the number of tokens grows with the width. With one token both grow with the square, and the intensity stays at 1.0 FLOP/byte | counted |

# %% [markdown]
# ## Summary
#
# - A program has FLOPs and bytes, a device FLOP/s and bytes/s. The time is at least the longer of the two quotients.
# - Intensity against ridge point says which: left, count bytes; right, count FLOPs. Left of the ridge, FLOPs are free.
# - Intensity comes from reuse: of a weight for many rows, of a tile in the cache, of a value in a register.
# - Ridges moved right for six years and stopped with the H100. Most operators lie left of all of them.
# - The roofline knows nothing of launches. A point far below the roof is where another investigation starts.
#
# Words: [FLOP](glossary/flop.md), [arithmetic intensity](glossary/arithmetic-intensity.md),
# [roofline](glossary/roofline.md), [ridge point](glossary/ridge-point.md), [memory-bound](glossary/memory-bound.md),
# [memory traffic](glossary/memory-traffic.md), [launch overhead](glossary/launch-overhead.md),
# [provenance](glossary/provenance.md).
#
# ## Exercises
#
# In [the exercise notebook](../exercises/30_roofline/30_roofline.ipynb):
#
# | exercise | you write |
# |---|---|
# | `cost_model` | FLOPs and bytes of six operators from their shapes, equal to what is counted |
# | `which_bound` | what limits each of twelve operators, on GPUs you have not seen |
# | `smallest_compute_bound_batch` | how many rows a layer needs until arithmetic is the limit, if ever |
#
# **Next:** [40 Fusion by hand](40_fusion_by_hand.ipynb), where eight operators become one kernel.
