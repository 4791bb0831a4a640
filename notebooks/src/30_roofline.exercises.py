# %% [markdown]
# # Exercises: the roofline
#
# Three exercises for the chapter [The roofline](../../notebooks/30_roofline.ipynb). They need no GPU, and no kernels: you write
# the models with which one thinks about kernels.
#
# Fill in each stub where it says `YOUR CODE HERE`; the number in brackets is how many lines the worked solution has. Run
# the cell, then the check below it. A check draws fresh inputs every time, shows the points, and says for each missing
# point which input failed and how. Every failed attempt adds a hint, up to three.

# %% tags=["setup"]
import math
from fractions import Fraction

import torch

import teachkit as tk

# %% [markdown]
# ## 1. `cost_model`
#
# FLOPs and bytes of an operator, from the shapes of its inputs alone. Your numbers must *equal* those that `tk.profile()` counts
# when the operator runs.
#
# | | |
# |---|---|
# | **input** | `operator`: one of the names below; `shapes`: a list with the shape of each input, a tuple each; `item_bytes`: bytes of one element, 4 or 2, of inputs and result alike |
# | **result** | the tuple `(flop, n_bytes)`, two `int`s |
# | **bytes** | every element of every input is read once, every element of the result is written once |
#
# | operator | in PyTorch | FLOPs |
# |---|---|---|
# | `"add"` | `a + b`, with broadcasting | 1 for each element of the result |
# | `"gelu"` | `F.gelu(x)` | 1 for each element |
# | `"sum"` | `x.sum(-1)` | 1 for each element of `x` |
# | `"softmax"` | `x.softmax(-1)` | 5 for each element |
# | `"layer_norm"` | `F.layer_norm(x, x.shape[-1:])` | 8 for each element; besides the result it writes the mean and 1 / standard deviation of each row, for the backward pass, with `item_bytes` each |
# | `"matmul"` | `a @ b`: `[M, K] @ [K, N]`, or batches of it, `[B, M, K] @ [B, K, N]` | 2 for each multiplication with its addition |
#
# `math.prod(shape)` gives the number of elements, `torch.broadcast_shapes(*shapes)` the shape of a sum of tensors.
#
# Before you write: `[1000, 1] + [1, 1000]` makes a million elements. Is that many bytes, compared with `[1000, 1000] +
# [1000, 1000]`?


# %%
def cost_model(operator, shapes, item_bytes):
    ### BEGIN SOLUTION
    first = shapes[0]
    n_first, n_read = math.prod(first), sum(math.prod(shape) for shape in shapes)
    if operator == "add":
        n_written = n_flop = math.prod(torch.broadcast_shapes(*shapes))
    elif operator == "matmul":
        n_written = n_first // first[-1] * shapes[1][-1]
        n_flop = 2 * n_written * first[-1]
    else:
        n_rows = n_first // first[-1]
        n_written = {"sum": n_rows, "layer_norm": n_first + 2 * n_rows}.get(operator, n_first)
        n_flop = {"softmax": 5, "layer_norm": 8}.get(operator, 1) * n_first
    return n_flop, item_bytes * (n_read + n_written)
    ### END SOLUTION


# %%
cost_report = tk.check("cost_model", cost_model)
### BEGIN HIDDEN TESTS
assert cost_report.passed, str(cost_report)
### END HIDDEN TESTS
cost_report

# %% [markdown] tags=["solution"]
# **Why this works.** An operator reads what it is given and writes what it returns, and it cannot do with less: so the model needs
# shapes only. Everything is in what *is* read.
#
# - A broadcast input is read as it is stored. `[1000, 1] + [1, 1000]` reads 2,000 elements and writes a million: 4 MB instead of
#   12.
# - `sum` reads M × N and writes M; its FLOPs belong to what it reads. The FLOPs of `add` belong to what it writes.
# - For a product, M × N × K multiplications, but only MK + KN + MN elements. This is the one operator of the six whose
#   FLOPs outgrow its elements, and so the one that becomes compute-bound on any GPU when it is large enough. If one of the
#   three sizes is 1, the advantage is gone.
# - Nothing here says how *fast* an operator is; a real kernel may read things twice. It says what no kernel can do without.

# %% [markdown]
# ## 2. `which_bound`
#
# Twelve operators, counted, and the numbers of one GPU. What takes longest for each: launching it, moving its bytes, or its
# arithmetic? The same operators come with several GPUs, and some of them change sides.
#
# | | |
# |---|---|
# | **input** | `operators`: a list of dicts with `name`, `n_launches`, `dram_bytes`, `flop_fp32`, `flop_tensor` (half-precision products); `gpu`: a dict with `bytes_per_s`, `fp32_flop_per_s`, `half_flop_per_s`, `tensor_flop_per_s` (`None` if it has no tensor cores), `launch_s` (seconds for one launch) |
# | **result** | a list with one word for each operator, in order: `"overhead"`, `"bandwidth"` or `"compute"`, whichever takes longest |
#
# Half-precision products run on the tensor cores, and at `half_flop_per_s` where there are none. If an operator has FLOPs
# of both kinds, their times add up.
#
# Before you write: can an operator without any FLOPs be compute-bound? Overhead-bound?


# %%
def which_bound(operators, gpu):
    ### BEGIN SOLUTION
    half_rate = gpu["tensor_flop_per_s"] or gpu["half_flop_per_s"]
    answers = []
    for operator in operators:
        seconds = {
            "overhead": operator["n_launches"] * gpu["launch_s"],
            "bandwidth": operator["dram_bytes"] / gpu["bytes_per_s"],
            "compute": operator["flop_fp32"] / gpu["fp32_flop_per_s"]
            + operator["flop_tensor"] / half_rate,
        }
        answers.append(max(seconds, key=seconds.get))
    return answers
    ### END SOLUTION


# %%
bound_report = tk.check("which_bound", which_bound)
### BEGIN HIDDEN TESTS
assert bound_report.passed, str(bound_report)
### END HIDDEN TESTS
bound_report

# %% [markdown] tags=["solution"]
# **Why this works.** Three times in seconds can be compared; FLOPs and bytes cannot. The roofline compares the last two by dividing
# them (intensity against ridge point), which gives the same answer and leaves no place for the first.
#
# - The rate has to be that of the units which the operator uses. With the float32 rate for a half-precision product nearly
#   everything looks compute-bound; on an A100 the two rates differ by 16.
# - Nothing is a property of the operator alone. A product may be compute-bound on a V100, memory-bound on an A100, and
#   overhead-bound on a B200, which is so fast at both that the launch is what remains.
# - Taking the longest is generous: it supposes that all three go on at the same time. A launch does not overlap with its own
#   kernel, which is why the time model of this course adds it.

# %% [markdown]
# ## 3. `smallest_compute_bound_batch`
#
# A linear layer computes `[B, n_in] @ [n_in, n_out]`. With one row (one user, one token) it is memory-bound: it reads all
# weights for two FLOPs each. With how many rows does its arithmetic take at least as long as its bytes?
#
# | | |
# |---|---|
# | **input** | `n_in`, `n_out`, `item_bytes` (of an element of input, weights and result); `flop_per_s`, `bytes_per_s`: all positive `int`s |
# | **result** | the smallest `B`, an `int` of 1 or more, with flop / flop_per_s ≥ n_bytes / bytes_per_s; `None` if no `B` is large enough |
# | **bytes** | the rows, the weights and the result, each once |
#
# The answer has to be exact. Python's `int` has no rounding, nor has `Fraction`; `/` on `int`s does.
#
# Before you write: many say that the batch has to be as large as the ridge point (in FLOPs for each element). What does that
# leave out?


# %%
def smallest_compute_bound_batch(n_in, n_out, item_bytes, flop_per_s, bytes_per_s):
    ### BEGIN SOLUTION
    flop_per_element = Fraction(flop_per_s * item_bytes, bytes_per_s)
    gain = 2 * n_in * n_out - flop_per_element * (n_in + n_out)
    if gain <= 0:
        return None
    return max(1, math.ceil(flop_per_element * n_in * n_out / gain))
    ### END SOLUTION


# %%
batch_report = tk.check("smallest_compute_bound_batch", smallest_compute_bound_batch)
### BEGIN HIDDEN TESTS
assert batch_report.passed, str(batch_report)
### END HIDDEN TESTS
batch_report

# %% [markdown] tags=["solution"]
# **Why this works.** With r FLOPs in the time of one element, the layer is compute-bound if 2 B n_in n_out ≥ r (B n_in + n_in n_out +
# B n_out). Put all terms with B on one side: B (2 n_in n_out − r (n_in + n_out)) ≥ r n_in n_out.
#
# - Each further row brings 2 n_in n_out FLOPs and costs n_in + n_out elements. If those cost more time than the FLOPs take, `gain`
#   is not positive, and no batch helps: a *narrow* layer is memory-bound for ever.
# - For very wide layers the rows hardly count, and B approaches r / 2: the ridge point itself, for 2 bytes an element. That is
#   the rule of thumb. On an H100 (ridge 295) a layer of 4096 × 4096 needs 346 rows rather than 295, one of 1024 × 1024 needs
#   698, and one of 512 × 512 is never compute-bound.
# - `math.ceil` of a `Fraction` is exact. With floats an exact tie comes out one too large or too small, depending on luck.
