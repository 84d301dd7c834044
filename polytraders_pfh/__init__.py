"""The pluggable handler of partial fills for the Polytraders bot host."""

__version__ = "0.1.0"
