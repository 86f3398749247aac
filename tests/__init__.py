"""The tests of l4proxy, folder for folder as the code."""
