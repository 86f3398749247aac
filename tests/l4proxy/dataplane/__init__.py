"""Tests of the worker, on real sockets of the loopback."""
