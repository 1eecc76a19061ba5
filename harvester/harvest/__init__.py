"""The run: the walk over one slice, and the schedule of all of them."""
