"""Runs the scenarios of scenarios.txt against a broker and prints TAP 13.

A client registers a function for each scenario it can express, and a reason for each it cannot:

    suite = Suite("pika", cleanup=delete_all)

    @suite.scenario("fanout")
    def fanout(t): ...

    suite.skip("tx", "the library has no transactions")
    suite.run()

A function gets a Scenario: names that are its own and are deleted afterwards, and what must be closed when it ends.
It may be a coroutine.  It fails by raising anything but Skipped, or by taking longer than LIMIT_S.  A name in scenarios.txt that is
neither registered nor skipped fails, so nothing is left out silently.
"""

import asyncio
import inspect
import os
import random
import signal
import ssl
import sys
import time
import traceback

LIMIT_S = 30  # for one scenario, all included
WAIT_S = 5  # for one event
POLL_S = 0.005

HOST = os.environ.get("AMQP_HOST", "127.0.0.1")
PORT = int(os.environ.get("AMQP_PORT", "5672"))
USER = os.environ.get("AMQP_USER", "guest")
PASS = os.environ.get("AMQP_PASS", "guest")
TLS = os.environ.get("AMQP_TLS") == "1"
CA, CERT, KEY = (os.environ.get(f"AMQP_{name}") or None for name in ("CA", "CERT", "KEY"))

CAPABILITIES = ("authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify",
                "consumer_priorities", "direct_reply_to", "exchange_exchange_bindings", "per_consumer_qos",
                "publisher_confirms")


def tls_context():
    """Trusts AMQP_CA alone, checks the host's name, and has a client certificate if there is one."""
    context = ssl.create_default_context(cafile=CA)
    if CERT:
        context.load_cert_chain(CERT, KEY)
    return context


def tls_options():
    """The same for libraries that make their context themselves, of ssl.wrap_socket()'s arguments; {} without TLS."""
    if not TLS:
        return {}
    certificate = {"certfile": CERT, "keyfile": KEY} if CERT else {}
    return {"ca_certs": CA, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": HOST, **certificate}


def is_external(password=PASS):
    """Whether to log in by certificate.  Who tries another password wants it to be looked at."""
    return os.environ.get("AMQP_MECHANISM") == "EXTERNAL" and password == PASS


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, want, what="value"):
    if got != want:
        raise AssertionError(f"{what}: got {short(got)}, want {short(want)}")


def contains(text, part, what="text"):
    if part not in str(text):
        raise AssertionError(f"{what}: {short(text)} does not contain {part!r}")


def short(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "..."


def until(condition, what, pump=None):
    """Waits for condition() to be true and answers its value; pump(), if any, lets the library work meanwhile."""
    deadline = time.monotonic() + WAIT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {WAIT_S} s for {what}")
        if pump:
            pump()
        else:
            time.sleep(POLL_S)


async def until_async(condition, what):
    """As until(); condition may be a coroutine function."""
    deadline = time.monotonic() + WAIT_S
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {WAIT_S} s for {what}")
        await asyncio.sleep(POLL_S)


def check_death(headers, queue, exchange, keys, reason, count=1, first=True):
    """Checks the x-death entry for (queue, reason), and x-first-death-* if this was the first; answers the entry."""
    check("x-death" in (headers or {}), f"no x-death in {short(headers)}")
    entries = [e for e in headers["x-death"] if text(e["queue"]) == queue and text(e["reason"]) == reason]
    equal(len(entries), 1, f"x-death entries for {queue} {reason} in {short(headers['x-death'])}")
    entry = entries[0]
    equal(entry["count"], count, "x-death count")
    equal(text(entry["exchange"]), exchange, "x-death exchange")
    equal([text(k) for k in entry["routing-keys"]], keys, "x-death routing-keys")
    check("time" in entry, "x-death has no time")
    if first:
        equal(text(headers.get("x-first-death-reason")), reason, "x-first-death-reason")
        equal(text(headers.get("x-first-death-queue")), queue, "x-first-death-queue")
        equal(text(headers.get("x-first-death-exchange")), exchange, "x-first-death-exchange")
    return entry


def text(value):
    return value.decode() if isinstance(value, (bytes, bytearray)) else value


class Skipped(Exception):
    """Raised by a scenario that finds that it cannot be held here, with why."""


class TimedOut(BaseException):
    """Not an Exception, so that no library swallows it."""


class Scenario:
    def __init__(self, prefix, name):
        self.prefix = f"{prefix}{name}-"
        self.queues = []
        self.exchanges = []
        self.closers = []

    def queue(self, suffix="q"):
        self.queues.append(self.prefix + suffix)
        return self.queues[-1]

    def exchange(self, suffix="x"):
        self.exchanges.append(self.prefix + suffix)
        return self.exchanges[-1]

    def on_end(self, close):
        self.closers.append(close)


class Suite:
    def __init__(self, client, cleanup, extra=(), own=None):
        """cleanup(queues, exchanges), perhaps a coroutine, deletes those that there are; extra names follow those
        of scenarios.txt, own ones take their place."""
        self.prefix = f"interop-{client}-{os.getpid()}-{random.randrange(1 << 32):08x}-"
        self.cleanup = cleanup
        self.names = list(own or scenario_names()) + list(extra)
        self.functions = {}
        self.skips = {}

    def scenario(self, name):
        check(name in self.names, f"{name} is not in scenarios.txt")

        def register(function):
            self.functions[name] = function
            return function

        return register

    def skip(self, name, reason):
        check(name in self.names, f"{name} is not in scenarios.txt")
        self.skips[name] = reason

    def run(self):
        """Runs those named on the command line, or all; exits."""
        names = [n for n in self.names if n in sys.argv[1:] or len(sys.argv) == 1]
        signal.signal(signal.SIGALRM, on_alarm)
        say("TAP version 13")
        say(f"1..{len(names)}")
        failed = 0
        for number, name in enumerate(names, 1):
            if name in self.functions:
                failed += not self.run_one(number, name)
            elif name in self.skips:
                say(f"ok {number} - {name} # SKIP {self.skips[name]}")
            else:
                say(f"not ok {number} - {name}\n# nobody wrote it")
                failed += 1
        sys.stdout.flush()
        os._exit(1 if failed else 0)  # a library's leftover threads must not keep us

    def run_one(self, number, name):
        t = Scenario(self.prefix, name)
        problems, skipped = [], []
        started = time.monotonic()
        for step in (lambda: self.functions[name](t), lambda: close_all(t), lambda: self.clean(t)):
            problem = attempt(step)
            if isinstance(problem, Skipped):
                skipped.append(problem)
            elif problem:
                problems.append(problem)
        say(f"{'not ok' if problems else 'ok'} {number} - {name}" + "".join(f" # SKIP {why}" for why in skipped))
        for problem in problems:
            for line in problem.splitlines():
                say(f"# {line}")
        if os.environ.get("INTEROP_TIMES"):
            say(f"# {time.monotonic() - started:.2f} s")
        return not problems

    def clean(self, t):
        if t.queues or t.exchanges:
            return self.cleanup(t.queues, t.exchanges)
        return None


def close_all(t):
    """Closes in reverse order; one that fails to does not keep the others from it."""
    for close in reversed(t.closers):
        try:
            result = close()
            if inspect.isawaitable(result):
                loop().run_until_complete(asyncio.wait_for(result, WAIT_S))
        except Exception:  # it had been closed already, perhaps by the broker: no concern of the scenario
            pass


def attempt(step):
    """Runs step within LIMIT_S; answers what went wrong, a Skipped, or None."""
    signal.alarm(LIMIT_S)
    try:
        result = step()
        if inspect.isawaitable(result):
            loop().run_until_complete(result)
        return None
    except Skipped as why:
        return why
    except (Exception, TimedOut) as error:  # pylint: disable=broad-except
        return f"{type(error).__name__}: {error}\n{where(error)}"
    finally:
        signal.alarm(0)


LOOP = None


def loop():
    """One event loop for the whole run: what a scenario opened is closed on the loop that it was opened on."""
    global LOOP
    if LOOP is None:
        LOOP = asyncio.new_event_loop()
        asyncio.set_event_loop(LOOP)
    return LOOP


def where(error):
    """The lines of the run script that led to the error, innermost last."""
    script = os.path.realpath(sys.argv[0])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if os.path.realpath(f.filename) == script]
    return "\n".join(f"{os.path.basename(f.filename)}:{f.lineno}: {f.line}" for f in frames)


def on_alarm(signum, frame):
    raise TimedOut(f"not done after {LIMIT_S} s")


def scenario_names():
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "scenarios.txt")
    with open(path, encoding="utf-8") as file:
        return [line.split()[0] for line in file if line.strip() and not line.startswith("#")]


def not_installed(library):
    say(f"1..0 # SKIP library {library} not installed")
    sys.exit(0)


def say(line):
    print(line, flush=True)
