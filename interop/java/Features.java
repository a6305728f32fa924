import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.ShutdownSignalException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Dead letters, limits, the lives of queues, and size. */
final class Features {
    static final List<Interop.Scenario> ALL = List.of(
            new Interop.Scenario("dead-letter-reject", Features::deadLetterReject),
            new Interop.Scenario("dead-letter-count", Features::deadLetterCount),
            new Interop.Scenario("ttl-queue", Features::ttlQueue),
            new Interop.Scenario("ttl-message", Features::ttlMessage),
            new Interop.Scenario("max-length", Features::maxLength),
            new Interop.Scenario("queue-expires", Features::queueExpires),
            new Interop.Scenario("exclusive-queue", Features::exclusiveQueue),
            new Interop.Scenario("auto-delete", Features::autoDelete),
            new Interop.Scenario("purge-delete", Features::purgeDelete),
            new Interop.Scenario("exclusive-consumer", Features::exclusiveConsumer),
            new Interop.Scenario("channel-error-recovery", Features::channelErrorRecovery),
            new Interop.Scenario("many-channels", Features::manyChannels),
            new Interop.Scenario("large-bodies", Features::largeBodies),
            new Interop.Scenario("heartbeat", Features::heartbeat));

    private Features() {
    }

    static void deadLetterReject(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "direct");
        String dlx = t.exchange(ch, "fanout");
        String dead = t.queue(ch);
        ch.queueBind(dead, dlx, "");
        String q = t.queue(ch, Map.of("x-dead-letter-exchange", dlx));
        ch.queueBind(q, x, "key");
        AMQP.BasicProperties p = new AMQP.BasicProperties.Builder().messageId("id").headers(Map.of("mine", "kept"))
                .build();
        ch.basicPublish(x, "key", p, Session.bytes("dies"));
        ch.basicReject(Session.get(ch, q, false, "dies").getEnvelope().getDeliveryTag(), false);
        GetResponse r = Session.getSoon(ch, dead, "dies");
        Session.from(r.getEnvelope(), dlx, "key");
        Session.same("id", r.getProps().getMessageId(), "message id");
        Session.same("kept", Session.plain(r.getProps().getHeaders().get("mine")), "header");
        Session.died(Session.death(r.getProps(), 0, 1), 1, "rejected", q, x, "key");
        Session.firstDeath(r.getProps(), "rejected", q, x);
        Session.empty(ch, q);
        Session.empty(ch, dead);
    }

    static void deadLetterCount(Session t) throws Exception {
        Channel ch = t.channel();
        String work = t.queueName();
        String retry = t.queueName();
        ch.queueDeclare(work, false, false, false,
                Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", retry));
        ch.queueDeclare(retry, false, false, false,
                Map.of("x-dead-letter-exchange", "", "x-dead-letter-routing-key", work, "x-message-ttl", 20));
        Session.Inbox inbox = Session.consume(ch, work, "", false);
        Session.publish(ch, "", work, "again");
        ch.basicReject(inbox.next("again", false).number(), false);
        for (int i = 1; i <= 2; i++) {
            Session.Delivery d = inbox.next("again", false);
            Session.died(Session.death(d.properties(), 0, 2), i, "expired", retry, "", retry);
            Session.died(Session.death(d.properties(), 1, 2), i, "rejected", work, "", work);
            Session.firstDeath(d.properties(), "rejected", work, "");
            if (i == 1) {
                ch.basicReject(d.number(), false);
            } else {
                ch.basicAck(d.number(), false);
            }
        }
    }

    private static String dyingInto(Session t, Channel ch, String dead, String key, Object value) throws Exception {
        Map<String, Object> arguments = new HashMap<>();
        arguments.put("x-dead-letter-exchange", "");
        arguments.put("x-dead-letter-routing-key", dead);
        if (key != null) {
            arguments.put(key, value);
        }
        return t.queue(ch, arguments);
    }

    static void ttlQueue(Session t) throws Exception {
        Channel ch = t.channel();
        String dead = t.queue(ch);
        String q = dyingInto(t, ch, dead, "x-message-ttl", 50);
        Session.publish(ch, "", q, "expires");
        GetResponse r = Session.getSoon(ch, dead, "expires");
        Map<?, ?> e = Session.death(r.getProps(), 0, 1);
        Session.died(e, 1, "expired", q, "", q);
        Session.check(!e.containsKey("original-expiration"), "there is an original-expiration");
        Session.from(r.getEnvelope(), "", dead);
        Session.empty(ch, q);
    }

    static void ttlMessage(Session t) throws Exception {
        Channel ch = t.channel();
        String dead = t.queue(ch);
        String q = dyingInto(t, ch, dead, null, null);
        AMQP.BasicProperties p = new AMQP.BasicProperties.Builder().expiration("50").build();
        ch.basicPublish("", q, p, Session.bytes("expires"));
        GetResponse r = Session.getSoon(ch, dead, "expires");
        Map<?, ?> e = Session.death(r.getProps(), 0, 1);
        Session.died(e, 1, "expired", q, "", q);
        Session.same("50", e.get("original-expiration"), "original-expiration");
        Session.same(null, r.getProps().getExpiration(), "expiration");
        Session.firstDeath(r.getProps(), "expired", q, "");
        Session.empty(ch, q);
    }

    static void maxLength(Session t) throws Exception {
        Channel ch = t.channel();
        String dead = t.queue(ch);
        String q = dyingInto(t, ch, dead, "x-max-length", 3);
        Session.publishMany(ch, q, 5);
        for (int i = 0; i < 2; i++) {
            GetResponse r = Session.getSoon(ch, dead, Session.body(i));
            Session.died(Session.death(r.getProps(), 0, 1), 1, "maxlen", q, "", q);
        }
        Session.ready(ch, q, 3);
        for (int i = 2; i < 5; i++) {
            Session.get(ch, q, true, Session.body(i));
        }
        Session.empty(ch, q);
        Session.empty(ch, dead);
    }

    /** A passive declare starts x-expires anew, so it must not be asked more often than that. */
    static void queueExpires(Session t) throws Exception {
        Connection c = t.connect();
        BlockingQueue<ShutdownSignalException> dying = new LinkedBlockingQueue<>();
        c.addShutdownListener(dying::add);
        String q = t.queue(Session.channel(c), Map.of("x-expires", 200));
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Session.WAIT_MS);
        do {
            Session.check(System.nanoTime() < end, "the queue does not expire");
            ShutdownSignalException dead = dying.poll(400, TimeUnit.MILLISECONDS);
            Session.check(dead == null, "the connection died: " + dead);
        } while (Session.exists(c, q));
        t.alive(c);
    }

    static void exclusiveQueue(Session t) throws Exception {
        Connection owner = t.connect();
        Connection other = t.connect();
        String q = t.queueName();
        Session.channel(owner).queueDeclare(q, false, true, false, null);
        Channel ch = Session.channel(other);
        Session.refused(AMQP.RESOURCE_LOCKED, q, () -> ch.queueDeclarePassive(q));
        owner.close();
        Session.gone(other, q);
    }

    static void autoDelete(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queueName();
        ch.queueDeclare(q, false, false, true, null);
        Session.consume(ch, q, "one", true);
        Session.consume(ch, q, "two", true);
        ch.basicCancel("one");
        Session.same(1, ch.queueDeclarePassive(q).getConsumerCount(), "consumers");
        ch.basicCancel("two");
        Session.poll("the queue is gone", () -> !Session.exists(c, q));
    }

    static void purgeDelete(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.publishMany(ch, q, 3);
        Session.same(3, ch.queuePurge(q).getMessageCount(), "count in purge-ok");
        Session.empty(ch, q);
        Session.publishMany(ch, q, 2);
        Session.readySoon(ch, q, 2);
        Channel first = Session.channel(c);
        Session.refused(AMQP.PRECONDITION_FAILED, "not empty", () -> first.queueDelete(q, false, true));
        Session.consume(ch, q, "user", false);
        Channel second = Session.channel(c);
        Session.refused(AMQP.PRECONDITION_FAILED, "in use", () -> second.queueDelete(q, true, false));
        ch.close();
        Channel last = Session.channel(c);
        Session.readySoon(last, q, 2);
        Session.same(2, last.queueDelete(q, true, false).getMessageCount(), "count in delete-ok");
        Session.gone(c, q);
    }

    static void exclusiveConsumer(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.Inbox inbox = new Session.Inbox(ch);
        ch.basicConsume(q, true, "", false, true, null, inbox);
        Channel other = Session.channel(c);
        Session.refused(AMQP.ACCESS_REFUSED, "exclusive", () -> Session.consume(other, q, "", true));
        Session.publish(ch, "", q, "for the first");
        inbox.next("for the first", false);
    }

    static void channelErrorRecovery(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        BlockingQueue<ShutdownSignalException> closing = Session.watch(ch);
        String missing = t.name();
        Session.publish(ch, missing, "key", "lost");
        Session.closed(closing, AMQP.NOT_FOUND, "no exchange '" + missing + "'");
        t.alive(c);
    }

    static void manyChannels(Session t) throws Exception {
        Connection c = t.connect();
        Session.check(c.getChannelMax() > 0, "channel_max is " + c.getChannelMax());
        int n = Math.min(c.getChannelMax(), 1000);
        List<Channel> channels = new ArrayList<>();
        for (int i = 0; i < n; i++) {
            channels.add(Session.channel(c));
        }
        for (int i = 0; i < n; i++) { // exclusive: all go with the connection
            Channel ch = channels.get(i);
            Session.same(i + 1, ch.getChannelNumber(), "channel number");
            String q = ch.queueDeclare("", false, true, false, null).getQueue();
            Session.publish(ch, "", q, Session.body(i));
            Session.get(ch, q, true, Session.body(i));
            Session.empty(ch, q);
        }
        for (Channel ch : channels) {
            Session.check(ch.isOpen(), "a channel was closed");
        }
    }

    static void largeBodies(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Random random = new Random();
        for (int size : new int[] {0, 1, 4096, 131072, 1 << 20, 16 << 20}) {
            byte[] sent = new byte[size];
            random.nextBytes(sent);
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(sent);
            ch.basicPublish("", q, null, sent);
            GetResponse r = ch.basicGet(q, true);
            Session.check(r != null, "the queue is empty, not holding " + size + " bytes");
            Session.same(size, r.getBody().length, "length");
            Session.check(Arrays.equals(sum, MessageDigest.getInstance("SHA-256").digest(r.getBody())),
                    size + " bytes differ");
        }
        Session.empty(ch, q);
    }

    static void heartbeat(Session t) throws Exception {
        ConnectionFactory f = t.factory();
        f.setRequestedHeartbeat(1);
        Connection c = t.connect(f);
        Session.same(1, c.getHeartbeat(), "heartbeat");
        BlockingQueue<ShutdownSignalException> dying = new LinkedBlockingQueue<>();
        c.addShutdownListener(dying::add);
        Session.same(null, dying.poll(3200, TimeUnit.MILLISECONDS), "the connection's death");
        t.alive(c);
    }
}
