'use strict';
/* Runs the scenarios of scenarios.txt against a broker and prints TAP 13; what tap.py is to Python.
 *
 *   const suite = new Suite('amqplib', cleanup);
 *   suite.scenario('fanout', async (t) => { ... });
 *   suite.skip('tx', 'the library has no transactions');
 *   suite.run();
 *
 * A function gets a Scenario: names that are its own and are deleted afterwards by cleanup(queues, exchanges), and
 * what must be closed when it ends.  It fails by rejecting, by an uncaught error meanwhile, or by taking longer than
 * LIMIT_MS.  What suite.tolerated matches, when a scenario has set it, is no uncaught error.  A name in scenarios.txt
 * that is neither registered nor skipped fails, so nothing is left out silently.
 */
const assert = require('assert');
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const LIMIT_MS = 30000; // for one scenario, all included
const WAIT_MS = 5000; // for one event
const POLL_MS = 5;

const broker = {
  host: process.env.AMQP_HOST || '127.0.0.1',
  port: Number(process.env.AMQP_PORT || 5672),
  user: process.env.AMQP_USER || 'guest',
  pass: process.env.AMQP_PASS || 'guest',
};

const read = (name) => process.env[name] ? fs.readFileSync(process.env[name]) : undefined;

/* Options for tls.connect(): AMQP_CA alone is trusted, the host's name is checked, and a client certificate is shown
 * if there is one; undefined without TLS. */
const tls = process.env.AMQP_TLS === '1'
  ? { ca: read('AMQP_CA'), cert: read('AMQP_CERT'), key: read('AMQP_KEY'), rejectUnauthorized: true } : undefined;

/* Whether to log in by certificate.  Who tries another password wants it to be looked at. */
const isExternal = (password = broker.pass) => process.env.AMQP_MECHANISM === 'EXTERNAL' && password === broker.pass;

const CAPABILITIES = ['authentication_failure_close', 'basic.nack', 'connection.blocked', 'consumer_cancel_notify',
  'consumer_priorities', 'direct_reply_to', 'exchange_exchange_bindings', 'per_consumer_qos', 'publisher_confirms'];

function check(condition, what) {
  if (!condition) throw new Error(what);
}

function equal(got, want, what) {
  try {
    assert.deepStrictEqual(got, want);
  } catch (error) {
    throw new Error(`${what || 'value'}: got ${short(got)}, want ${short(want)}`);
  }
}

function contains(text, part, what) {
  check(String(text).includes(part), `${what || 'text'}: ${short(String(text))} does not contain ${part}`);
}

function short(value) {
  const text = Buffer.isBuffer(value) ? value.toString('latin1') : JSON.stringify(value);
  return text && text.length > 300 ? text.slice(0, 300) + '...' : String(text);
}

/* Waits until condition(), perhaps a promise, is true; answers its value. */
async function until(condition, what) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${WAIT_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/* Checks the x-death entry for queue and reason, and x-first-death-* unless first is false; answers the entry. */
function checkDeath(headers, { queue, exchange, keys, reason, count = 1, first = true }) {
  check(headers && Array.isArray(headers['x-death']), `no x-death in ${short(headers)}`);
  const entries = headers['x-death'].filter((e) => e.queue === queue && e.reason === reason);
  equal(entries.length, 1, `x-death entries for ${queue} ${reason} in ${short(headers['x-death'])}`);
  const [entry] = entries;
  equal(Number(entry.count), count, 'x-death count');
  equal(entry.exchange, exchange, 'x-death exchange');
  equal(entry['routing-keys'], keys, 'x-death routing-keys');
  check(entry.time !== undefined, 'x-death has no time');
  if (first) {
    equal(['reason', 'queue', 'exchange'].map((what) => headers[`x-first-death-${what}`]), [reason, queue, exchange],
      'x-first-death-*');
  }
  return entry;
}

class Scenario {
  constructor(prefix, name) {
    this.prefix = `${prefix}${name}-`;
    this.queues = [];
    this.exchanges = [];
    this.closers = [];
  }

  queue(suffix = 'q') {
    this.queues.push(this.prefix + suffix);
    return this.prefix + suffix;
  }

  exchange(suffix = 'x') {
    this.exchanges.push(this.prefix + suffix);
    return this.prefix + suffix;
  }

  onEnd(close) {
    this.closers.push(close);
  }

  /* In reverse order; what had been closed already is no concern of the scenario. */
  async close() {
    for (const close of this.closers.reverse()) {
      try {
        await close();
      } catch (error) { /* see above */ }
    }
  }
}

class Suite {
  /* own: names in place of those of scenarios.txt. */
  constructor(client, cleanup, own) {
    this.prefix = `interop-${client}-${process.pid}-${crypto.randomBytes(4).toString('hex')}-`;
    this.cleanup = cleanup;
    this.names = own || scenarioNames();
    this.functions = new Map();
    this.skips = new Map();
  }

  scenario(name, run) {
    check(this.names.includes(name), `${name} is not in scenarios.txt`);
    this.functions.set(name, run);
  }

  skip(name, reason) {
    check(this.names.includes(name), `${name} is not in scenarios.txt`);
    this.skips.set(name, reason);
  }

  /* Runs those named on the command line, or all; exits. */
  async run() {
    const wanted = process.argv.slice(2);
    const names = this.names.filter((name) => wanted.length === 0 || wanted.includes(name));
    let failed = 0;
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      process.on(event, (error) => this.onUncaught && this.onUncaught(error));
    }
    say('TAP version 13');
    say(`1..${names.length}`);
    for (const [i, name] of names.entries()) {
      if (this.functions.has(name)) {
        failed += await this.runOne(i + 1, name) ? 0 : 1;
      } else if (this.skips.has(name)) {
        say(`ok ${i + 1} - ${name} # SKIP ${this.skips.get(name)}`);
      } else {
        say(`not ok ${i + 1} - ${name}\n# nobody wrote it`);
        failed++;
      }
    }
    process.exit(failed ? 1 : 0);
  }

  async runOne(number, name) {
    const t = new Scenario(this.prefix, name);
    const started = Date.now();
    const clean = () => (t.queues.length || t.exchanges.length) && this.cleanup(t.queues, t.exchanges);
    const problems = [];
    this.tolerated = null;
    for (const step of [() => this.functions.get(name)(t), () => t.close(), clean]) {
      const problem = await this.attempt(step);
      if (problem) problems.push(problem);
    }
    say(`${problems.length ? 'not ok' : 'ok'} ${number} - ${name}`);
    for (const problem of problems) {
      for (const line of problem.split('\n')) say(`# ${line}`);
    }
    if (process.env.INTEROP_TIMES) say(`# ${(Date.now() - started) / 1000} s`);
    return problems.length === 0;
  }

  /* Runs step within LIMIT_MS; answers what went wrong, or nothing. */
  attempt(step) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(`not done after ${LIMIT_MS} ms`), LIMIT_MS);
      const done = (problem) => {
        clearTimeout(timer);
        resolve(problem);
      };
      this.onUncaught = (error) => {
        if (!this.tolerated || !this.tolerated.test(error && error.message)) done(`uncaught: ${describe(error)}`);
      };
      Promise.resolve().then(step).then(() => done(), (error) => done(describe(error)));
    });
  }
}

function describe(error) {
  if (!(error instanceof Error)) return String(error);
  const where = String(error.stack).split('\n').filter((line) => line.includes(process.argv[1]));
  return [`${error.name}: ${error.message}`, ...where].join('\n');
}

function scenarioNames() {
  return fs.readFileSync(path.join(__dirname, '..', 'scenarios.txt'), 'utf8').split('\n')
    .filter((line) => line.trim() && !line.startsWith('#')).map((line) => line.split(/\s/)[0]);
}

function say(line) {
  fs.writeSync(1, line + '\n');
}

/* require() for the library under test; without it there is nothing to run. */
function load(require, library) {
  try {
    require.resolve(library);
  } catch (error) {
    say(`1..0 # SKIP library ${library} not installed`);
    process.exit(0);
  }
  return require(library);
}

module.exports = { Suite, broker, tls, isExternal, load, check, equal, contains, until, checkDeath, CAPABILITIES };
