"""The key in a process of its own: what it signs at most, how it is asked, and how a host asks it.

limits    what an order may be like, and how many a minute
wire      a question and its answer, a line of JSON each
server    the signer's side of the socket
client    the host's side
config    the signer's own file
process   the signer, until a signal comes
"""
