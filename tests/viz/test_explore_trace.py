"""The figure of a trace without a browser: what it is given is the trace, and its table says the same."""

from __future__ import annotations

import json

import pytest
import torch

from teachkit import cuda, emulator
from teachkit.emulator import Trace
from teachkit.errors import TraceError
from teachkit.frontends.cuda_c import compile_cuda_c
from teachkit.viz.explore_trace import TraceExplorer, explore_trace

SOURCE = r"""
__global__ void mirror(const float *x, float *y) {
    __shared__ float tile[32];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[31 - threadIdx.x];
}
"""
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def trace() -> Trace:
    with emulator.trace() as traces:
        compile_cuda_c(SOURCE)["mirror"][1, 32](torch.arange(32.0), torch.empty(32))
    return traces[0]


@pytest.fixture(scope="module")
def figure(trace: Trace) -> TraceExplorer:
    return explore_trace(trace, source=SOURCE, names={0: "x", 1: "y"})


def test_steps_lanes_and_elements_are_those_of_the_trace(figure: TraceExplorer, trace: Trace) -> None:
    (warp,) = json.loads(json.dumps(figure.picture))["warps"]
    assert [step["lanes"] for step in warp["steps"]] == [step.at_work for step in trace.of_warp()]
    touches = [touch for step in warp["steps"] for touch in step["touches"]]
    assert [(touch["place"], touch["kind"]) for touch in touches] == [
        ("x", "load"),
        ("shared memory", "store"),
        ("shared memory", "load"),
        ("y", "store"),
    ]
    assert touches[2]["elements"] == list(range(31, -1, -1))  # words of shared memory
    assert [touch["n_sectors"] for touch in touches] == [4, 0, 0, 4]
    assert [(place["name"], place["n"]) for place in figure.picture["places"]] == [
        ("x", 32),
        ("y", 32),
        ("shared memory", 32),
    ]


def test_lines_of_the_source_are_shown(figure: TraceExplorer) -> None:
    texts = {step["text"] for step in figure.picture["warps"][0]["steps"]}
    assert "y[threadIdx.x] = tile[31 - threadIdx.x];" in texts


def test_a_python_kernels_lines_are_found_without_its_source() -> None:
    @cuda.jit
    def double(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] *= 2

    with emulator.trace() as traces:
        double[1, 32](torch.ones(20))
    texts = {step["text"] for step in explore_trace(traces[0]).picture["warps"][0]["steps"]}
    assert "x[i] *= 2" in texts


def test_the_figure_begins_where_it_is_told_to() -> None:
    with emulator.trace() as traces:
        kernel = compile_cuda_c("__global__ void one(float *x) { x[threadIdx.x + 64 * blockIdx.x] = 1; }")["one"]
        kernel[3, 64](torch.empty(192))
    figure = explore_trace(traces[0], warp=(2, 1))
    assert figure.picture["warps"][figure.picture["start"]]["title"] == "block 2, warp 1"
    assert len(figure.picture["warps"]) == 6
    (place,) = figure.picture["places"]
    assert place["block_of"] == [0] * 64 + [1] * 64 + [2] * 64
    assert place["per_sector"] == 8


def test_without_a_running_kernel_a_table_is_shown(figure: TraceExplorer) -> None:
    data, _ = figure._repr_mimebundle_()
    assert {"text/plain", "text/html", WIDGET_VIEW} == set(data)
    assert "block 0, warp 0" in data["text/html"]
    assert "32.0" in data["text/html"]


def test_a_long_trace_is_refused(trace: Trace) -> None:
    long = Trace("long", (1, 1, 1), (32, 1, 1), trace.steps * 1000, trace.sizes)
    with pytest.raises(TraceError, match="at most 8,000 steps"):
        explore_trace(long)


def test_the_figure_fetches_nothing_from_anywhere(figure: TraceExplorer) -> None:
    for text in (figure._esm, figure._css):
        assert "http" not in str(text)
        assert "import " not in str(text)
        assert "fetch(" not in str(text)
