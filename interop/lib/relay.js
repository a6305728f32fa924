'use strict';
/* Between a client and the broker: a connection that can be lost, or not be had for a while. */
const net = require('net');
const { broker } = require('./tap.js');

class Relay {
  constructor() {
    this.pairs = new Set();
    this.away = false;
    this.server = net.createServer((client) => {
      if (this.away) {
        client.destroy();
        return;
      }
      const behind = net.connect(broker.port, broker.host);
      const pair = [client, behind];
      const end = () => {
        pair.forEach((socket) => socket.destroy());
        this.pairs.delete(pair);
      };
      this.pairs.add(pair);
      for (const [from, to] of [[client, behind], [behind, client]]) {
        from.setNoDelay(true);
        from.on('data', (data) => to.write(data));
        from.on('error', end);
        from.on('close', end);
      }
    });
  }

  /* Answers the port. */
  static async open(t) {
    const relay = new Relay();
    await new Promise((resolve) => relay.server.listen(0, '127.0.0.1', resolve));
    relay.port = relay.server.address().port;
    t.onEnd(() => {
      relay.cut();
      relay.server.close();
    });
    return relay;
  }

  /* Every connection is lost; with away, no other is to be had until back(). */
  cut(away = false) {
    this.away = away;
    for (const pair of this.pairs) pair.forEach((socket) => socket.destroy());
  }

  back() {
    this.away = false;
  }
}

module.exports = { Relay };
