// Command interop-amqp091-go runs the scenarios of ../scenarios.txt with the Go client and prints TAP.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	scenarioLimit = 30 * time.Second // a scenario that takes longer has failed
	waitLimit     = 10 * time.Second // for one event
	quietTime     = 50 * time.Millisecond
)

type scenario struct {
	name string
	run  func(t *test)
}

// A test is one scenario's run: what it opened and what it must delete.
type test struct {
	prefix string
	mutex  sync.Mutex
	conns  []*amqp.Connection
	queues []string
	exch   []string
	count  int
}

type failure string

func getenv(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func (t *test) fail(format string, args ...interface{}) {
	panic(failure(fmt.Sprintf(format, args...)))
}

func (t *test) check(ok bool, format string, args ...interface{}) {
	if !ok {
		t.fail(format, args...)
	}
}

func (t *test) ok(err error, what string) {
	if err != nil {
		t.fail("%s: %v", what, err)
	}
}

// A tapConn keeps what the server sent, for what the library hides.
type tapConn struct {
	net.Conn
	mutex sync.Mutex
	seen  bytes.Buffer
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mutex.Lock()
	if c.seen.Len() < 65536 {
		c.seen.Write(p[:n])
	}
	c.mutex.Unlock()
	return n, err
}

// closeCode answers the code of the connection.close the server sent, or 0.
func (c *tapConn) closeCode() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	b := c.seen.Bytes()
	for len(b) >= 8 { // type, channel, size, payload, end
		size := int(b[3])<<24 | int(b[4])<<16 | int(b[5])<<8 | int(b[6])
		if len(b) < size+8 {
			break
		}
		p := b[7 : 7+size]
		if b[0] == 1 && size >= 6 && bytes.Equal(p[:4], []byte{0, 10, 0, 50}) {
			return int(p[4])<<8 | int(p[5])
		}
		b = b[size+8:]
	}
	return 0
}

func address() string {
	return net.JoinHostPort(getenv("AMQP_HOST", "127.0.0.1"), getenv("AMQP_PORT", "5672"))
}

// tlsConfig trusts AMQP_CA alone, checks the host's name, and shows a client certificate if there is one; nil without TLS.
func tlsConfig() *tls.Config {
	if os.Getenv("AMQP_TLS") != "1" {
		return nil
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: os.Getenv("AMQP_HOST")}
	if pem, err := os.ReadFile(os.Getenv("AMQP_CA")); err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
		panic(failure("no certificates in AMQP_CA"))
	}
	if file := os.Getenv("AMQP_CERT"); file != "" {
		pair, err := tls.LoadX509KeyPair(file, os.Getenv("AMQP_KEY"))
		if err != nil {
			panic(failure(err.Error()))
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// login is by certificate where that is asked for; who tries another password wants it to be looked at.
func login(user, pass string) []amqp.Authentication {
	if os.Getenv("AMQP_MECHANISM") == "EXTERNAL" && pass == os.Getenv("AMQP_PASS") {
		return []amqp.Authentication{&amqp.ExternalAuth{}}
	}
	return []amqp.Authentication{&amqp.PlainAuth{Username: user, Password: pass}}
}

func scheme() string {
	if os.Getenv("AMQP_TLS") == "1" {
		return "amqps://"
	}
	return "amqp://"
}

// dial lets the library do TLS, but for another vhost than "/": tapConn must see what is inside then.
func (t *test) dial(user, pass, vhost string, heartbeat time.Duration) (*amqp.Connection, *tapConn, error) {
	var tapped *tapConn
	how, inner := scheme(), (*tls.Config)(nil)
	if vhost != "/" {
		how, inner = "amqp://", tlsConfig()
	}
	conn, err := amqp.DialConfig(how+address(), amqp.Config{
		SASL:            login(user, pass),
		Vhost:           vhost,
		Heartbeat:       heartbeat,
		Locale:          "en_US",
		TLSClientConfig: tlsConfig(),
		Dial: func(network, addr string) (net.Conn, error) {
			c, err := amqp.DefaultDial(waitLimit)(network, addr)
			if err != nil {
				return nil, err
			}
			if inner != nil {
				c = tls.Client(c, inner)
			}
			tapped = &tapConn{Conn: c}
			return tapped, nil
		},
	})
	if conn != nil && err == nil {
		t.mutex.Lock()
		t.conns = append(t.conns, conn)
		t.mutex.Unlock()
	}
	return conn, tapped, err
}

func (t *test) connectBeating(heartbeat time.Duration) *amqp.Connection {
	conn, _, err := t.dial(getenv("AMQP_USER", "guest"), getenv("AMQP_PASS", "guest"), "/", heartbeat)
	t.ok(err, "connect")
	return conn
}

func (t *test) connect() *amqp.Connection {
	return t.connectBeating(10 * time.Second)
}

func (t *test) channelOn(conn *amqp.Connection) *amqp.Channel {
	ch, err := conn.Channel()
	t.ok(err, "open a channel")
	return ch
}

func (t *test) channel() *amqp.Channel {
	return t.channelOn(t.connect())
}

func (t *test) name() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.count++
	return fmt.Sprintf("%s%d", t.prefix, t.count)
}

// queueName makes a queue name that is deleted at the end.
func (t *test) queueName() string {
	n := t.name()
	t.mutex.Lock()
	t.queues = append(t.queues, n)
	t.mutex.Unlock()
	return n
}

func (t *test) queueWith(ch *amqp.Channel, args amqp.Table) string {
	n := t.queueName()
	q, err := ch.QueueDeclare(n, false, false, false, false, args)
	t.ok(err, "queue.declare")
	t.check(q.Name == n, "declare-ok names %q, not %q", q.Name, n)
	return n
}

func (t *test) queue(ch *amqp.Channel) string {
	return t.queueWith(ch, nil)
}

func (t *test) exchangeWith(ch *amqp.Channel, kind string, args amqp.Table) string {
	n := t.name()
	t.mutex.Lock()
	t.exch = append(t.exch, n)
	t.mutex.Unlock()
	t.ok(ch.ExchangeDeclare(n, kind, false, false, false, false, args), "exchange.declare")
	return n
}

func (t *test) exchange(ch *amqp.Channel, kind string) string {
	return t.exchangeWith(ch, kind, nil)
}

func (t *test) bind(ch *amqp.Channel, queue, exchange, key string, args amqp.Table) {
	t.ok(ch.QueueBind(queue, key, exchange, false, args), "queue.bind")
}

// cleanup closes everything and deletes what was made.
func (t *test) cleanup() {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, c := range t.conns {
		c.Close()
	}
	if len(t.queues) == 0 && len(t.exch) == 0 {
		return
	}
	conn, err := amqp.DialConfig(scheme()+address(), amqp.Config{
		SASL:            login(getenv("AMQP_USER", "guest"), getenv("AMQP_PASS", "guest")),
		Vhost:           "/",
		TLSClientConfig: tlsConfig(),
	})
	if err != nil {
		return
	}
	defer conn.Close()
	ch, err := conn.Channel()
	for _, q := range t.queues {
		if err == nil {
			_, err = ch.QueueDelete(q, false, false, false)
		}
		if err != nil {
			ch, err = conn.Channel()
		}
	}
	for _, e := range t.exch {
		if err == nil {
			err = ch.ExchangeDelete(e, false, false)
		}
		if err != nil {
			ch, err = conn.Channel()
		}
	}
}

// runOne answers "" or why the scenario failed.
func runOne(s scenario, prefix string) string {
	t := &test{prefix: prefix + s.name + "-"}
	done := make(chan string, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				if f, is := r.(failure); is {
					done <- string(f)
				} else {
					done <- fmt.Sprintf("panic: %v", r)
				}
				return
			}
			done <- ""
		}()
		s.run(t)
	}()
	var reason string
	select {
	case reason = <-done:
	case <-time.After(scenarioLimit):
		reason = "no end after " + scenarioLimit.String()
	}
	cleaned := make(chan struct{})
	go func() {
		t.cleanup()
		close(cleaned)
	}()
	select {
	case <-cleaned:
	case <-time.After(waitLimit):
		if reason == "" {
			reason = "cleaning up does not end"
		}
	}
	return reason
}

func main() {
	rand.Seed(time.Now().UnixNano())
	prefix := fmt.Sprintf("interop-go-%d-%06x-", os.Getpid(), rand.Intn(1<<24))
	var scenarios []scenario
	for _, s := range append(append(append([]scenario{}, basics...), delivery...), features...) {
		if len(os.Args) == 1 || strings.Contains(" "+strings.Join(os.Args[1:], " ")+" ", " "+s.name+" ") {
			scenarios = append(scenarios, s)
		}
	}
	fmt.Println("TAP version 13")
	fmt.Printf("1..%d\n", len(scenarios))
	failed := 0
	for i, s := range scenarios {
		reason := runOne(s, prefix)
		if reason == "" {
			fmt.Printf("ok %d - %s\n", i+1, s.name)
			continue
		}
		failed++
		fmt.Printf("not ok %d - %s\n", i+1, s.name)
		for _, line := range strings.Split(reason, "\n") {
			fmt.Printf("# %s\n", line)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}
