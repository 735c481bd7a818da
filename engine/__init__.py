"""Differentiation of scalar computation graphs: no HTTP, no SQL, no clock, no environment."""
