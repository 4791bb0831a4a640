"""From source to PTX and cubin: the room of the compilers, and of what they tell about a kernel."""
