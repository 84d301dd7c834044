"""The matching core: books, funds, orders and trades, without I/O, clock or chance."""
