"""Run the command as `python -m lstm2d.cli`."""

from lstm2d.cli.main import main

if __name__ == "__main__":
    main(prog_name="lstm2d")
