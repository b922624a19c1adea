// A carrier for the example: an SMSC on the npm package smpp, which can be told to go bad.
//
//   node smsc.js NAME SMPP-PORT CONTROL-PORT
//
// It accepts every message and sends its receipt half a second to a second and a half later: DELIVRD, but UNDELIV for
// every fiftieth. A receipt goes to any session of the account that may receive, in turn, as many SMSCs have it: to one that
// bound as a transmitter never. Accounts are told apart by system_id, and everybody has one. The control port, on loopback
// like the other one, takes
//
//   GET  /          what it has done so far, by account
//   POST /swallow   go on accepting, never send a receipt again: what a bad carrier does most
//   POST /mute      do not even answer submit_sm, while the bind and enquire_link stay up
//   POST /heal      work again; what was swallowed stays swallowed
'use strict';
const http = require('node:http');
const smpp = require('smpp');

const [name, port, controlPort] = process.argv.slice(2);
if (!controlPort) {
  console.error('usage: node smsc.js NAME SMPP-PORT CONTROL-PORT');
  process.exit(2);
}

// Ids of a former run must never come again: Kannel finds the message of a receipt by them.
const run = Date.now().toString(36);
const done = { name, mode: 'heal', accounts: {} };
const sessions = {}; // by system_id, those that may receive

const account = (id) => (done.accounts[id] ??= { accepted: 0, receipts: 0, muted: 0, swallowed: [], unclaimed: 0, transmitters: 0, byTransmitter: 0 });

const when = () => new Date().toISOString().replace(/\D/g, '').slice(2, 12);

function receipt(submit, id, n) {
  const [stat, err, state] = n % 50 === 0 ? ['UNDELIV', '011', 5] : ['DELIVRD', '000', 2];
  return {
    source_addr: submit.destination_addr,
    destination_addr: submit.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:${when()} done date:${when()} stat:${stat} err:${err} text:`,
    receipted_message_id: id,
    message_state: state,
  };
}

function submit(session, owner, receives, pdu) {
  const of = account(owner);
  if (done.mode === 'mute') {
    of.muted++;
    return;
  }
  const n = ++of.accepted;
  if (!receives) of.byTransmitter++;
  const id = `${name}-${run}-${owner}-${n}`;
  session.send(pdu.response({ message_id: id }));
  if (done.mode === 'swallow') {
    of.swallowed.push(id);
    return;
  }
  setTimeout(() => deliver(owner, receipt(pdu, id, n)), 500 + 1000 * Math.random());
}

function deliver(owner, pdu) {
  const of = account(owner);
  const open = sessions[owner] ?? [];
  if (open.length === 0) {
    of.unclaimed++;
    return;
  }
  open.push(open.shift()); // the next one's turn
  open[0].deliver_sm(pdu);
  of.receipts++;
}

smpp.createServer((session) => {
  let owner = '';
  let receives = false;
  const leave = () => (sessions[owner] = (sessions[owner] ?? []).filter((s) => s !== session));
  const bound = (pdu, may) => {
    [owner, receives] = [pdu.system_id, may];
    if (receives) (sessions[owner] ??= []).push(session);
    else account(owner).transmitters++;
    session.send(pdu.response({ system_id: name }));
  };
  session.on('error', () => {});
  session.on('close', leave);
  session.on('bind_transceiver', (pdu) => bound(pdu, true));
  session.on('bind_receiver', (pdu) => bound(pdu, true));
  session.on('bind_transmitter', (pdu) => bound(pdu, false));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  session.on('submit_sm', (pdu) => submit(session, owner, receives, pdu));
}).listen(Number(port), '127.0.0.1');

http.createServer((request, response) => {
  const mode = request.url.slice(1);
  if (request.method === 'POST' && ['swallow', 'mute', 'heal'].includes(mode)) {
    done.mode = mode;
  } else if (request.method !== 'GET' || mode !== '') {
    response.statusCode = 404;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(done) + '\n');
}).listen(Number(controlPort), '127.0.0.1', () => console.log(`${name}: SMPP on ${port}, control on ${controlPort}`));

process.on('SIGTERM', () => process.exit(0));
