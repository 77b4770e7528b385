"""Where questions about videos come from: one reader a dataset, and the generated world."""
