"""The HTTP service: storage, validation of what crosses the wire, and the use cases between."""
