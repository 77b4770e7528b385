"""`python -m videre` is the command `videre`."""

from videre.apps.cli import main

if __name__ == "__main__":
    main()
