"""Declares, binds, unbinds, deletes and purges, and knows what must be in force (P8)."""

import time

import ledger as books
import load
import wire

YES, NO, MAYBE = "yes", "no", "maybe"
QUEUES, EXCHANGES, KEYS = 8, 4, 2


class Definitions:
    """What there is.  Outlives connections and brokers.  A thing is ("q", name), ("x", name), or ("b", queue, exchange,
    key)."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.state = {}
        self.queues = {}   # name: the ledger's queue, while there is one
        self.pending = []  # (things, the state before, the state after) of what was asked and not answered
        self.transient = set()

    def is_sure(self, thing):
        return self.state.get(thing, NO) == YES

    def begin(self, change):
        op = (dict.fromkeys(change), {t: self.state.get(t, NO) for t in change}, change)
        self.pending.append(op)
        return op

    def end(self, op):
        self.pending.remove(op)
        self.state.update(op[2])

    def bindings_of(self, **where):
        for t in list(self.state):
            if t[0] == "b" and t[1] == where.get("queue", t[1]) and t[2] == where.get("exchange", t[2]):
                yield t

    def settle(self, found):
        """After a restart: what there is must be what is known; what was under way happened as a whole or not at all.
        found: thing to YES or NO; bindings of what is not there are left out."""
        expected = dict(self.state)
        for things, before, after in self.pending:
            looked = [t for t in things if t in found]
            went = [t for t in looked if before[t] != after[t]]
            has = {t: found[t] for t in went}
            if went and all(has[t] == after[t] for t in went):
                expected.update(after)
            elif any(has[t] != before[t] for t in went):
                self.ledger.blame("definitions", f"{after}: happened by half: {has}")
                expected.update(found)
        self.pending = []
        for thing, state in found.items():
            self.ledger.checked["definitions"] += 1
            if expected.get(thing, NO) != state:
                self.ledger.blame("definitions", f"{thing}: {'is gone' if state == NO else 'is there'}")
            self.state[thing] = state
        for thing in list(self.state):
            if thing not in found:
                self.state[thing] = NO
        for name, queue in list(self.queues.items()):
            if self.state[("q", name)] == NO:
                self.drop_queue(name)
        for thing, state in self.state.items():
            if thing[0] == "q" and state == YES and thing[1] not in self.queues:
                self.add_queue(thing[1])  # its declare-ok had not come

    def add_queue(self, name):
        self.queues[name] = self.ledger.add_queue(books.Queue(name, "churn"))

    def drop_queue(self, name):
        queue = self.queues.pop(name, None)
        if queue:
            queue.places.clear()
            del self.ledger.queues[queue.name]


class Admin(load.Publisher):
    """One thing after the other, on one channel."""

    def __init__(self, world, numbers, definitions):
        super().__init__(world, "admin", numbers, None, window=16)
        self.definitions = definitions
        self.is_busy = False

    # ---- At work.

    def act(self, now):
        if self.is_busy or self.out:
            return
        d, rng = self.definitions, self.rng
        name, exchange = f"churn.q{rng.randrange(QUEUES)}", f"churn.x{rng.randrange(EXCHANGES)}"
        binding = ("b", name, exchange, f"{name}.{rng.randrange(KEYS)}")
        has_queue, has_exchange = d.is_sure(("q", name)), d.is_sure(("x", exchange))
        at = rng.random()
        if at < 0.03:
            self.transient(f"churn.t{rng.randrange(4)}")
        elif at < 0.10:
            self.purge(self.world.purged, now)
        elif not has_exchange:
            self.change({("x", exchange): YES}, wire.exchange_declare(1, exchange))
        elif not has_queue:
            d.drop_queue(name)
            self.change({("q", name): YES}, wire.queue_declare(1, name), lambda: d.add_queue(name))
        elif at < 0.20:
            gone = {t: NO for t in d.bindings_of(queue=name) if d.is_sure(t)}
            for p in d.queues[name].places.values():
                p.is_in_doubt = True
            self.change({("q", name): NO, **gone}, wire.queue_delete(1, name), lambda: d.drop_queue(name))
        elif at < 0.24:
            gone = {t: NO for t in d.bindings_of(exchange=exchange) if d.is_sure(t)}
            self.change({("x", exchange): NO, **gone}, wire.exchange_delete(1, exchange))
        elif at < 0.35:
            self.purge(d.queues[name], now)
        elif at < 0.60 and len(self.waiting) < self.window:
            self.route = lambda rng: ("", name, [d.queues[name]])
            self.publish(now)
        elif d.is_sure(binding):
            self.change({binding: NO}, wire.queue_unbind(1, *binding[1:]))
        else:
            self.change({binding: YES}, wire.queue_bind(1, *binding[1:]))

    def change(self, change, raw, then=lambda: None):
        op = self.definitions.begin(change)
        self.is_busy = True

        def answered(answer):
            if answer.refused:
                self.ledger.blame("definitions", f"{change}: {answer.refused} {answer.text}")
                return
            self.is_busy = False
            self.definitions.end(op)
            then()
            self.ledger.mark("definition changed")
            self.world.happened("definition")
        self.ask(1, raw, answered)

    def transient(self, name):
        self.definitions.transient.add(name)
        self.ask(1, wire.queue_declare(1, name, durable=False), lambda answer: None)
        self.put(wire.publish(1, "", name, b"x", wire.properties()))
        self.waiting[self.next_tag] = books.Message(0, 0, 1, 0, 0)
        self.waiting[self.next_tag].places = [None]
        self.next_tag += 1

    def purge(self, queue, now):
        sure = [p for p in queue.places.values() if p.message.confirmed and p.purged is None and not p.settled]
        for p in queue.places.values():
            p.is_in_doubt = True
        self.is_busy = queue.is_purging = True

        def purged(answer):
            self.is_busy = queue.is_purging = False
            then = time.monotonic()
            for p in sure:
                p.purged, p.purged_epoch = then, self.ledger.epoch
            self.ledger.mark("purge")
            self.ledger.checked["purge"] += len(sure)
            self.ledger.checked["slow"] += len(sure)
            self.world.happened("purge-ok")
        self.ask(1, wire.queue_purge(1, queue.name), purged)

    # ---- After a restart.

    def look(self):
        """Finds out what there is, and says what is wrong with it."""
        d, loop = self.definitions, self.loop
        found, left = {}, set()
        channel = 1

        def see(thing, answer):
            left.discard(thing)
            found[thing] = NO if answer.refused else YES
        names = [("q", f"churn.q{i}") for i in range(QUEUES)] + [("x", f"churn.x{i}") for i in range(EXCHANGES)]
        names += [("q", name) for name in d.transient]
        for thing in names:
            channel += 1
            left.add(thing)
            self.ask(channel, wire.channel_open(channel), lambda answer: None)
            raw = wire.queue_declare(channel, thing[1], passive=True) if thing[0] == "q" else \
                wire.exchange_declare(channel, thing[1], passive=True)
            self.ask(channel, raw, lambda answer, thing=thing: see(thing, answer))
        loop.wait(lambda: not left or self.is_gone, 10, "passive declares")
        for name in d.transient:
            if found.pop(("q", name), NO) == YES:
                self.ledger.blame("definitions", f"{name}: is there, and was not durable")
        d.transient.clear()
        self.look_for_bindings(found)
        d.settle(found)

    def look_for_bindings(self, found):
        """A message with expiration 0 through each: returned if there is no binding, nowhere afterwards."""
        probes, tags = {}, {}
        for i in range(QUEUES):
            for j in range(EXCHANGES):
                if found[("x", f"churn.x{j}")] == YES:
                    for k in range(KEYS):
                        thing = ("b", f"churn.q{i}", f"churn.x{j}", f"churn.q{i}.{k}")
                        self.put(wire.publish(1, thing[2], thing[3], b"", wire.properties(
                            str(len(probes)), wire.TRANSIENT, 0), mandatory=True))
                        m = books.Message(0, len(probes), 0, 0, 0)
                        m.places = [None]
                        self.waiting[self.next_tag] = m
                        self.next_tag += 1
                        probes[str(len(probes))] = thing
        missing = set()
        on_return = self.on_return
        self.on_return = lambda channel, content: missing.add(probes[content.properties["message_id"]])
        self.loop.wait(lambda: not self.waiting or self.is_gone, 10, "answers to probes")
        self.on_return = on_return
        for thing in probes.values():
            found[thing] = NO if thing in missing else YES

    def on_channel_closed(self, channel, code, text):
        if channel == 1 or code != 404:
            super().on_channel_closed(channel, code, text)
