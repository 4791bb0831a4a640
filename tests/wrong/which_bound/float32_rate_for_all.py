"""Uses the float32 rate for half-precision products too."""

ITEM = "edge cases"
REASON = "got compute"


def which_bound(operators, gpu):
    answers = []
    for operator in operators:
        seconds = {
            "overhead": operator["n_launches"] * gpu["launch_s"],
            "bandwidth": operator["dram_bytes"] / gpu["bytes_per_s"],
            "compute": operator["flop_fp32"] / gpu["fp32_flop_per_s"]
            + operator["flop_tensor"] / gpu["fp32_flop_per_s"],
        }
        answers.append(max(seconds, key=seconds.get))
    return answers
