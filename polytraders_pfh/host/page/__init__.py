"""A page for people: what rests, what was decided and why, how everything is, and the way to stop it.

facts     what there is to show, gathered once per look
guard     who may look: names of this machine only, and what a browser may do with an answer
forms     from a form to an order by hand
pages     the addresses, each a template filled in on the server
"""

from polytraders_pfh.host.page.guard import guarded
from polytraders_pfh.host.page.pages import HostPage

__all__ = ["HostPage", "guarded"]
