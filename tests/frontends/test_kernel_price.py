"""The clock of autotuning tells the time that predict() models."""

import pytest
import torch

from teachkit import hardware
from teachkit.emulator import Counters, Launch, Resources, observe
from teachkit.frontends.kernel_price import modelled_seconds
from teachkit.model.time_model import predict
from tests.frontends.triton_kernels import CASES

WORK = {
    "nothing": Counters(n_launches=1),
    "fp64": Counters(n_launches=1, flop_fp64=10**12),
    "fp32": Counters(n_launches=1, flop_fp32=10**12),
    "fp16": Counters(n_launches=1, flop_fp16=10**12),
    "tensor": Counters(n_launches=1, flop_tensor=10**12),
    "sfu": Counters(n_launches=1, sfu_ops=10**12),
    "shared": Counters(n_launches=1, shared_load_wavefronts=10**9, shared_store_wavefronts=7),
    "sectors": Counters(n_launches=1, global_load_sectors=10**9, global_store_sectors=3),
    "l2": Counters(n_launches=1, global_load_sectors=10**9, l2_lookups=10**8),
    "dram": Counters(n_launches=1, dram_read_bytes=10**9, dram_write_bytes=10**9),
    "stores": Counters(n_launches=1, dram_write_bytes=10),
}


@pytest.mark.parametrize("gpu_name", hardware.gpu_names())
@pytest.mark.parametrize("counters", WORK.values(), ids=WORK)
@pytest.mark.parametrize("n_blocks", [1, 109, 100_000])
def test_price_is_the_predicted_time(gpu_name, counters, n_blocks):
    gpu = hardware.gpu(gpu_name)
    launch = Launch("k", (n_blocks, 1, 1), (128, 1, 1), lambda: (counters, {}), Resources(32, 0, 4096, None), "")
    assert modelled_seconds(launch, gpu) == pytest.approx(predict(launch, gpu=gpu).seconds, rel=1e-12)


def test_price_of_real_kernels_is_the_predicted_time():
    seen = []
    with observe(seen.append):
        for case in CASES:
            case.launch(*case.inputs(case.shapes[-1], torch.float32, torch.Generator().manual_seed(0)))
    gpu = hardware.gpu("A100-SXM4-40GB")
    assert len(seen) == len(CASES)
    for launch in seen:
        assert modelled_seconds(launch, gpu) == pytest.approx(predict(launch, gpu=gpu).seconds, rel=1e-12)
