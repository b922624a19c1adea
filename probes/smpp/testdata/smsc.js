// An SMSC on the npm package smpp: an implementation that shares nothing with ours. It prints its port.
const smpp = require('smpp');

const now = () => new Date().toISOString().replace(/\D/g, '').slice(2, 12);
let messages = 0;

function receipt(submit, id) {
  return {
    source_addr: submit.destination_addr,
    destination_addr: submit.source_addr,
    esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:${now()} done date:${now()} stat:DELIVRD err:000 text:hello`,
    receipted_message_id: id,
    message_state: 2,
  };
}

const server = smpp.createServer((session) => {
  session.on('error', () => {});
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(bind, (pdu) => {
      const refused = pdu.system_id !== 'prober' || pdu.password !== 'secret';
      session.send(pdu.response({ command_status: refused ? smpp.ESME_RINVPASWD : smpp.ESME_ROK, system_id: 'node' }));
    });
  }
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  session.on('submit_sm', (pdu) => {
    if (pdu.destination_addr === '0') {
      session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
      return;
    }
    const id = `node-${++messages}`;
    session.send(pdu.response({ message_id: id }));
    if (pdu.registered_delivery & 1) session.deliver_sm(receipt(pdu, id));
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
