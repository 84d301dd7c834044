"""An installation looked at from outside: what is right, what is wrong, and how to mend it.

    finding     one line: a check, its verdict, what was found, what to do
    installed   entry points and contract versions
    settings    the config, the bots' sections, the secrets' places
    ground      state directory, kill switch, journals, door
    exchange    reachable, clock, feed, signer, credentials
    watching    traces, metrics, report bus
    examine     all of it in order

Nothing is changed: no file is written but one that is deleted at once, nothing is created at the exchange,
and what is signed on trial is thrown away. No secret is ever part of a finding.
"""

from polytraders_pfh.host.doctor.examine import examine
from polytraders_pfh.host.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
