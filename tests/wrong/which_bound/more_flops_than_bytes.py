"""Compares FLOPs with bytes, without the speeds."""

ITEM = "correct"
REASON = "are wrong; the first:"


def which_bound(operators, gpu):
    answers = []
    for operator in operators:
        seconds = {
            "overhead": operator["n_launches"] * gpu["launch_s"],
            "bandwidth": operator["dram_bytes"],
            "compute": operator["flop_fp32"] + operator["flop_tensor"],
        }
        answers.append(max(seconds, key=seconds.get))
    return answers
