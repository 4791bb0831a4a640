"""The check itself: reports, hints, registry, and submissions that do their worst."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from teachkit.errors import UnknownExerciseError
from teachkit.grading import Report, check, registry
from teachkit.grading.fusion_graphs import best_plan
from teachkit.grading.problems import is_it_fused
from teachkit.grading.report import ItemResult
from teachkit.grading.trial import safe_text


def perfect(graph):
    return best_plan(graph)[2]


def nothing(graph):
    return [{name} for name in graph.names]


def test_points_alone_are_the_repr() -> None:
    assert repr(check("plan_fusion", perfect, seed=1)) == "4 / 4 points"
    assert repr(check("plan_fusion", nothing, seed=1)) == "1 / 4 points"


def test_unknown_exercise_lists_those_that_exist() -> None:
    with pytest.raises(UnknownExerciseError) as caught:
        check("fused_glue", perfect)
    for slug in registry.slugs():
        assert slug in str(caught.value)


def test_one_more_hint_at_every_failed_attempt() -> None:
    counts = []
    for _ in range(5):
        report = check("plan_fusion", nothing, seed=1)
        counts.append(len(next(item for item in report.items if item.key == "budget").hints))
    assert counts == [1, 2, 3, 3, 3]
    assert all(not item.hints for item in check("plan_fusion", perfect, seed=1).items)


def test_an_untouched_stub_is_no_attempt() -> None:
    def plan_fusion(graph):
        raise NotImplementedError

    for _ in range(3):
        report = check("plan_fusion", plan_fusion)
        assert not report.attempted
        assert "not attempted" in report._repr_html_()
    assert len(check("plan_fusion", nothing, seed=1).items[1].hints) == 1


def test_not_implemented_elsewhere_is_an_error() -> None:
    def plan_fusion(graph):
        raise NotImplementedError("somebody else's")

    report = check("plan_fusion", plan_fusion)
    assert report.attempted
    assert "NotImplementedError: somebody else's" in report.items[0].reasons[0]


def test_an_exception_names_the_learners_own_line() -> None:
    def plan_fusion(graph):
        return sorted(graph.nodes)  # nodes have no order

    report = check("plan_fusion", plan_fusion)
    reason = report.items[0].reasons[0]
    assert "TypeError" in reason
    assert "of plan_fusion: return sorted(graph.nodes)" in reason


@pytest.mark.parametrize("flipped", is_it_fused.counted())
def test_a_wrong_verdict_is_not_named(flipped: str) -> None:
    """A verdict is yes or no: whoever is told which one is wrong has been told the right one."""
    truth = is_it_fused.counted()
    answer = truth | {flipped: 5 if truth[flipped] == 2 else 2}
    for n_hints in (1, 2, 3):
        report = check("is_it_fused", lambda: answer)
        assert report.points == 0
        assert len(report.items[0].hints) == n_hints
        assert "5 of 6 verdicts are right" in str(report)
        assert not any(name in str(report) for name in truth)


def test_a_wrong_number_is_named_and_not_corrected() -> None:
    answer = is_it_fused.counted() | {"torch_in_place": 17}
    report = check("is_it_fused", lambda: answer)
    assert report.points == report.items[0].max_points
    assert report.items[1].reasons[0].startswith("torch_in_place: 17 is not what was counted")
    assert "18" not in str(report)


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


def raise_hostile(graph):
    class HostileError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    raise HostileError


@pytest.mark.parametrize(
    "submission",
    [
        raise_hostile,
        lambda graph: Hostile(),
        lambda graph: [Hostile()],
        lambda graph: None,
        lambda graph: "all",
        lambda graph: [["x", 3]],
        lambda graph: [[[[[[[[[[["deep"]]]]]]]]]]],
        list,
        lambda graph: [*map(list, perfect(graph)), []],
        lambda graph: [list(group) * 2 for group in perfect(graph)],
        lambda graph: sys.exit(3),
        lambda graph: (_ for _ in ()),
        Hostile(),
        None,
        3,
    ],
)
def test_never_crashes(submission) -> None:
    report = check("plan_fusion", submission, seed=1)
    assert report.attempted
    assert report.points == 0
    assert report.items[0].reasons


def test_keyboard_interrupt_goes_through() -> None:
    def plan_fusion(graph):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("plan_fusion", plan_fusion)


def test_html_is_escaped() -> None:
    item = ItemResult("correct", "a < b", 0, 2, ("<script>alert(1)</script>",), ("try x & y",))
    text = Report("<b>", (item,))._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "a &lt; b" in text
    assert "try x &amp; y" in text


def test_report_as_data() -> None:
    data = check("plan_fusion", nothing, seed=1).to_dict()
    assert json.loads(json.dumps(data))["items"][1]["key"] == "budget"
    assert (data["points"], data["max_points"], data["attempted"]) == (1, 4, True)


def test_same_seed_same_inputs() -> None:
    assert (
        str(check("plan_fusion", nothing, seed=7)).split("Hint")[0]
        == (str(check("plan_fusion", nothing, seed=7)).split("Hint")[0])
    )
    assert str(check("plan_fusion", nothing, seed=7)) != str(check("plan_fusion", nothing, seed=8))


def test_text_of_anything() -> None:
    assert safe_text(Hostile()) == "<Hostile whose repr raises>"
    assert safe_text("x" * 500).endswith("...")


def test_points_are_known_without_torch() -> None:
    code = (
        "import sys; from teachkit.grading import registry; "
        "print(min(map(registry.max_points, registry.slugs())) > 0, 'torch' in sys.modules, 'triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False False"
