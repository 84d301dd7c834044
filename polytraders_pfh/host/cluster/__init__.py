"""Many hosts on one bus (NATS JetStream): reports that last, and one wallet's orders shared between hosts.

    [nats]                          [reports]                [cluster]
    servers = ["nats://…:4222"]     bus = "nats"             host = "desk-1"     # a name of its own

    partitions   which partition a key belongs to, the same in every host and every version
    link         the connection         whole    waiting for it        streams, buckets, scan   what is on it
    reports      the report bus
    membership   a host's name, kept alive      assignment, leases        who owns which partition
    partition_log  what a bot did, read by whoever takes over             orders   what hosts know of orders
    room, rooms  the bots of the partitions that a host owns              bots     what the host sees of them
    kill         one kill switch        member   all of it, in order      status, showing   for people

**Reports.** Topic `polytraders.reports.execution`, one subject `<topic>.<partition of trace_id>`, so that one
consumer per subject sees every trace in its order. Streams keep them for 7 years, and refuse deletion and
purging. A message carries `Nats-Msg-Id`, by which the server knows it again for `dedup_window_s`; a report
that is older than half of that (its bus or its host was away) is looked for in the stream first, and sent
with the sequence that its subject must still end in. The outbox forgets a report after the acknowledgement,
so a report is in the stream once, whatever was stopped meanwhile.

**What is partitioned.** Intents, by the hash of their root order's id. A chase order is in its root's
partition. Every host sees every order of the account on the exchange's own channel; an order is described
on the bus before it is posted (`orders`), and a host that meets one it does not know asks there first. So
nobody takes a chase order for an order of its own. Root orders are placed by any host.

**Who owns.** A host is a member while it writes its name, four times a lease. A partition's key names its
owner; the key's revision is the fencing token. It is written over by whoever takes the partition, which is
possible once the bus has forgotten the owner's name. An owner counts its lease from before it sent the last
write, takes a tenth less, and counts by a clock that goes on while it is stopped, so two hosts never hold one
partition. Each owned partition has a bot of its own, whose log and fence are the partition's (contract 1.1).

**Where the token is checked.** It is journalled with each intent to post. The log is acknowledged before
the send; it takes an entry only from whoever wrote the last one, so the claim with which a new owner begins
ends the old one's writing. The engine checks the token beside the law of the chain, directly before it hands
the order over; the transport asks again when it has a connection, before the first byte. What is left is a
process that is stopped between that and the kernel's taking the bytes, and goes on after its lease: the new
owner has seen the hash in the log, keeps its part of the intent reserved and asks the exchange for it.

**Taking over** is the start of a bot: it reads its partition's log from the entry that the last one said is
needed, asks the exchange about every order that may live, ends what was begun with a final report, and goes
on. How far bots had been told of an order stands on the bus before they hear of it; the last event is told
again under its first time, and a bot's log knows it. Nothing of the dead host is read, no disk, no memory.
Reports that an old owner had not kept are dropped by it: the new one reports of the same event under the
same id.

**The kill switch** is on everywhere once it is on anywhere: it takes effect where it was switched, is
written to the bus, which passes the write on, and is read by whoever joins. A host that is cut off posts
nothing once its lease is over, and may cancel for as long as it is cut off.

**Proof.** Hosts as processes are killed, stopped past their lease and left without a bus, and the exchange's
own books are held against the log and the reports: `PYTHONPATH=tests python -m support.cluster_proof`.

**What it costs** (one nats-server on the same 2-core machine, the medians of three runs). An awaited record
takes 0.24 ms on the shared log and 3.4 ms in the local journal, a ratio of 0.07, since the server answers
before its disk has: with one server, what it acknowledged outlives its process, and not a power failure.
Where that counts set `nats.replicas` to 3. A renewal takes 0.15 ms.

**A thousand hosts**, worked out and not run. 4,000 partitions, 4 to a host, and a lease of 10 s. Renewals are
400 writes a second, each passed on to every host: 400,000 messages a second from the servers and 400 into
each host. What breaks first is the safety net: every host reads all names and keys again every 5 s, a million
messages a second; that pause has to grow with the hosts, or one of them has to read for all. An event is
about four writes (level, accepted, report, delivered), so a stream that takes 18,000 a second carries some
4,500 events; beyond that logs and orders need a stream for every few hundred partitions.

A bucket's wildcard read costs the server more the more keys there are (a `nats-server` of 2.10 or newer looks
them up in a tree). One bot per cluster. Everything here needs the extra `[nats]`.
"""
