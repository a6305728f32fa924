"""The Celery application that the workers and the test share.  INTEROP_NAME prefixes all that it makes on the broker;
each run of a task leaves a line in the file INTEROP_LEDGER."""

import json
import os
import signal
import time

import celery
from celery import bootsteps
from celery.exceptions import Reject
from kombu import Exchange, Queue
from kombu.common import Broadcast, QoS

NAME = os.environ["INTEROP_NAME"]
LEDGER = os.environ["INTEROP_LEDGER"]
BROKER = "amqp://{}:{}@{}:{}//".format(os.environ.get("AMQP_USER", "guest"), os.environ.get("AMQP_PASS", "guest"),
                                       os.environ.get("AMQP_HOST", "127.0.0.1"), os.environ.get("AMQP_PORT", "5672"))

PLAIN, URGENT, DOOMED, DEAD, QUORUM, MAIL = (NAME + what for what in
                                             ("plain", "urgent", "doomed", "dead", "quorum", "mail"))
TOPIC, DLX, ALL = NAME + "topic", NAME + "dlx", NAME + "all"
EXCHANGES = [PLAIN, URGENT, DOOMED, QUORUM, TOPIC, DLX, ALL, NAME + "events", NAME + "control.pidbox",
             f"reply.{NAME}control.pidbox"]
QUEUES = [PLAIN, URGENT, DOOMED, DEAD, QUORUM, MAIL]


def direct(name, **arguments):
    return Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments or None)


app = celery.Celery("tasks", broker=BROKER, backend="rpc://")
app.conf.update(
    task_queues=[
        direct(PLAIN), direct(URGENT, **{"x-max-priority": 10}),
        direct(DOOMED, **{"x-dead-letter-exchange": DLX}), direct(QUORUM, **{"x-queue-type": "quorum"}),
        Queue(MAIL, Exchange(TOPIC, type="topic"), routing_key="mail.#"), Broadcast(ALL),
    ],
    task_routes={"tasks.mail": {"exchange": TOPIC, "routing_key": "mail.new"}},
    task_default_queue=PLAIN,
    task_default_exchange=PLAIN,
    task_default_routing_key=PLAIN,
    control_exchange=NAME + "control",
    event_exchange=NAME + "events",
    event_queue_prefix=NAME + "event-queue",
    result_expires=60,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=int(os.environ.get("INTEROP_PREFETCH", "1")),
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    broker_connection_retry="INTEROP_RECONNECT" in os.environ,
    broker_connection_max_retries=100 if "INTEROP_RECONNECT" in os.environ else 0,
    broker_transport_options={"confirm_publish": True},
)


class QosByConsumer(bootsteps.StartStopStep):
    """What Celery's manual tells users of quorum queues to add, which take no limit by channel."""

    requires = {"celery.worker.consumer.tasks:Tasks"}

    def start(self, c):
        def set_prefetch_count(prefetch_count):
            return c.task_consumer.qos(prefetch_count=prefetch_count, apply_global=False)

        c.connection.default_channel.basic_qos(0, 0, True)
        c.connection.default_channel.basic_qos(0, c.initial_prefetch_count, False)
        c.qos = QoS(set_prefetch_count, c.initial_prefetch_count)


if os.environ.get("INTEROP_QOS_BY_CONSUMER"):
    app.steps["consumer"].add(QosByConsumer)


def note(task, *about):
    """One write of one line: workers may share the file."""
    info = task.request.delivery_info or {}
    line = json.dumps({"task": task.name.split(".")[-1], "about": about, "retries": task.request.retries,
                       "redelivered": bool(info.get("redelivered")), "priority": info.get("priority"),
                       "worker": task.request.hostname, "at": time.time()})
    with open(LEDGER, "a", encoding="utf-8") as file:
        file.write(line + "\n")


@app.task(bind=True)
def work(self, what):
    note(self, what)
    return what


@app.task(bind=True)
def mail(self, what):
    note(self, what)
    return what


@app.task(bind=True)
def add(self, x, y):
    note(self, x, y)
    return x + y


@app.task(bind=True, max_retries=3)
def flaky(self, failures):
    note(self, failures)
    if self.request.retries < failures:
        raise self.retry(exc=KeyError("once more"), countdown=0.1 * 2 ** self.request.retries)
    return self.request.retries


@app.task(bind=True, autoretry_for=(KeyError,), default_retry_delay=0.1, max_retries=1)
def automatic(self):
    note(self)
    raise KeyError("never")


@app.task(bind=True)
def fail(self):
    note(self)
    raise ValueError("as it should")


@app.task(bind=True)
def steps(self, count):
    note(self, count)
    for i in range(count):
        self.update_state(state="PROGRESS", meta={"step": i})
    return "done"


@app.task(bind=True)
def reject(self, requeue):
    """Once more, if told to; then to the dead letters."""
    note(self, requeue)
    raise Reject("not mine", requeue=requeue and not self.request.delivery_info["redelivered"])


@app.task(bind=True)
def slow(self, seconds):
    """Takes its time, but not when it comes again."""
    note(self, seconds)
    if not self.request.delivery_info["redelivered"]:
        time.sleep(seconds)
    return "survived"


@app.task(bind=True)
def suicide(self):
    """Takes its process away, at first."""
    note(self)
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"
