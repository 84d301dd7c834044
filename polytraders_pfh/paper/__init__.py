"""The paper exchange: a matching core without I/O, and the real CLOB V2 protocol around it."""
