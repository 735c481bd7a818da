"""Chainrule measured beside what a user would otherwise take: `make bench`."""
