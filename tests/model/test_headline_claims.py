"""Claims C09 to C18: which of the article's numbers hold, and which do not."""

from __future__ import annotations

import json
import math

import pytest

from teachkit.errors import ModelInputError
from teachkit.model.finding import Finding
from teachkit.model.headline_claims import CLAIMS, findings_of

# What does not hold is taught as such; a change of these is a change of what the lessons say.
DO_NOT_HOLD = {
    "FLOPS, FP16 over FP16",
    "orders of magnitude of FLOPS, V100 to B200",
    "layer's FLOPs, power of the width",
    "weights of Llama 2 7B, GB",
    "weights of Llama 2 13B, GB",
    "weights of Llama 3.1 8B, GB",
}


def found(claim: str, quantity: str) -> float:
    (finding,) = [one for one in findings_of(claim) if one.quantity == quantity]
    return finding.found


def test_the_claims_are_c09_to_c18() -> None:
    assert list(CLAIMS) == [f"C{number:02d}" for number in range(9, 19)]
    assert all(finding.claim == claim for claim in CLAIMS for finding in findings_of(claim))


def test_what_holds_and_what_does_not() -> None:
    findings = [finding for claim in CLAIMS for finding in findings_of(claim)]
    assert len({finding.quantity for finding in findings}) == len(findings) > 40
    assert {finding.quantity for finding in findings if not finding.holds} == DO_NOT_HOLD


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_finding_says_where_it_is_from(claim: str) -> None:
    for finding in findings_of(claim):
        assert finding.provenance in ("counted", "modelled", "cited", "data sheet")
        assert finding.note
        assert math.isfinite(finding.found)
        assert json.loads(json.dumps(finding.to_dict()))["holds"] is finding.holds


def test_the_ratios_that_the_article_prints() -> None:
    assert found("C11", "FLOPS, FP8 of H100 over FP16 of A100") == pytest.approx(6.3, abs=0.05)
    assert found("C11", "FLOPS, FP16 over FP16") == pytest.approx(3.2, abs=0.05)
    assert found("C11", "memory bandwidth") == pytest.approx(1.64, abs=0.005)
    assert found("C12", "memory capacity") == 5
    assert found("C12", "FP16 FLOPS") == pytest.approx(989.4 / 21.22)
    assert found("C17", "FLOPs, power of the width") == 3
    assert found("C17", "bytes, power of the width") == 2


def test_the_range_of_a_claim_reads_as_text() -> None:
    infinite = float("inf")
    ranges = {(5, 5): "5", (1.6, 1.7): "1.6 to 1.7", (100, infinite): "above 100", (-infinite, 3): "below 3"}
    for (low, high), text in ranges.items():
        finding = Finding("C00", "x", low, high, 5, "cited", "y")
        assert finding.claimed == text
        assert finding.holds == (low <= 5 <= high)
    assert Finding("C00", "x", 90, 110, 5, "cited", "y", "about 100").claimed == "about 100"
    assert Finding("C00", "x", 1, infinite, 0.5, "cited", "y").to_dict()["high"] is None


def test_an_unknown_claim_lists_what_exists() -> None:
    with pytest.raises(ModelInputError, match=r"one of C09, C10.*got 'C19'"):
        findings_of("C19")
