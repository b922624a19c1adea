// Asks the providers' own libraries. It reads a JSON list of questions and prints a JSON list of answers: true or false for
// one that asks to verify, a signature for one that asks to sign.
'use strict';
const { createHash, createPrivateKey, createSecretKey, sign } = require('node:crypto');
const twilio = require('twilio');
const plivo = require('plivo');
const bird = require('messagebird/lib/webhook-signature-jwt');
const { SignJWT } = require('jose'); // what messagebird verifies by
const { verifySignature } = require('@vonage/jwt');
const jwt = require('jsonwebtoken'); // what @vonage/jwt verifies by
const Vonage = require('@vonage/server-sdk');
const { TelnyxWebhook } = require('telnyx/lib/webhooks');

const holds = async (check) => {
  try {
    return (await check()) !== false;
  } catch {
    return false;
  }
};
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

const verify = {
  twilio: (q) => (q.url.includes('bodySHA256=') ? twilio.validateRequestWithBody(q.secret, q.signature, q.url, q.body) : twilio.validateRequest(q.secret, q.signature, q.url, q.fields)),
  plivo: (q) => plivo.validateV3Signature(q.method, q.url, q.nonce, q.secret, q.signature, q.fields),
  'plivo-2': (q) => plivo.validateSignature(q.url, q.nonce, q.signature, q.secret),
  messagebird: (q) => bird.verify(q.url, Buffer.from(q.body), q.signature, createSecretKey(Buffer.from(q.secret))),
  // The library leaves the hash of the body to its user.
  'vonage-messages': (q) => verifySignature(q.signature, q.secret) && jwt.decode(q.signature).payload_hash === sha256(q.body),
  'vonage-sms': (q) => ['md5hash', 'md5', 'sha1', 'sha256', 'sha512'].some((m) => Vonage.generateSignature(m, q.secret, q.fields).toLowerCase() === q.signature.toLowerCase()),
  telnyx: (q) => new TelnyxWebhook(q.secret).verify(q.body, { 'telnyx-signature-ed25519': q.signature, 'telnyx-timestamp': q.nonce }),
};

const signs = {
  twilio: (q) => require('twilio/lib/webhooks/webhooks').getExpectedTwilioSignature(q.secret, q.url, q.fields),
  messagebird: (q) =>
    new SignJWT({ url_hash: sha256(q.url), ...(q.body || q.nonce === 'hash of nothing' ? { payload_hash: sha256(q.body) } : {}) })
      .setProtectedHeader({ alg: q.method })
      .setIssuer('MessageBird')
      .setJti('j-1')
      .setNotBefore('0s')
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(createSecretKey(Buffer.from(q.secret))),
  'vonage-messages': (q) => jwt.sign({ api_key: 'a', payload_hash: sha256(q.body) }, q.secret, { algorithm: 'HS256', issuer: 'Vonage', jwtid: 'j-1' }),
  'vonage-sms': (q) => Vonage.generateSignature(q.method, q.secret, q.fields),
  // The library cannot sign: this is as its documentation says, by Node's own Ed25519. The key is PKCS #8 in base64.
  telnyx: (q) => sign(null, Buffer.from(`${q.nonce}|${q.body}`), createPrivateKey({ key: Buffer.from(q.secret, 'base64'), format: 'der', type: 'pkcs8' })).toString('base64'),
};

(async () => {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  const answers = [];
  for (const q of JSON.parse(text)) answers.push(q.sign ? await signs[q.of](q) : await holds(() => verify[q.of](q)));
  process.stdout.write(JSON.stringify(answers));
})();
