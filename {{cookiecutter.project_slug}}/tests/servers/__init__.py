"""Servers that tests start: each on a free port, its data in a folder of the test."""
