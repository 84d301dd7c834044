"""Pure decisions on scaled integers: no I/O, no clock, no async, the standard library alone."""
