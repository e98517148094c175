"""The commands that run the project: train, test, demo; the others are their modules' own."""
