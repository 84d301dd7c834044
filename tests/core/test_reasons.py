"""Every reason code once, the card's own word for word."""

import pytest
from support.card import card

from polytraders_pfh.core.reasons import TEXTS, Reason, Severity


def test_every_reason_has_a_text_and_every_text_a_reason() -> None:
    assert set(TEXTS) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_reasons_word_on_the_wire_is_its_name_and_its_meaning_is_a_sentence(reason: Reason) -> None:
    assert reason.value == reason.name
    assert TEXTS[reason].meaning.endswith(".")
    assert TEXTS[reason].meaning[0].isupper()


@pytest.mark.parametrize("row", card("reason_codes"), ids=lambda row: row["code"])
def test_the_cards_reason_codes_keep_their_severity_and_their_message(row: dict[str, str]) -> None:
    text = TEXTS[Reason(row["code"])]

    assert (text.severity, text.user_message) == (Severity(row["severity"]), row["user_message"])


def test_the_card_has_five_reason_codes() -> None:
    assert len(card("reason_codes")) == 5


VERDICTS = tuple(Reason)[: list(Reason).index(Reason.PARTIAL_FILL_SHED) + 1]


@pytest.mark.parametrize("reason", VERDICTS)
def test_every_verdict_tells_the_user_something(reason: Reason) -> None:
    assert TEXTS[reason].user_message.endswith(".")


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in VERDICTS])
def test_a_warning_says_nothing_to_the_user_beside_the_verdict(reason: Reason) -> None:
    assert TEXTS[reason].user_message == ""


def test_no_user_message_speaks_of_the_machinery() -> None:
    words = {"pUSD", "tick", "policy", "kill", "book depth", "exchange"}

    assert [r for r, t in TEXTS.items() if any(word in t.user_message for word in words)] == []
