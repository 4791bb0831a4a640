# %% [markdown]
# # Exercises: fusion by hand
#
# Four exercises for the chapter [Fusion by hand](../../notebooks/40_fusion_by_hand.ipynb). Nothing here needs a GPU:
# without one, your kernels are compiled as for a GPU and run on the emulator, and the counts are the same.
#
# Fill in each stub where it says `YOUR CODE HERE`; the number in brackets is how many lines the worked solution has. Run the
# cell, then the check below it. A check draws fresh inputs every time, shows the points, and says for each missing point which
# input failed, where, and by how much. Every failed attempt adds a hint, up to three. Time earns no points: launches and
# bytes do.

# %% tags=["setup"]
import inspect

import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit.kernels import gelu_claims
from teachkit.model import fusion
from teachkit.model.fusion import is_legal, n_launches, traffic_bytes, why_illegal

# %% [markdown]
# ## 1. `fused_gelu`
#
# Tanh-GELU is $y = \tfrac12\, x\, \bigl(1 + \tanh u\bigr)$ with $u = \sqrt{2/\pi}\,(x + 0.044715\,x^3)$. PyTorch, operator
# by operator, launches eight kernels and moves 18 elements for each element of `x`. Write one kernel that moves two.
#
# | | |
# |---|---|
# | **input** | `x`: float32, any shape, at least one element; it may be a view with gaps, such as `t[::2]` |
# | **result** | a new float32 tensor of the same shape, close to `F.gelu(x, approximate="tanh")` for every `x` from minus a million to a million |
# | **budget** | 1 launch of your own kernel, no PyTorch operator, 8 bytes of DRAM traffic an element: `x` read once, `y` written once |
# | **allowed besides** | views, `torch.empty_like`, and one `contiguous()` where `x` has gaps |
#
# A kernel cannot see Python's variables outside it: write $\sqrt{2/\pi}$ = 0.7978845608028654 as a number.
#
# Before you write: which value does the kernel need twice, and where is it meanwhile?


# %%
@triton.jit
def gelu_kernel(x_ptr, y_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    ### BEGIN SOLUTION
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    u = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tl.store(y_ptr + offsets, x * tl.sigmoid(2 * u), mask=mask)
    ### END SOLUTION


# %%
def fused_gelu(x):
    ### BEGIN SOLUTION
    x = x.contiguous()
    y = torch.empty_like(x)
    n_elements = x.numel()
    gelu_kernel[(triton.cdiv(n_elements, 1024),)](x, y, n_elements, BLOCK_SIZE=1024)
    return y
    ### END SOLUTION


# %%
gelu_report = tk.check("fused_gelu", fused_gelu)
### BEGIN HIDDEN TESTS
assert gelu_report.passed, str(gelu_report)
### END HIDDEN TESTS
gelu_report

# %% [markdown] tags=["solution"]
# **Why this works.** A program reads its block of `x` once; everything from the cube to the last product happens in
# registers, and only `y` goes back. The eight intermediates of the eager chain never exist in memory, so 18 elements an
# element become 2.
#
# - Triton has no `tl.tanh`, and $(e^{2u} - 1)/(e^{2u} + 1)$ becomes inf/inf = NaN for large $u$. Because
#   $\tfrac12(1 + \tanh u) = \sigma(2u)$, one sigmoid does the same without overflow: its exponential may go to infinity,
#   and one over infinity is the right 0.
# - `mask` keeps the last program from reading and writing past the end. Without it, round sizes work and 1025 elements do not.
# - The flat index `offsets` walks through memory in order. A view with gaps is not laid out in order, hence
#   `x.contiguous()`, which does nothing for a tensor that is. A transposed matrix without gaps is copied too; as the formula
#   does not care about order, `empty_like` alone would do for it.
# - `x.contiguous()` binds a new name inside the function: the caller's tensor stays as it was.

# %% [markdown]
# ## 2. `fused_bias_dropout_residual`
#
# The tail of a transformer block adds a bias, drops elements at random and adds the residual. Operator by operator that is
# three launches or more, and a mask that is written and read again. Write it as one kernel.
#
# | | |
# |---|---|
# | **input** | `x`, `residual`: float32 `[n_rows, n_cols]`, contiguous; `bias`: float32 `[n_cols]`; `p`: float, 0 <= p < 1; `seed`: int |
# | **result** | `y = residual + dropout(x + bias)`: a new float32 tensor `[n_rows, n_cols]` |
# | **dropout** | element number `i` of the flat matrix is kept exactly if `tl.rand(seed, i) > p`. A kept element is divided by `1 - p`, any other becomes 0 |
# | **budget** | 1 launch of your own kernel, no PyTorch operator; `x`, `residual` and `bias` read once, `y` written once |
#
# `tl.rand(seed, offsets)` computes a number between 0 and 1 from the seed and each offset alone. No state is kept anywhere.
# `tl.where(condition, a, b)` takes `a` where the condition holds and `b` elsewhere, element by element. `offsets // n_cols`
# and `offsets % n_cols` are what they are in Python.
# Before you write: how would a backward pass get the same mask, and what would it have to read for it?


# %%
@triton.jit
def bias_dropout_residual_kernel(
    x_ptr, bias_ptr, residual_ptr, y_ptr, n_elements, n_cols, p, seed, BLOCK_SIZE: tl.constexpr
):
    ### BEGIN SOLUTION
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    value = tl.load(x_ptr + offsets, mask=mask) + tl.load(
        bias_ptr + offsets % n_cols, mask=mask
    )
    keep = tl.rand(seed, offsets) > p
    residual = tl.load(residual_ptr + offsets, mask=mask)
    tl.store(y_ptr + offsets, residual + tl.where(keep, value / (1 - p), 0.0), mask=mask)
    ### END SOLUTION


# %%
def fused_bias_dropout_residual(x, bias, residual, p, seed):
    ### BEGIN SOLUTION
    y = torch.empty_like(x)
    n_elements, n_cols = x.numel(), x.shape[1]
    grid = (triton.cdiv(n_elements, 512),)
    bias_dropout_residual_kernel[grid](
        x, bias, residual, y, n_elements, n_cols, p, seed, BLOCK_SIZE=512
    )
    return y
    ### END SOLUTION


# %%
dropout_report = tk.check("fused_bias_dropout_residual", fused_bias_dropout_residual)
### BEGIN HIDDEN TESTS
assert dropout_report.passed, str(dropout_report)
### END HIDDEN TESTS
dropout_report

# %% [markdown] tags=["solution"]
# **Why this works.** `x`, `residual` and `y` are each touched once, in order. The bias is needed once for every row, but it is
# small: after the first row it comes from the cache, and DRAM sees it once. That is 12 bytes an element and 4 bytes a column.
#
# - The random number belongs to the element's flat index, so it does not depend on the block size or on which program
#   handles the element. With `tl.rand(seed, tl.arange(0, BLOCK_SIZE))` every block would drop the same places.
# - The mask never exists in memory. A backward pass calls `tl.rand` with the same seed and offsets and gets it again: it
#   reads 8 bytes of seed where a stored mask would cost a byte for every element, twice.
# - `tl.where` rather than `keep * value`: a value that overflowed would give inf * 0 = NaN in a place that was dropped.

# %% [markdown]
# ## 3. `plan_fusion`
#
# Which operators should share a kernel? A *plan* puts every operator of a graph into exactly one group, and each group
# becomes one kernel: it reads each tensor made outside it once and writes each tensor that is wanted outside it once. The rules:
#
# - an **opaque** operator (a matmul from a library) is alone in its group;
# - the operators of a group run over the same number of elements, since one kernel has one loop;
# - nobody reads a **reduction** made in the same group: it is finished only when the kernel ends (chapter 41 is about ways out);
# - no two groups wait for each other.
#
# | | |
# |---|---|
# | **input** | `graph`: a `teachkit.model.fusion.Graph` of 1 to 8 operators; `graph.names` lists them in an order in which they can run |
# | **result** | a list of sets of operator names: the legal plan that moves the fewest bytes and, among those, has the fewest launches |
#
# Given are `is_legal(graph, plan)`, `traffic_bytes(graph, plan)`, `n_launches(graph, plan)`, and `why_illegal(graph, plan)`, which
# says which rule a plan breaks (`None` if it breaks none). Of a graph you may also use `graph[name].inputs`, the tensors that an
# operator reads, and `graph[name].kind`. Here are two plans for the graph of GELU.

# %%
gelu_graph = fusion.tanh_gelu_graph(1000)
eager_plan = [{name} for name in gelu_graph.names]
half_plan = [{"cube", "scaled", "inner", "argument"}, {"tanh", "one_plus", "half_x", "gelu"}]
for tried in (eager_plan, half_plan):
    assert is_legal(gelu_graph, tried)
    print(
        f"{n_launches(gelu_graph, tried)} launches, {traffic_bytes(gelu_graph, tried) // 4000} elements an element"
    )

# %% [markdown]
# And this is how you draw a graph of your own: its inputs with their sizes, its operators (name, kind, what it reads, size), and
# the names of its results. Here every element is divided by the total.

# %%
total = fusion.Node("total", "reduction", ("x",), 1)
share = fusion.Node("share", "pointwise", ("x", "total"), 1000)
share_graph = fusion.Graph({"x": fusion.Tensor(1000)}, (total, share), ("share",))
print("both in one group:", why_illegal(share_graph, [{"total", "share"}]))
print("each alone:       ", why_illegal(share_graph, [{"total"}, {"share"}]))

# %% [markdown]
# Before you write: is it enough to join two neighbours whenever that is legal? Or always to make the join that saves most?
# Look for a graph where one join stands in the way of something better.


# %%
def plan_fusion(graph):
    ### BEGIN SOLUTION
    plans = [[]]
    for name in graph.names:
        grown = [
            [*plan[:index], group | {name}, *plan[index + 1 :]]
            for plan in plans
            for index, group in enumerate(plan)
        ]
        plans = grown + [[*plan, {name}] for plan in plans]
    legal = [plan for plan in plans if is_legal(graph, plan)]
    return min(legal, key=lambda plan: (traffic_bytes(graph, plan), n_launches(graph, plan)))
    ### END SOLUTION


# %%
plan_report = tk.check("plan_fusion", plan_fusion)
### BEGIN HIDDEN TESTS
assert plan_report.passed, str(plan_report)
### END HIDDEN TESTS
plan_report

# %% [markdown] tags=["solution"]
# **Why this works.** Each operator either joins one of the groups made so far or opens a new one, which yields every partition
# exactly once: 1, 2, 5, 15, 52, 203, 877, 4,140 of them for 1 to 8 operators (the Bell numbers). All are compared.
#
# Joining neighbours one by one does not do. A join that saves bytes now may put an operator on the far side of a matmul or
# a reduction, where it keeps a later and larger saving from being legal; and operators that only share an input, with no edge
# between them, are never looked at. But 50 operators have about 10 to the power 47 partitions. That is why TorchInductor
# does join greedily, scored by the bytes each join saves, and why the order it tries them in matters.

# %% [markdown]
# ## 4. `is_it_fused`
#
# Six ways to write tanh-GELU, each with a claim in its docstring. Judge them by **traffic with main memory**: how many elements
# does each one read and write there for each element of a large float32 `x`? Fused means 2. Return a dictionary with one whole
# number for each name, such as `{"numpy_one_liner": 5, ...}`.
#
# - PyTorch and Triton run on the GPU: every launch reads each of its tensors once and writes each of its results once.
#   The two kernels' own code is not shown: which tensors they get says enough.
# - NumPy runs on the CPU with a cache of 1 MiB: what was used a moment ago and fits is not read or written again.

# %%
print(f"C = {gelu_claims.C}")
print(f"CHUNK = {gelu_claims.CHUNK}\n\n")
for claim in gelu_claims.CLAIMS:
    print(inspect.getsource(claim))


# %%
def is_it_fused():
    """Elements moved for each element of x, by name of the claim."""
    ### BEGIN SOLUTION
    return {
        "numpy_one_liner": 18,
        "numpy_chunks": 2,
        "torch_in_place": 18,
        "torch_library": 2,
        "triton_kernel": 2,
        "triton_one_launch": 3,
    }
    ### END SOLUTION


# %%
fused_report = tk.check("is_it_fused", is_it_fused)
### BEGIN HIDDEN TESTS
assert fused_report.passed, str(fused_report)
### END HIDDEN TESTS
fused_report

# %% [markdown] tags=["solution"]
# **Why this is so.** Fusion is about what leaves the chip, not about lines, operators or launches. Write the operators of a
# claim below each other, note what each reads and writes, and strike out what is still in a register or in the cache. What
# remains is the answer, and `tk.profile()` or `count_numpy` (of `teachkit.measure.numpy_traffic`) can confirm it.
#
# | claim | moves | because |
# |---|---|---|
# | `numpy_one_liner` | 18 | eight ufuncs, each over the whole array: six with a number (2 each) and two with two arrays (3 each) |
# | `numpy_chunks` | 2 | the same eight passes over a chunk that stays in the cache; main memory sees `x` and `y`. numexpr works like this |
# | `torch_in_place` | 18 | in place saves an allocation, not a read or a write |
# | `torch_library` | 2 | somebody wrote this fused kernel by hand, as you did in exercise 1 |
# | `triton_kernel` | 2 | one load, one store |
# | `triton_one_launch` | 3 | one launch, but the gate is written too. Keeping it may be right for training; it is not free |
