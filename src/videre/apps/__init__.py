"""Names meet things here: the command line and its catalogue."""
