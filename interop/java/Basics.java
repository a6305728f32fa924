import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;

/** Connections, declarations, routing, and the contents of messages. */
final class Basics {
    static final List<Interop.Scenario> ALL = List.of(
            new Interop.Scenario("connect", Basics::connect),
            new Interop.Scenario("wrong-password", Basics::wrongPassword),
            new Interop.Scenario("wrong-vhost", Basics::wrongVhost),
            new Interop.Scenario("declare-queue", Basics::declareQueue),
            new Interop.Scenario("server-named", Basics::serverNamed),
            new Interop.Scenario("declare-mismatch", Basics::declareMismatch),
            new Interop.Scenario("not-found", Basics::notFound),
            new Interop.Scenario("access-refused", Basics::accessRefused),
            new Interop.Scenario("resource-locked", Basics::resourceLocked),
            new Interop.Scenario("bind-direct", Basics::bindDirect),
            new Interop.Scenario("fanout", Basics::fanout),
            new Interop.Scenario("topic", Basics::topic),
            new Interop.Scenario("headers", Basics::headers),
            new Interop.Scenario("exchange-to-exchange", Basics::exchangeToExchange),
            new Interop.Scenario("alternate-exchange", Basics::alternateExchange),
            new Interop.Scenario("publish-get", Basics::publishGet),
            new Interop.Scenario("properties", Basics::properties));

    private Basics() {
    }

    static void connect(Session t) throws Exception {
        Connection c = t.connect();
        Map<?, ?> server = (Map<?, ?>) Session.plain(c.getServerProperties());
        Session.same("RabbitMQ", server.get("product"), "product");
        Map<?, ?> capabilities = (Map<?, ?>) server.get("capabilities");
        for (String name : List.of("publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                "consumer_cancel_notify", "connection.blocked", "consumer_priorities", "authentication_failure_close",
                "per_consumer_qos", "direct_reply_to")) {
            Session.same(true, capabilities.get(name), "capability " + name);
        }
        Channel ch = Session.channel(c);
        Session.same(1, ch.getChannelNumber(), "channel number");
        ch.close();
        Session.check(!ch.isOpen(), "the channel is open");
        Session.check(c.isOpen(), "the connection went with the channel");
        c.close();
        Session.check(!c.isOpen(), "the connection is open");
    }

    static void wrongPassword(Session t) throws Exception {
        ConnectionFactory f = t.factory();
        f.setPassword("wrong");
        try {
            t.connect(f);
        } catch (AuthenticationFailureException e) {
            Session.check(e.getMessage().contains("ACCESS_REFUSED"), "text " + e.getMessage());
            return;
        }
        throw new AssertionError("a wrong password is accepted");
    }

    static void wrongVhost(Session t) throws Exception {
        ConnectionFactory f = t.factory();
        f.setVirtualHost(t.name());
        Session.refused(AMQP.NOT_ALLOWED, "vhost " + f.getVirtualHost() + " not found", () -> t.connect(f));
    }

    private static void isNew(AMQP.Queue.DeclareOk ok, String name) {
        Session.same(name, ok.getQueue(), "name");
        Session.same(0, ok.getMessageCount(), "message count");
        Session.same(0, ok.getConsumerCount(), "consumer count");
    }

    static void declareQueue(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String n = t.queueName();
        isNew(ch.queueDeclare(n, false, false, false, null), n);
        isNew(ch.queueDeclare(n, false, false, false, null), n);
        isNew(ch.queueDeclarePassive(n), n);
        Session.same(0, ch.queueDelete(n).getMessageCount(), "count in delete-ok");
        Session.gone(c, n);
    }

    static void serverNamed(Session t) throws Exception {
        Channel ch = t.channel();
        String n = ch.queueDeclare("", false, true, false, null).getQueue();
        Session.check(n.startsWith("amq.gen-") && n.length() > 8, "named " + n);
        Session.publish(ch, "", n, "to a server-named queue");
        Session.get(ch, n, true, "to a server-named queue");
        String other = ch.queueDeclare().getQueue();
        Session.check(other.startsWith("amq.gen-") && !other.equals(n), "named " + other);
    }

    static void declareMismatch(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        BlockingQueue<ShutdownSignalException> closing = Session.watch(ch);
        Session.refused(AMQP.PRECONDITION_FAILED, "inequivalent arg 'durable'",
                () -> ch.queueDeclare(q, true, false, false, null));
        Session.closed(closing, AMQP.PRECONDITION_FAILED, "inequivalent arg 'durable'");
        t.alive(c);
    }

    static void notFound(Session t) throws Exception {
        Connection c = t.connect();
        Session.gone(c, t.name());
        t.alive(c);
    }

    static void accessRefused(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        Session.refused(AMQP.ACCESS_REFUSED, "reserved prefix",
                () -> ch.queueDeclare("amq." + t.name(), false, false, false, null));
        t.alive(c);
    }

    static void resourceLocked(Session t) throws Exception {
        Channel owner = t.channel();
        Connection other = t.connect();
        String n = t.queueName();
        owner.queueDeclare(n, false, true, false, null);
        Channel first = Session.channel(other);
        Session.refused(AMQP.RESOURCE_LOCKED, "exclusive", () -> first.queueDeclarePassive(n));
        Channel second = Session.channel(other);
        Session.refused(AMQP.RESOURCE_LOCKED, "exclusive", () -> second.basicGet(n, true));
        t.alive(other);
        Session.publish(owner, "", n, "the owner may");
        Session.get(owner, n, true, "the owner may");
    }

    static void bindDirect(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "direct");
        String q = t.queue(ch);
        ch.queueBind(q, x, "key");
        Session.publish(ch, x, "other", "wrong key");
        Session.publish(ch, x, "key", "right key");
        Session.from(Session.get(ch, q, true, "right key").getEnvelope(), x, "key");
        Session.empty(ch, q);
        ch.queueUnbind(q, x, "key");
        Session.publish(ch, x, "key", "unbound");
        Session.empty(ch, q);
    }

    static void fanout(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "fanout");
        String[] queues = {t.queue(ch), t.queue(ch), t.queue(ch)};
        String unbound = t.queue(ch);
        for (int i = 0; i < queues.length; i++) {
            ch.queueBind(queues[i], x, "k".repeat(i));
        }
        Session.publish(ch, x, "whatever", "one");
        Session.publish(ch, x, "", "two");
        for (String q : queues) {
            Session.from(Session.get(ch, q, true, "one").getEnvelope(), x, "whatever");
            Session.from(Session.get(ch, q, true, "two").getEnvelope(), x, "");
            Session.empty(ch, q);
        }
        Session.empty(ch, unbound);
    }

    static void topic(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "topic");
        List<String> keys = List.of("a", "a.b.c", "a.c", "a.b.b.c", "a.b.z", "z", "x.z", "b.c", "a..c");
        Map<String, List<String>> want = Map.of("a.*.c", List.of("a.b.c", "a..c"), //
                "a.#", List.of("a", "a.b.c", "a.c", "a.b.b.c", "a.b.z", "a..c"), //
                "#.z", List.of("a.b.z", "z", "x.z"), //
                "#", keys);
        Map<String, String> queues = new HashMap<>();
        for (String pattern : want.keySet()) {
            queues.put(pattern, t.queue(ch));
            ch.queueBind(queues.get(pattern), x, pattern);
        }
        for (String k : keys) {
            Session.publish(ch, x, k, k);
        }
        for (String pattern : want.keySet()) {
            for (String k : want.get(pattern)) {
                Session.from(Session.get(ch, queues.get(pattern), true, k).getEnvelope(), x, k);
            }
            Session.empty(ch, queues.get(pattern));
        }
    }

    private static void send(Channel ch, String x, String body, Map<String, Object> headers) throws Exception {
        AMQP.BasicProperties p = new AMQP.BasicProperties.Builder().headers(headers).build();
        ch.basicPublish(x, "ignored", p, Session.bytes(body));
    }

    static void headers(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "headers");
        String all = t.queue(ch);
        String any = t.queue(ch);
        ch.queueBind(all, x, "", Map.of("x-match", "all", "colour", "red", "size", 7));
        ch.queueBind(any, x, "", Map.of("x-match", "any", "colour", "red", "size", 7));
        send(ch, x, "both", Map.of("colour", "red", "size", 7, "extra", "yes"));
        send(ch, x, "one", Map.of("colour", "red", "size", 8));
        send(ch, x, "other", Map.of("size", 7));
        send(ch, x, "neither", Map.of("colour", "blue", "size", 8));
        send(ch, x, "none", null);
        Session.get(ch, all, true, "both");
        Session.empty(ch, all);
        for (String b : List.of("both", "one", "other")) {
            Session.get(ch, any, true, b);
        }
        Session.empty(ch, any);
    }

    static void exchangeToExchange(Session t) throws Exception {
        Channel ch = t.channel();
        String first = t.exchange(ch, "direct");
        String second = t.exchange(ch, "fanout");
        String q = t.queue(ch);
        ch.queueBind(q, second, "");
        ch.exchangeBind(second, first, "key");
        Session.publish(ch, first, "other", "wrong key");
        Session.publish(ch, first, "key", "through two");
        Session.from(Session.get(ch, q, true, "through two").getEnvelope(), first, "key");
        Session.empty(ch, q);
        ch.exchangeUnbind(second, first, "key");
        Session.publish(ch, first, "key", "unbound");
        Session.empty(ch, q);
    }

    static void alternateExchange(Session t) throws Exception {
        Channel ch = t.channel();
        String behind = t.exchange(ch, "fanout");
        String x = t.exchange(ch, "direct", Map.of("alternate-exchange", behind));
        String routed = t.queue(ch);
        String rest = t.queue(ch);
        ch.queueBind(routed, x, "key");
        ch.queueBind(rest, behind, "");
        Session.publish(ch, x, "key", "routed");
        Session.publish(ch, x, "lost", "not routed");
        Session.get(ch, routed, true, "routed");
        Session.empty(ch, routed);
        Session.from(Session.get(ch, rest, true, "not routed").getEnvelope(), x, "lost");
        Session.empty(ch, rest);
    }

    static void publishGet(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "direct");
        String q = t.queue(ch);
        ch.queueBind(q, x, "the.key");
        Session.publish(ch, x, "the.key", Session.body(0));
        Session.publish(ch, x, "the.key", Session.body(1));
        Session.publish(ch, x, "the.key", Session.body(2));
        for (int i = 0; i < 3; i++) {
            GetResponse r = Session.get(ch, q, false, Session.body(i));
            Session.from(r.getEnvelope(), x, "the.key");
            Session.same(false, r.getEnvelope().isRedeliver(), "redelivered");
            Session.same(2 - i, r.getMessageCount(), "message count");
            Session.same(i + 1L, r.getEnvelope().getDeliveryTag(), "delivery tag");
            ch.basicAck(r.getEnvelope().getDeliveryTag(), false);
        }
        Session.empty(ch, q);
    }

    private static Map<String, Object> table(Date when) {
        Map<String, Object> h = new HashMap<>();
        h.put("string", "grün");
        h.put("int", -5);
        h.put("long", 1L << 40);
        h.put("true", true);
        h.put("false", false);
        h.put("nested", Map.of("deep", Map.of("er", "yes"), "n", 1));
        h.put("array", Arrays.asList("one", 2, true, Map.of("k", "v"), null));
        h.put("time", when);
        h.put("double", 2.5);
        h.put("byte", (byte) -3);
        h.put("short", (short) -300);
        h.put("void", null);
        return h;
    }

    private static String text(AMQP.BasicProperties p) {
        StringBuilder b = new StringBuilder();
        p.appendPropertyDebugStringTo(b);
        return b.toString();
    }

    static void properties(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Date when = new Date(1_700_000_000_000L);
        AMQP.BasicProperties sent = new AMQP.BasicProperties.Builder().contentType("text/plain")
                .contentEncoding("identity").headers(table(when)).deliveryMode(2).priority(7)
                .correlationId("correlation").replyTo("reply").expiration("60000").messageId("message").timestamp(when)
                .type("type").userId(Session.user()).appId("app").clusterId("cluster").build();
        ch.basicPublish("", q, sent, Session.bytes("body"));
        AMQP.BasicProperties got = Session.get(ch, q, true, "body").getProps();
        Session.same(Session.plain(table(when)), Session.plain(got.getHeaders()), "headers");
        // Properties have no equals, but their text holds them all.
        Session.same(text(sent.builder().headers(null).build()), text(got.builder().headers(null).build()), "properties");
        Session.publish(ch, "", q, "bare");
        Session.same(text(new AMQP.BasicProperties()), text(Session.get(ch, q, true, "bare").getProps()), "properties");
    }
}
