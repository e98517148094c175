"""A table of methods by settings: planned, trained, gathered and checked from one file."""
