"""What the benchmarks measure: the table of workloads, the bars, and the arithmetic."""

import re
import statistics

# What a run yields, how it is written, and whether less is better.  Of a millrace-perf run: rate is what came through a
# second (or was made, in churn), cpu_us the server's processor time for each; p50_us … are of the latency of messages,
# c50_us … of confirms.
FIGURES = {
    "rate": ("/s", False), "cpu_us": ("µs", True), "client_us": ("µs", True), "p50_us": ("µs", True),
    "p99_us": ("µs", True), "c50_us": ("µs", True), "c99_us": ("µs", True), "mb": ("MB", True), "each": ("B", True),
    "mcmd": ("M/s", False), "mcmd_thread": ("M/s", False),
}
LABELS = {"p50_us": "p50 ", "p99_us": "p99 ", "c50_us": "p50 ", "c99_us": "p99 ", "mcmd_thread": "on its thread "}
WORDS = {"norelay", "nopeers", "fresh", "memory", "tls", "io", "sync", "slow", "quorum"}
TOOLS = {"!empty", "!hub"}


class TableError(Exception):
    """The table of workloads has something that is not understood."""


class Bar:
    """A figure, how it is to compare, and with what: the sum of numbers and of factors of others' figures."""

    def __init__(self, text):
        self.text = " ".join(text.split())
        m = re.fullmatch(r"(\w+) (<=|>=) (.+)", self.text)
        if not m or m[1] not in FIGURES:
            raise TableError(f"no bar: {text}")
        self.figure, self.is_most, self.number, self.others = m[1], m[2] == "<=", 0.0, []
        for term in m[3].split(" + "):
            t = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(?: x ([a-z0-9][a-z0-9-]*))?", term)
            if not t:
                raise TableError(f"no bar: {text}")
            if t[2]:
                self.others.append((float(t[1]), t[2]))
            else:
                self.number += float(t[1])

    def is_ratio(self):
        """It compares with one other, and with nothing else."""
        return len(self.others) == 1 and self.number == 0


class Workload:
    """A line of the table."""

    def __init__(self, line):
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 5:
            raise TableError(f"not five columns: {line}")
        self.name, self.title, self.options = parts[0], parts[1], parts[2].split()
        self.bars = [Bar(text) for text in parts[3].split(",") if text.strip()]
        self.words = set(parts[4].split())
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name) or not self.title or not self.options:
            raise TableError(f"no name, title or options: {line}")
        if not self.words <= WORDS or (self.options[0].startswith("!") and self.options[0] not in TOOLS):
            raise TableError(f"unknown words: {line}")

    def figure(self):
        """What it is about: that of its first bar."""
        return self.bars[0].figure if self.bars else "cpu_us"


def read_workloads(text):
    """All workloads of the table, by name, in order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    workloads = {}
    for line in lines:
        w = Workload(line)
        if w.name in workloads:
            raise TableError(f"twice: {w.name}")
        workloads[w.name] = w
    return workloads


def groups(workloads):
    """Those that are judged by each other's figures, together; their rounds take turns."""
    together, order = [], {w.name: i for i, w in enumerate(workloads)}
    for w in workloads:
        names = {w.name} | {name for bar in w.bars for _, name in bar.others if name in order}
        linked = [g for g in together if g[0] & names]
        together = [g for g in together if not g[0] & names]
        together.append((set().union(names, *(g[0] for g in linked)), [x for g in linked for x in g[1]] + [w]))
    found = [sorted(g[1], key=lambda w: order[w.name]) for g in together]
    return sorted(found, key=lambda g: order[g[0].name])


def figures_of(report):
    """The figures in a report of millrace-perf (its JSON); those that it does not have are left out."""
    out = {}
    options, server, churn, idle = (report.get(key) or {} for key in ("options", "server", "churn", "idle"))
    rates = report.get("rates") or {}
    if churn:
        out["rate"] = churn.get("rate")
    elif not idle:
        out["rate"] = rates.get("consumed" if options.get("consumers", 1) else "published")
    if server and not idle:
        out["cpu_us"] = server.get("ns", 0) / 1000
    if server:
        out["mb"] = server.get("rss", 0) / 1e6
    if not idle:
        out["client_us"] = (report.get("client") or {}).get("ns", 0) / 1000
    for key, prefix in (("latency", "p"), ("confirm_latency", "c")):
        for percent in ("50", "99"):
            if report.get(key):
                out[f"{prefix}{percent}_us"] = report[key][f"p{percent}"] / 1000
    if idle and idle.get("count"):
        out["each"] = idle.get("rss_each")
    return {key: value for key, value in out.items() if value is not None}


def series(runs, figure):
    """That figure of each run that has it."""
    return [run[figure] for run in runs if figure in run]


class Spread:
    """A median, and the least and the most."""

    def __init__(self, values):
        self.median, self.least, self.most = statistics.median(values), min(values), max(values)


def spread(runs, figure):
    """Of that figure, or None."""
    values = series(runs, figure)
    return Spread(values) if values else None


def ratios(runs, others, figure):
    """That of the figures of each round, of rounds that both had: their spread, or None."""
    values = [a[figure] / b[figure] for a, b in zip(runs, others) if a.get(figure) is not None and b.get(figure)]
    return Spread(values) if values else None


class Verdict:
    """What became of a bar: value and bound in its figure, or as a ratio if is_ratio."""

    def __init__(self, bar, value, bound, is_ratio):
        self.bar, self.value, self.bound, self.is_ratio = bar, value, bound, is_ratio
        self.is_reached = value <= bound if bar.is_most else value >= bound


def judge(bar, subject, runs, all_runs, sync):
    """Whether a workload's bar is reached: runs are those by server, all_runs those of all workloads by name.  None: it
    cannot be told."""
    own = spread(runs.get(subject, []), bar.figure)
    if own is None:
        return None
    if bar.is_ratio() and bar.others[0][1] in runs:
        factor, name = bar.others[0]
        r = ratios(runs[subject], runs[name], bar.figure)
        return None if r is None else Verdict(bar, r.median, factor, True)
    bound = bar.number
    for factor, name in bar.others:
        if name == "sync":
            other = sync.get("p50_us") if sync else None
        else:
            by_server = all_runs.get(name, {})
            other = spread(by_server.get(subject, []), bar.figure)
            other = other.median if other else None
        if other is None:
            return None
        bound += factor * other
    if bar.is_ratio():
        factor = bar.others[0][0]
        return Verdict(bar, own.median * factor / bound if bound else 0.0, factor, True)
    return Verdict(bar, own.median, bound, False)


def number(value):
    """A figure for people: three digits, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        digits = len(str(int(abs(value)))) - 3
        return f"{round(value / 10 ** digits) * 10 ** digits:,.0f}"
    if abs(value) < 0.1:
        return f"{value:.2g}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def with_unit(value, figure):
    """The same with its unit, and with what tells it from others of that unit."""
    unit = FIGURES[figure][0]
    return LABELS.get(figure, "") + (f"{number(value)}{unit}" if unit == "/s" else f"{number(value)} {unit}")


def said(s, figure):
    """Median and spread."""
    return f"{with_unit(s.median, figure)} ({number(s.least)}–{number(s.most)})"


def verdict_said(v):
    """A bar, and what became of it."""
    if v.is_ratio:
        got = f"{number(v.value)} x"
    else:
        got = with_unit(v.value, v.bar.figure)
        if v.bar.others:
            got += f" of {with_unit(v.bound, v.bar.figure)}"
    return f"{v.bar.text}: {got}, {'reached' if v.is_reached else 'NOT reached'}"
