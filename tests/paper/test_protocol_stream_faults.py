"""The paper exchange's streams in trouble: lost, doubled, late, frozen; PONG comes whatever happens."""

import random
from collections import Counter

from support.paper_stage import YES, paper_stage, received

from polytraders_pfh.paper.protocol.stream_faults import NoStreamFaults, StreamTrouble


def sent(trouble: StreamTrouble, frames: int = 200) -> list[str]:
    passage = trouble.passage("user")
    return [out for number in range(frames) for out in passage(str(number))]


def test_without_trouble_every_frame_goes_through_once() -> None:
    assert [NoStreamFaults().passage("user")("a"), sent(StreamTrouble(random.Random(1)), 3)] == [
        ("a",),
        ["0", "1", "2"],
    ]


def test_lost_frames_are_gone_and_the_others_are_in_order() -> None:
    trouble = StreamTrouble(random.Random(1))
    trouble.lost_of = 3

    frames = [int(frame) for frame in sent(trouble)]

    assert 100 < len(frames) < 180
    assert frames == sorted(set(frames))


def test_doubled_frames_come_twice_and_none_is_missing() -> None:
    trouble = StreamTrouble(random.Random(1))
    trouble.doubled_of = 3

    counts = Counter(sent(trouble))

    assert len(counts) == 200
    assert set(counts.values()) == {1, 2}


def test_held_frames_come_behind_later_ones_and_few_are_still_held_at_the_end() -> None:
    trouble = StreamTrouble(random.Random(1))
    trouble.held_of = 3

    frames = [int(frame) for frame in sent(trouble)]

    assert frames != sorted(frames)
    assert len(set(frames)) == len(frames) > 190


def test_a_freeze_mutes_what_is_open_and_spares_what_comes_later() -> None:
    trouble = StreamTrouble(random.Random(1))
    before, other = trouble.passage("user"), trouble.passage("market")
    trouble.freeze("user")
    after = trouble.passage("user")

    assert [before("a"), other("a"), after("a")] == [(), ("a",), ("a",)]


async def test_a_frozen_channel_answers_pings_and_tells_nothing() -> None:
    trouble = StreamTrouble(random.Random(1))
    async with paper_stage(stream_faults=trouble) as stage:
        maker = await stage.trader(1)
        socket = await stage.listen_market(YES)
        first = await received(socket)
        trouble.freeze("market")
        await maker.rest("BUY", 10, 400_000)
        frozen = await received(socket)
        again = await stage.listen_market(YES)
        anew = await received(again)

    assert first[0]["event_type"] == "book"
    assert frozen == []
    assert anew[0]["bids"] == [{"price": "0.4", "size": "10"}]
