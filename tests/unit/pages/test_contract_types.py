from __future__ import annotations

from tests.unit.pages.contract_types import COMMAND, FILE, render


def test_the_scripts_types_are_those_of_the_contract() -> None:
    assert FILE.read_text() == render(), f"the contract has changed: run `{COMMAND}`"


def test_optional_fields_choices_and_pairs_have_their_types() -> None:
    text = render()
    assert '  status: "failed" | "queued" | "succeeded";\n' in text
    assert "  etaRange?: [number, number] | null;\n" in text
    assert '  taken: ([number, number, number, "booked" | "reserved"])[];\n' in text
    assert "  tickets: TicketAnswer[];\n" in text
    assert "  retryAfterSeconds?: number;\n" in text
