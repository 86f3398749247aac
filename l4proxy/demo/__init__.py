"""The balancer at work on one machine: our own TLS servers, a real daemon, clients that verify."""
