// Reads webhooks as receivers do: each line of the input is {"secret":…,"headers":…,"body":…}, and for each a line says
// what the event is about, by the CloudEvents SDK, or why it is not to be believed.
const { Webhook } = require("standardwebhooks");
const { HTTP } = require("cloudevents");
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    const event = HTTP.toEvent({ headers, body });
    event.validate();
    console.log(`${event.specversion} ${event.type} ${event.source} ${event.id === headers["webhook-id"]}`);
  } catch (e) {
    console.log(String(e.message));
  }
});
