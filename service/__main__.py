"""`python -m service` is `chainrule`."""

from service.cli import main

main(prog_name="chainrule")
