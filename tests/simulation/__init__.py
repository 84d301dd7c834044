"""The proof: the whole plugin on a loop that decides everything by a seed, against an exchange that lies.

loop      one random ready handle a tick, virtual time, stalls, true crashes
faults    what may go wrong at a call, and which of it a seed switches on
truth     orders and intents as they really are
world     the exchange: what lands, what is answered, when
ports     the host's other services: signer, order book-keeper, kill switch, bus
neighbour another bot that takes chases
disk      a log that survives a crash, less what it had not committed
process   one life of the host with its bot
feed      events on their way: late, twice, out of order, forged, boasting
stage     one world and its host's lives, from the start to the judgement
drive     what befalls them as a seed has it
scenarios what befalls them as it is written down
sweep     every await point of every scenario, struck
second    a library's scheduler: walks, and every order with up to two deviations
oracle    the invariants, by name
story     what happened, in words, and the command that replays it
planted   sabotages that the whole must find
tally     what many schedules came to, as a table
long      the long run, which the next one goes on from
run       the command line
"""
