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
# # 20 Eager execution
#
# PyTorch runs a program one [operator](glossary/operator.md) at a time, at the moment when Python reaches it. That is why
# it is pleasant to write and to debug. It also has two prices: one for every operator, however little it does, and one for
# every byte that operators pass to each other through memory. In this chapter you count both, and learn to say which of
# them a program is paying.
#
# **Objective.** For a few lines of PyTorch you can say, before running them, how many kernels they launch, how many
# bytes they move and where Python has to wait; and you can tell whether fewer launches, fewer bytes or a faster GPU
# would help.
#
# **Prerequisites.** [00 Start here](00_start_here.ipynb). Some PyTorch.
#
# **Time.** 45 minutes, and about an hour for the exercises.

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch.utils._python_dispatch import TorchDispatchMode

import teachkit as tk
from teachkit.hardware.spec import gpu
from teachkit.measure import time_function
from teachkit.measure.operator_registry import registered_operators
from teachkit.model.timeline import timeline
from teachkit.viz.explore_timeline import explore_timeline
from teachkit.viz.plot_timeline import plot_cost_of_size, plot_timeline

# %% [markdown]
# ## One operator
#
# What happens at `y = x + 1`, if `x` is a tensor on a GPU?
#
# 1. **Python** looks up what `+` means for a tensor and calls PyTorch.
# 2. PyTorch's [dispatcher](glossary/dispatcher.md) picks the code for this operator, device and type of number.
# 3. Memory for `y` is taken. (Taken, not filled.)
# 4. Through the *driver*, the vendor's software, a [kernel](glossary/kernel.md) is put into the GPU's queue: the
#    [launch](glossary/kernel-launch.md). Python goes on with the next line *at once*; the launch is
#    [asynchronous](glossary/asynchronous.md).
# 5. Later, the **GPU** starts the kernel, which reads `x` from its [memory](glossary/dram.md), adds, and writes `y` back to
#    memory.
#
# Steps 1 to 4 happen on the [host](glossary/host-and-device.md), the CPU; step 5 on the device, the GPU. Without a GPU the
# CPU does all five. Every operator passes the dispatcher, so that is the place to look. A *dispatch mode* is called for each
# one, gets the operator as `func`, and has to make the call itself; this one writes down the operators' names.


# %%
class Watch(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


# %% [markdown]
# **Predict before you run.** `x` is a matrix. Which of these nine lines launch a kernel, and how many each?
# Write nine numbers down.

# %%
x = torch.ones(100, 50, device=tk.device())
LINES = {
    "x + 1": lambda: x + 1,
    "2 * x * x": lambda: 2 * x * x,
    "x.t()": lambda: x.t(),
    "x[:, ::2]": lambda: x[:, ::2],
    "x.reshape(-1)": lambda: x.reshape(-1),
    "x.t().reshape(-1)": lambda: x.t().reshape(-1),
    "torch.empty(100)": lambda: torch.empty(100, device=x.device),
    "torch.zeros(100)": lambda: torch.zeros(100, device=x.device),
    "x.sum().item()": lambda: x.sum().item(),
}

# %% [markdown]
# `tk.profile()` counts launches: it is a dispatch mode too, which knows what is free. Everything else it counts as one
# launch, with or without a GPU in the machine.

# %%
print(f"{'line':19} launches  operators that passed the dispatcher")
for line, run in LINES.items():
    with Watch() as watch, tk.profile() as line_prof:
        run()
    print(f"{line:19} {line_prof.n_launches:8}  {', '.join(watch.names)}")

# %% [markdown]
# <details><summary>Why are some free?</summary>
#
# - `x.t()`, `x[:, ::2]` and `x.reshape(-1)` are **views**: another way to look at the same memory. No element is touched.
# - `x.t().reshape(-1)` looks as harmless, but no view can put the columns of `x` behind each other in memory: it has to copy
#   (`clone`), and that is a launch.
# - `empty` takes memory and leaves it as it is; `zeros` has to write.
# - `item()` (`_local_scalar_dense` inside) launches nothing. It does something that can be worse: it makes Python wait. More of
#   that below.
# </details>
#
# ## The price of an operator
#
# How long does an addition take? Measure it, for tensors from 1 element to 4 million. The result goes into a tensor that
# exists already, so that only the addition is timed and not the search for memory. On a CPU one thread works, since the
# start of more threads, which PyTorch uses for large tensors, would mix a second price in. The fastest of 30 runs counts:
# other programs on the machine can only make a run slower.
#
# **Predict before you run.** An addition of 4,096 elements takes how many times as long as an addition of one element?


# %%
def add_one(source, result):
    torch.add(source, 1, out=result)


# %% tags=["nbval-ignore-output"]
n_threads = torch.get_num_threads()
torch.set_num_threads(1)
one_add = {}
for log2 in range(0, 23, 2):
    source, result = (torch.ones(2**log2, device=tk.device()) for _ in range(2))
    one_add[2**log2] = min(time_function(add_one, source, result, n_runs=30).times_s)
torch.set_num_threads(n_threads)
print(f"measured on this machine's {tk.device().type}")
for n in (1, 4096, 2**22):
    print(f"one addition of {n:9,} elements: {one_add[n] * 1e6:8.1f} microseconds")
print(f"4,096 elements take {one_add[4096] / one_add[1]:.2f} times as long as one")

# %% tags=["nbval-ignore-output"]
many_adds = {n: n * one_add[1] for n in one_add if n <= 4096}
plot_cost_of_size(
    {"one addition of n elements": one_add, "n additions of one element": many_adds},
    how=f"measured on this machine's {tk.device().type}",
)

# %% [markdown]
# *In words: the solid line is flat up to some thousand elements and then rises in proportion to n. The dashed line, n
# additions of one element each (n times the measured price of one), rises from the start.*
#
# First a **floor**, then a **slope**. On the floor you pay for Python, the dispatcher and the start of a kernel, the same
# for one element as for a thousand: [launch overhead](glossary/launch-overhead.md). On the slope you pay for bytes. So a
# thousand elements in one operator cost about what one element costs, and a thousand operators cost a thousand floors.
#
# ## Where the floor ends
#
# On a GPU the floor is a few microseconds, too. Others have measured it on the three GPUs below (who and how, says
# `gpu(name).source("small_kernel_s")`). The slope begins where moving the bytes, 8 for each element (4 read, 4 written),
# takes as long as the floor.
#
# **Predict before you run.** The memory of an H200 is 2.6 times as fast as that of an A100 with 40 GB. Does its floor end
# at a smaller or at a larger tensor?


# %%
for name in ("A100-SXM4-40GB", "A100-SXM4-80GB", "H200-SXM5-141GB"):
    spec = gpu(name)
    n_ends = spec.small_kernel_s * spec.dram_triad_bytes_per_s / 8
    gb_per_s = spec.dram_triad_bytes_per_s / 1e9
    floor = f"floor {spec.small_kernel_s * 1e6:.1f} us"
    print(f"{name:15} {floor}, memory {gb_per_s:5,.0f} GB/s (both cited)")
    print(f"{'':15} the floor ends at {n_ends:,.0f} elements (modelled)")

# %% [markdown]
# At a *larger* one. From the A100 to the H200 a launch became hardly cheaper, while memory became 2.6 times as fast; so a
# tensor has to be larger before the GPU is busy with it rather than with starting. Well below a million elements, a
# [pointwise](glossary/pointwise.md) operator on an H200 costs hardly more than the smallest kernel.
#
# ## Eight operators for one formula
#
# Now a formula that takes several operators: tanh-GELU, the function between the two matrix products of a transformer's
# feed-forward layer,
#
# $$\begin{aligned} \mathrm{gelu}(x) &= \tfrac12\,x\,(1 + \tanh u) \\ u &= \sqrt{2/\pi}\,(x + 0.044715\,x^3) \end{aligned}$$

# %%
SCALE = math.sqrt(2 / math.pi)
N = 2**20


def gelu_by_hand(x):
    return 0.5 * x * (1 + torch.tanh(SCALE * (x + 0.044715 * x**3)))


# %% [markdown]
# **Predict before you run.** How many launches is this line? If each operator reads its tensors of N elements from memory
# and writes a tensor of N elements back, how many elements move in all, as a multiple of N?

# %%
torch.manual_seed(0)
values = torch.randn(N, device=tk.device())
with tk.profile() as by_hand:
    y_by_hand = gelu_by_hand(values)
for report in by_hand.kernels:
    print(
        f"{report.name:10} reads {report.counters.dram_read_bytes / 4 / N:.0f} N"
        f"  writes {report.counters.dram_write_bytes / 4 / N:.0f} N"
    )
print(f"{by_hand.n_launches} launches, {by_hand.dram_bytes / 4 / N:.0f} N elements moved")

# %% [markdown]
# <details><summary>Where do 8 and 18N come from?</summary>
#
# The operators in Python's order (`aten` is PyTorch's own collection of operators): `0.5 * x`, `x ** 3`, `0.044715 * …`,
# `x + …`, `SCALE * …`, `tanh`, `1 + …`, and the last `*`. Six of them read one tensor and write one (2N each), two read two
# and write one (3N each): 12N + 6N.
# </details>

# %% [markdown]
# No operator knows what comes next. `x ** 3` cannot leave its result in a [register](glossary/register.md) for
# `0.044715 * …` to pick up, because its kernel is over by then; the only place that outlives a kernel is memory.
#
# PyTorch has an operator for the whole formula.

# %%
with tk.profile() as built_in:
    y_built_in = F.gelu(values, approximate="tanh")
torch.testing.assert_close(y_by_hand, y_built_in, rtol=1e-5, atol=1e-6)
print(f"{built_in.n_launches} launch, {built_in.dram_bytes / 4 / N:.0f} N elements moved")

# %% [markdown]
# ## Do real kernels move that much?
#
# The dispatcher sees tensors, not kernels: "18N" is what eight operators *take and return*. Check it against kernels. Here is
# one in [Triton](glossary/triton.md) that can do each of the eight, depending on `OP`, which is fixed when it is
# compiled. (tanh(a) = 2 sigmoid(2a) − 1.)


# %%
@triton.jit
def operator_kernel(
    a_ptr, b_ptr, out_ptr, n_elements, c, OP: tl.constexpr, BLOCK_SIZE: tl.constexpr
):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    a = tl.load(a_ptr + offsets, mask=mask)
    if OP == "add" or OP == "mul":
        b = tl.load(b_ptr + offsets, mask=mask)
        out = a + b if OP == "add" else a * b
    elif OP == "tanh":
        out = 2 * tl.sigmoid(2 * a) - 1
    else:
        out = a * a * a if OP == "cube" else (c * a if OP == "scale" else c + a)
    tl.store(out_ptr + offsets, out, mask=mask)


# %%
def launch(op, a, b=None, c=0.0):
    out = torch.empty_like(a)
    operator_kernel[(triton.cdiv(a.numel(), 1024),)](
        a, a if b is None else b, out, a.numel(), c, op, 1024
    )
    return out


def gelu_in_eight_kernels(x):
    cube = launch("scale", launch("cube", x), c=0.044715)
    tanh = launch("tanh", launch("scale", launch("add", x, cube), c=SCALE))
    return launch("mul", launch("scale", x, c=0.5), launch("shift", tanh, c=1.0))


# %%
with tk.profile() as real_kernels:
    y_kernels = gelu_in_eight_kernels(values)
torch.testing.assert_close(y_kernels, y_built_in, rtol=1e-5, atol=1e-6)
moved = real_kernels.total.global_load_bytes + real_kernels.total.global_store_bytes
print(f"dispatcher: {by_hand.n_launches} launches, {by_hand.dram_bytes / 4 / N} N")
print(f"kernels:    {real_kernels.n_launches} launches, {moved / 4 / N} N loaded and stored")

# %% [markdown]
# Eight compiled kernels, run and counted load by load, agree with what the dispatcher's tensors said. From here on we let
# the dispatcher count.
#
# ## Who waits for whom?
#
# Now put the operators on a time axis: on top what the host does, below what the GPU does. Two assumptions: the GPU is an
# A100 and its kernels take the time that the model gives; and the host spends 5 microseconds on each operator. The second one
# is **assumed**: it depends on the CPU, and you will change it in a moment. (Your own CPU's floor, measured above, contains
# Python and the dispatcher, but no driver of a GPU.)
#
# **Predict before you run.** The same eight operators, once on 1,024 elements and once on 4 million. In which case does the
# GPU wait for the host?

# %%
SMALL, LARGE = 2**10, 2**22
programs = {"by hand": gelu_by_hand, "built in": lambda x: F.gelu(x, approximate="tanh")}
plans = {}
for title, n_elements in (("by hand", SMALL), ("by hand", LARGE), ("built in", LARGE)):
    sample = torch.ones(n_elements, device=tk.device())
    with tk.profile() as sized:
        programs[title](sample)
    plans[f"{title}, {n_elements:,} elements"] = timeline(sized, "A100-SXM4-40GB", host_s=5e-6)
STEPS = ("0.5 * x", "x ** 3", "0.044 *", "x +", "0.798 *", "tanh", "1 +", "last *")
plot_timeline(plans, labels={title: STEPS for title in plans if "hand" in title})

# %% [markdown]
# *In words (each of the three has a time axis of its own; 0.044 stands for 0.044715, 0.798 for √(2/π)): with 1,024 elements
# the host is busy all the time, and the GPU does a little work after each launch and then idles: nearly half of the time.
# With 4 million elements the host has queued everything within 40 of 245 microseconds, and from the first launch on the GPU is
# never without work. Built in: one launch, a ninth of the bytes, 32 microseconds.*
#
# These are two different diseases.
#
# - **Small tensors: overhead-bound.** The host cannot launch as fast as the GPU finishes. Fewer bytes do not help, a faster
#   GPU does not help; fewer operators do, or a faster host.
# - **Large tensors: [memory-bound](glossary/memory-bound.md).** The queue is full, and the bytes decide. A faster host does
#   not help; fewer bytes do.
#
# The built-in operator cures both, because it has fewer launches *and* fewer bytes.
#
# ## Try it
#
# **Predict before you touch anything:**
#
# 1. At which size does the GPU stop idling, with a host of 5 µs? And with a host twice as fast?
# 2. Choose an H100 instead of an A100 for 1,024 elements. What changes?
# 3. Turn on "Host waits": after each operator, the host stands still until the GPU has finished it. What does it cost for
#    small tensors, and what for large ones?

# %% tags=["nbval-ignore-output"]
explore_timeline({"by hand": by_hand, "built in": built_in}, N, labels={"by hand": STEPS})

# %% [markdown]
# <details><summary>Answers</summary>
#
# 1. Where a kernel takes longer than the host needs for an operator: around 2<sup>19</sup> elements. With 2.5 µs the host is
#    about as fast as the floor of the kernels, so the GPU is busy about 90 % of the time or more at any size.
# 2. Next to nothing. The total is 8 times the host's 5 µs, plus one kernel.
# 3. With 1,024 elements, 8 × (5 + 2.7) instead of 8 × 5 + 2.7 microseconds: nearly half as much again. With 2<sup>24</sup>, the
#    same 35 µs more, on top of 909: 4 %.
# </details>
#
# ## Waiting for a number
#
# What makes the host wait? Anything that needs a *value* of a tensor, and not only the tensor. Python cannot print a number,
# or choose a branch, before the GPU has computed it. The profile counts it as `n_syncs`
# ([synchronisation](glossary/synchronisation.md)).
#
# **Predict before you run.** Which of these make the host wait?

# %%
losses = values[:1000] ** 2
READS = {
    "losses.sum()": lambda: losses.sum(),
    "losses.sum().item()": lambda: losses.sum().item(),
    "float(losses[0])": lambda: float(losses[0]),
    "if losses[0] > 1: ...": lambda: 1 if losses[0] > 1 else 0,
    "losses.shape[0]": lambda: losses.shape[0],
    "losses.clamp(max=1)": lambda: losses.clamp(max=1),
    "losses[losses > 1]": lambda: losses[losses > 1],
    "losses.masked_fill(losses > 1, 1)": lambda: losses.masked_fill(losses > 1, 1),
}
for question, read in READS.items():
    with tk.profile() as read_prof:
        read()
    print(f"{question:35} {read_prof.n_syncs} waits, {read_prof.n_launches} launches")

# %% [markdown]
# `if losses[0] > 1` waits, though no `item()` is to be seen: Python asks the tensor for a truth value. `losses[losses > 1]` waits
# because nobody knows how long the result is before the GPU has counted. `clamp` and `masked_fill` decide element by element,
# on the GPU, and nobody waits. The exercise `hidden_sync` has a training loop with two waits in every step.
#
# ## More operators, fewer bytes
#
# `F.gelu` is faster because somebody wrote a kernel for this formula and made it an operator. PyTorch grew by doing so,
# again and again. Another example is attention: scores $QK^\top$, softmax, times $V$, where Q, K and V have a row of 64
# numbers for each of the S words of a text. By hand, the scores are a matrix of S × S for each head (here 4 of them, each
# with a Q, K and V of its own), and softmax makes another.
#
# **Predict before you run.** If S doubles, by what does the traffic of each version grow? (The last two columns are by hand
# over built in: bytes, and [FLOPs](glossary/flop.md), the additions and multiplications.)


# %%
def attention_by_hand(q, k, v):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    return torch.softmax(scores, dim=-1) @ v


# %%
print(f"{'S':>5} | {'by hand':>21} | {'built in':>21} | {'bytes':>6} {'FLOP':>5}")
for length in (128, 256, 512, 1024):
    q, k, v = (torch.randn(1, 4, length, 64, device=tk.device()) for _ in range(3))
    with tk.profile() as hand:
        expected = attention_by_hand(q, k, v)
    with tk.profile() as sdpa:
        torch.testing.assert_close(
            F.scaled_dot_product_attention(q, k, v), expected, rtol=1e-4, atol=1e-5
        )
    own = sdpa.kernels[0].counters  # the attention; what follows it is the comparison
    cells = (
        f"{c.n_launches} launches, {c.dram_bytes / 1e6:6.1f} MB" for c in (hand.total, own)
    )
    ratios = f"{hand.dram_bytes / own.dram_bytes:5.1f}x {hand.flop / own.flop:4.2f}x"
    print(f"{length:5} | {next(cells):>21} | {next(cells):>21} | {ratios}")

# %% [markdown]
# By hand the traffic grows nearly fourfold, with S², and built in twofold, with S: at 1,024 it moves 25 times fewer bytes
# for the same arithmetic (within 3 %). That is more than "several operators in one". What the dispatcher counted is what
# attention takes and returns, the least that any version must move; only a kernel that never has the S × S matrix at once
# can come near it. How such a kernel manages that is the subject of chapter 43.
#
# ## How many operators are there?
#
# If every useful chain becomes an operator, how many operators does that make? The dispatcher has a list.
#
# **Predict before you run.** How many operators does the PyTorch on this machine have: 200, 600, 2,000 or 5,000?

# %%
aten = registered_operators()["aten"]
print(f"aten, PyTorch's own: {len(aten.names):,} names,")
print(f"{aten.n_overloads:,} overloads (same name, other arguments)")
KINDS = {
    "in place (add_)": lambda name: name.endswith("_"),
    "backward passes": lambda name: "backward" in name,
    "on lists of tensors (_foreach_add)": lambda name: "_foreach_" in name,
    "attention": lambda name: "attention" in name,
    "gelu": lambda name: "gelu" in name,
}
for kind, wanted in KINDS.items():
    print(f"  {kind:35} {len(aten.matching(wanted)):4}")

# %% [markdown]
# Other parts of PyTorch register operators as well: for quantised numbers, sparse tensors, communication between GPUs. How many,
# depends on the build.

# %% tags=["nbval-ignore-output"]
everything = registered_operators().values()
print(f"all {len(everything)} namespaces of this build:")
print(f"{sum(len(space.names) for space in everything):,} names")
print(f"{sum(space.n_overloads for space in everything):,} overloads")

# %% [markdown]
# "How many operators" has no single answer, which is worth remembering when you read such a number. Whoever builds a new chip
# has to care about something between 1,500 and 3,600 of them. Chapter 53 follows the compiler that brings them down to a few
# hundred.
#
# ## Something that does not help
#
# "Operators in place (`mul_`, `add_`) save memory traffic, because they make no new tensor." Test it.
#
# **Predict before you run.** Launches and elements moved, in place?


# %%
def gelu_in_place(x):
    y = x**3
    y.mul_(0.044715).add_(x).mul_(SCALE).tanh_().add_(1)
    return y.mul_(x).mul_(0.5)


# %%
with tk.profile() as in_place:
    torch.testing.assert_close(gelu_in_place(values), y_built_in, rtol=1e-5, atol=1e-6)
chain = in_place.kernels[:8]  # what follows is the comparison
print(
    f"{sum(r.counters.n_launches for r in chain)} launches, "
    f"{sum(r.counters.dram_bytes for r in chain) / 4 / N:.0f} N"
)

# %% [markdown]
# Nothing saved: 8 launches, 18N. An operator in place still reads its tensor and still writes it, only to the same place.
# It saves an *allocation*, and therefore space: the peak is two tensors instead of four, `x` included. That may be worth
# having, and a CPU may run it faster for another reason, since fresh memory has to be fetched from the operating system and
# old memory may still be in the cache. But it is no cure for traffic.
#
# ## What would help?
#
# A last experiment, with three programs and three wishes: twice the arithmetic, twice the memory bandwidth, launches for
# nothing. `replace` makes a data sheet with other numbers; `tk.predict` models the time on it. What does each wish do to
# each program? (On an A100; the host is assumed to be fast enough.) An A100 moves about 1.4 million bytes in a microsecond
# and does 19.5 million float32 additions or multiplications; the matrix product has 2 × 1,024³ of them, for 3 × 1,024²
# elements.
#
# **Predict before you run.** In which of the nine cells is there a gain of more than a tenth?

# %%
a100 = gpu("A100-SXM4-40GB")
wishes = {
    "2x FLOP/s": a100.replace(fp32_flop_per_s=2 * a100.fp32_flop_per_s),
    "2x bandwidth": a100.replace(dram_bytes_per_s=2 * a100.dram_bytes_per_s),
    "free launches": a100.replace(small_kernel_s=1e-9),
}
matrix, small, large = (
    torch.ones(shape, device=tk.device()) for shape in ((1024, 1024), SMALL, LARGE)
)
work = {
    "GELU by hand, 1,024 elements": lambda: gelu_by_hand(small),
    "GELU by hand, 4 million elements": lambda: gelu_by_hand(large),
    "matrix product, 1,024 x 1,024": lambda: matrix @ matrix,
}

# %%
print(f"{'speed-up (modelled)':32}", *(f"{wish:>13}" for wish in wishes))
for task, calculate in work.items():
    with tk.profile() as work_prof:
        calculate()
    now_s = tk.predict(work_prof, gpu=a100).seconds
    gains = [now_s / tk.predict(work_prof, gpu=spec).seconds for spec in wishes.values()]
    print(f"{task:32}", *(f"{gain:13.2f}" for gain in gains))

# %% [markdown]
# Each program answers to one wish and is (nearly) deaf to the other two. Why only 4 times as fast, if launches cost
# nothing? Because 0.7 µs of each small kernel remain: the way to memory and back, which no bandwidth shortens. There are
# three regimes, **overhead**, **bandwidth** and **compute**, and the first thing to ask of a slow program is in which one
# it is. Chapter 30 turns that question into a picture.
#
# ## Claimed, and found here
#
# The course re-derives the claims of one article on CUDA, PyTorch 2 and Triton. Those that this chapter touches:
#
# | | claimed | found here | how |
# |---|---|---|---|
# | C03 | In eager mode each operator reads its inputs from memory, computes, and writes its result back before the next one starts | Holds. tanh-GELU: 8 operators, 18N elements, and eight compiled kernels load and store the same 18N. "Before the next one starts" is about the GPU: the *host* runs ahead. Views are operators that read and write nothing | counted |
# | C05 | PyTorch grew to more than 2,000 operators; users adopt each new fused operator rather than write code | The order of magnitude holds; the number depends on what is counted. In torch 2.13: 1,588 names and 3,110 overloads in `aten`, about 2,000 names and 3,600 overloads with everything else. That users adopt them was not tested | counted |
# | C06 | More built-in operators mean fewer memory reads and writes, so eager got faster by growing operators | Holds: GELU 18N to 2N; attention 4 to 25 times fewer bytes for sequences of 128 to 1,024, growing with the length. "Faster" follows where bytes or launches decide | counted; time modelled |
# | C16 | If all time goes to memory transfer, more FLOPS help nothing; if all time goes to large matmuls, removing overhead helps nothing | Holds: gains of 1.00 to 1.08 in six cells, of 1.9 to 4.4 in the three where the wish meets the regime | counted, modelled |

# %% [markdown]
# ## Summary
#
# - An operator costs a launch and the bytes of the tensors it takes and returns. Views and allocations cost neither.
# - Time over size is a floor, then a slope. The floor belongs to the host and the launch, the slope to memory. Newer GPUs
#   need larger tensors to leave the floor.
# - Small tensors: count launches. Large tensors: count bytes. A built-in operator has fewer of both; in place has not.
# - The host runs ahead of the GPU until it needs a value. `item()`, `if` on a tensor and boolean indexing make it wait.
#
# Words: [operator](glossary/operator.md), [eager execution](glossary/eager-execution.md),
# [dispatcher](glossary/dispatcher.md), [host and device](glossary/host-and-device.md),
# [asynchronous](glossary/asynchronous.md), [synchronisation](glossary/synchronisation.md), [launch
# overhead](glossary/launch-overhead.md), [memory traffic](glossary/memory-traffic.md),
# [memory-bound](glossary/memory-bound.md), [provenance](glossary/provenance.md).
#
# ## Exercises
#
# In [the exercise notebook](../exercises/20_eager_execution/20_eager_execution.ipynb):
#
# | exercise | you write |
# |---|---|
# | `count_launches` | the counter: a dispatch mode that knows what is free |
# | `fewer_launches` | a step of SGD on any number of tensors in three launches instead of three for each |
# | `hidden_sync` | a training loop that waits once instead of twice in every step |
#
# **Next:** [30 The roofline](30_roofline.ipynb), where the three regimes become a picture.
