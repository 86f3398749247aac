"""The HTTP API for operators: what the balancer is and counts, and which backends it has."""
