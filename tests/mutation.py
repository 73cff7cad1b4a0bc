"""Plants small faults, one at a time, and says which of them the tests of their folder notice.

``python tests/mutation.py --folder sql/checks --seed 0 --faults 20`` draws the faults by a fixed seed: a comparison, a
sign, a number, ``and`` for ``or``, the smallest for the largest, a ``DISTINCT`` or ``UPPER`` less. Each is written into
a copy of the tree. First run the tests that name the faulty module or query, then, where they pass and ``--near`` is
not given, the others of its folder. A run that fails, or that takes far longer than without the fault, has noticed it.
One line for each fault: ``sql/checks/one_row_a_user.sql:5 `>` → `>=` noticed``; the last lines are the shares.
``--list`` prints the faults alone; ``--folder`` may be given several times and may be a file.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import io
import itertools
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import TokenType
from sqlglot.errors import SqlglotError

PROJECT = Path(__file__).resolve().parents[1]
# Where the tests of a folder are. A file belongs to the first folder that it lies in.
TESTS = {
    "sql/checks": [
        "tests/sql/test_check_limits.py",
        "tests/sql/test_checks.py",
        "tests/checks/test_similar_parts_checks.py",
    ],
    "sql": ["tests/sql", "tests/checks/test_recommendation_checks.py"],
    **{
        f"holley_assets/{name}": [f"tests/{name}"]
        for name in ("ranking", "evaluation", "experiment", "checks", "gnn")
    },
}
# Compares two engines over the same files, so a fault in a file is the same in both.
BLIND = ("test_googlesql.py",)
# Imported once, before the first fork: a run of tests then starts at once.
PRELOADED = (
    "_hypothesis_pytestplugin",
    "xdist.plugin",
    "dagster",
    "duckdb",
    "matplotlib.pyplot",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "torch_geometric.nn",
)
PATIENCE = 3.0
LEAST_SECONDS = 20.0

_OPERATORS = {
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "==": ("!=",),
    "!=": ("==",),
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "and": ("or",),
    "or": ("and",),
}
_EXTREMES = {
    one: other
    for pair in (("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("any", "all"))
    for one, other in (pair, pair[::-1])
}
_SQL_WORDS = {
    **{sign: others for sign, others in _OPERATORS.items() if sign not in ("==", "and", "or")},
    "=": ("!=",),
    "!=": ("=",),
    "AND": ("OR",),
    "OR": ("AND",),
    "MAX": ("MIN",),
    "MIN": ("MAX",),
    "UNION DISTINCT": ("UNION ALL",),
    **dict.fromkeys(("DISTINCT", "UPPER", "LOWER", "TRIM", "NOT", "DESC", "LEFT"), ("",)),
}


@dataclass(frozen=True)
class Fault:
    """One small change: in ``path`` the text from ``start`` on is ``before`` and becomes ``after``."""

    path: str
    line: int
    start: int
    before: str
    after: str

    def planted(self, text: str) -> str:
        """The file's text with the fault."""
        end = self.start + len(self.before)
        assert text[self.start : end] == self.before
        return text[: self.start] + self.after + text[end:]

    def __str__(self) -> str:
        return f"{self.path}:{self.line} `{self.before}` → `{self.after}`"


def faults_of(path: str, text: str) -> list[Fault]:
    """Every fault that can be planted in a file, in the order of the text; faults that do not parse are left out."""
    changes, parses = (_sql_changes, _is_sql) if path.endswith(".sql") else (_python_changes, _is_python)
    found = [
        Fault(path, text.count("\n", 0, start) + 1, start, before, after)
        for start, before, after in sorted(set(changes(text)))
    ]
    return [fault for fault in found if parses(fault.planted(text))]


def _number_changes(number: str) -> list[str]:
    value = ast.literal_eval(number)
    return [str(value + 1)] + ([str(value - 1)] if value > 1 else [])


def _sql_changes(text: str) -> Iterator[tuple[int, str, str]]:
    tokens = sqlglot.tokenize(text, read="bigquery")
    for token, following in itertools.pairwise([*tokens, tokens[-1]]):
        before = text[token.start : token.end + 1]
        if token.token_type == TokenType.NUMBER and before.replace(".", "", 1).isdigit():
            yield from ((token.start, before, after) for after in _number_changes(before))
        elif token.token_type == TokenType.UNION and following.token_type == TokenType.DISTINCT:
            yield token.start, text[token.start : following.end + 1], "UNION ALL"
        elif token.token_type not in (TokenType.STRING, TokenType.RAW_STRING, TokenType.IDENTIFIER):
            yield from ((token.start, before, after) for after in _SQL_WORDS.get(before, ()))


def _is_sql(text: str) -> bool:
    try:
        sqlglot.parse(text, read="bigquery")
    except SqlglotError:
        return False
    return True


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _python_changes(text: str) -> Iterator[tuple[int, str, str]]:
    lines = text.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]

    def place(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    def gap(left: ast.expr, right: ast.expr) -> range:
        assert left.end_lineno is not None and left.end_col_offset is not None
        return range(place(left.end_lineno, left.end_col_offset), place(right.lineno, right.col_offset))

    tokens = [
        (starts[token.start[0] - 1] + token.start[1], token.string)
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type in (tokenize.OP, tokenize.NAME)
    ]
    for node in _code(ast.parse(text)):
        if isinstance(node, ast.BinOp | ast.Compare | ast.BoolOp):
            if isinstance(node, ast.BinOp):
                operands = [node.left, node.right]
            else:
                operands = [node.left, *node.comparators] if isinstance(node, ast.Compare) else node.values
            gaps = [gap(left, right) for left, right in itertools.pairwise(operands)]
            for start, word in tokens:
                if any(start in one for one in gaps):
                    yield from ((start, word, after) for after in _OPERATORS.get(word, ()))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            start = place(node.lineno, node.col_offset)
            yield start, "not " if isinstance(node.op, ast.Not) else "-", ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            start, before = place(node.lineno, node.col_offset), ast.get_source_segment(text, node) or ""
            new = (
                [str(not node.value)]
                if isinstance(node.value, bool)
                else _number_changes(before.replace("_", ""))
            )
            yield from ((start, before, after) for after in new)
        elif isinstance(node, ast.Name) and node.id in _EXTREMES:
            yield place(node.lineno, node.col_offset), node.id, _EXTREMES[node.id]
        elif isinstance(node, ast.Attribute) and node.attr in _EXTREMES:
            assert node.end_lineno is not None and node.end_col_offset is not None
            end = place(node.end_lineno, node.end_col_offset)
            yield end - len(node.attr), node.attr, _EXTREMES[node.attr]


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, without annotations and format specifications, which compute nothing."""
    yield node
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns") and not isinstance(node, ast.JoinedStr):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _code(child)


def drawn(tree: Path, folders: Sequence[str], seed: int, number: int) -> list[Fault]:
    """``number`` faults of the files below ``folders``, each as likely as the other; the same for the same seed."""
    paths: set[Path] = set()
    for folder in folders:
        place = tree / folder
        paths |= {place} if place.is_file() else {*place.rglob("*.sql"), *place.rglob("*.py")}
    found = [
        fault
        for path in sorted(paths)
        for fault in faults_of(str(path.relative_to(tree)), path.read_text("utf-8"))
    ]
    return random.Random(seed).sample(found, min(number, len(found)))


def folder_of(path: str) -> str:
    """The folder whose tests a file has."""
    return next((folder for folder in TESTS if path.startswith(f"{folder}/")), str(Path(path).parent))


def tests_of(tree: Path, path: str) -> list[list[str]]:
    """The tests that name the file, and then all others of its folder.

    A test of a query mostly names it itself; a test of a module is any of a file that imports the module.
    """
    places = [tree / place for place in TESTS.get(folder_of(path), ["tests"])]
    of_folder = [
        file
        for place in places
        for file in ([place] if place.is_file() else sorted(place.rglob("test_*.py")))
    ]
    is_query = path.endswith(".sql")
    module = Path(path).with_suffix("")
    name = re.compile(rf"\b{re.escape(module.name if is_query else '.'.join(module.parts))}\b")
    others = [] if is_query else sorted((tree / "tests").rglob("test_*.py"))
    texts = {
        file: (tree / file).read_text("utf-8")
        for file in (str(file.relative_to(tree)) for file in (*of_folder, *others) if file.name not in BLIND)
    }
    own = [file for file in texts if tree / file in of_folder]
    # A file of another folder, which may need a whole run, is asked only where no test of the own one names the module.
    near = [file for file in own if name.search(texts[file])] or [
        file for file in texts if name.search(texts[file])
    ]
    nearest = [test for file in near for test in _naming_tests(file, texts[file], name)] if is_query else near
    rest = [file for file in own if file not in near or (is_query and nearest)]
    return [stage for stage in (nearest or near, rest) if stage]


def _naming_tests(file: str, text: str, name: re.Pattern[str]) -> list[str]:
    return [
        f"{file}::{node.name}"
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and name.search(ast.get_source_segment(text, node) or "")
    ]


def seconds_to_pass(
    tree: Path, tests: Sequence[str], limit: float = 600.0, *, keep_compiled: bool = False
) -> float | None:
    """Run tests in a child process; seconds, or None where a test failed or the limit came first.

    ``keep_compiled``: leave bytecode for the next runs. A faulty file is newer than it and so compiled anew.
    """
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        os.chdir(tree)
        os.environ["PYTHONPATH"] = str(tree)
        sys.path.insert(0, str(tree))
        sys.dont_write_bytecode = not keep_compiled
        import pytest

        options = [
            "-x",
            "-q",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:bqemulator",
            "--rootdir",
            str(tree),
        ]
        code = 1
        try:
            code = int(pytest.main([*options, *tests]))
        finally:
            os._exit(code)
    status = None
    while status is None and time.monotonic() - began < limit:
        ended, code = os.waitpid(child, os.WNOHANG)
        status = code if ended else None
        time.sleep(0.02)
    if status is None:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return time.monotonic() - began if status == 0 else None


def noticed(tree: Path, faults: Sequence[Fault], near: bool = False) -> Iterator[tuple[Fault, bool]]:
    """Plant each fault in ``tree``, which is a copy, and run its tests; ``near``: only those that name the file.

    Raises:
        ValueError: the tests fail without any fault.
    """
    usual: dict[tuple[str, ...], float] = {}
    for fault in faults:
        stages = tests_of(tree, fault.path)[: 1 if near else None]
        for stage in map(tuple, stages):
            if stage not in usual:
                seconds = seconds_to_pass(tree, stage, keep_compiled=True)
                if seconds is None:
                    raise ValueError(f"fails without any fault: {' '.join(stage)}")
                usual[stage] = seconds
        text = (tree / fault.path).read_text("utf-8")
        (tree / fault.path).write_text(fault.planted(text), "utf-8")
        limits = {stage: LEAST_SECONDS + PATIENCE * usual[stage] for stage in map(tuple, stages)}
        passed = all(seconds_to_pass(tree, stage, limit) is not None for stage, limit in limits.items())
        (tree / fault.path).write_text(text, "utf-8")
        yield fault, not passed


def main() -> None:
    """Plant the faults of the command line in a copy of this tree and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", action="append", required=True, help="folder or file, relative to the project"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--faults", type=int, default=20, help="number of faults to draw from all given folders"
    )
    parser.add_argument("--near", action="store_true", help="run only the tests that name the faulty file")
    parser.add_argument("--list", action="store_true", help="print the faults without planting them")
    arguments = parser.parse_args()
    faults = drawn(PROJECT, arguments.folder, arguments.seed, arguments.faults)
    if arguments.list:
        print(*faults, sep="\n")
        return
    for module in PRELOADED:
        importlib.import_module(module)
    counts: Counter[tuple[str, bool]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(
            PROJECT, tree, ignore=shutil.ignore_patterns(".git", "__pycache__", "data", ".*_cache")
        )
        for fault, seen in noticed(tree, faults, arguments.near):
            counts[folder_of(fault.path), seen] += 1
            print(fault, "noticed" if seen else "SURVIVED", flush=True)
    for name in sorted({name for name, _ in counts}):
        found, planted = counts[name, True], counts[name, True] + counts[name, False]
        print(f"{name}: {found} of {planted} noticed, {found / planted:.0%}")


if __name__ == "__main__":
    main()
