"""Many hosts on one bus (NATS JetStream): reports that last, and whatever else hosts have in common.

    partitions  which partition a key belongs to, the same in every host and every version
    link        the connection: one per host, made before anything is sent, remade for ever
    streams     a stream as this package needs it: made when missing, refused when it is another
    scan        reading a stream's past
    reports     the report bus (`[reports] bus = "nats"`)

**Reports.** Topic `polytraders.reports.execution`, one subject `<topic>.<partition of trace_id>`, so that one
consumer per subject sees every trace in its order. Streams keep them for 7 years, and refuse deletion and
purging. A message carries `Nats-Msg-Id`, by which the server knows it again for `dedup_window_s`; a report
that is older than half of that (its bus or its host was away) is looked for in the stream first, and sent
with the sequence that its subject must still end in. The outbox forgets a report after the acknowledgement,
so a report is in the stream once, whatever was stopped meanwhile.

Everything here needs the extra `[nats]`.
"""
