// A carrier for the example: an SMSC on the npm package smpp, which can be told to go bad.
//
//   node smsc.js NAME SMPP-PORT CONTROL-PORT
//
// It accepts every message and sends its receipt half a second to a second and a half later: DELIVRD, but UNDELIV for
// every fiftieth. The control port, on loopback like the other one, takes
//
//   GET  /          what it has done so far
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
const done = { name, mode: 'heal', accepted: 0, receipts: 0, muted: 0, swallowed: [] };

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

function submit(session, pdu) {
  if (done.mode === 'mute') {
    done.muted++;
    return;
  }
  const n = ++done.accepted;
  const id = `${name}-${run}-${n}`;
  session.send(pdu.response({ message_id: id }));
  if (done.mode === 'swallow') {
    done.swallowed.push(id);
    return;
  }
  setTimeout(() => {
    session.deliver_sm(receipt(pdu, id, n));
    done.receipts++;
  }, 500 + 1000 * Math.random());
}

smpp.createServer((session) => {
  session.on('error', () => {});
  session.on('bind_transceiver', (pdu) => session.send(pdu.response({ system_id: name })));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  session.on('submit_sm', (pdu) => submit(session, pdu));
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
