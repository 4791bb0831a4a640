"""Reference kernels as ladders, from the naive way to the best: what the lessons start from and compare with."""
