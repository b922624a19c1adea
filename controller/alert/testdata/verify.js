// Verifies webhooks as receivers do: each line of the input is {"secret":…,"headers":…,"body":…}, and for each a line says
// "valid", or why not.
const { Webhook } = require("standardwebhooks");
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("valid");
  } catch (e) {
    console.log(String(e.message));
  }
});
