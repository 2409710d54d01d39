"""Sessions: each client's state, isolated, with a time to live."""
