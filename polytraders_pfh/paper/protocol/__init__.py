"""The real CLOB V2 protocol around the core: REST routes, WebSockets, keys, signatures, limits."""
