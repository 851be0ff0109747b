"""`python -m workflows` is the `ghost` command."""

from workflows.cli import main

if __name__ == "__main__":
    main()
