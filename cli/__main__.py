"""Run the command as `python -m lstm2d.cli`."""

from lstm2d.cli import main

if __name__ == "__main__":
    main()
