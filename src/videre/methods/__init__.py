"""One published method, one folder. They are strangers to one another."""
