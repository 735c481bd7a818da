"""The HTTP API: one module per resource; a view parses, calls one use case, and answers."""
