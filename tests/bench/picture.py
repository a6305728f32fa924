"""A picture of a kept run: the processor time that brokers take for a message, by workload."""

import math
from xml.sax.saxutils import escape

from figures import number, spread
from kept import title as title_of

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 920, 290, 70, 96, 15, 11
GAP = 14  # between workloads
STYLE = """<style>
svg{color-scheme:light dark}
.page{fill:#ffffff}.grid{stroke:#e6e8ec}
text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#4a5058}
.title{font-size:17px;font-weight:600;fill:#1c2126}.strong{fill:#1c2126}
.c0{fill:#0b66c3}.c1{fill:#9aa3ad}.c2{fill:#c2410c}.c3{fill:#15803d}.c4{fill:#7c3aed}
@media (prefers-color-scheme:dark){
.page{fill:#14171b}.grid{stroke:#2a2f36}
text{fill:#a9b1bb}.title,.strong{fill:#f0f3f6}
.c0{fill:#5aa9f5}.c1{fill:#6b747e}.c2{fill:#f39459}.c3{fill:#56c27b}.c4{fill:#a78bfa}}
</style>
"""
COLOURS = 5


def text(x, y, what, attributes=""):
    """A line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(what)}</text>\n'


def costs(run):
    """Of each workload that has them: its title, and (name, µs) of everyone."""
    rows = []
    for w in run["workloads"]:
        row = [(name, s.median) for name, runs in w["runs"].items() if (s := spread(runs, "cpu_us"))]
        row = [(name, us) for name, us in row if us > 0]
        if len(row) > 1 and w["subject"] == "millrace" and not {"--churn", "-r"} & set(w["options"]):
            rows.append((w["title"], row))
    return rows


def picture(run, where):
    """The SVG; where: a line below the title."""
    rows, names = costs(run), []
    for _, row in rows:
        names += [name for name, _ in row if name not in names]
    values = [us for _, row in rows for _, us in row] or [1]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)
    high = max(high, low + 1)
    height = TOP + sum(ROW * len(row) + GAP for _, row in rows) + 24

    def at(us):
        return LEFT + (math.log10(us) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
           f'aria-label="Processor time of brokers">\n', STYLE,
           f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>\n',
           text(24, 34, "Processor time of the broker for a message, µs (logarithmic)", ' class="title"'),
           text(24, 56, where)]
    x = 24
    for i, name in enumerate(names):
        out.append(f'<rect class="c{i % COLOURS}" x="{x}" y="68" width="11" height="11"/>\n')
        label = title_of(run, name)
        out.append(text(x + 16, 78, label, ' class="strong"'))
        x += 36 + 7 * len(label)
    for power in range(low, high + 1):
        out.append(f'<path class="grid" d="M{at(10 ** power):.1f} {TOP}V{height - 24}"/>\n')
        out.append(text(at(10 ** power), height - 8, f"{10 ** power:g}", ' text-anchor="middle"'))
    y = TOP + GAP / 2
    for title, row in rows:
        out.append(text(LEFT - 10, y + ROW * len(row) / 2 + 4, title, ' class="strong" text-anchor="end"'))
        for name, us in row:
            width = max(at(us) - LEFT, 1)
            out.append(f'<rect class="c{names.index(name) % COLOURS}" x="{LEFT}" y="{y + (ROW - BAR) / 2:.1f}" '
                       f'width="{width:.1f}" height="{BAR}" rx="2"/>\n')
            out.append(text(LEFT + width + 6, y + ROW - 3.5, number(us)))
            y += ROW
        y += GAP
    return "".join(out) + "</svg>\n"
