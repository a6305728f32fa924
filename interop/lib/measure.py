"""What tests measure."""


def rss(pid):
    """The bytes of memory that a process has."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) * 1024


def percentile(values, share):
    """The value that this share of them (0 to 1) does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
