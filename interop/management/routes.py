"""Which endpoint a request is for: the routes of broker/admin/routes.def, as it finds them."""

import os
import re

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, os.pardir)
ROUTE = re.compile(r'^ROUTE(?:_TEXT)?\((\w+), "([^"]+)", (\w+), (\w+)\)', re.M)


def read_routes():
    """[(method, path)], in order."""
    with open(os.path.join(ROOT, "broker", "admin", "routes.def"), encoding="utf-8") as f:
        return [(m[1], m[2]) for m in ROUTE.finditer(f.read())]


ROUTES = read_routes()


def fits(pattern, segments):
    parts = pattern.split("/")
    return len(parts) == len(segments) and all(
        (s or p == "{v}") if p.startswith("{") else p == s for p, s in zip(parts, segments))


def pattern_of(method, path):
    """"GET queues/{v}", or None if that is not of the API; a method that the path has not is named so."""
    path = path.split("?", 1)[0]
    if not path.startswith("/api/"):
        return None
    segments = path[len("/api/"):].split("/")
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    method = "GET" if method == "HEAD" else method
    found = next((p for _, p in ROUTES if fits(p, segments)), None)
    return f"{method} {found}" if (method, found) in ROUTES else None
