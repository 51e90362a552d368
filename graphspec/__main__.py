"""`python -m graphspec` is the command `graphspec`."""

from graphspec.cli import main

if __name__ == "__main__":
    main()
