# %% [markdown]
# # Exercises: blocks and warps
#
# Three exercises for the chapter [Blocks and warps](../../notebooks/11_blocks_and_warps.ipynb). Nothing here needs a GPU:
# without one, your kernels are compiled as for a GPU and run on the emulator, and the counts are the same.
#
# Fill in each stub where it says `YOUR CODE HERE`; the number in brackets is how many lines the worked solution has. Run
# the cell, then the check below it. A check draws fresh inputs, shows the points, and says for each missing point which
# input failed, where, and which counter is over budget. Every failed attempt adds a hint, up to three. You may write a kernel
# in another language than the stub's: `import triton`, `tk.compile_cuda_c` and `@cuda.jit` all work.

# %% tags=["setup"]
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit.kernels.race_suspects import SUSPECTS

# %% [markdown]
# ## 1. `vector_add`
#
# The smallest kernel that has everything: a grid, a mask, two loads, a store. Write it without looking.
#
# | | |
# |---|---|
# | **input** | `x`, `y`: float32 tensors `[N]`, N at least 1; `block_size`: elements a block handles, a power of two from 128 to 1024 |
# | **result** | a new float32 tensor, `x + y` |
# | **budget** | 1 launch of your own kernel with exactly ⌈N / block_size⌉ blocks, no PyTorch operator (`torch.empty_like` does not count as one); 8N bytes loaded, 4N stored |
#
# Before you write: N = 257, `block_size` = 256. How many blocks, and what does the last one do?


# %%
@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    ### BEGIN SOLUTION
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    sums = tl.load(x_ptr + offsets, mask=mask) + tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, sums, mask=mask)
    ### END SOLUTION


# %%
def vector_add(x, y, block_size):
    ### BEGIN SOLUTION
    out = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), block_size),)
    add_kernel[grid](x, y, out, x.numel(), BLOCK_SIZE=block_size)
    return out
    ### END SOLUTION


# %%
add_report = tk.check("vector_add", vector_add)
### BEGIN HIDDEN TESTS
assert add_report.passed, str(add_report)
### END HIDDEN TESTS
add_report

# %% [markdown] tags=["solution"]
# **Why this works.** Block b begins behind b whole blocks, so the blocks lie one behind the other and every element has exactly one
# owner. 257 elements in blocks of 256 are two blocks; the second has one element, and its mask is false 255 times.
#
# - The mask belongs in the loads *and* in the store. Without it in the store, the block writes 255 elements that are not its own;
#   without it in the loads, it reads them, which faults as well.
# - Why not smaller blocks? A Triton program has 128 threads unless told otherwise (`num_warps=1` makes it 32). With fewer elements
#   than threads, several threads hold the same element: each of them loads it, and one stores it. Try `BLOCK_SIZE=32` and look at
#   `global_load_bytes`: four times as many.
# - 12 bytes an element is the least: two numbers must come, one must go. An addition that took 3 launches (`x.clone()`, then
#   `add_`, say) would move more, and the counters would show it.

# %% [markdown]
# ## 2. `diverge_less`
#
# Elements with even numbers become square roots, those with odd numbers reciprocals, both by Newton's method with a given number of
# rounds:
#
# | | begins with | each round |
# |---|---|---|
# | element 0, 2, 4, ... | v = 1 | v = 0.5 * (v + x / v) |
# | element 1, 3, 5, ... | v = 0.5 | v = v * (2 - x * v) |
#
# Written in the obvious way, thread i does element i, neighbours disagree, and every warp goes through both loops. Write it so that
# the lanes of a warp agree.
#
# | | |
# |---|---|
# | **input** | `x`: float32 tensor `[N]`, N at least 1, values between 0.5 and 1.5; `n_rounds`: 0 or more |
# | **result** | a new float32 tensor `[N]` with the last v of each element |
# | **budget** | 1 launch, no PyTorch operator (`torch.empty_like` does not count as one); at most 4 divergent branches in the whole launch, however large N is; 3 FLOP (one for each +, -, * and /) an element and round: do not compute both and throw one away |
#
# In Numba, `x[i]` is float32 but `0.5` is float64: write `np.float32(0.5)`, or better, avoid it and use CUDA C++ as here, where it
# is `0.5f`. Before you write: does thread i *have* to do element i?

# %%
DIVERGING = r"""
__global__ void newton(const float *x, float *y, int n, int n_rounds) {
    int element = blockIdx.x * blockDim.x + threadIdx.x;
    if (element >= n) return;
    float value = x[element], v;
    if (element % 2 == 0) {
        v = 1.0f;
        for (int k = 0; k < n_rounds; k++) v = 0.5f * (v + value / v);
    } else {
        v = 0.5f;
        for (int k = 0; k < n_rounds; k++) v = v * (2.0f - value * v);
    }
    y[element] = v;
}
"""


# %%
def newton_source():
    """CUDA C++ source of your kernel `newton(x, y, n, n_rounds)`; DIVERGING is where you begin."""
    ### BEGIN SOLUTION
    old = "    int element = blockIdx.x * blockDim.x + threadIdx.x;\n    if (element >= n) return;\n"
    new = """
    int t = blockIdx.x * blockDim.x + threadIdx.x;
    if (t >= n) return;
    int half = (n + 1) / 2;
    int element = t < half ? 2 * t : 2 * (t - half) + 1;
    """
    return DIVERGING.replace(old, new).replace("if (element % 2 == 0)", "if (t < half)")
    ### END SOLUTION


# %%
def diverge_less(x, n_rounds):
    ### BEGIN SOLUTION
    kernel = tk.compile_cuda_c(newton_source())["newton"]
    y = torch.empty_like(x)
    kernel[triton.cdiv(x.numel(), 256), 256](x, y, x.numel(), n_rounds)
    return y
    ### END SOLUTION


# %%
newton_report = tk.check("diverge_less", diverge_less)
### BEGIN HIDDEN TESTS
assert newton_report.passed, str(newton_report)
### END HIDDEN TESTS
newton_report

# %% [markdown] tags=["solution"]
# **Why this works.** Nothing ties thread i to element i. The first half of the threads takes the even elements, the second half the
# odd ones; all lanes of a warp are on one side, but for the one warp in which the border falls.
#
# - `half` is `(n + 1) / 2`, because with an odd n there is one even element more. With `n / 2` the last even element would be done
#   by nobody, and thread `half` would have element n.
# - The arithmetic is the same as before, element by element; only *who* does it changed. The warps need about half the instructions.
# - It has a price: lanes of a warp now touch every second element, 64 floats apart in all instead of 32, twice the sectors a request.
#   Each sector is asked for twice, by a warp of the first half and one of the second, and comes from DRAM once if the cache keeps
#   it. For 8 rounds of arithmetic that is a good trade; for one round it would not be. Chapter 32 counts such things.
# - The other way to get rid of the branch, computing both sides and selecting, has no divergence and saves nothing: every lane does
#   the work of two.

# %% [markdown]
# ## 3. `find_the_race`
#
# Four kernels, launched with 256 threads a block. One of them has a data race. On many GPUs it would give the right answer most of the
# time.

# %%
for suspect in SUSPECTS.values():
    print(suspect)

# %% [markdown]
# Find it by reading, before you let `tk.emulator.check` tell you. Then repair it.
#
# | | |
# |---|---|
# | **result** | `{"racy": name, "repaired": source}`: the name of the kernel, and CUDA C++ source of a kernel with that name and the same arguments |
# | **judged** | the repair is compiled, checked for races and barriers that not all threads reach, and run for sizes from 1 to 4,096 |
# | **budget** | at most twice the warp instructions of the racy kernel: letting one thread do everything is no repair |
#
# Before you write: for each kernel, which place is written by one thread and touched by another one?


# %%
def find_the_race():
    """The name of the racy kernel, and its source without the race."""
    ### BEGIN SOLUTION
    racy = "block_sum"
    outside = "    __syncthreads();\n    for (int half = 128; half > 0; half /= 2) {\n"
    inside = "    for (int half = 128; half > 0; half /= 2) {\n        __syncthreads();\n"
    return {"racy": racy, "repaired": SUSPECTS[racy].replace(outside, inside)}
    ### END SOLUTION


# %%
race_report = tk.check("find_the_race", find_the_race)
### BEGIN HIDDEN TESTS
assert race_report.passed, str(race_report)
### END HIDDEN TESTS
race_report

# %% [markdown] tags=["solution"]
# **Why.** In `block_sum` the barrier stands before the loop. In the round with `half` = 64, thread 0 adds what thread 64 wrote in the
# round before; they are in different warps, and nothing makes warp 0 wait for warp 2. Inside the loop, the barrier stands between each
# round's writes and the next round's reads.
#
# | kernel | suspicious because | no race because |
# |---|---|---|
# | `turn_around` | each thread reads what another wrote | a barrier stands between; threads past the end reach it too, since the `if` guards the work and not the barrier |
# | `smooth` | threads read their neighbours' elements, even across blocks | nobody writes `x`; `y[i]` has one writer and no reader |
# | `count_signs` | all threads add to two numbers | atomic additions are never torn apart, in whatever order they come. (That they queue up is a matter of speed) |
# | `block_sum` | - | it has one |
#
# - After the last round thread 0 reads `tile[0]`, which it wrote itself: no barrier is needed for that.
# - `if (threadIdx.x < half) { ...; __syncthreads(); }` would be worse than the race: half of the threads never reach that barrier.
# - `__syncwarp()` orders the lanes of one warp. It is enough once `half` is below 32, and only then.
