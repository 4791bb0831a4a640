"""Intensity against the ridge point first, then the launches against the longer of the two."""


def which_bound(operators, gpu):
    answers = []
    for operator in operators:
        half = operator["flop_tensor"] > 0
        rate = (gpu["tensor_flop_per_s"] or gpu["half_flop_per_s"]) if half else gpu["fp32_flop_per_s"]
        n_flop = operator["flop_tensor"] + operator["flop_fp32"]
        is_left = n_flop / operator["dram_bytes"] < rate / gpu["bytes_per_s"]
        longest_s = operator["dram_bytes"] / gpu["bytes_per_s"] if is_left else n_flop / rate
        if operator["n_launches"] * gpu["launch_s"] > longest_s:
            answers.append("overhead")
        else:
            answers.append("bandwidth" if is_left else "compute")
    return answers
