package main

import (
	"context"
	"reflect"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var basics = []scenario{
	{"connect", connect}, {"wrong-password", wrongPassword}, {"wrong-vhost", wrongVhost},
	{"declare-queue", declareQueue}, {"server-named", serverNamed}, {"declare-mismatch", declareMismatch},
	{"not-found", notFound}, {"access-refused", accessRefused}, {"resource-locked", resourceLocked},
	{"bind-direct", bindDirect}, {"fanout", fanout}, {"topic", topic}, {"headers", headers},
	{"exchange-to-exchange", exchangeToExchange}, {"alternate-exchange", alternateExchange},
	{"publish-get", publishGet}, {"properties", properties},
}

func connect(t *test) {
	conn := t.connect()
	t.check(conn.Properties["product"] == "RabbitMQ", "product is %v", conn.Properties["product"])
	caps, is := conn.Properties["capabilities"].(amqp.Table)
	t.check(is, "capabilities is %T", conn.Properties["capabilities"])
	for _, c := range []string{"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
		"connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos",
		"direct_reply_to"} {
		t.check(caps[c] == true, "capability %s is %v", c, caps[c])
	}
	t.check(conn.Major == 0 && conn.Minor == 9, "version %d.%d", conn.Major, conn.Minor)
	ch := t.channelOn(conn)
	t.ok(ch.Close(), "close the channel")
	t.check(ch.IsClosed(), "the channel is not closed")
	t.ok(conn.Close(), "close the connection")
	t.check(conn.IsClosed(), "the connection is not closed")
}

func wrongPassword(t *test) {
	_, _, err := t.dial(getenv("AMQP_USER", "guest"), "wrong", "/", 0)
	t.check(err != nil, "a wrong password is accepted")
	e, is := err.(*amqp.Error)
	t.check(is && e.Code == amqp.AccessRefused, "error is %v", err)
}

// The library answers ErrVhost whatever the server's code was, so the code is read from the bytes.
func wrongVhost(t *test) {
	_, tapped, err := t.dial(getenv("AMQP_USER", "guest"), getenv("AMQP_PASS", "guest"), t.name(), 0)
	t.check(err != nil, "a missing vhost is accepted")
	_, is := err.(*amqp.Error)
	t.check(is, "error is %v", err)
	t.check(tapped.closeCode() == amqp.NotAllowed, "connection.close %d, not 530", tapped.closeCode())
}

func declareQueue(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	n := t.queueName()
	for i := 0; i < 2; i++ {
		q, err := ch.QueueDeclare(n, false, false, false, false, nil)
		t.ok(err, "queue.declare")
		t.check(q == amqp.Queue{Name: n}, "declare-ok %+v", q)
	}
	q, err := ch.QueueDeclarePassive(n, false, false, false, false, nil)
	t.ok(err, "passive declare")
	t.check(q == amqp.Queue{Name: n}, "passive declare-ok %+v", q)
	count, err := ch.QueueDelete(n, false, false, false)
	t.ok(err, "queue.delete")
	t.check(count == 0, "delete-ok counts %d", count)
	t.gone(conn, n)
}

func serverNamed(t *test) {
	ch := t.channel()
	q, err := ch.QueueDeclare("", false, false, true, false, nil)
	t.ok(err, "queue.declare")
	t.check(strings.HasPrefix(q.Name, "amq.gen-") && len(q.Name) > len("amq.gen-"), "named %q", q.Name)
	t.publish(ch, "", q.Name, "to a server-named queue")
	t.get(ch, q.Name, true, "to a server-named queue")
	other, err := ch.QueueDeclare("", false, false, true, false, nil)
	t.ok(err, "queue.declare")
	t.check(other.Name != q.Name, "two queues are named %q", q.Name)
}

func declareMismatch(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	closing := ch.NotifyClose(make(chan *amqp.Error, 1))
	_, err := ch.QueueDeclare(q, true, false, false, false, nil)
	t.refused(err, amqp.PreconditionFailed, "inequivalent arg 'durable'")
	t.closed(closing, amqp.PreconditionFailed, "inequivalent arg 'durable'")
	t.alive(conn)
}

func notFound(t *test) {
	conn := t.connect()
	t.gone(conn, t.name())
	t.alive(conn)
}

func accessRefused(t *test) {
	conn := t.connect()
	_, err := t.channelOn(conn).QueueDeclare("amq."+t.name(), false, false, false, false, nil)
	t.refused(err, amqp.AccessRefused, "reserved prefix")
	t.alive(conn)
}

func resourceLocked(t *test) {
	owner, other := t.channel(), t.connect()
	n := t.queueName()
	_, err := owner.QueueDeclare(n, false, false, true, false, nil)
	t.ok(err, "declare an exclusive queue")
	_, err = t.channelOn(other).QueueDeclarePassive(n, false, false, false, false, nil)
	t.refused(err, amqp.ResourceLocked, "exclusive")
	_, _, err = t.channelOn(other).Get(n, true)
	t.refused(err, amqp.ResourceLocked, "exclusive")
	t.alive(other)
	t.publish(owner, "", n, "the owner may")
	t.get(owner, n, true, "the owner may")
}

func bindDirect(t *test) {
	ch := t.channel()
	x, q := t.exchange(ch, "direct"), t.queue(ch)
	t.bind(ch, q, x, "key", nil)
	t.publish(ch, x, "other", "wrong key")
	t.publish(ch, x, "key", "right key")
	d := t.get(ch, q, true, "right key")
	t.check(d.Exchange == x && d.RoutingKey == "key", "from %q by %q", d.Exchange, d.RoutingKey)
	t.empty(ch, q)
	t.ok(ch.QueueUnbind(q, "key", x, nil), "queue.unbind")
	t.publish(ch, x, "key", "unbound")
	t.empty(ch, q)
}

func fanout(t *test) {
	ch := t.channel()
	x := t.exchange(ch, "fanout")
	queues := []string{t.queue(ch), t.queue(ch), t.queue(ch)}
	unbound := t.queue(ch)
	for i, q := range queues {
		t.bind(ch, q, x, strings.Repeat("k", i), nil)
	}
	t.publish(ch, x, "whatever", "one")
	t.publish(ch, x, "", "two")
	for _, q := range queues {
		d := t.get(ch, q, true, "one")
		t.check(d.RoutingKey == "whatever", "key %q", d.RoutingKey)
		t.get(ch, q, true, "two")
		t.empty(ch, q)
	}
	t.empty(ch, unbound)
}

func topic(t *test) {
	ch := t.channel()
	x := t.exchange(ch, "topic")
	keys := []string{"a", "a.b.c", "a.c", "a.b.b.c", "a.b.z", "z", "x.z", "b.c", "a..c"}
	want := map[string][]string{
		"a.*.c": {"a.b.c", "a..c"},
		"a.#":   {"a", "a.b.c", "a.c", "a.b.b.c", "a.b.z", "a..c"},
		"#.z":   {"a.b.z", "z", "x.z"},
		"#":     keys,
	}
	queues := map[string]string{}
	for pattern := range want {
		queues[pattern] = t.queue(ch)
		t.bind(ch, queues[pattern], x, pattern, nil)
	}
	for _, k := range keys {
		t.publish(ch, x, k, k)
	}
	for pattern, list := range want {
		for _, k := range list {
			d := t.get(ch, queues[pattern], true, k)
			t.check(d.RoutingKey == k, "%s: key %q, not %q", pattern, d.RoutingKey, k)
		}
		t.empty(ch, queues[pattern])
	}
}

func headers(t *test) {
	ch := t.channel()
	x := t.exchange(ch, "headers")
	all, either := t.queue(ch), t.queue(ch)
	t.bind(ch, all, x, "", amqp.Table{"x-match": "all", "colour": "red", "size": int32(7)})
	t.bind(ch, either, x, "", amqp.Table{"x-match": "any", "colour": "red", "size": int32(7)})
	send := func(body string, h amqp.Table) {
		t.publishing(ch, x, "ignored", amqp.Publishing{Body: []byte(body), Headers: h})
	}
	send("both", amqp.Table{"colour": "red", "size": int32(7), "extra": "yes"})
	send("one", amqp.Table{"colour": "red", "size": int32(8)})
	send("other", amqp.Table{"size": int32(7)})
	send("neither", amqp.Table{"colour": "blue", "size": int32(8)})
	send("none", nil)
	t.get(ch, all, true, "both")
	t.empty(ch, all)
	for _, b := range []string{"both", "one", "other"} {
		t.get(ch, either, true, b)
	}
	t.empty(ch, either)
}

func exchangeToExchange(t *test) {
	ch := t.channel()
	first, second, q := t.exchange(ch, "direct"), t.exchange(ch, "fanout"), t.queue(ch)
	t.bind(ch, q, second, "", nil)
	t.ok(ch.ExchangeBind(second, "key", first, false, nil), "exchange.bind")
	t.publish(ch, first, "other", "wrong key")
	t.publish(ch, first, "key", "through two")
	d := t.get(ch, q, true, "through two")
	t.check(d.Exchange == first && d.RoutingKey == "key", "from %q by %q", d.Exchange, d.RoutingKey)
	t.empty(ch, q)
	t.ok(ch.ExchangeUnbind(second, "key", first, false, nil), "exchange.unbind")
	t.publish(ch, first, "key", "unbound")
	t.empty(ch, q)
}

func alternateExchange(t *test) {
	ch := t.channel()
	behind := t.exchange(ch, "fanout")
	x := t.exchangeWith(ch, "direct", amqp.Table{"alternate-exchange": behind})
	routed, rest := t.queue(ch), t.queue(ch)
	t.bind(ch, routed, x, "key", nil)
	t.bind(ch, rest, behind, "", nil)
	t.publish(ch, x, "key", "routed")
	t.publish(ch, x, "lost", "not routed")
	t.get(ch, routed, true, "routed")
	t.empty(ch, routed)
	d := t.get(ch, rest, true, "not routed")
	t.check(d.Exchange == x && d.RoutingKey == "lost", "from %q by %q", d.Exchange, d.RoutingKey)
	t.empty(ch, rest)
}

func publishGet(t *test) {
	ch := t.channel()
	x, q := t.exchange(ch, "direct"), t.queue(ch)
	t.bind(ch, q, x, "the.key", nil)
	for _, b := range []string{"one", "two", "three"} {
		t.publish(ch, x, "the.key", b)
	}
	for i, b := range []string{"one", "two", "three"} {
		d := t.get(ch, q, false, b)
		t.check(d.Exchange == x && d.RoutingKey == "the.key", "from %q by %q", d.Exchange, d.RoutingKey)
		t.check(!d.Redelivered, "redelivered is set")
		t.check(d.MessageCount == uint32(2-i), "message count %d, not %d", d.MessageCount, 2-i)
		t.check(d.DeliveryTag == uint64(i+1), "delivery tag %d, not %d", d.DeliveryTag, i+1)
		t.ok(d.Ack(false), "ack")
	}
	t.empty(ch, q)
}

func properties(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	when := time.Unix(1700000000, 0)
	table := amqp.Table{
		"string": "grün", "int32": int32(-5), "int64": int64(1) << 40, "true": true, "false": false,
		"nested": amqp.Table{"deep": amqp.Table{"er": "yes"}, "n": int32(1)},
		"array":  []interface{}{"one", int32(2), true, amqp.Table{"k": "v"}},
		"time":   when, "double": 2.5, "void": nil, "byte": int8(-3), "short": int16(-300), "bytes": []byte{0, 255},
	}
	sent := amqp.Publishing{
		Headers: table, ContentType: "text/plain", ContentEncoding: "identity", DeliveryMode: amqp.Persistent,
		Priority: 7, CorrelationId: "correlation", ReplyTo: "reply", Expiration: "60000", MessageId: "message",
		Timestamp: when, Type: "type", UserId: getenv("AMQP_USER", "guest"), AppId: "app", Body: []byte("body"),
	}
	t.ok(ch.PublishWithContext(context.Background(), "", q, false, false, sent), "publish")
	d := t.get(ch, q, true, "body")
	got := amqp.Publishing{
		Headers: d.Headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding,
		DeliveryMode: d.DeliveryMode, Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo,
		Expiration: d.Expiration, MessageId: d.MessageId, Timestamp: d.Timestamp, Type: d.Type, UserId: d.UserId,
		AppId: d.AppId, Body: d.Body,
	}
	t.check(got.Timestamp.Equal(when), "timestamp %v, not %v", got.Timestamp, when)
	got.Timestamp = when
	headerTime, is := got.Headers["time"].(time.Time)
	t.check(is && headerTime.Equal(when), "timestamp header %v, not %v", got.Headers["time"], when)
	got.Headers["time"] = when
	t.check(reflect.DeepEqual(got, sent), "got %#v, not %#v", got, sent)
	t.publish(ch, "", q, "bare")
	d = t.get(ch, q, true, "bare")
	t.check(len(d.Headers) == 0 && d.ContentType == "" && d.DeliveryMode == 0 && d.Timestamp.IsZero(),
		"a bare message has properties: %#v", d)
}
