"""The Celery application that the worker and the test share.  INTEROP_NAME prefixes all that it makes on the broker."""

import os
import sys
import time

import celery

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "lib"))
from tap import is_external, tls_options

NAME = os.environ["INTEROP_NAME"]
BROKER = "amqp://{}:{}@{}:{}//".format(os.environ.get("AMQP_USER", "guest"), os.environ.get("AMQP_PASS", "guest"),
                                       os.environ.get("AMQP_HOST", "127.0.0.1"), os.environ.get("AMQP_PORT", "5672"))

app = celery.Celery("interop", broker=BROKER, backend="rpc://")
app.conf.update(
    task_default_queue=NAME + "tasks",
    task_default_exchange=NAME + "tasks",
    task_default_routing_key=NAME + "tasks",
    control_exchange=NAME + "control",
    event_exchange=NAME + "events",
    event_queue_prefix=NAME + "event-queue",
    result_exchange=NAME + "results",
    broker_use_ssl=tls_options() or False,
    broker_login_method="EXTERNAL" if is_external() else None,
    task_acks_late=True,
    task_send_sent_event=True,
    worker_hijack_root_logger=False,
    broker_connection_retry=False,
    broker_connection_max_retries=0,
    enable_utc=True,
)

QUEUES = [NAME + "tasks"]
EXCHANGES = [NAME + "tasks", NAME + "control.pidbox", f"reply.{NAME}control.pidbox", NAME + "events"]


@app.task
def add(x, y):
    return x + y


@app.task(bind=True, max_retries=3, default_retry_delay=0.1)
def flaky(self):
    """Fails twice, then says how often it had been tried."""
    if self.request.retries < 2:
        raise self.retry(exc=RuntimeError("once more"))
    return self.request.retries


@app.task
def when():
    return time.time()
