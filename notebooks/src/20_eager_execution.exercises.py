# %% [markdown]
# # Exercises: eager execution
#
# Three exercises for the chapter [Eager execution](../../notebooks/20_eager_execution.ipynb). They need no GPU: operators
# are counted, not timed.
#
# Fill in each stub where it says `YOUR CODE HERE`; the number in brackets is how many lines the worked solution has. Run
# the cell, then the check below it. A check draws fresh inputs every time, shows the points, and says for each missing
# point which input failed and how. Every failed attempt adds a hint, up to three. Time earns no points: launches, bytes
# and waits do.

# %% tags=["setup"]
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import teachkit as tk

# %% [markdown]
# ## 1. `count_launches`
#
# Write the counter that this course counts operators with. You are given a program; run it once and say how many kernels
# a GPU would launch for it, at one launch an operator.
#
# | | |
# |---|---|
# | **input** | `program`: a function without arguments that runs PyTorch operators |
# | **result** | the number of operators that launch a kernel, an `int` |
# | **a launch** | every operator that PyTorch's dispatcher runs, also those in place and those of a backward pass |
# | **no launch** | views (`x.t()`, slices), allocations (`torch.empty` and its relatives) and reads on the host (`item()`) |
# | **budget** | `program` runs exactly once, and your own counter counts, not `tk.profile()` |
#
# `TorchDispatchMode` is a class whose method `__torch_dispatch__(self, func, types, args=(), kwargs=None)` is called for
# every operator while the mode is on (`with` turns it on). It has to make the call itself: `func(*args, **(kwargs or {}))`.
# What you may ask of `func`: `func.is_view`, and its name `func.overloadpacket.__name__`.
#
# Before you write: `x.t().reshape(-1)` makes the dispatcher run three operators. Print them. Which of them move elements?


# %%
class LaunchCounter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n_launches = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        ### BEGIN SOLUTION
        free = ("empty", "new_empty", "_unsafe_view", "_local_scalar_dense")
        if not func.is_view and not func.overloadpacket.__name__.startswith(free):
            self.n_launches += 1
        return func(*args, **(kwargs or {}))
        ### END SOLUTION


# %%
def count_launches(program):
    ### BEGIN SOLUTION
    with LaunchCounter() as counter:
        program()
    return counter.n_launches
    ### END SOLUTION


# %%
count_report = tk.check("count_launches", count_launches)
### BEGIN HIDDEN TESTS
assert count_report.passed, str(count_report)
### END HIDDEN TESTS
count_report

# %% [markdown] tags=["solution"]
# **Why this works.** Whatever Python calls, `x + 1`, `torch.add`, a layer, a backward pass, ends at the dispatcher, and a
# dispatch mode sees each operator there once, after PyTorch has split up what is made of smaller operators.
#
# - A view returns a tensor that points into the same memory: nothing to compute, nothing to launch. Its schema says so, and
#   `func.is_view` reads the schema.
# - An allocation takes memory and leaves it as it is. A *filled* tensor (`zeros`, `ones`) is a launch: somebody has to write.
# - `_unsafe_view` is the view at the end of `reshape` and of a batched `@`. The schema calls it no view, because its input is
#   a temporary that nobody else can see; it moves nothing all the same.
# - To ask "does the result share memory with an input?" instead would be wrong for operators in place: `add_` returns its
#   input and does launch.
# - `_foreach_add_` is one call and one launch here, however many tensors are in its list. That is the next exercise.

# %% [markdown]
# ## 2. `fewer_launches`
#
# One step of SGD with momentum: for each parameter tensor $p$ with gradient $g$ and momentum $m$,
#
# $$m \leftarrow \beta\, m + g, \qquad p \leftarrow p - \mathit{lr}\; m$$
#
# A model has many parameter tensors, most of them small. The loop over them below launches three operators for each one: 60
# for 20 tensors. Do the same step with three launches in all.
#
# | | |
# |---|---|
# | **input** | `params`, `grads`, `momenta`: lists of float32 tensors, the same shape at the same index; `lr`, `beta`: floats |
# | **result** | nothing is returned: `params` and `momenta` are changed **in place**, `grads` stay as they are |
# | **budget** | at most 3 launches for any number of tensors; no more bytes than the loop: 32 for each element (8 elements) |


# %%
def slow_step(params, grads, momenta, lr, beta):
    for p, g, m in zip(params, grads, momenta, strict=True):
        m.mul_(beta)
        m.add_(g)
        p.add_(m, alpha=-lr)


# %%
twenty = [[torch.ones(100, device=tk.device()) for _ in range(20)] for _ in range(3)]
with tk.profile() as slow_prof:
    slow_step(*twenty, lr=0.1, beta=0.9)
print(
    slow_prof.n_launches,
    "launches,",
    slow_prof.dram_bytes / (20 * 100),
    "bytes for each element",
)

# %% [markdown]
# Before you write: could you join all tensors to a long one, and step that? How many bytes would it cost to join them and to
# take them apart again?


# %%
def fewer_launches(params, grads, momenta, lr, beta):
    ### BEGIN SOLUTION
    torch._foreach_mul_(momenta, beta)
    torch._foreach_add_(momenta, grads)
    torch._foreach_add_(params, momenta, alpha=-lr)
    ### END SOLUTION


# %%
step_report = tk.check("fewer_launches", fewer_launches)
### BEGIN HIDDEN TESTS
assert step_report.passed, str(step_report)
### END HIDDEN TESTS
step_report

# %% [markdown] tags=["solution"]
# **Why this works.** An operator of the `_foreach_` family takes lists. On a GPU one kernel runs through all tensors of the
# list (in practice one for every few dozen tensors, since the addresses have to fit into a launch's arguments). `torch.optim`
# does this by default on a GPU (its option `foreach`).
#
# - 60 launches become 3. The bytes stay the same: `mul_` reads and writes `m`, 2 elements; each `add_` reads two
#   tensors and writes one, 3 elements; 8 in all. So this helps where launches are the cost, in models of many small
#   tensors, and nowhere else.
# - Joining with `torch.cat` has few launches too, but reads and writes everything once more on the way in and on the way
#   out. (Optimisers that *keep* their tensors joined pay that once.)
# - The least would be 5 elements: read `p`, `g`, `m`, write `p`, `m`, in one launch. That takes one kernel for all three steps:
#   operator fusion, chapter 40. PyTorch ships one for SGD and one for Adam (option `fused`), and for no optimiser you invent.

# %% [markdown]
# ## 3. `hidden_sync`
#
# Gradient descent on a linear model, with its gradient clipped to norm 1 and its losses logged. Where does it wait for the
# GPU? Find every place, and write it with **one** wait, however many steps there are.
#
# | | |
# |---|---|
# | **input** | `features` float32 `[n_rows, n_columns]`, `targets` `[n_rows]`, `weights` `[n_columns]`; `lr` float; `n_steps` int, at least 1 |
# | **result** | the tuple `(weights, history)`: the tensor of the weights after the last step, and a list of `n_steps` Python floats, the loss *before* each step. The inputs stay as they are |
# | **a wait** | `item()`, `float(t)`, `bool(t)`, `if t:`, `tolist()`, `numpy()`, `cpu()`, and operators whose result's shape depends on data |
# | **budget** | at most 1 wait |


# %%
def slow_descent(features, targets, weights, lr, n_steps):
    history = []
    while len(history) < n_steps:
        error = features @ weights - targets
        loss = (error**2).mean()
        history.append(loss.item())
        grad = 2 / len(targets) * (features.t() @ error)
        norm = grad.norm()
        if norm > 1:
            grad = grad / norm
        weights = weights - lr * grad
    return weights, history


# %%
torch.manual_seed(0)
data = (
    torch.randn(50, 4, device=tk.device()),
    torch.randn(50, device=tk.device()),
    torch.zeros(4, device=tk.device()),
)
with tk.profile() as waiting_prof:
    slow_descent(*data, lr=0.05, n_steps=100)
print(waiting_prof.n_syncs, "waits in 100 steps")

# %% [markdown]
# `tk.profile()` counts waits as `n_syncs` where they pass the dispatcher. `tolist()`, `numpy()` and `cpu()` do not on a CPU,
# though on a GPU they would wait; the check counts them everywhere.
#
# Before you write: which of the values that Python reads does it need *now*, and which only at the end?


# %%
def hidden_sync(features, targets, weights, lr, n_steps):
    ### BEGIN SOLUTION
    losses = []
    for _ in range(n_steps):
        residual = features @ weights - targets
        losses.append((residual**2).mean())
        slope = 2 / len(targets) * (features.t() @ residual)
        weights = weights - lr * slope / slope.norm().clamp(min=1)
    return weights, torch.stack(losses).tolist()
    ### END SOLUTION


# %%
sync_report = tk.check("hidden_sync", hidden_sync)
### BEGIN HIDDEN TESTS
assert sync_report.passed, str(sync_report)
### END HIDDEN TESTS
sync_report

# %% [markdown] tags=["solution"]
# **Why this works.** A tensor on a GPU can be computed with before it is there; only its *value* on the host makes Python wait.
#
# - The losses are wanted as numbers, but not now: the list keeps tensors, and one `tolist` at the end reads all of them.
# - `if norm > 1` looks harmless. It calls `bool` on a tensor, and Python cannot choose a branch without the value. The
#   choice becomes arithmetic: dividing by `clamp(norm, min=1)` is dividing by 1 where nothing is to be clipped.
# - `torch.where(norm > 1, grad / norm, grad)` is right too, also for a gradient of zero: 0 / 0 is NaN there, but `where` takes
#   the other side. Multiplying with the truth value, `(norm > 1) * grad / norm`, would
#   let the NaN through.
# - Without waits the host runs ahead and the queue is never empty. With two of them in each step the GPU idles while Python
#   and the dispatcher prepare the next operators: the lecture's interactive figure with "Host waits" turned on.
