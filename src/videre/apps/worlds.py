"""`videre world`: videos of the generated world, with their truth."""
