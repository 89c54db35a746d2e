"""``python -m probestream`` is ``probestream``."""

from probestream.cli import main

if __name__ == "__main__":
    main()
