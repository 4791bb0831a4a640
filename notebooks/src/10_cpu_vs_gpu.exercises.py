# %% [markdown]
# # Exercises: CPU against GPU
#
# Three exercises for the chapter [CPU against GPU](../../notebooks/10_cpu_vs_gpu.ipynb). Nothing here needs a GPU:
# without one, your kernel is compiled as for a GPU and runs on the emulator, and the counts are the same.
#
# Fill in each stub where it says `YOUR CODE HERE`; the number in brackets is how many lines the worked solution has. Run
# the cell, then the check below it. A check draws fresh inputs every time, shows the points, and says for each missing
# point which input failed. Every failed attempt adds a hint, up to three.

# %% tags=["setup"]
import math

import torch

import teachkit as tk
from teachkit import cuda

# %% [markdown]
# ## 1. `amdahl`
#
# A program spends `serial_us` microseconds in work that only one worker can do (reading a file, deciding what comes next)
# and `parallel_us` in work that can be split among any number of workers without loss. What do `n_workers` bring?
#
# | | |
# |---|---|
# | **input** | `serial_us`, `parallel_us`: whole numbers, at least one of them above 0; `n_workers`: a whole number, at least 1 |
# | **result** | a dictionary with three keys |
# | `"speedup"` | how many times as fast as with one worker |
# | `"limit"` | what the speed-up approaches with ever more workers; `math.inf` if nothing is serial |
# | `"workers_for_90_percent"` | the fewest workers that reach at least 90 % of the limit, exactly; `None` if the limit is `math.inf` |
#
# Before you write: a frame takes 1 ms to read and 9 ms to convert. What is the most that a GPU with ten thousand lanes can
# do for it?


# %%
def amdahl(serial_us, parallel_us, n_workers):
    ### BEGIN SOLUTION
    total_us = serial_us + parallel_us
    speedup = total_us / (serial_us + parallel_us / n_workers)
    if serial_us == 0:
        return {"speedup": speedup, "limit": math.inf, "workers_for_90_percent": None}
    workers = max(1, -(-9 * parallel_us // serial_us))
    return {
        "speedup": speedup,
        "limit": total_us / serial_us,
        "workers_for_90_percent": workers,
    }
    ### END SOLUTION


# %%
amdahl_report = tk.check("amdahl", amdahl)
### BEGIN HIDDEN TESTS
assert amdahl_report.passed, str(amdahl_report)
### END HIDDEN TESTS
amdahl_report

# %% [markdown] tags=["solution"]
# **Why this works.** With n workers the parallel part takes `parallel_us / n`, the serial part what it took before. However
# large n is, the serial part remains, so the time never falls below it and the speed-up never passes
# `total_us / serial_us`. For the frame that is 10, with ten thousand lanes or with a million.
#
# - 90 % of the limit is a time of `serial_us / 0.9`. From `serial_us + parallel_us / n <= serial_us / 0.9` follows
#   `n >= 9 * parallel_us / serial_us`: for the frame, 81 workers are enough, and the next ten thousand share the last 10 %.
# - `-(-a // b)` rounds up in whole numbers. `math.ceil(9 * parallel_us / serial_us)` divides in floats; where the
#   quotient is a whole number, or the numbers are large, it may come out one too high or too low.
# - Without a serial part every worker counts in full: the speed-up is n, and there is no limit to be near.

# %% [markdown]
# ## 2. `crossover`
#
# From how many pixels on is the GPU the faster one? Converting N pixels takes
#
# - on the CPU: N / `cpu_pixels_per_s`;
# - on the GPU: `launch_s`, and 6 bytes a pixel (3 read, 3 written) at `gpu_bytes_per_s`;
# - and, unless `is_on_gpu`, 3 bytes a pixel to the GPU and 3 back, one after the other, at `link_bytes_per_s`.
#
# | | |
# |---|---|
# | **input** | three rates (pixels or bytes per second, above 0), a time in seconds (0 or more), a bool |
# | **result** | the smallest whole number N, at least 1, for which the GPU takes *less* time; `None` if there is none |
#
# Before you write: each time is a straight line in N. Which line starts higher, and which must be steeper for the lines to
# meet at all?


# %%
def crossover(cpu_pixels_per_s, gpu_bytes_per_s, link_bytes_per_s, launch_s, is_on_gpu):
    ### BEGIN SOLUTION
    gpu_s_per_pixel = 6 / gpu_bytes_per_s
    if not is_on_gpu:
        gpu_s_per_pixel += 6 / link_bytes_per_s
    gain_s_per_pixel = 1 / cpu_pixels_per_s - gpu_s_per_pixel
    if gain_s_per_pixel <= 0:
        return None
    return math.floor(launch_s / gain_s_per_pixel) + 1
    ### END SOLUTION


# %%
crossover_report = tk.check("crossover", crossover)
### BEGIN HIDDEN TESTS
assert crossover_report.passed, str(crossover_report)
### END HIDDEN TESTS
crossover_report

# %% [markdown] tags=["solution"]
# **Why this works.** The GPU starts `launch_s` late and then gains `gain_s_per_pixel` with each pixel. The lines meet where
# the gain has paid for the start, N = `launch_s / gain_s_per_pixel`. There both are equally fast, so the answer is the first
# whole number above: `floor + 1`, not `ceil`, which would return the tie itself where it is a whole number.
#
# - If a pixel costs the GPU as much as the CPU or more, there is nothing to pay with, and no N is large enough. With the
#   copies included this happens easily: a link of 25 GB/s alone takes 6 / 25e9 s = 0.24 ns a pixel, which is about what a
#   few CPU cores with vector registers need to do the whole job.
# - With the frame on the GPU already, the same GPU wins from a few thousand pixels on. *Where the data is* decides more than
#   which processor is faster.

# %% [markdown]
# ## 3. `cover_once`
#
# Write a Numba-CUDA kernel that doubles every element of a vector, one thread an element, and the function that launches it.
# The arithmetic is nothing; the exercise is the map from blocks and threads to elements.
#
# | | |
# |---|---|
# | **input** | `x`: float32 tensor `[N]`, N at least 1; `threads_per_block`: 1 to 1024 |
# | **result** | a new tensor `2 * x` |
# | **budget** | 1 launch with `threads_per_block` threads a block and as few blocks as cover N; no thread handles two elements; each element is read once and written once; no PyTorch operator (`torch.empty_like` does not count as one) |
#
# `cuda.grid(1)` is the number of the thread in the whole grid; write it out with `cuda.blockIdx.x`, `cuda.blockDim.x` and
# `cuda.threadIdx.x` at least once in your life. A kernel is launched as `kernel[n_blocks, threads_per_block](x, y)`.


# %%
@cuda.jit
def double_kernel(x, y):
    ### BEGIN SOLUTION
    element = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if element < x.size:
        y[element] = 2 * x[element]
    ### END SOLUTION


# %%
def cover_once(x, threads_per_block):
    ### BEGIN SOLUTION
    y = torch.empty_like(x)
    n_blocks = -(-x.numel() // threads_per_block)
    double_kernel[n_blocks, threads_per_block](x, y)
    return y
    ### END SOLUTION


# %%
cover_report = tk.check("cover_once", cover_once)
### BEGIN HIDDEN TESTS
assert cover_report.passed, str(cover_report)
### END HIDDEN TESTS
cover_report

# %% [markdown] tags=["solution"]
# **Why this works.** Block b is preceded by b whole blocks, so its thread t has number b * (threads in a block) + t. That
# map hits every whole number from 0 exactly once: no two threads share an element, and none is forgotten.
#
# - N is rarely a multiple of the block. `-(-n // b)` rounds up, so that the last elements get a block; then some threads of
#   that block have numbers past the end. `if element < x.size` sends them home. Without it they would read and write memory
#   that belongs to somebody else, on a GPU often without any sign of it.
# - Rounding down instead (`n // b`) works for the sizes one tries first, and forgets the end of all others.
# - `N + 1` blocks would be right too, and start threads for nothing; the counters show them.
