#!/usr/bin/python3
"""table.py RESULTS DOCUMENT: which endpoint works for which consumer of the management API, out of what ./run has
printed (BUILD/interop/management.tap), between the marks in DOCUMENT.  `make api-consumers` in the build folder.

An endpoint works for a consumer if all checks that have used it have passed.  What was skipped claims nothing.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
from routes import ROUTES  # noqa: E402

BEGIN, END = "<!-- consumers: `make api-consumers` writes this -->", "<!-- end of consumers -->"
LINE = re.compile(r"^(not )?ok \d+ - ([^:]+): (.*) \[(.*)\]$")
ROW = re.compile(r"^\| `(\w+) ([^`]+)` \|(.*)\|$")


def read_results(lines):
    """[(consumer, check, endpoints, has it passed)], in order."""
    out = []
    for line in lines:
        found = LINE.match(line.rstrip("\n"))
        if found:
            out.append((found[2], found[3], [e for e in found[4].split(", ") if e], not found[1]))
    return out


def consumers_of(results):
    return list(dict.fromkeys(consumer for consumer, *_ in results))


def verdicts(results):
    """{(endpoint, consumer): does it work}."""
    out = {}
    for consumer, _, endpoints, passed in results:
        for e in endpoints:
            out[e, consumer] = out.get((e, consumer), True) and passed
    return out


def table(results):
    names, works = consumers_of(results), verdicts(results)
    lines = ["| Endpoint below `/api/` | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    used = unused = 0
    idle = []
    for method, path in ROUTES:
        endpoint = f"{method} {path}"
        cells = [{True: "yes", False: "no", None: ""}[works.get((endpoint, name))] for name in names]
        if any(cells):
            lines.append(f"| `{endpoint}` | " + " | ".join(cells) + " |")
            used += 1
        elif not path.startswith("millrace/"):
            idle.append(f"`{endpoint}`")
            unused += 1
    lines += ["", f"{used} endpoints are used by these checks, {unused} are not: {', '.join(idle)}.", ""]
    for name in names:
        checks = [(what, passed) for consumer, what, _, passed in results if consumer == name]
        failed = [what for what, passed in checks if not passed]
        lines.append(f"- {name}: {len(checks)} checks, " +
                     (f"failing: {'; '.join(failed)}" if failed else "all pass") + ": " +
                     "; ".join(what for what, _ in checks) + ".")
    return "\n".join(lines)


def claims(document):
    """[(endpoint, consumer)] that the table in the document calls "yes"."""
    text = document.split(BEGIN)[1].split(END)[0]
    names, out = [], []
    for line in text.splitlines():
        if line.startswith("| Endpoint"):
            names = [n.strip() for n in line.strip("| ").split("|")[1:]]
        row = ROW.match(line)
        if row:
            cells = [c.strip() for c in row[3].split("|")]
            out += [(f"{row[1]} {row[2]}", name) for name, cell in zip(names, cells) if cell == "yes"]
    return out


def overclaims(document, results):
    """What the document claims of consumers that have been tried, and what has come of it does not show."""
    names, works = consumers_of(results), verdicts(results)
    return [c for c in claims(document) if c[1] in names and not works.get(c)]


def main():
    results_path, document_path = sys.argv[1:]
    with open(results_path, encoding="utf-8") as f:
        results = read_results(f)
    with open(document_path, encoding="utf-8") as f:
        text = f.read()
    head, tail = text.split(BEGIN)[0], text.split(END)[1]
    with open(document_path, "w", encoding="utf-8") as f:
        f.write(f"{head}{BEGIN}\n\n{table(results)}\n\n{END}{tail}")
    print(f"{document_path}: {len(results)} checks of {len(consumers_of(results))} consumers")


if __name__ == "__main__":
    main()
