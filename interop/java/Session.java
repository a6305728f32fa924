import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.DefaultSaslConfig;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.LongString;
import com.rabbitmq.client.Method;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** One scenario's run: what it opened, what it must delete, and what scenarios ask and check. */
final class Session {
    static final long WAIT_MS = 10_000; // for one event
    static final long QUIET_MS = 50;

    private final String prefix;
    private final List<Connection> connections = new ArrayList<>();
    private final List<String> queues = new ArrayList<>();
    private final List<String> exchanges = new ArrayList<>();
    private int count;

    Session(String prefix) {
        this.prefix = prefix;
    }

    interface Action {
        void run() throws Exception;
    }

    record Delivery(String tag, Envelope envelope, AMQP.BasicProperties properties, String body) {
        long number() {
            return envelope.getDeliveryTag();
        }
    }

    /** A consumer whose deliveries and cancellation can be waited for. */
    static final class Inbox extends DefaultConsumer {
        final BlockingQueue<Delivery> deliveries = new LinkedBlockingQueue<>();
        final BlockingQueue<String> cancelled = new LinkedBlockingQueue<>();

        Inbox(Channel channel) {
            super(channel);
        }

        @Override
        public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
            deliveries.add(new Delivery(tag, envelope, properties, new String(body, StandardCharsets.UTF_8)));
        }

        @Override
        public void handleCancel(String tag) {
            cancelled.add(tag);
        }

        /** The next delivery, which must be this. */
        Delivery next(String body, boolean redelivered) throws InterruptedException {
            Delivery d = deliveries.poll(WAIT_MS, TimeUnit.MILLISECONDS);
            check(d != null, "no delivery of " + body);
            same(body, d.body(), "delivered body");
            same(redelivered, d.envelope().isRedeliver(), "redelivered of " + body);
            return d;
        }

        /** Nothing more has come.  Use after an answer that comes later than what must not come. */
        void quiet() throws InterruptedException {
            Delivery d = deliveries.poll(QUIET_MS, TimeUnit.MILLISECONDS);
            check(d == null, "an unexpected delivery " + d);
        }
    }

    static void check(boolean ok, String otherwise) {
        if (!ok) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(Object want, Object got, String what) {
        check(Objects.equals(want, got), what + ": " + got + ", not " + want);
    }

    static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static String body(int i) {
        return "message " + i;
    }

    static String environment(String name, String otherwise) {
        String v = System.getenv(name);
        return v == null || v.isEmpty() ? otherwise : v;
    }

    static String user() {
        return environment("AMQP_USER", "guest");
    }

    /** Trusts AMQP_CA alone, and shows the certificate in AMQP_P12 if there is one. */
    private static SSLContext tls() throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (InputStream in = Files.newInputStream(Path.of(System.getenv("AMQP_CA")))) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        KeyManagerFactory keys = null;
        if (!environment("AMQP_P12", "").isEmpty()) {
            char[] password = environment("AMQP_P12_PASS", "").toCharArray();
            KeyStore own = KeyStore.getInstance("PKCS12");
            try (InputStream in = Files.newInputStream(Path.of(System.getenv("AMQP_P12")))) {
                own.load(in, password);
            }
            keys = KeyManagerFactory.getInstance("PKIX");
            keys.init(own, password);
        }
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys == null ? null : keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    /** With TLS and the check of the host's name, which the library leaves to its user. */
    private static void secure(ConnectionFactory f) throws Exception {
        f.useSslProtocol(tls());
        f.setSocketConfigurator(socket -> {
            socket.setTcpNoDelay(true);
            SSLParameters p = ((SSLSocket) socket).getSSLParameters();
            p.setEndpointIdentificationAlgorithm("HTTPS");
            ((SSLSocket) socket).setSSLParameters(p);
        });
        if (environment("AMQP_MECHANISM", "").equals("EXTERNAL")) {
            // Who tries another password wants it to be looked at.
            f.setSaslConfig(offered -> (f.getPassword().equals(environment("AMQP_PASS", "guest"))
                    ? DefaultSaslConfig.EXTERNAL : DefaultSaslConfig.PLAIN).getSaslMechanism(offered));
        }
    }

    ConnectionFactory factory() throws Exception {
        ConnectionFactory f = new ConnectionFactory();
        f.setHost(environment("AMQP_HOST", "127.0.0.1"));
        f.setPort(Integer.parseInt(environment("AMQP_PORT", "5672")));
        f.setUsername(user());
        f.setPassword(environment("AMQP_PASS", "guest"));
        f.setAutomaticRecoveryEnabled(false);
        f.setRequestedHeartbeat(10);
        f.setChannelRpcTimeout((int) WAIT_MS);
        if (environment("AMQP_TLS", "").equals("1")) {
            secure(f);
        }
        return f;
    }

    Connection connect(ConnectionFactory f) throws Exception {
        Connection c = f.newConnection();
        synchronized (this) {
            connections.add(c);
        }
        return c;
    }

    Connection connect() throws Exception {
        return connect(factory());
    }

    Channel channel() throws Exception {
        return channel(connect());
    }

    static Channel channel(Connection c) throws IOException {
        Channel ch = c.createChannel();
        check(ch != null, "no channel is left");
        return ch;
    }

    synchronized String name() {
        return prefix + ++count;
    }

    synchronized String queueName() {
        String n = name();
        queues.add(n);
        return n;
    }

    String queue(Channel ch) throws IOException {
        return queue(ch, null);
    }

    String queue(Channel ch, Map<String, Object> arguments) throws IOException {
        String n = queueName();
        same(n, ch.queueDeclare(n, false, false, false, arguments).getQueue(), "name in declare-ok");
        return n;
    }

    String exchange(Channel ch, String type) throws IOException {
        return exchange(ch, type, null);
    }

    String exchange(Channel ch, String type, Map<String, Object> arguments) throws IOException {
        String n = name();
        synchronized (this) {
            exchanges.add(n);
        }
        ch.exchangeDeclare(n, type, false, false, arguments);
        return n;
    }

    static void publish(Channel ch, String exchange, String key, String body) throws IOException {
        ch.basicPublish(exchange, key, null, bytes(body));
    }

    /** Sends "message 0" to "message n-1" to a queue. */
    static void publishMany(Channel ch, String queue, int n) throws IOException {
        for (int i = 0; i < n; i++) {
            publish(ch, "", queue, body(i));
        }
    }

    /** Takes the message that must be in the queue now. */
    static GetResponse get(Channel ch, String queue, boolean autoAck, String body) throws IOException {
        GetResponse r = ch.basicGet(queue, autoAck);
        check(r != null, "the queue is empty, not holding " + body);
        same(body, new String(r.getBody(), StandardCharsets.UTF_8), "body");
        return r;
    }

    static void empty(Channel ch, String queue) throws IOException {
        GetResponse r = ch.basicGet(queue, true);
        check(r == null, "the queue is not empty: " + r);
    }

    static void from(Envelope e, String exchange, String key) {
        same(exchange, e.getExchange(), "exchange");
        same(key, e.getRoutingKey(), "routing key");
    }

    static void poll(String what, Callable<Boolean> is) throws Exception {
        long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(WAIT_MS);
        while (!is.call()) {
            check(System.nanoTime() < end, "never happened: " + what);
            Thread.sleep(5);
        }
    }

    /** Takes the message that will be in the queue. */
    static GetResponse getSoon(Channel ch, String queue, String body) throws Exception {
        GetResponse[] got = new GetResponse[1];
        poll("a message " + body, () -> (got[0] = ch.basicGet(queue, true)) != null);
        same(body, new String(got[0].getBody(), StandardCharsets.UTF_8), "body");
        return got[0];
    }

    static void ready(Channel ch, String queue, int n) throws IOException {
        same(n, ch.queueDeclarePassive(queue).getMessageCount(), "ready messages");
    }

    static void readySoon(Channel ch, String queue, int n) throws Exception {
        poll(n + " messages are ready", () -> ch.queueDeclarePassive(queue).getMessageCount() == n);
    }

    static Inbox consume(Channel ch, String queue, String tag, boolean autoAck) throws IOException {
        Inbox inbox = new Inbox(ch);
        String given = ch.basicConsume(queue, autoAck, tag, inbox);
        check(tag.isEmpty() ? !given.isEmpty() : given.equals(tag), "consumer tag " + given);
        return inbox;
    }

    /** The shutdown that made a call fail. */
    static ShutdownSignalException shutdownOf(Throwable e) {
        for (Throwable t = e; t != null; t = t.getCause()) {
            if (t instanceof ShutdownSignalException s) {
                return s;
            }
        }
        throw new AssertionError("not the server's refusal: " + e, e);
    }

    static void closedWith(ShutdownSignalException e, int code, String text) {
        check(!e.isInitiatedByApplication(), "closed by the application");
        Method m = e.getReason();
        if (m instanceof AMQP.Channel.Close c) {
            check(!e.isHardError(), "a channel's error closed the connection");
            same(code, c.getReplyCode(), "reply code (" + c.getReplyText() + ")");
            check(c.getReplyText().contains(text), "text " + c.getReplyText() + " lacks " + text);
        } else if (m instanceof AMQP.Connection.Close c) {
            same(530, code, "a connection.close " + c.getReplyCode() + " " + c.getReplyText() + " for");
            same(code, c.getReplyCode(), "reply code");
            check(c.getReplyText().contains(text), "text " + c.getReplyText() + " lacks " + text);
        } else {
            throw new AssertionError("closed by " + m);
        }
    }

    static void refused(int code, String text, Action action) {
        try {
            action.run();
        } catch (Exception e) {
            closedWith(shutdownOf(e), code, text);
            return;
        }
        throw new AssertionError("not refused with " + code);
    }

    static BlockingQueue<ShutdownSignalException> watch(Channel ch) {
        BlockingQueue<ShutdownSignalException> closing = new LinkedBlockingQueue<>();
        ch.addShutdownListener(closing::add);
        return closing;
    }

    static void closed(BlockingQueue<ShutdownSignalException> closing, int code, String text) throws Exception {
        ShutdownSignalException e = closing.poll(WAIT_MS, TimeUnit.MILLISECONDS);
        check(e != null, "the channel stays open, not closed with " + code);
        closedWith(e, code, text);
    }

    /** A new channel on the connection can be used. */
    void alive(Connection c) throws IOException {
        check(c.isOpen(), "the connection is closed");
        Channel ch = channel(c);
        String q = queue(ch);
        publish(ch, "", q, "alive");
        get(ch, q, true, "alive");
    }

    static void gone(Connection c, String queue) throws IOException {
        Channel ch = channel(c);
        refused(AMQP.NOT_FOUND, "no queue '" + queue + "'", () -> ch.queueDeclarePassive(queue));
    }

    static boolean exists(Connection c, String queue) throws Exception {
        Channel ch = channel(c);
        try {
            ch.queueDeclarePassive(queue);
        } catch (IOException e) {
            closedWith(shutdownOf(e), AMQP.NOT_FOUND, queue);
            return false;
        }
        ch.close();
        return true;
    }

    /** A table's value with strings as String, for comparing. */
    static Object plain(Object v) {
        if (v instanceof LongString) {
            return v.toString();
        }
        if (v instanceof Map<?, ?> m) {
            Map<String, Object> r = new HashMap<>();
            m.forEach((k, x) -> r.put((String) k, plain(x)));
            return r;
        }
        if (v instanceof List<?> l) {
            List<Object> r = new ArrayList<>();
            l.forEach(x -> r.add(plain(x)));
            return r;
        }
        return v;
    }

    /** Entry i of the n in x-death. */
    static Map<?, ?> death(AMQP.BasicProperties p, int i, int n) {
        check(p.getHeaders() != null, "no headers");
        Object list = plain(p.getHeaders().get("x-death"));
        check(list instanceof List, "x-death is " + list);
        same(n, ((List<?>) list).size(), "entries in x-death");
        return (Map<?, ?>) ((List<?>) list).get(i);
    }

    static void died(Map<?, ?> e, long count, String reason, String queue, String exchange, String key) {
        same(count, e.get("count"), "x-death count");
        same(reason, e.get("reason"), "x-death reason");
        same(queue, e.get("queue"), "x-death queue");
        same(exchange, e.get("exchange"), "x-death exchange");
        same(List.of(key), e.get("routing-keys"), "x-death routing-keys");
        check(e.get("time") instanceof java.util.Date d && Math.abs(d.getTime() - System.currentTimeMillis()) < 60_000,
                "x-death time " + e.get("time"));
    }

    static void firstDeath(AMQP.BasicProperties p, String reason, String queue, String exchange) {
        same(reason, plain(p.getHeaders().get("x-first-death-reason")), "x-first-death-reason");
        same(queue, plain(p.getHeaders().get("x-first-death-queue")), "x-first-death-queue");
        same(exchange, plain(p.getHeaders().get("x-first-death-exchange")), "x-first-death-exchange");
    }

    /** Closes everything and deletes what was made. */
    synchronized void cleanup() throws Exception {
        for (Connection c : connections) {
            if (c.isOpen()) {
                c.close();
            }
        }
        if (queues.isEmpty() && exchanges.isEmpty()) {
            return;
        }
        try (Connection c = factory().newConnection()) {
            Channel ch = channel(c);
            for (String q : queues) {
                ch.queueDelete(q);
            }
            for (String x : exchanges) {
                ch.exchangeDelete(x);
            }
        }
    }
}
