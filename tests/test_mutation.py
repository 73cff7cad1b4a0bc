"""The planter of faults notices what a test of the toy notices, and lets what no test looks at survive."""

from __future__ import annotations

from pathlib import Path

import mutation
import pytest

TOY = '''"""A toy - with a sign in its text."""


def capped(number: int) -> int:
    """The number, at most five."""
    return min(number, len("12345"))


def unseen(number: int) -> bool:
    return not number
'''


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A tree with one module, of which a test looks at one function."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "toy" / "numbers.py").write_text(TOY)
    (tmp_path / "tests" / "test_numbers.py").write_text(
        "from toy.numbers import capped\n\n\ndef test_capped():\n    assert [capped(4), capped(6)] == [4, 5]\n"
    )
    return tmp_path


def test_noticed_where_a_test_looks_and_survived_where_none_does(toy: Path) -> None:
    faults = mutation.drawn(toy, ["toy"], seed=0, number=100)
    changes = [(fault.line, fault.before, fault.after, seen) for fault, seen in mutation.noticed(toy, faults)]
    assert sorted(changes) == [
        (6, "min", "max", True),
        (10, "not ", "", False),
    ]
    assert (toy / "toy" / "numbers.py").read_text() == TOY


def test_a_hang_is_noticed(toy: Path) -> None:
    (toy / "tests" / "test_numbers.py").write_text("import time\n\n\ndef test_sleep():\n    time.sleep(60)\n")
    assert mutation.seconds_to_pass(toy, ["tests/test_numbers.py"], limit=1.0) is None


def test_tests_that_fail_without_a_fault_are_no_judge(toy: Path) -> None:
    (toy / "tests" / "test_numbers.py").write_text("def test_wrong():\n    assert False\n")
    with pytest.raises(ValueError, match=r"fails without any fault: tests/test_numbers\.py"):
        list(mutation.noticed(toy, mutation.drawn(toy, ["toy"], seed=0, number=1)))


def test_the_same_seed_draws_the_same_faults(toy: Path) -> None:
    (toy / "toy" / "numbers.py").write_text("A = [1 < 2, 3 + 4, 5 * 6, not 7]\n")
    assert mutation.drawn(toy, ["toy"], seed=1, number=3) == mutation.drawn(toy, ["toy"], seed=1, number=3)
    assert mutation.drawn(toy, ["toy"], seed=1, number=3) != mutation.drawn(toy, ["toy"], seed=2, number=3)


def test_sql_outside_comments_and_text() -> None:
    query = (
        "-- a < b and MAX\n"
        "SELECT COUNT(DISTINCT UPPER(a)) AS n, MAX(b) FROM t\n"
        "WHERE a >= 2 AND b != '1 < 2' AND c BETWEEN 1 AND @d"
    )
    faults = {(fault.line, fault.before, fault.after) for fault in mutation.faults_of("a.sql", query)}
    assert faults == {
        *((2, before, after) for before, after in [("DISTINCT", ""), ("UPPER", ""), ("MAX", "MIN")]),
        *((3, ">=", after) for after in (">", "<=")),
        *((3, "2", after) for after in ("1", "3")),
        *((3, before, after) for before, after in [("AND", "OR"), ("!=", "="), ("1", "2")]),
    }
