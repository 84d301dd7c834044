"""Bytes that a host hands over, hostile ones: each parser returns or raises its one declared error.

PFH_PARSER_EXAMPLES=1000000 for a long run; 10,000 here and 10,000 in `test_answers` otherwise.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from adversarial.drawn import hostile_bytes
from adversarial.parsers import FROM_A_HOST, PARSERS, Parser, read_by, read_by_all

CORPUS = sorted((Path(__file__).parent / "corpus" / "bytes").iterdir())
PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").iterdir())
EXAMPLES = int(os.environ.get("PFH_PARSER_EXAMPLES", "10000"))


@pytest.mark.parametrize("path", CORPUS + PAYLOADS, ids=lambda path: path.name)
def test_kept_bytes_raise_nothing_but_the_declared_error(path: Path) -> None:
    read_by_all(path.read_bytes())


@pytest.mark.parametrize("parser", [p for p in PARSERS if p.name != "forged event"], ids=lambda p: p.name)
def test_every_parser_takes_something_of_what_is_kept(parser: Parser) -> None:
    """A parser that refused everything would pass every other test here."""
    taken = 0
    for path in CORPUS + PAYLOADS:
        try:
            parser.read(path.read_bytes())
        except parser.declared:
            continue
        taken += 1
    assert taken > 0


@pytest.mark.parametrize("part", range(4))  # so that none takes long on a busy machine
@settings(max_examples=EXAMPLES // 4, database=None)
@given(body=hostile_bytes)
def test_drawn_bytes_raise_nothing_but_the_declared_error(part: int, body: bytes) -> None:
    read_by(FROM_A_HOST, body)
