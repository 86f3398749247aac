"""The parts of `benchmarks/sticky.py`: who comes back to its enclave, and through whom."""
