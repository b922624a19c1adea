// A sender for the example: it hands messages to Kannel by the routes that signalbox publishes. It needs no package.
//
//   node send.js [--rate 12] [--for SECONDS] [--signalbox URL] [--receipts URL] [--kannel URL] [--label otp]
//
// With --label it is a sender that knows nothing of routes: Kannel goes by the label, and signalbox kannel follow tells
// Kannel which link that means.
//
// It prints one JSON line for each message, with the route it asked for and the generation of the table it went by.
'use strict';
const { createHash } = require('node:crypto');
const { parseArgs } = require('node:util');

const { values: flags } = parseArgs({
  options: {
    rate: { type: 'string', default: '12' }, // messages a second
    for: { type: 'string', default: '0' }, // seconds; 0 is until it is stopped
    signalbox: { type: 'string', default: 'http://127.0.0.1:9465' },
    receipts: { type: 'string', default: '' }, // where Kannel calls back; default: signalbox
    kannel: { type: 'string', default: 'http://127.0.0.1:13013' },
    name: { type: 'string', default: 'gw-1' },
    label: { type: 'string', default: '' }, // sent as smsc= instead of a route
    routes: { type: 'string', default: 'acme-uk,bolt-uk' }, // with a label: the routes that Kannel may take
  },
});
const lane = { class: 'otp', network: '234-15' }; // of every message that this sender has
const callback = flags.receipts || flags.signalbox;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const complain = (what, err) => process.stderr.write(`${what}: ${err.cause?.message ?? err.message}\n`);

const untold = []; // events that signalbox has not taken yet, oldest first
let table = null; // the last good one: it stays in force for as long as signalbox is away

function newer(generation) {
  if (!table) return true;
  const [epoch, number] = generation.split('-').map(Number);
  const [hadEpoch, hadNumber] = table.generation.split('-').map(Number);
  return epoch > hadEpoch || (epoch === hadEpoch && number > hadNumber);
}

// watch keeps the table up to date. A poll ends when there is a newer table, or after half a minute.
async function watch() {
  for (;;) {
    try {
      const headers = { Prefer: 'wait=30' };
      if (table) headers['If-None-Match'] = `"${table.generation}"`;
      const answer = await fetch(`${flags.signalbox}/routes`, { headers, signal: AbortSignal.timeout(60_000) });
      const text = await answer.text();
      if (answer.status === 200) await take(JSON.parse(text));
      else if (answer.status !== 304) throw new Error(`HTTP ${answer.status}`);
    } catch (err) {
      complain('routes', err);
      await pause(800 + 400 * Math.random());
    }
  }
}

async function take(next) {
  const applied = next.lanes.length > 0 && newer(next.generation);
  if (applied) table = next;
  await fetch(`${flags.signalbox}/senders/${flags.name}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ generation: next.generation, applied, why: applied ? undefined : 'it is not newer' }),
  });
}

// here is the lane of the table that our messages belong to. The policy writes one for GB, in which 234-15 lies.
const here = () => table?.lanes.find((l) => l.class === lane.class && [lane.network, 'GB', '*'].includes(l.network));

// choose picks the route of a message: everybody who has the same table and key picks the same one.
function choose(key) {
  const slot = Number(createHash('sha256').update(key).digest().readBigUInt64BE() % 10000n);
  let sum = 0;
  return here().routes.find((r) => (sum += r.share) > slot)?.route ?? 'any';
}

async function send(id) {
  // Without a table Kannel may choose: "any" is a label that every link of kannel.conf allows.
  const asked = flags.label || (table ? choose(id) : 'any');
  const submitted = (Date.now() / 1000).toFixed(3);
  const back = new URLSearchParams({ id, ...(flags.label ? {} : { route: asked }), ...lane, submitted });
  const query = new URLSearchParams({
    username: 'tester',
    password: 'foobar',
    from: 'signalbox',
    to: `447700900${String(Math.floor(1000 * Math.random())).padStart(3, '0')}`,
    text: 'Your code is in another message',
    smsc: asked,
    'dlr-mask': '31',
    // What begins with % is for Kannel to fill in, and must reach it unescaped once the query is decoded.
    'dlr-url': `${callback}/receipts/kannel?${back}&smsc=%i&status=%d&reply=%A&at=%T&fid=%F`,
  });
  const line = { id, route: asked, ...(table ? { generation: table.generation } : {}) };
  try {
    const answer = await fetch(`${flags.kannel}/cgi-bin/sendsms?${query}`, { signal: AbortSignal.timeout(10_000) });
    if (answer.status === 202 && asked !== 'any' && !flags.label) {
      untold.push(JSON.stringify({ type: 'submit', time: Number(submitted), id, route: asked, ...lane, source: flags.name, result: 'accepted' }));
    }
    say({ ...line, status: answer.status, answer: await answer.text() });
  } catch (err) {
    say({ ...line, status: 0, answer: err.cause?.message ?? err.message });
  }
}

// report tells signalbox what was sent, and by a heartbeat how far this sender has got: while it is silent, missing receipts
// say nothing of routes. Kannel tells of a message too, by bit 8 of its reports, and the same thing told twice counts once.
// But Kannel tells only of what the carrier has answered. To one that keeps its bind and answers no submit_sm at all,
// Kannel goes on queueing without a word, and this is all that signalbox hears of those messages.
async function report() {
  const lines = untold.splice(0, 10_000);
  const routes = flags.label ? flags.routes.split(',') : here()?.routes.map((r) => r.route);
  const now = Date.now() / 1000;
  if (routes) lines.push(JSON.stringify({ type: 'heartbeat', time: now, source: flags.name, routes }));
  if (lines.length === 0) return;
  try {
    const answer = await fetch(`${flags.signalbox}/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-ndjson' },
      body: lines.join('\n') + '\n',
      signal: AbortSignal.timeout(5_000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    if (JSON.parse(text).refused.length > 0) complain('events', new Error(text)); // they would be refused again
  } catch (err) {
    complain('events', err);
    if (routes) lines.pop();
    untold.unshift(...lines); // for the next time
    untold.splice(0, untold.length - 10_000); // the oldest are too late to be judged by
  }
}

async function reports() {
  for (;;) {
    await report();
    await pause(1000);
  }
}

async function main() {
  if (!flags.label) {
    watch();
    for (let i = 0; i < 50 && !table; i++) await pause(100);
  }
  reports();
  const run = Date.now().toString(36);
  const began = Date.now();
  const until = Number(flags.for) > 0 ? Number(flags.for) * 1000 : Infinity;
  for (let n = 1; Date.now() - began < until && sending; n++) {
    send(`${run}-${n}`);
    await pause(Math.max(0, began + (n * 1000) / Number(flags.rate) - Date.now()));
  }
}

// SIGUSR2 ends the sending, and the heartbeats go on: receipts are still to come. SIGINT and SIGTERM end both.
let sending = true;
process.on('SIGUSR2', () => (sending = false));
for (const s of ['SIGINT', 'SIGTERM']) process.on(s, () => process.exit(0));
main();
