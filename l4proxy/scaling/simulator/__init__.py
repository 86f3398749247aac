"""Load replayed against a scaling policy, offline: what would have happened, and what it costs."""
