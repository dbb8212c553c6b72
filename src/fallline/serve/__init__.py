"""The live page: the runs of a folder in a browser on this machine, while they train and after."""

from fallline.serve.listen import serve

__all__ = ["serve"]
