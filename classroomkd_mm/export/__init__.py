"""A student on its way out: its stock files, graphs for other runtimes, and what they cost."""
