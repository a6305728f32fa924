#!/usr/bin/python3
"""A shop's orders go through the broker: published, worked on, retried, and in the end done or dead.

    publisher -> orders (direct) -> orders.standard, orders.express -> workers
                    |                        | rejected
                    v                        v
                 orders.audit            orders.failed (direct): by the routing key, which says how often it was tried,
                 (fanout) and            either into a retry queue, which expires into orders.again and back into the
                 its queue               work queue with the next key, or, after the third time, into orders.dead

The program checks what it says at the end, and its exit status is 0 only if all of it holds.
"""

import collections
import csv
import json
import os
import pathlib
import queue
import sys
import threading
import time

import pika

HOST = os.environ.get("AMQP_HOST", "127.0.0.1")
PORT = int(os.environ.get("AMQP_PORT", "5672"))
USER = os.environ.get("AMQP_USER", "guest")
PASS = os.environ.get("AMQP_PASS", "guest")

KINDS = ("standard", "express")
COUNTRIES = {"DE", "FR", "NL", "PL", "ES", "IT", "SE", "IE", "FI", "PT", "GB", "CZ"}
WORKERS = 4
PREFETCH = 5
ATTEMPTS = 3
RETRY_MS = 200
PERSISTENT = 2
DEADLINE_SECONDS = 12

EXCHANGES = {"orders": "direct", "orders.audit": "fanout", "orders.failed": "direct", "orders.again": "direct"}

# What a worker tells the main thread: order is None when the worker itself has failed.
Attempt = collections.namedtuple("Attempt", "worker order number problem")


class Failure(Exception):
    """Something that must hold does not."""


def connect():
    return pika.BlockingConnection(
        pika.ConnectionParameters(HOST, PORT, credentials=pika.PlainCredentials(USER, PASS))
    )


# --- Exchanges and queues.


def key(kind, attempt):
    """The routing key of an order that is to be tried for the nth time: standard, then standard.2, standard.3."""
    return kind if attempt == 1 else f"{kind}.{attempt}"


def queues():
    """The arguments of every queue, by name."""
    names = {"orders.audit": {}, "orders.dead": {}}
    for kind in KINDS:
        names[f"orders.{kind}"] = {"x-dead-letter-exchange": "orders.failed"}
        for attempt in range(1, ATTEMPTS):
            names[f"orders.retry.{key(kind, attempt)}"] = {
                "x-message-ttl": RETRY_MS,
                "x-dead-letter-exchange": "orders.again",
                "x-dead-letter-routing-key": key(kind, attempt + 1),
            }
    return names


def declare(channel):
    for name, kind in EXCHANGES.items():
        channel.exchange_declare(name, kind, durable=True)
    for name, arguments in queues().items():
        channel.queue_declare(name, durable=True, arguments=arguments)
    channel.queue_bind("orders.audit", "orders.audit")
    for kind in KINDS:
        channel.queue_bind(f"orders.{kind}", "orders", kind)
        channel.exchange_bind("orders.audit", "orders", kind)
        for attempt in range(1, ATTEMPTS):
            channel.queue_bind(f"orders.retry.{key(kind, attempt)}", "orders.failed", key(kind, attempt))
            channel.queue_bind(f"orders.{kind}", "orders.again", key(kind, attempt + 1))
        channel.queue_bind("orders.dead", "orders.failed", key(kind, ATTEMPTS))


def clean(channel):
    for name in queues():
        channel.queue_delete(name)
    for name in EXCHANGES:
        channel.exchange_delete(name)


def refuse_leftovers(connection):
    """Another run may be using the same names, so they are not taken over silently."""
    for name in queues():
        channel = connection.channel()
        try:
            channel.queue_declare(name, passive=True)
        except pika.exceptions.ChannelClosedByBroker as error:
            if error.reply_code != 404:
                raise
        else:
            raise Failure(f"queue {name} is there already; '{sys.argv[0]} --clean' deletes what a dead run left")


def ready(channel, name):
    return channel.queue_declare(name, passive=True).method.message_count


# --- Publishing.


def read_orders():
    with open(pathlib.Path(__file__).with_name("orders.csv"), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def publish(channel, orders):
    """Publishes every order; answers how many the broker has confirmed."""
    channel.confirm_delivery()
    for order in orders:
        # This raises when the broker refuses the message or returns it as unroutable.
        channel.basic_publish(
            "orders",
            order["shipping"],
            json.dumps(order).encode(),
            pika.BasicProperties(
                content_type="application/json",
                delivery_mode=PERSISTENT,
                message_id=order["id"],
            ),
            mandatory=True,
        )
    return len(orders)


# --- Working.


def deaths(properties):
    """What x-death counts, by queue and reason."""
    entries = (properties.headers or {}).get("x-death", [])
    return {(entry["queue"], entry["reason"]): entry["count"] for entry in entries}


def problem_of(order, attempt):
    """Why this order cannot be done now, or None."""
    try:
        amount = float(order["amount"])
    except ValueError:
        return f"amount {order['amount']} is not a number"
    if amount <= 0:
        return f"amount {order['amount']} is not positive"
    if order["country"] not in COUNTRIES:
        return f"unknown country '{order['country']}'"
    if order["card"] == "declined":
        return "card declined"
    if order["card"] == "busy" and attempt == 1:
        return "card service busy"
    return None


class Worker(threading.Thread):
    """Takes orders from both work queues, on a connection of its own."""

    def __init__(self, name, events):
        super().__init__(name=name, daemon=True)
        self.events = events
        self.connection = connect()
        self.channel = self.connection.channel()
        self.channel.basic_qos(prefetch_count=PREFETCH)
        for kind in KINDS:
            self.channel.basic_consume(f"orders.{kind}", self.on_order)

    def run(self):
        try:
            self.channel.start_consuming()
            self.connection.close()
        except Exception as error:  # whatever it is, the main thread must not wait for us
            self.events.put(Attempt(self.name, None, 0, repr(error)))

    def stop(self):
        try:
            self.connection.add_callback_threadsafe(self.channel.stop_consuming)
        except pika.exceptions.ConnectionWrongStateError:
            pass  # it has failed, and said so
        self.join(DEADLINE_SECONDS)

    def on_order(self, channel, method, properties, body):
        order = json.loads(body)
        rejected = deaths(properties).get((f"orders.{order['shipping']}", "rejected"), 0)
        problem = problem_of(order, rejected + 1)
        if problem is None:
            channel.basic_ack(method.delivery_tag)
        else:
            channel.basic_reject(method.delivery_tag, requeue=False)
        self.events.put(Attempt(self.name, order["id"], rejected + 1, problem))


def watch(events, orders, deadline):
    """Collects attempts until every order is done or has failed for the last time."""
    attempts = []
    open_orders = {order["id"] for order in orders}
    while open_orders:
        try:
            attempt = events.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            raise Failure(f"{len(open_orders)} orders are still open: {', '.join(sorted(open_orders))}") from None
        if attempt.order is None:
            raise Failure(f"{attempt.worker} failed: {attempt.problem}")
        attempts.append(attempt)
        if attempt.problem is None or attempt.number >= ATTEMPTS:
            open_orders.discard(attempt.order)
    return attempts


# --- Reading back and checking.


def read_back(channel, name, count, deadline):
    """Takes count messages from a queue: [(order, properties)]."""
    messages = []
    if count:
        left = max(0.1, deadline - time.monotonic())
        for method, properties, body in channel.consume(name, inactivity_timeout=left):
            if method is None:
                break
            channel.basic_ack(method.delivery_tag)
            messages.append((json.loads(body), properties))
            if len(messages) == count:
                break
        channel.cancel()  # puts back what was delivered beyond count
    return messages


def check(truth, text):
    if not truth:
        raise Failure(text)


def check_attempts(orders, attempts):
    """Every order is done exactly once, or has failed exactly ATTEMPTS times; answers the ids of the dead."""
    of_order = collections.defaultdict(list)
    for attempt in attempts:
        of_order[attempt.order].append(attempt)
    dead = set()
    for order in orders:
        mine = of_order.pop(order["id"], [])
        done = [attempt for attempt in mine if attempt.problem is None]
        numbers = [attempt.number for attempt in mine]
        check(numbers == list(range(1, len(mine) + 1)), f"{order['id']} was tried as {numbers}")
        if done:
            check(done == mine[-1:], f"{order['id']} was done {len(done)} times, tried {len(mine)} times")
        else:
            check(len(mine) == ATTEMPTS, f"{order['id']} was given up after {len(mine)} attempts")
            dead.add(order["id"])
    check(not of_order, f"orders that nobody published: {sorted(of_order)}")
    return dead


def check_dead(letters, dead):
    check(sorted(order["id"] for order, _ in letters) == sorted(dead), "orders.dead holds other orders than failed")
    for order, properties in letters:
        work = f"orders.{order['shipping']}"
        want = {(work, "rejected"): ATTEMPTS}
        for attempt in range(1, ATTEMPTS):
            want[f"orders.retry.{key(order['shipping'], attempt)}", "expired"] = 1
        check(deaths(properties) == want, f"x-death of {order['id']} is {properties.headers.get('x-death')}")
        first = properties.headers.get("x-first-death-queue"), properties.headers.get("x-first-death-reason")
        check(first == (work, "rejected"), f"{order['id']} died first as {first}")
        check(properties.delivery_mode == PERSISTENT, f"{order['id']} is not persistent any more")


def report(orders, confirmed, attempts, letters, copies):
    done = collections.Counter(attempt.worker for attempt in attempts if attempt.problem is None)
    tried = collections.Counter(attempt.worker for attempt in attempts)
    retried = {attempt.order for attempt in attempts if attempt.number > 1}
    retries = sum(attempt.number > 1 for attempt in attempts)
    problem = {attempt.order: attempt.problem for attempt in attempts}
    print(f"published       {len(orders):4}")
    print(f"confirmed       {confirmed:4}")
    for worker in sorted(tried):
        print(f"  {worker}      {done[worker]:4} done of {tried[worker]} attempts")
    print(f"processed       {sum(done.values()):4}")
    print(f"retried         {len(retried):4} orders, {retries} retries")
    print(f"dead-lettered   {len(letters):4}")
    print(f"audit copies    {len(copies):4}\n")
    print(f"{'order':8}{'last queue':18}{'reason':10}{'count':7}why")
    for order, properties in sorted(letters, key=lambda letter: letter[0]["id"]):
        last = properties.headers["x-death"][0]
        print(f"{order['id']:8}{last['queue']:18}{last['reason']:10}{last['count']:<7}{problem[order['id']]}")
    print()


def work(connection, channel):
    deadline = time.monotonic() + DEADLINE_SECONDS
    orders = read_orders()
    events = queue.Queue()
    workers = [Worker(f"worker {i + 1}", events) for i in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        confirmed = publish(connection.channel(), orders)
        attempts = watch(events, orders, deadline)
    finally:
        for worker in workers:
            worker.stop()
    while not events.empty():  # more than we waited for would be a mistake, so it counts
        attempts.append(events.get())
    dead = check_attempts(orders, attempts)
    letters = read_back(channel, "orders.dead", len(dead), deadline)
    copies = [order["id"] for order, _ in read_back(channel, "orders.audit", len(orders), deadline)]
    report(orders, confirmed, attempts, letters, copies)
    check_dead(letters, dead)
    check(sorted(copies) == sorted(order["id"] for order in orders), "the audit did not get one copy of each order")
    for name in queues():
        check(ready(channel, name) == 0, f"{ready(channel, name)} messages are left in {name}")


def main():
    try:
        connection = connect()
    except pika.exceptions.AMQPConnectionError as error:
        raise Failure(f"no broker at {HOST}:{PORT}: {error!r}") from None
    if sys.argv[1:] == ["--clean"]:
        clean(connection.channel())
        return
    refuse_leftovers(connection)
    channel = connection.channel()
    try:
        declare(channel)
        work(connection, channel)
        print("All of it holds: each order was done once or is dead after three attempts, and nothing is left over.")
    finally:
        clean(connection.channel())
        connection.close()


if __name__ == "__main__":
    try:
        main()
    except (Failure, pika.exceptions.AMQPError) as failure:
        print(f"orders: FAILED: {failure or repr(failure)}", file=sys.stderr)
        sys.exit(1)
