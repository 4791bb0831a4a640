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
# # 10 CPU against GPU
#
# One small job, the same for every pixel of a picture, on every kind of machine you can program: a Python loop, NumPy, one
# CPU core, its vector registers, all its cores, a GPU. You will see what each step brings, and where the GPU loses.
#
# **Objective.** You can say for a simple job which machine will be faster, and from which size on; you can name the three
# things that decide it (how much can be done at once, what a start costs, where the data is); and you can map N items to the
# blocks and threads of a GPU.
#
# **Prerequisites.** [00 Start here](00_start_here.ipynb). Python; NumPy helps.
#
# **Time.** 45 minutes, and about 45 minutes for the exercises.

# %% tags=["setup"]
import numba
import numpy as np
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit import cuda
from teachkit.frontends.numba_cpu import compile_loop, vector_instructions
from teachkit.measure.sweep import Curve, crossing, measure_curve
from teachkit.measure.timer import time_function
from teachkit.model.transfer import copy_seconds
from teachkit.viz.explore_frame import explore_frame
from teachkit.viz.plot_curves import plot_curves

# %% [markdown]
# ## The job
#
# A camera or a game makes pixels of red, green and blue. A video stream stores something else: brightness (Y) and two
# differences of colour (U and V), because the eye sees brightness more sharply than colour. So every video call turns every
# pixel of every frame from RGB into YUV and back, 30 times a second or more. Each new number is a weighted sum of the three old
# ones.
#
# We do it in whole numbers, as real converters do: weights are multiples of 1/256, and `>> 8` divides by 256 (adding 128 first
# rounds to the nearest). Whole numbers have a second virtue here: every language must give *exactly* the same result.


# %%
def convert(rgb, yuv):
    for i in numba.prange(rgb.shape[1]):
        r, g, b = int(rgb[0, i]), int(rgb[1, i]), int(rgb[2, i])
        yuv[0, i] = (77 * r + 150 * g + 29 * b + 128) >> 8
        yuv[1, i] = ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128
        yuv[2, i] = ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128


# %% [markdown]
# `rgb` and `yuv` are arrays of bytes, `[3, N]`: all the reds of the frame, then all the greens, then all the blues. `int` is
# there because 77 times one of NumPy's bytes would have to fit into a byte again; compiled code counts in wider numbers by itself.
# `numba.prange` is Python's `range`, with a promise that we make: the rounds of this loop do not depend on each other, so
# anybody may do them in any order or at the same time. Remember that promise. Everything in this chapter, and in this course,
# lives on it.

# %%
colours = np.array(
    [[255, 0, 255], [255, 0, 0], [255, 0, 0]], dtype=np.uint8
)  # columns: white, black, red
result = np.zeros_like(colours)
convert(colours, result)
for name, pixel in zip(("white", "black", "red"), result.T, strict=True):
    print(f"{name:6} Y {pixel[0]:3}  U {pixel[1]:3}  V {pixel[2]:3}")

# %% [markdown]
# White and black have no colour: U and V are in the middle, 128. Red is rather dark to the eye, and far off in V.
#
# **Predict before you run anything else.** Write two numbers down:
#
# 1. How many times as fast as this Python loop is the best your CPU can do, with the same loop compiled?
# 2. A GPU starts a [kernel](glossary/kernel.md) in a few microseconds and then handles pixels by the thousand. From how many pixels on does it beat
#    that CPU, if the frame must be copied to the GPU and the result back?
#
# ## A frame
#
# Full HD: 1,920 by 1,080, about two million pixels.


# %%
def make_frame(width, height):
    """Colours that change across it, with an orange disc: uint8 [3, width * height]."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    disc = np.where((x - 0.62) ** 2 + (y - 0.45) ** 2 < 0.06, 0.5, 0.0)
    planes = [0.2 + 0.5 * x + disc, 0.2 + 0.5 * y + 0.2 * disc, 0.8 - 0.6 * x * y - disc]
    return (np.clip(np.stack(planes), 0, 1) * 255).astype(np.uint8).reshape(3, width * height)


# %%
frame = make_frame(1920, 1080)
N = frame.shape[1]
print(f"{N:,} pixels, {frame.nbytes:,} bytes")

# %% [markdown]
# ## NumPy: the loop leaves Python
#
# NumPy does one operation for the whole array before it starts the next. Each loop runs in compiled code, but there are many
# of them, and between two of them a whole array goes to memory and comes back. (Chapter 40 is about that.)


# %%
def convert_numpy(rgb):
    r, g, b = rgb.astype(np.int32)
    y = (77 * r + 150 * g + 29 * b + 128) >> 8
    u = ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128
    v = ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128
    return np.stack([y, u, v]).astype(np.uint8)


# %% [markdown]
# ## Numba: one loop, three ways
#
# Numba compiles the function `convert` above for the CPU, without changing a letter of it. We ask for three versions:
#
# - **scalar**: one pixel after the other, as it is written;
# - **SIMD** (*single instruction, multiple data*): the compiler loads many bytes into one wide *vector register*, and each
#   instruction works on all of them ([SIMD](glossary/simd.md)); 16 to 64 bytes, depending on the CPU;
# - **threads**: the same, and each core of the CPU takes a piece of the frame.

# %%
like = (frame, np.empty_like(frame))
loops = {
    "scalar": compile_loop(convert, *like, simd=False),
    "SIMD": compile_loop(convert, *like),
    "SIMD + threads": compile_loop(convert, *like, threads=True),
}
expected = convert_numpy(frame)
for way, loop in loops.items():
    yuv = np.zeros_like(frame)
    loop(frame, yuv)
    print(f"{way:15} same as NumPy: {np.array_equal(yuv, expected)}")

# %% [markdown]
# Did the compiler really use vector registers? Look into the machine code: this cell counts the instructions that name one.
# (A handful are in every program, to clear some memory before it starts. What you see depends on your CPU.)

# %% tags=["nbval-ignore-output"]
for kind in ("scalar", "SIMD"):
    counts = vector_instructions(loops[kind])
    told = (f"{n:4} with {n_bytes}-byte" for n_bytes, n in counts.items())
    print(f"{kind:6}", "  ".join(told), "registers")

# %% [markdown]
# Now the times, **measured** on your machine, for the whole frame (the Python loop gets a hundredth of it, and its time is
# multiplied by 100). Of nine runs the fastest counts: whatever else your machine does can only make a run slower.
#
# **Predict before you run.** Which single step will bring most: leaving Python, SIMD, or threads?

# %% tags=["nbval-ignore-output"]
few = np.ascontiguousarray(frame[:, : N // 100])
to_yuv = (frame, np.empty_like(frame))
calls = {"Python loop": (convert, (few, np.empty_like(few)), 100)}
calls |= {"NumPy": (convert_numpy, (frame,), 1)}
calls |= {f"Numba, {name}": (call, to_yuv, 1) for name, call in loops.items()}
per_frame_s = {}
print("measured, the fastest of nine runs")
print(f"{'':21} {'ms':>9} {'ns a pixel':>11} {'times Python':>13}")
for version, (function, args, times) in calls.items():
    seconds = times * min(time_function(function, *args, n_warmup=1, n_runs=9).times_s)
    per_frame_s[version] = seconds
    ns, ratio = seconds / N * 1e9, per_frame_s["Python loop"] / seconds
    print(f"{version:21} {seconds * 1e3:9.2f} {ns:11.3f} {ratio:13,.0f}")

# %% [markdown]
# Compare with your first number. Usually the biggest step is leaving Python: an interpreter spends most of its
# time on finding out what it is asked to do. SIMD multiplies by several, for nothing but a compiler's effort: the promise
# of `prange` is what it needs. Threads bring at most the number of cores, and less if the cores wait for the same memory or are
# busy with something else.
#
# (If a step made things slower here, your machine was busy all the time: run the cell again. Measured times do that.)
#
# A CPU core is a *latency machine*: built to finish each single instruction stream soon, whatever it does, with guesses about
# which way an `if` will go, big caches, and a high clock. SIMD and more cores are a modest step in another direction. A GPU goes
# all the way.

# %% [markdown]
# ## One GPU thread a pixel
#
# On a GPU there is no loop over pixels. You write what happens to *one* pixel, and start one
# [thread](glossary/thread.md) for each. `cuda.grid(1)` is the thread's number among all; it is
# `blockIdx.x * blockDim.x + threadIdx.x`, because threads are started in [blocks](glossary/grid-and-block.md) of equal size:
# number of my block, times threads in a block, plus my number in my block. (`x` and `1`: blocks can have up to three dimensions,
# and we use one.)


# %%
@cuda.jit
def convert_numba(rgb, yuv):
    i = cuda.grid(1)
    if i < rgb.shape[1]:  # the last block may have threads without a pixel
        r, g, b = rgb[0, i], rgb[1, i], rgb[2, i]
        yuv[0, i] = (77 * r + 150 * g + 29 * b + 128) >> 8
        yuv[1, i] = ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128
        yuv[2, i] = ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128


# %% [markdown]
# **Predict before you run.** The frame is 2,073,600 pixels and we choose 256 threads a block. How many blocks? How many bytes
# does the kernel move for each pixel? A GPU runs threads in [warps](glossary/warp.md), 32 at a time: one instruction, 32
# *lanes*. How many of the 32 lanes have something to do, on average?
#
# In the square brackets of the launch stand the number of blocks and the threads in each. Of the counters, `warp_instructions` are
# the instructions that warps ran, and `thread_instructions` adds up the lanes that did something in them.

# %%
rgb = torch.from_numpy(frame).to(tk.device())
yuv_gpu = torch.empty_like(rgb)
n_blocks = triton.cdiv(N, 256)
with tk.profile() as gpu_prof:
    convert_numba[n_blocks, 256](rgb, yuv_gpu)
print("same as NumPy:   ", np.array_equal(yuv_gpu.cpu(), expected))
total = gpu_prof.total
print("blocks:          ", n_blocks)
print("bytes a pixel:   ", round(total.dram_bytes / N, 2))
print(
    "lanes at work:   ", round(total.thread_instructions / total.warp_instructions, 1), "of 32"
)

# %% [markdown]
# <details><summary>Why 6 bytes, and why not quite 32 lanes?</summary>
#
# Three bytes in, three bytes out; no intermediate result ever goes to memory. And no lane is idle: 2,073,600 is a multiple of
# 256. The average is a little below 32 because one instruction of the kernel is a jump for lanes *without* a pixel, on which
# nobody acts.
# </details>

# %% [markdown]
# This is what a *throughput machine* lives on: every instruction is fetched and decoded once and does 32 pixels' work, and the
# GPU has thousands of such lanes. What does it do with a program that cannot be spread? Give the whole job to one thread:


# %%
@cuda.jit
def convert_alone(rgb, yuv):
    for i in range(rgb.shape[1]):
        r, g, b = rgb[0, i], rgb[1, i], rgb[2, i]
        yuv[0, i] = (77 * r + 150 * g + 29 * b + 128) >> 8
        yuv[1, i] = ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128
        yuv[2, i] = ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128


# %%
part = rgb[:, :4096].contiguous()
with tk.profile() as spread_prof:
    convert_numba[16, 256](part, torch.empty_like(part))
with tk.profile() as alone_prof:
    convert_alone[1, 1](part, torch.empty_like(part))
for how, run in (("a thread a pixel", spread_prof), ("one thread for all", alone_prof)):
    c = run.total
    lanes = c.thread_instructions / c.warp_instructions
    print(f"{how:19} {c.warp_instructions:8,} warp instructions, {lanes:5.2f} lanes at work")

# %% [markdown]
# The same 4,096 pixels, with more than 20 times as many instructions, each for one lane of 32. And a single GPU lane is no
# match for a CPU core: an A100 runs at 1.41 GHz, and a value from its memory arrives after 404 nanoseconds, 570 of its cycles
# (cited: the data sheet and the benchmark in this course's file of the A100). With a thread a pixel other warps run while one
# waits; here there are no others. A GPU is not a faster CPU. It is a slower one, thousands of times over.

# %% [markdown]
# ## The same kernel in three more languages
#
# In CUDA C++ it is nearly the same text; Numba took the ideas from there. If you have not read C before: `__global__` marks a
# kernel, `const unsigned char *rgb` is the address of the first of some bytes that are not changed (an address knows no length,
# hence `n`), `rgb[i]` is the i-th of them, and `int i = ...;` makes a whole number.

# %%
cuda_source = r"""
__global__ void convert_cuda(const unsigned char *rgb, unsigned char *yuv, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int r = rgb[i], g = rgb[n + i], b = rgb[2 * n + i];
    yuv[i] = (77 * r + 150 * g + 29 * b + 128) >> 8;
    yuv[n + i] = ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128;
    yuv[2 * n + i] = ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128;
}
"""
convert_cuda = tk.compile_cuda_c(cuda_source)["convert_cuda"]

# %% [markdown]
# In Triton you write what a whole *block* of pixels goes through, as vectors; the compiler deals the elements out to threads.


# %%
@triton.jit
def convert_triton(rgb_ptr, yuv_ptr, n, BLOCK_SIZE: tl.constexpr):
    i = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = i < n
    r = tl.load(rgb_ptr + i, mask=mask).to(tl.int32)
    g = tl.load(rgb_ptr + n + i, mask=mask).to(tl.int32)
    b = tl.load(rgb_ptr + 2 * n + i, mask=mask).to(tl.int32)
    tl.store(yuv_ptr + i, (77 * r + 150 * g + 29 * b + 128) >> 8, mask=mask)
    tl.store(yuv_ptr + n + i, ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128, mask=mask)
    tl.store(yuv_ptr + 2 * n + i, ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128, mask=mask)


# %% [markdown]
# And in PyTorch you write the formula, for whole tensors, and no kernel at all.


# %%
def convert_torch(rgb):
    r, g, b = rgb.int()
    y = (77 * r + 150 * g + 29 * b + 128) >> 8
    u = ((127 * b - 43 * r - 84 * g + 128) >> 8) + 128
    v = ((127 * r - 106 * g - 21 * b + 128) >> 8) + 128
    return torch.stack([y, u, v]).to(torch.uint8)


# %% [markdown]
# **Predict before you run.** All four are right. Do all four move 6 bytes a pixel?

# %%
out_cuda, out_triton = torch.empty_like(rgb), torch.empty_like(rgb)
profiles = {"Numba-CUDA": gpu_prof}
with tk.profile() as profiles["CUDA C++"]:
    convert_cuda[n_blocks, 256](rgb, out_cuda, N)
with tk.profile() as profiles["Triton"]:
    convert_triton[(triton.cdiv(N, 1024),)](rgb, out_triton, N, BLOCK_SIZE=1024)
with tk.profile() as profiles["PyTorch"]:
    out_torch = convert_torch(rgb)
same = all(torch.equal(out, yuv_gpu) for out in (out_cuda, out_triton, out_torch))
print("all four the same:", same)
for language, seen in profiles.items():
    print(
        f"{language:10}  {seen.n_launches:2} launches  "
        f"{seen.dram_bytes / N:5.0f} bytes a pixel"
    )

# %% [markdown]
# PyTorch's version is the shortest to write and moves 44 times the bytes: every `*`, `+` and `>>` is a launch of its own, and
# reads and writes whole arrays of 4-byte integers. How that comes about, and how it is avoided, is what parts 2, 4 and 5 of
# this course are about. The three kernels do the same work; they differ in what you have to think about.

# %% [markdown]
# ## Lanes and blocks at work
#
# A small frame, 64 by 40, so that you can see each pixel. `tk.emulator.trace()` records what every thread does, step by step;
# the figure takes from it which thread has which pixel.

# %%
small = make_frame(64, 40)
small_yuv = np.zeros_like(small)
with tk.profile(), tk.emulator.trace() as traces:
    convert_numba[small.shape[1] // 256, 256](small, small_yuv)
print(traces[0])

# %% [markdown]
# **Predict before you play.** How many steps does each machine take for these 2,560 pixels: a CPU core one pixel at a time; with
# vectors of 16 lanes; eight such cores; a GPU with one *SM* ([streaming multiprocessor](glossary/sm.md), which issues 4 warps at a
# time); with 4 SMs? And with 108, as an A100 has? Then choose a machine and play it. (In the figure a step of any machine is one
# pixel for each lane, and an SM does one whole block after the other. How long a step takes is another question, and not the same
# for a CPU and a GPU.)

# %% tags=["nbval-ignore-output"]
explore_frame(traces[0], small, small_yuv, width=64)

# %% [markdown]
# <details><summary>What to see there</summary>
#
# - 2,560 steps, 160, 20 for the CPU; 20, 6 and 2 for the GPU. One SM with four warps is as wide as eight cores with vectors of 16.
# - With 4 SMs it is 6 steps, not 5: ten blocks for four SMs makes three rounds, and in the last one two SMs have no block.
# - With 108 SMs only ten have a block at all. For a frame as small as this, 98 of them do nothing: a GPU needs *many* blocks.
# - In another order the blocks finish in another order, and the picture is the same. Nobody may count on an order of blocks,
#   and because of the promise nobody has to.
# </details>

# %% [markdown]
# ## Time against size
#
# Now the second prediction. We sweep N from 10 to 100 million. The CPU is **measured** as far as it does not get boring and
# continued in a straight line. The GPU, unless you have one, is **modelled**: each launch is counted and priced with the data
# sheet of an A100.

# %%
SIZES = tuple(10**power for power in range(1, 9))


def call_for(function):
    """Size -> a call of the function on that many pixels, with its data ready."""

    def make_call(n):
        rgb, yuv = np.full((3, n), 90, dtype=np.uint8), np.empty((3, n), dtype=np.uint8)
        return lambda: function(rgb, yuv)

    return make_call


# %% tags=["nbval-ignore-output"]
curves = {
    "Python loop": measure_curve(call_for(convert), SIZES, measure_to=10**4),
    "NumPy": measure_curve(
        call_for(lambda rgb, yuv: convert_numpy(rgb)), SIZES, measure_to=10**6
    ),
}
for loop_name, compiled in loops.items():
    curves[f"CPU, {loop_name}"] = measure_curve(call_for(compiled), SIZES, measure_to=10**7)
for curve_name, curve in curves.items():
    last = curve.n_measured - 1
    print(
        f"{curve_name:20} measured up to {SIZES[last]:10,} pixels: "
        f"{curve.seconds[last] * 1e3:9.3f} ms"
    )

# %% [markdown]
# For the GPU we count a launch for each size up to ten million, and let `tk.predict` price it. The last size is ten times the
# one before.


# %%
def gpu_seconds(n):
    """Time of one launch for n pixels: measured on a GPU, else modelled from its counters."""
    x = torch.full((3, n), 90, dtype=torch.uint8, device=tk.device())
    with tk.profile() as prof:
        convert_cuda[triton.cdiv(n, 256), 256](x, torch.empty_like(x), n)
    return prof.seconds or tk.predict(prof, gpu="A100-SXM4-40GB").seconds


# %% tags=["nbval-ignore-output"]
kernel_s = [gpu_seconds(n) for n in SIZES[:-1]]
kernel_s.append(10 * kernel_s[-1])
n_on_device = len(SIZES) - 1 if tk.device().type == "cuda" else 0
there = Curve(SIZES, tuple(kernel_s), n_measured=n_on_device)
origins = (
    ["measured"] * n_on_device + ["continued"]
    if n_on_device
    else ["modelled, A100"] * len(SIZES)
)
for n, launch_s, origin in zip(there.sizes, there.seconds, origins, strict=True):
    print(f"{n:11,} pixels: {launch_s * 1e6:9.2f} microseconds ({origin})")

# %% [markdown]
# A thousand pixels or a hundred thousand, it makes hardly a difference: most of the GPU's 3 microseconds go into the
# [launch](glossary/launch-overhead.md). CPUs charge by the pixel, GPUs by the launch.
#
# What is missing is the way there. A GPU has its own memory. A frame that was read from a file lies in the CPU's; it has to
# cross [PCI Express](glossary/pcie.md), and the result has to come back. `copy_seconds` models a link of 16 lanes (wires
# this time, not those of a warp), generation 4: 31.5 GB/s by the standard (cited), of which we assume that copies reach 80 %, and
# 10 microseconds for each copy (assumed).
#
# **Predict before you run.** The kernel moves 6 bytes a pixel, at more than a thousand GB/s; the link carries the same 6
# bytes. Which of the two takes longer, and how many times as long?

# %%
n_pixels = 10**7
with tk.profile() as large_prof:
    x_large = torch.full((3, n_pixels), 90, dtype=torch.uint8, device=tk.device())
    convert_cuda[triton.cdiv(n_pixels, 256), 256](x_large, torch.empty_like(x_large), n_pixels)
model_s = tk.predict(large_prof.kernels[-1], gpu="A100-SXM4-40GB").seconds
link_s = 2 * copy_seconds(3 * n_pixels)
print(f"kernel: {model_s * 1e6:7.0f} microseconds (modelled)")
print(f"copies: {link_s * 1e6:7.0f} microseconds (modelled)")
print(f"the copies take {link_s / model_s:.0f} times as long as the work")

# %% [markdown]
# That is the surprise of this chapter, and nothing is wrong with the kernel. Now everything in one picture.

# %% tags=["nbval-ignore-output"]
copies = Curve(SIZES, tuple(2 * copy_seconds(3 * n) for n in SIZES))
everything = curves | {
    "GPU, frame is there": there,
    "GPU, copied there and back": there + copies,
}
overtakes = [("GPU, frame is there", "CPU, SIMD"), ("GPU, copied there and back", "CPU, SIMD")]
plot_curves(everything, crossings=overtakes, unit="pixels")

# %% [markdown]
# *In words: the Python loop rises from a few microseconds for 10 pixels to about a minute for 100 million. NumPy starts
# higher and ends far lower. The compiled loops start below a microsecond (with threads higher, because waking them takes a
# while, on a busy machine milliseconds) and end at tens or hundreds of milliseconds. The GPU, if the frame is there already, is
# a flat line at a few microseconds up to a hundred thousand pixels, then rises, and ends far below everything. With the copies
# it starts ten times higher and ends near the CPU's vector loops, above or below, depending on the CPU. Dotted lines mark where
# the GPU overtakes one CPU core with SIMD, if it does. Hollow marks are not measured: for a CPU the line goes straight on, for the GPU
# it is the model, unless you have one.*
#
# And your own crossovers, against the best that your CPU did at each size:

# %% tags=["nbval-ignore-output"]
cpus = [one for name, one in curves.items() if name.startswith("CPU")]
best_cpu = Curve(SIZES, tuple(min(one.seconds[i] for one in cpus) for i in range(len(SIZES))))
for gpu_case in ("GPU, frame is there", "GPU, copied there and back"):
    n_cross = crossing(everything[gpu_case], best_cpu)
    verdict = (
        "never faster up to 100 million"
        if n_cross is None
        else f"faster from about {n_cross:,.0f} pixels"
    )
    print(f"{gpu_case:27}", verdict)

# %% [markdown]
# Three things decide, and this is the order in which to ask:
#
# 1. **Where is the data?** If every byte has to cross the link and is used there only once, the link decides the time. A GPU
#    with the frame in its memory, with the next ten steps of the job on it too, is another story: then the copies are paid once.
# 2. **Is there enough of it?** Below several thousand pixels the launch alone takes longer than the CPU's whole loop.
# 3. **Can it be spread?** Only then does the width of the machine count.
#
# **An honest null result.** For this job alone, frame by frame, from the CPU and back to it, a good GPU brings little against a
# CPU that uses its vector registers, and against several cores perhaps nothing at all: your numbers say which. (A
# video player has an easier choice: its pictures end on a screen that the GPU drives, so they have to cross the link anyway.)

# %% [markdown]
# ## What cannot be spread
#
# Real programs have parts that no machine can spread: reading a file, deciding what comes next. Say a frame takes 1 ms to read
# and 9 ms to convert, and the 9 ms divide perfectly among any number of workers.
#
# **Predict before you run.** How many times as fast is the whole with 8 workers, and with the 6,912 arithmetic lanes of an A100 (108 SMs of
# 64, cited: NVIDIA's white paper)?

# %%
READ_MS, CONVERT_MS = 1, 9
for n_workers in (1, 8, 81, 6912):
    frame_ms = READ_MS + CONVERT_MS / n_workers
    print(
        f"{n_workers:5} workers: {frame_ms:6.3f} ms a frame, "
        f"{(READ_MS + CONVERT_MS) / frame_ms:5.2f} times as fast"
    )

# %% [markdown]
# Ten times is the limit, whatever you buy, and 81 workers already reach nine tenths of it. This is
# [Amdahl's law](glossary/amdahls-law.md): the part that you did not speed up is what remains. That is why a computer has both
# machines, the one for what must go one after another and the one for what may go all at once.

# %% [markdown]
# ## Claimed, and found here
#
# The course re-derives the claims of one article on CUDA, PyTorch 2 and Triton. Those that this chapter touches:
#
# | | claimed | found here | how |
# |---|---|---|---|
# | C01 | A CPU runs complex, varied instructions one after another, fast; a GPU runs very many simple or repeated ones at once | Holds. One GPU instruction worked on 31.5 of 32 lanes, 2,073,600 threads in one launch. Given to one thread, the same job needed over 20 times as many warp instructions, one lane each. At 10 pixels the CPU has finished before a GPU has started | counted; CPU measured; GPU time modelled |
# | C02 | SIMD extensions were added to CPUs because the plain instruction set suits multimedia badly; conversion of images and video is the everyday use of that parallelism | Holds for what can be run here: the same source, compiled with and without SIMD, differs by a factor of several on this frame (see your table above; the machine code of the one has many instructions with vector registers, that of the other a handful). The reason that the article gives, an instruction set of many complicated instructions (CISC) and few registers, is history, and not tested here | measured |
# | C02, turned around | So a GPU, the widest machine of all, is the best place for it? (The article does not say so; many readers conclude it) | Only if the frame is on the GPU anyway. The copies over PCI Express generation 4 take tens of times as long as the conversion | modelled from counted bytes |

# %% [markdown]
# ## Summary
#
# - A CPU core finishes one stream of instructions soon; a GPU finishes many streams at once. Widths add up: lanes of a vector
#   register, cores; lanes of a warp, warps, SMs.
# - All of it needs rounds of a loop that do not depend on each other, and say so.
# - One thread a pixel: round the number of blocks up, and let spare threads do nothing.
# - A GPU charges by the launch, a CPU by the pixel: below some size the CPU wins.
# - Copies over PCI Express can cost more than the work. Ask first where the data is.
# - What cannot be spread is what remains.
#
# Words: [thread](glossary/thread.md), [warp](glossary/warp.md), [SM](glossary/sm.md), [SIMD](glossary/simd.md),
# [grid and block](glossary/grid-and-block.md), [launch overhead](glossary/launch-overhead.md), [PCI
# Express](glossary/pcie.md), [Amdahl's law](glossary/amdahls-law.md), [provenance](glossary/provenance.md).
#
# ## Exercises
#
# In [the exercise notebook](../exercises/10_cpu_vs_gpu/10_cpu_vs_gpu.ipynb), each with a check and hints:
#
# | exercise | you write |
# |---|---|
# | `amdahl` | what n workers bring, the limit, and how many are enough |
# | `crossover` | the smallest N for which the GPU wins, copies included, or that there is none |
# | `cover_once` | a kernel in which every element has exactly one thread |
#
# **Next:** [11 Blocks and warps](11_blocks_and_warps.ipynb), where you watch the 32 lanes of a warp agree and disagree.
