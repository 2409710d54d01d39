"""Background tasks: the handle, the jobs behind it, and the runners that work on them."""
