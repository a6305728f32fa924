"""A run of the benchmarks as a file: what it holds, how it reads, and what has become slower since another."""

import glob
import json
import os
import re
import subprocess

from figures import (FIGURES, LABELS, Bar, Spread, TableError, judge, number, ratios, said, series, spread,
                     verdict_said, with_unit)

FORMAT = 1
OURS = ("millrace", "io1", "io0", "slow")  # all the same broker, so they have one column
TITLES = {"millrace": "Millrace", "relay": "bare relay", "rabbitmq": "RabbitMQ", "quorum": "quorum queues"}
LEAST_CHANGE = 0.05  # what is less is none, however narrow the spread


def machine():
    """What it runs on: enough to tell machines of another kind."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        m = re.search(r"^model name\s*:\s*(.*)$", file.read(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": " ".join(m[1].split()) if m else os.uname().machine, "cores": os.cpu_count(),
            "memory_gib": round(memory / 2 ** 30), "kernel": re.match(r"[0-9.]*[0-9]", os.uname().release)[0]}


def machine_name(m):
    """The same as part of a file's name; the kernel does not count."""
    return re.sub(r"[^a-z0-9]+", "-", f"{m['cpu']} {m['cores']}x {m['memory_gib']}g".lower()).strip("-")


def commit(folder):
    """Of the sources, with a + if they have changed since."""
    def git(*words):
        return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True).stdout.strip()
    try:
        return git("rev-parse", "--short=10", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def newest(folder, of_machine, table):
    """The newest kept run of such a machine and that table of workloads: its path and itself, or None and None."""
    runs = []
    for path in glob.glob(f"{glob.escape(folder)}/*.json"):
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
        if (run.get("format") == FORMAT and run["table"] == table and
                machine_name(run["machine"]) == machine_name(of_machine)):
            runs.append((run["date"], path, run))
    return max(runs, key=lambda r: r[:2], default=(None, None, None))[1:]


def all_runs(run):
    """What judge() wants to know of the other workloads."""
    return {w["name"]: w["runs"] for w in run["workloads"]}


def verdicts(run, workload):
    """Of all its bars that can be told."""
    bars = [Bar(text) for text in workload["bars"]]
    told = [judge(bar, workload["subject"], workload["runs"], all_runs(run), run.get("sync")) for bar in bars]
    return [v for v in told if v is not None]


def about(workload):
    """The figures that are shown of it."""
    shown = [figure for figure in FIGURES if figure not in ("client_us", "mb")]
    bars = [Bar(text).figure for text in workload["bars"]]
    if any(f.endswith(("50_us", "99_us")) for f in bars):
        shown.remove("rate")  # that is given
    return [f for f in FIGURES if (f in shown or f in bars) and spread(workload["runs"][workload["subject"]], f)]


# ---- As text


def show_workload(run, workload):
    """A few lines: who did what, how that compares, and which bars are reached."""
    subject, lines = workload["subject"], [f"{workload['name']}: {workload['title']}"]
    for name, runs in workload["runs"].items():
        parts = [said(s, f) for f in about(workload) if (s := spread(runs, f))]
        lines.append(f"  {name:10s} " + "   ".join(parts))
        if name == subject:
            continue
        parts = []
        for figure in about(workload):
            r = ratios(workload["runs"][subject], runs, figure)
            if r:
                parts.append(f"{figure} {number(r.median)} x ({number(r.least)}–{number(r.most)})")
        if parts:
            lines.append(f"  {'':10s} {subject} beside it: " + ", ".join(parts))
    lines += [f"  bar        {verdict_said(v)}" for v in verdicts(run, workload)]
    return "\n".join(lines)


def cell(workload, name):
    """What one did, in a table."""
    if name == OURS[0]:
        found = [(who, cell_of(workload, who)) for who in workload["runs"] if who in OURS]
        return "; ".join(text if len(found) == 1 else f"{who}: {text}" for who, text in found)
    return cell_of(workload, name)


def cell_of(workload, name):
    """The same of one that is not several."""
    runs = workload["runs"].get(name, [])
    return ", ".join(with_unit(s.median, f) for f in about(workload) if (s := spread(runs, f)))


def columns(run):
    """Everyone in the run, ours first and once."""
    names = [OURS[0]]
    for w in run["workloads"]:
        names += [name for name in w["runs"] if name not in names and name not in OURS]
    return names


def title(run, name):
    """What one is called, and which it is."""
    return f"{TITLES.get(name, name)} {run['servers'].get(name, '')}".strip()


def bar_words(bar):
    """A bar for people: "p50 ≤ 25 µs", "rate ≥ 25 × rabbitmq"."""
    _, op, rest = bar.text.split(" ", 2)
    word = "rate " if bar.figure == "rate" else LABELS.get(bar.figure, "")
    unit = "" if bar.is_ratio() else FIGURES[bar.figure][0]
    unit = unit if unit in ("", "/s") else " " + unit
    return f"{word}{'≤' if op == '<=' else '≥'} {rest.replace(' x ', ' × ')}{unit}"


def bar_cell(run, workload):
    """Its bars, and whether they are reached."""
    return "; ".join(f"{bar_words(v.bar)}: {'yes' if v.is_reached else '**no**'}" +
                     (f", {number(v.value)} ×" if v.is_ratio else "") for v in verdicts(run, workload))


def markdown_table(run):
    """All of it, a row a workload."""
    names = columns(run)
    titles = [title(run, name) for name in names]
    lines = ["| | " + " | ".join(titles) + " | bar |", "| --- |" + " --- |" * (len(names) + 1)]
    for w in run["workloads"]:
        cells = [w["title"]] + [cell(w, name) for name in names] + [bar_cell(run, w)]
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return "\n".join(lines) + "\n"


def heading(run, is_short=False):
    """Where, when and how."""
    m = run["machine"]
    text = (f"Commit {run['commit']}, {run['date'][:10]}, {m['cpu']}, {m['cores']} processors: medians of "
            f"{run['rounds']} interleaved rounds of {run['seconds']} s.")
    if not is_short:
        text += f" Linux {m['kernel']}, {m['memory_gib']} GiB."
    if run.get("sync") and not is_short:
        text += f" A sync of the disk took {number(run['sync']['p50_us'])} µs, p99 {number(run['sync']['p99_us'])} µs."
    return text


def markdown(run):
    """A page."""
    lines = ["# A run of the benchmarks", "", heading(run), "", markdown_table(run), "Medians with their spread:", "",
             "```"]
    lines += [show_workload(run, w) for w in run["workloads"]]
    return "\n".join(lines + ["```", ""])


def replace_marked(text, mark, new):
    """The text with what lies between the two comments of that mark replaced."""
    begin, end = f"<!-- {mark} begins -->\n", f"<!-- {mark} ends -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise TableError(f"no marks {begin.strip()} … {end}")
    return text[:text.index(begin) + len(begin)] + new + text[text.index(end):]


# ---- Against another


def beside_relay(workload, figure):
    """That figure of each round, beside the relay's of the same round if it was there: a slow day is one for both."""
    subject = workload["runs"].get(workload["subject"], [])
    relay = workload["runs"].get("relay")
    if relay and ratios(subject, relay, figure):
        return [a[figure] / b[figure] for a, b in zip(subject, relay) if figure in a and b.get(figure)], True
    return series(subject, figure), False


def compare(old, new):
    """A line for each workload of both, and whether one of them has become worse by more than both spreads."""
    before, lines, is_worse = {w["name"]: w for w in old["workloads"]}, [], False
    for w in new["workloads"]:
        was = before.get(w["name"])
        figure = Bar(w["bars"][0]).figure if w["bars"] else "cpu_us"
        if figure == "rate" and series(w["runs"].get(w["subject"], []), "cpu_us"):
            figure = "cpu_us"  # the rate is the client's, too
        if was is None:
            continue
        (a, a_relay), (b, b_relay) = beside_relay(was, figure), beside_relay(w, figure)
        if not a or not b or a_relay != b_relay:
            continue
        a, b = Spread(a), Spread(b)
        change = b.median / a.median - 1 if a.median else 0.0
        less_is_better = FIGURES[figure][1]
        apart = b.least > a.most if less_is_better else b.most < a.least
        worse = apart and (change if less_is_better else -change) > LEAST_CHANGE
        is_worse |= worse
        what = f"{figure}{' beside the relay' if a_relay else ''}"
        lines.append(f"{w['name']:12s} {what:24s} {number(a.median):>9s} ({number(a.least)}–{number(a.most)}) -> "
                     f"{number(b.median):>9s} ({number(b.least)}–{number(b.most)}) {change:+6.1%}"
                     f"{'  WORSE' if worse else ''}")
    return lines, is_worse
