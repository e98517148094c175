"""What the command line tools compute and print: studies over seeds, tables."""
