"""What can be seen of the service from outside: metrics, logs, traces."""

# Where the server's processes add up their metrics; the variable is prometheus-client's own, which reads it when it
# is imported. So it is named here, where nothing is.
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
