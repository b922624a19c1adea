// An SMSC on the npm package smpp: an implementation that shares nothing with ours. It prints its port. With key.pem and
// cert.pem beside it, it speaks TLS. How it behaves is what comes before the @ of the system_id: bind-13 refuses the bind with
// command_status 13, submit-mute does not answer a submit; nothing there is a healthy one.
const fs = require('fs');
const smpp = require('smpp');

const now = () => new Date().toISOString().replace(/\D/g, '').slice(2, 12);
let messages = 0;

function receipt(submit, id, stat = 'DELIVRD', err = '000', state = 2) {
  return {
    source_addr: submit.destination_addr,
    destination_addr: submit.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:${now()} done date:${now()} stat:${stat} err:${err} text:hello`,
    receipted_message_id: id,
    message_state: state,
  };
}

// What a receipt does in each way of behaving; any other sends a good one at once.
const receipts = {
  'receipt-none': () => {},
  'receipt-fail': (session, submit, id) => session.deliver_sm(receipt(submit, id, 'UNDELIV', '011', 5)),
  'receipt-late': (session, submit, id) => setTimeout(() => session.deliver_sm(receipt(submit, id)), 1500),
  'receipt-data': (session, submit, id) =>
    session.data_sm({ source_addr: submit.destination_addr, destination_addr: submit.source_addr, esm_class: 4, receipted_message_id: id, message_state: 2 }),
};

// status is the command_status that a way of behaving has for a step, 0 for none.
const status = (way, step) => Number(way.match(new RegExp(`^${step}-(\\d+)$`))?.[1] ?? 0);

function serve(session) {
  let way = '';
  session.on('error', () => {});
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => {
      const [behaviour, account] = pdu.system_id.includes('@') ? pdu.system_id.split('@') : ['', pdu.system_id];
      way = behaviour;
      if (way === 'bind-mute') return;
      const wrong = account !== 'prober' || pdu.password !== 'secret' ? smpp.ESME_RINVPASWD : smpp.ESME_ROK;
      session.send(pdu.response({ command_status: status(way, 'bind') || wrong, system_id: 'node' }));
      if (way === 'unknown-pdus') session.socket.write(Buffer.from('00000010000001120000000000000001', 'hex'));
      if (way === 'stops-reading') session.socket.removeAllListeners('readable');
    });
  }
  session.on('enquire_link', (pdu) => {
    if (way === 'enquire-mute') return;
    if (way === 'garbage') session.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    else if (way === 'restarts') session.destroy();
    else session.send(pdu.response());
  });
  session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  session.on('submit_sm', (pdu) => {
    if (way === 'submit-mute') return;
    const refused = pdu.destination_addr === '0' ? smpp.ESME_RINVDSTADR : status(way, 'submit');
    if (refused) {
      session.send(pdu.response({ command_status: refused }));
      return;
    }
    const id = `node-${++messages}`;
    session.send(pdu.response({ message_id: id }));
    if (!(pdu.registered_delivery & 1)) return;
    (receipts[way] ?? ((s, submit, i) => s.deliver_sm(receipt(submit, i))))(session, pdu, id);
  });
}

const options = fs.existsSync('key.pem') ? { key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') } : {};
const server = smpp.createServer(options, serve);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
