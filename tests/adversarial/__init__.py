"""Hostile input, and what it must never bring about.

forging     what an attacker without a key can make of signed events
recorded    signed events of one morning, kept in a file, and the exchange they belong to
parsers     every parser of foreign bytes, and the one error each may raise
fuzz        the long run over them, steered by coverage:  python tests/adversarial/fuzz.py
corpus      what the long run begins with and has found since; the test command reads all of it too
"""
