"""Uses the best rate of the GPU for float32 as well."""

ITEM = "correct"
REASON = "expected compute, got"


def which_bound(operators, gpu):
    half_rate = gpu["tensor_flop_per_s"] or gpu["half_flop_per_s"]
    answers = []
    for operator in operators:
        seconds = {
            "overhead": operator["n_launches"] * gpu["launch_s"],
            "bandwidth": operator["dram_bytes"] / gpu["bytes_per_s"],
            "compute": operator["flop_fp32"] / half_rate + operator["flop_tensor"] / half_rate,
        }
        answers.append(max(seconds, key=seconds.get))
    return answers
