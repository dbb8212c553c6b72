"""``python -m fallline`` is the command line."""

from fallline.cli import main

if __name__ == "__main__":
    main()
