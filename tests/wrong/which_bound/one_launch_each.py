"""Takes every operator for one launch."""

ITEM = "correct"
REASON = "expected overhead, got"


def which_bound(operators, gpu):
    half_rate = gpu["tensor_flop_per_s"] or gpu["half_flop_per_s"]
    answers = []
    for operator in operators:
        seconds = {
            "overhead": gpu["launch_s"],
            "bandwidth": operator["dram_bytes"] / gpu["bytes_per_s"],
            "compute": operator["flop_fp32"] / gpu["fp32_flop_per_s"] + operator["flop_tensor"] / half_rate,
        }
        answers.append(max(seconds, key=seconds.get))
    return answers
