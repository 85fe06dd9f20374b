"""Run the command as `python -m lstm2d`."""

from lstm2d.cli import main

if __name__ == "__main__":
    main()
