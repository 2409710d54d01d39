"""The rows of the comparison: each measures one subject in one round, and is told the sizes."""
