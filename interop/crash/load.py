"""Who talks to the broker while it waits to be killed.  Each actor is a connection; act() is called all the time."""

import time

import ledger as books
import wire

SIZES = ((30, 0, 0), (30, 1, 15), (500, 16, 256), (300, 257, 4096), (60, 4097, 32768), (20, 32769, 204800))


def pick_size(rng):
    at = rng.randrange(sum(weight for weight, _, _ in SIZES))
    for weight, low, high in SIZES:
        if at < weight:
            return rng.randint(low, high)
        at -= weight
    raise AssertionError


class Actor(wire.Link):
    def __init__(self, world, name):
        super().__init__(world.loop, world.broker.port, name=name)
        self.world, self.ledger, self.rng = world, world.ledger, world.rng
        world.actors.append(self)

    def act(self, now):
        pass

    def on_channel_closed(self, channel, code, text):
        self.world.ledger.blame("broker", f"{self.name}: channel {channel} closed: {code} {text}")

    def on_gone(self):
        if not self.world.is_ending:
            self.world.ledger.blame("broker", f"{self.name}: connection lost: {self.closed_text}")

    def died(self):
        """The broker is gone, all that it said was read."""


class Numbers:
    """A publisher's number and how far it got; they outlive its connection."""

    def __init__(self, publisher):
        self.publisher, self.sequence = publisher, 0

    def next(self):
        self.sequence += 1
        return self.sequence


class Publisher(Actor):
    """Publishes with confirms.  route(): an exchange, a key and the queues that it leads to."""

    def __init__(self, world, name, numbers, route, window=64, size=None, expires=0.0):
        super().__init__(world, name)
        self.numbers, self.route, self.window, self.size, self.expires = numbers, route, window, size, expires
        self.next_tag, self.waiting, self.returned = 1, {}, set()
        self.put(wire.confirm_select(1))
        self.asked[1].append(lambda answer: None)

    def act(self, now):
        if len(self.out) > 1 << 18:
            return
        for _ in range(self.rng.randrange(1, 8)):
            if len(self.waiting) >= self.window:
                return
            self.publish(now)

    def publish(self, now):
        exchange, key, queues = self.route(self.rng)
        sequence = self.numbers.next()
        body = books.make_body(self.numbers.publisher, sequence, (self.size or pick_size)(self.rng))
        message = self.ledger.sent(self.numbers.publisher, sequence, len(body), now, queues)
        expiration = 3600000 if self.expires and self.rng.random() < self.expires else None
        self.waiting[self.next_tag] = message
        self.next_tag += 1
        self.put(wire.publish(1, exchange, key, body,
                              wire.properties(books.make_id(self.numbers.publisher, sequence, body),
                                              expiration=expiration), mandatory=not queues))
        return message

    def on_return(self, channel, content):
        who = books.read_id(content.properties.get("message_id"))
        self.returned.add(who[1] if who else None)
        self.ledger.mark("returned")

    def on_confirm(self, channel, tag, multiple, is_ack):
        now = time.monotonic()
        if multiple:
            last = self.next_tag - 1 if tag == 0 else tag
            tags = []
            for t in self.waiting:
                if t > last:
                    break
                tags.append(t)
        else:
            tags = [tag]
        self.ledger.checked["confirms"] += len(tags)
        for t in tags:
            m = self.waiting.pop(t, None)
            if m is None:
                self.ledger.blame("confirms", f"{self.name}: publish {t} is answered that is not open")
            elif not is_ack:
                m.refused = True
                self.ledger.mark("nacked")
            else:
                self.ledger.confirmed(m, now)
                if not m.places and m.sequence not in self.returned:
                    self.ledger.blame("confirms", f"{self.name}: {m.sequence} could not be routed, and was confirmed "
                                                  "without being returned")
                self.ledger.mark("confirmed")
        self.world.happened("confirm")


class Committer(Actor):
    """Publishes to several queues in transactions; if there is a source, moves its messages there."""

    def __init__(self, world, name, numbers, queues, source=None):
        super().__init__(world, name)
        self.numbers, self.queues, self.source = numbers, queues, source
        self.is_busy = True
        self.out_there = []
        self.last = {}
        self.ask(1, wire.tx_select(1), self.begin)
        if source:
            self.put(wire.basic_qos(1, 20))
            self.asked[1].append(lambda answer: None)
            self.put(wire.basic_consume(1, source.name, "mover"))
            self.asked[1].append(lambda answer: None)

    def begin(self, answer):
        self.is_busy = False

    def on_deliver(self, channel, content):
        p = self.ledger.delivered(self.source, content, time.monotonic(), self.last)
        if p:
            self.out_there.append((content.tag, p))

    def act(self, now):
        if self.is_busy or (self.source and not self.out_there):
            return
        tag, p = self.out_there.pop(0) if self.source else (0, None)
        group = books.Group(self.ledger.epoch, p)
        self.ledger.groups.append(group)
        for _ in range(1 if p else self.rng.randint(1, 3)):
            for q in self.queues:
                sequence = self.numbers.next()
                body = books.make_body(self.numbers.publisher, sequence, self.rng.choice((0, 20, 300, 5000)))
                self.ledger.sent(self.numbers.publisher, sequence, len(body), now, [q], group)
                self.put(wire.publish(1, "", q.name, body,
                                      wire.properties(books.make_id(self.numbers.publisher, sequence, body))))
        if p:
            p.attempts += (group,)
            self.ledger.settled(p, "ack", in_tx=group)
            self.put(wire.basic_ack(1, tag))
        self.is_busy = True
        self.ask(1, wire.tx_commit(1), lambda answer: self.committed(group))

    def committed(self, group):
        now = time.monotonic()
        group.is_committed = True
        for p in group.places:
            self.ledger.confirmed(p.message, now)
        self.is_busy = False
        self.ledger.mark("committed" if group.source is None else "moved in a transaction")
        self.world.happened("commit-ok")


class Consumer(Actor):
    """Consumes from queues, a channel each, in the manner of their kind; now and then asks something whose answer proves
    that what it settled before was read."""
    MANNERS = {  # ack, ack of many, requeue, drop or dead-letter; the rest is held
        "plain": (0.70, 0.10, 0.15, 0.02),
        "rejecting": (0.20, 0.02, 0.10, 0.65),
        "dead": (0.90, 0.05, 0.02, 0.0),
        "short": (0.30, 0.0, 0.05, 0.0),
        "all": (1.0, 0.0, 0.0, 0.0),
    }
    PREFETCH, PROOF_S = 100, 0.008

    def __init__(self, world, name, queues, manners=None, prefetch=PREFETCH):
        super().__init__(world, name)
        self.manners, self.prefetch = manners, prefetch
        self.channels, self.fresh, self.last_channel = {}, {}, 1  # a channel's queue, what is out, and the last ones
        self.closing = set()
        self.last_proof = 0.0
        for q in queues:
            self.open(q)

    def open(self, queue):
        self.last_channel += 1
        n = self.last_channel
        self.channels[n] = (queue, {}, {})
        self.fresh[n] = []
        self.ask(n, wire.channel_open(n), lambda answer: None)
        self.ask(n, wire.basic_qos(n, self.prefetch), lambda answer: None)
        self.ask(n, wire.basic_consume(n, queue.name, f"c{n}"), lambda answer: None)

    def on_deliver(self, channel, content):
        if channel not in self.channels:
            self.ledger.blame("unexpected", f"{self.name}: a delivery on channel {channel}, which was closed")
            return
        queue, out, last = self.channels[channel]
        if channel in self.closing:
            self.ledger.delivered_late(queue, content, time.monotonic())
            return
        p = self.ledger.delivered(queue, content, time.monotonic(), last)
        if p is None:
            self.put(wire.basic_ack(channel, content.tag))
            return
        if queue.source:
            self.world.happened("dead letter")
        out[content.tag] = p
        self.settle(channel, queue, out, content.tag, p)

    def settle(self, channel, queue, out, tag, p):
        at = self.rng.random()
        ack, many, requeue, drop = self.MANNERS[self.manners or queue.kind]
        fresh = self.fresh[channel]
        if at < ack:
            self.put(wire.basic_ack(channel, tag))
            self.ledger.settled(out.pop(tag), "ack")
            fresh.append(p)
        elif (at := at - ack) < many:
            self.put(wire.basic_ack(channel, tag, True))
            for t in [t for t in out if t <= tag]:
                fresh.append(out[t])
                self.ledger.settled(out.pop(t), "ack")
        elif (at := at - many) < requeue:
            one = wire.basic_nack(channel, tag) if at < requeue / 2 else wire.basic_reject(channel, tag, True)
            self.put(one)
            out.pop(tag).is_out = False
            self.ledger.mark("requeued")
        elif at - requeue < drop:
            self.put(wire.basic_reject(channel, tag, False))
            self.ledger.settled(out.pop(tag), "reject" if queue.dead else "drop")
            fresh.append(p)

    def act(self, now):
        if now - self.last_proof < self.PROOF_S:
            return
        self.last_proof = now
        self.prove()
        if self.manners is None and self.rng.random() < 0.02:
            self.recycle(self.rng.choice(list(self.channels)))

    def prove(self):
        for channel, fresh in self.fresh.items():
            if fresh:
                self.fresh[channel] = []
                self.ask(channel, wire.basic_qos(channel, self.prefetch),
                         lambda answer, fresh=fresh: self.proven(fresh))

    def proven(self, fresh):
        now = time.monotonic()
        for p in fresh:
            if p.settled_epoch == self.ledger.epoch and p.proven is None:
                p.proven = now
        self.ledger.checked["acks"] += len(fresh)
        self.ledger.checked["slow"] += len(fresh)

    def recycle(self, channel):
        """Closes a channel, which gives back what it holds, and opens another.  What comes until the close-ok was seen,
        and is given back, too."""
        if channel in self.closing or self.fresh[channel]:
            return
        self.closing.add(channel)
        queue, out, _ = self.channels[channel]
        for p in out.values():
            p.is_out = False

        def closed(answer):
            del self.channels[channel], self.fresh[channel]
            self.ledger.mark("channel recycled")
            self.open(queue)
        self.ask(channel, wire.channel_close(channel), closed)
