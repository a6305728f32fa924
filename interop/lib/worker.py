"""A real Celery worker in a process of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import time

from tap import WAIT_S, check, equal

START_S = 15  # for a worker to be ready
STOP_S = 10  # to end when it is told to


class Worker:
    """Of the application in folder, with more arguments of `celery worker`; ready when this returns, dead when the
    scenario t ends."""

    def __init__(self, t, folder, application, arguments, name="worker"):
        self.name = f"{name}-{os.getpid()}@{t.prefix.strip('-')}"
        self.log = tempfile.NamedTemporaryFile("w+", prefix="interop-celery-")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", application, "worker", "--loglevel=INFO", "--hostname", self.name,
             *arguments],
            cwd=folder, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1"})
        t.on_end(self.close)
        ends = time.monotonic() + START_S
        while f"{self.name} ready" not in self.text():
            if self.process.poll() is not None or time.monotonic() > ends:
                raise AssertionError("the worker did not start:\n" + self.text()[-2000:])
            time.sleep(0.01)

    def text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self, errors_are_fine=False):
        """A warm shutdown: finishes and acknowledges what it has."""
        self.process.send_signal(signal.SIGTERM)
        try:
            equal(self.process.wait(STOP_S), 0, "the worker's exit status")
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # and says where it is
            self.process.wait(WAIT_S)
            raise AssertionError("the worker does not stop:\n" + self.text()[-5000:]) from None
        check(errors_are_fine or "Traceback" not in self.text(), "the worker had trouble:\n" + self.text()[-2000:])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def close(self):
        self.kill()
        self.log.close()
