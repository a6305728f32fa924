"""Requests of which an API is asked, right and wrong, and what of the answers must be the same (the file `requests`)."""

import html
import json
import re

CHECKED = ("location", "allow", "www-authenticate")


def read_requests(path):
    """[(line, whether it differs deliberately, method, path, body as text or None)]"""
    out = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            mark, method, rest = line.split(" ", 2)
            assert mark in "=!" and (" -- " in rest) == (mark == "!"), f"requests:{number}: = or !, with a reason behind --"
            where, _, body = rest.split(" -- ")[0].partition(" ")
            out.append((number, mark == "!", method, where, body or None))
    return out


def said(reason):
    """A reason as text: RabbitMQ writes some as a list, breaks long ones into lines, and escapes others for HTML."""
    if isinstance(reason, list):
        reason = "[" + ",".join(x if isinstance(x, str) else json.dumps(x) for x in reason) + "]"
    return re.sub(r"\s+(?=\{)", "", html.unescape(reason))


def plain(value):
    """What the two need not have in common is taken out: the hash of arguments, an empty object as []."""
    if isinstance(value, dict):
        if set(value) == {"error", "reason"}:
            return {"error": value["error"], "reason": said(value["reason"])}
        return {k: {} if v == [] and k in ("properties", "value") else
                re.sub(r"~[A-Za-z0-9_-]{6,8}$", "~HASH", v) if k == "properties_key" else plain(v)
                for k, v in value.items() if k not in ("password_hash", "ports", "protocols")}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def seen(status, headers, text, node):
    """What must be the same of an answer."""
    headers = {k.lower(): v for k, v in headers}
    out = {k: headers[k] for k in CHECKED if k in headers}
    if "location" in out:
        out["location"] = re.sub(r"~[A-Za-z0-9_-]{6,8}$", "~HASH", out["location"])
    text = text.decode("utf-8", "replace").replace(json.dumps(node)[1:-1], "NODE")
    try:
        body = plain(json.loads(text)) if text else None
    except ValueError:
        body = text[:200]
    return {"status": status, **out, "body": body}
