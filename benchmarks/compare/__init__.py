"""Ours beside what people would use instead: the same job for all, in turn, in one run."""
