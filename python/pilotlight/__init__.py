"""Pilotlight: the instance scaler for serverless cold starts."""

from pilotlight._core import __version__

__all__ = ["__version__"]
