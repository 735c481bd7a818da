"""The HTTP service: storage, validation of what crosses the wire, and the use cases between."""

__version__ = "0.1.0"
