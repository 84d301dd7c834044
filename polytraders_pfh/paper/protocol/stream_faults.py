"""Where trouble can be put into the streams: between a message and the frames that go out for it.

    message ──► passage ──► frames ──► client        PING and PONG pass by, so a frozen channel looks alive

Each connection has a passage of its own; it may let a frame through, lose it, say it twice, or keep it back.
"""

import random
from collections.abc import Callable
from typing import Final, Literal, Protocol

Channel = Literal["market", "user"]
Passage = Callable[[str], tuple[str, ...]]
"""Called with each frame in order; returns what is sent in its place, in order."""

_HELD_AT_MOST: Final = 8


class StreamPlan(Protocol):
    """Asked once per connection, when it opens."""

    def passage(self, channel: Channel) -> Passage:
        """Return the way of a new connection's frames."""
        ...


class NoStreamFaults:
    """Everything arrives once and in order."""

    def passage(self, channel: Channel) -> Passage:
        """Let every frame through."""
        return _through


class StreamTrouble:
    """Switches for one server's streams; each may be set at any time.

    Args:
        chance: Draws what happens to each frame.

    Attributes:
        lost_of: Of so many frames one is lost; 0 loses none.
        doubled_of: Of so many frames one is said twice.
        held_of: Of so many frames one is kept back and said behind a later one.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._opened: dict[Channel, int] = {"market": 0, "user": 0}
        self._frozen: dict[Channel, int] = {"market": 0, "user": 0}
        self.lost_of = self.doubled_of = self.held_of = 0

    def freeze(self, channel: Channel) -> None:
        """Let nothing through on the connections that are open now; those opened later are well."""
        self._frozen[channel] = self._opened[channel]

    def passage(self, channel: Channel) -> Passage:
        """Return the way of a new connection's frames."""
        self._opened[channel] += 1
        number, held = self._opened[channel], list[str]()

        def pass_on(text: str) -> tuple[str, ...]:
            if number <= self._frozen[channel] or self._one_of(self.lost_of):
                return ()
            if len(held) < _HELD_AT_MOST and self._one_of(self.held_of):
                held.append(text)
                return ()
            frames = [text] * (2 if self._one_of(self.doubled_of) else 1)
            if held and self._one_of(2):
                self._chance.shuffle(held)
                frames += held
                held.clear()
            return tuple(frames)

        return pass_on

    def _one_of(self, frames: int) -> bool:
        return frames > 0 and self._chance.randrange(frames) == 0


def _through(text: str) -> tuple[str, ...]:
    return (text,)
