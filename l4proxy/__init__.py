"""A Layer-4 load balancer for confidential enclaves: it routes TLS by server name."""
