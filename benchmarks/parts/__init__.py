"""What more than one benchmark needs, or what is too long to stand in one: kernels, and small faults."""
