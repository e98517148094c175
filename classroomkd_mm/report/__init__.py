"""One page about runs: who taught how much, who was right, what it cost, whom to drop."""
