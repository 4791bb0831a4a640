"""Divides by the rate of tensor cores that are not there."""

ITEM = "edge cases"
REASON = "TypeError"


def which_bound(operators, gpu):
    half_rate = gpu["tensor_flop_per_s"]
    answers = []
    for operator in operators:
        seconds = {
            "overhead": operator["n_launches"] * gpu["launch_s"],
            "bandwidth": operator["dram_bytes"] / gpu["bytes_per_s"],
            "compute": operator["flop_fp32"] / gpu["fp32_flop_per_s"] + operator["flop_tensor"] / half_rate,
        }
        answers.append(max(seconds, key=seconds.get))
    return answers
