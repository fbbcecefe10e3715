"""What docs/failures.md tells operators to look for, against the code."""

import re

from cluster import ROOT

FAILURES = (ROOT / "docs/failures.md").read_text()
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "Sources").rglob("*.swift")))
TESTS = "\n".join(path.read_text() for path in sorted((ROOT / "Tests/Fault").glob("test_*.py")))


def literals():
    """What the code may say, with anything in the place of what is filled in."""
    for text in re.findall(r'"((?:[^"\\\n]|\\[^(]|\\\([^"\n]*?\))+)"', SOURCES):
        parts = re.split(r"\\\(.*?\)", text)
        if sum(map(len, parts)) >= 8:
            yield re.compile(".+".join(map(re.escape, parts)))


def named():
    """What stands in code spans in the operator's column."""
    for line in FAILURES.splitlines():
        if line.startswith("| ") and line.count(" | ") == 3:
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[3])


def test_every_metric_in_the_document_of_failures_is_one_of_ours():
    helped = set(re.findall(r'^ +"([a-z_]+)": "', (ROOT / "Sources/Gateway/Health/MetricHelp.swift").read_text(), re.M))
    found = [text for text in named() if re.match(r"(holdfast|redis|engineio|socketio|process)_", text)]
    assert len(found) > 15
    for text in found:
        name, _, labels = text.partition("{")
        assert name in helped and f'"{name}"' in SOURCES.replace("MetricHelp", ""), text
        for label, value in re.findall(r'([a-z]+)="([^"]+)"', labels):
            assert f'"{label}"' in SOURCES, text
            assert f'"{value}"' in SOURCES or re.search(rf"case .*\b{value}\b", SOURCES), text


def test_every_line_of_the_log_in_the_document_of_failures_is_written_somewhere():
    patterns = list(literals())
    found = [text for text in named() if " " in text and not text.startswith(("holdfast ", "make "))]
    assert len(found) > 10, found

    def is_written(text):
        # An advice in brackets may follow.
        return any(pattern.fullmatch(text) or pattern.fullmatch(f"{text} (…)") for pattern in patterns)

    missing = [text for text in found if not is_written(text)]
    assert missing == []


def test_every_mutant_in_the_document_of_failures_has_its_test():
    import mutants

    rows = FAILURES.split("| Removed |")[1].splitlines()[2:]
    assert len([row for row in rows if row.startswith("| ")]) == len(mutants.MUTANTS)
    for _, tests, _ in mutants.MUTANTS.values():
        for test, notice in tests.items():
            assert f"def {test.partition('::')[2].partition('[')[0]}(" in TESTS, test
            assert notice
