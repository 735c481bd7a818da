"""Where graphs and runs are kept."""
