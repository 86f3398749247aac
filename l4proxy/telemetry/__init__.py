"""What the balancer counts, in the form that monitoring reads."""
