"""`python -m tfdgm` is the command `tfdgm`."""

from tfdgm.commands import run

if __name__ == "__main__":
    run()
