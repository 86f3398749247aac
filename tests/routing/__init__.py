"""The tests of `routing`, file for file as the code."""
