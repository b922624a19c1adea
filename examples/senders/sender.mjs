#!/usr/bin/env node
// A sender's side of signalbox, in one file, for Node 18 and later without packages. README.md says what it keeps to.
//
//   sender.mjs watch                     keeps the table up to date, in the file SIGNALBOX_TABLE
//   sender.mjs pick CLASS NETWORK KEY    prints the route of a message, by that file
//   sender.mjs report < events.ndjson    reports submits and receipts
//   sender.mjs vectors FILE              checks this file against the published vectors
//
// In a program: const s = new Sender({...}); s.watch(); s.deliver(); s.pick('otp', '234-15', 'm-1'); s.report('{"type":"submit",…}')
import { createHash, createPublicKey, verify } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const MCC = `
AD 213 AE 424 430 431 AF 412 AG 344 AI 365 AL 276 AM 283 AO 631 AR 722 AS 544 AT 232 AU 505 AW 363 AZ 400 BA 218
BB 342 BD 470 BE 206 BF 613 BG 284 BH 426 BI 642 BJ 616 BM 350 BN 528 BO 736 BR 724 BS 364 BT 402 BW 652 BY 257 BZ 702
CA 302 CD 630 CF 623 CG 629 CH 228 CI 612 CK 548 CL 730 CM 624 CN 460 461 CO 732 CR 712 CU 368 CV 625 CW 362 CY 280
CZ 230 DE 262 DJ 638 DK 238 DM 366 DO 370 DZ 603 EC 740 EE 248 EG 602 ER 657 ES 214 ET 636 FI 244 FJ 542 FK 750 FM 550
FO 288 FR 208 GA 628 GB 234 235 GD 352 GE 282 GF 742 GH 620 GI 266 GL 290 GM 607 GN 611 GP 340 GQ 627 GR 202 GT 704
GU 535 GW 632 GY 738 HK 454 HN 708 HR 219 HT 372 HU 216 ID 510 IE 272 IL 425 IN 404 405 406 IO 995 IQ 418 IR 432 IS 274
IT 222 JM 338 JO 416 JP 440 441 KE 639 KG 437 KH 456 KI 545 KM 654 KN 356 KP 467 KR 450 KW 419 KY 346 KZ 401 LA 457
LB 415 LC 358 LI 295 LK 413 LR 618 LS 651 LT 246 LU 270 LV 247 LY 606 MA 604 MC 212 MD 259 ME 297 MG 646 MH 551 MK 294
ML 610 MM 414 MN 428 MO 455 MP 534 MR 609 MS 354 MT 278 MU 617 MV 472 MW 650 MX 334 MY 502 MZ 643 NA 649 NC 546 NE 614
NG 621 NI 710 NL 204 NO 242 NP 429 NR 536 NU 555 NZ 530 OM 422 PA 714 PE 716 PF 547 PG 537 PH 515 PK 410 PL 260
PM 308 PR 330 PT 268 PW 552 PY 744 QA 427 RE 647 RO 226 RS 220 RU 250 RW 635 SA 420 SB 540 SC 633 SD 634 SE 240 SG 525
SH 658 SI 293 SK 231 SL 619 SM 292 SN 608 SO 637 SR 746 SS 659 ST 626 SV 706 SY 417 SZ 653 TC 376 TD 622 TG 615 TH 520
TJ 436 TK 554 TL 514 TM 438 TN 605 TO 539 TR 286 TT 374 TV 553 TW 466 TZ 640 UA 255 UG 641 US 310 311 312 313 314 315 316
UY 748 UZ 434 VA 225 VC 360 VE 734 VG 348 VN 452 VU 541 WF 543 WS 549 XK 221 YE 421 ZA 655 ZM 645 ZW 648
`;
const countries = new Map();
let here;
for (const word of MCC.trim().split(/\s+/)) {
  if (/[A-Z]/.test(word)) here = word;
  else countries.set(word, here);
}

// country of an MCC-MNC, a country itself, '' where there is none.
export function country(network) {
  if (/^[A-Z]{2}$/.test(network)) return network;
  return /^[0-9]{3}-[0-9]{2,3}$/.test(network) ? (countries.get(network.slice(0, 3)) ?? '') : '';
}

const units = { d: 86400e3, h: 3600e3, m: 60e3, s: 1e3, ms: 1, us: 1e-3, ns: 1e-6 };
const milliseconds = (text) => [...text.matchAll(/([0-9]+)([a-z]+)/g)].reduce((sum, [, n, u]) => sum + n * units[u], 0);
const sha256 = (data) => createHash('sha256').update(data);
export const slot = (key) => Number(sha256(key).digest().readBigUInt64BE() % 10000n);

// pick is the route of a message, and what to try after it, one after the other; null where no lane serves it.
export function pick(table, cls, network, key) {
  const find = (c, n) => table.lanes.find((l) => l.class === c && l.network === n);
  const networks = [network, country(network), '*'].filter((n) => n !== '');
  const lane = [cls, '*'].flatMap((c) => networks.map((n) => find(c, n))).find((l) => l);
  if (!lane) return null;
  let at = 0;
  for (let left = slot(key); left >= lane.routes[at].share; at++) left -= lane.routes[at].share;
  const others = [...lane.routes.slice(at + 1), ...lane.routes.slice(0, at)];
  const fallbacks = others.filter((r) => r.admin !== 'drained' && (r.phase === 'active' || r.admin === 'pinned')).map((r) => r.route);
  return { generation: table.generation, class: lane.class, network: lane.network, route: lane.routes[at].route, fallbacks, retry_after_ms: milliseconds(lane.retry_after) };
}

// readKeys reads public keys in PEM, by keyid.
export function readKeys(pem) {
  const keys = new Map();
  for (const [block] of pem.matchAll(/-----BEGIN PUBLIC KEY-----[^]*?-----END PUBLIC KEY-----/g)) {
    const key = createPublicKey(block);
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('want Ed25519 public keys in PEM');
    keys.set(sha256(key.export({ type: 'spki', format: 'der' }).subarray(-32)).digest('hex').slice(0, 16), key);
  }
  return keys;
}

function signed(one, body, keys) {
  const m = /^ed25519;keyid=([0-9a-f]{16});sig=([A-Za-z0-9+/]+=*)$/.exec(one.trim());
  return Boolean(m) && keys.has(m[1]) && verify(null, body, keys.get(m[1]), Buffer.from(m[2], 'base64'));
}

// Refused is a table that is not taken.
class Refused extends Error {
  constructor(generation, why) {
    super(why);
    Object.assign(this, { generation, why });
  }
}

function numbers(generation) {
  const m = /^([0-9]+)-([0-9]+)$/.exec(generation);
  if (!m) throw new TypeError('no generation');
  return [BigInt(m[1]), BigInt(m[2])];
}

// check returns the table, or null where it is the one that the sender has; it throws Refused.
export function check(body, signature, keys, have) {
  let table;
  let generation = '0-0';
  try {
    table = JSON.parse(body);
    numbers(table.generation);
    generation = table.generation;
    if (!(table.lanes.length > 0)) throw new Refused(generation, 'it has no lanes');
    for (const lane of table.lanes) {
      if (lane.routes.some((r) => !(r.share >= 0)) || lane.routes.reduce((sum, r) => sum + r.share, 0) !== 10000) throw new Refused(generation, 'its shares do not sum to 10000');
    }
  } catch (err) {
    throw err instanceof Refused ? err : new Refused(generation, 'it is no table');
  }
  if (keys.size > 0 && !signature.split(',').some((one) => signed(one, body, keys))) throw new Refused(generation, 'it is not signed by a key that is known here');
  if (!have || generation === have) return have ? null : table;
  const [epoch, number] = numbers(generation);
  const [hadEpoch, hadNumber] = numbers(have);
  if (epoch < hadEpoch || (epoch === hadEpoch && number < hadNumber)) throw new Refused(generation, `it is older than ${have}, which is in force here`);
  return table;
}

// writeWhole: after a crash the file is the old or the new one.
function writeWhole(path, data) {
  const temporary = `${path}.${process.pid}.tmp`;
  const f = openSync(temporary, 'w', 0o600);
  writeSync(f, data);
  fsyncSync(f);
  closeSync(f);
  renameSync(temporary, path);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms * (0.8 + 0.4 * Math.random())));
const complain = (...what) => process.stderr.write(what.join(' ') + '\n');

export class Sender {
  constructor({ servers, name, file = '', keys = '', tokenFile = '', spool = '', wait = 30, backoff = 30, most = 50_000 }) {
    Object.assign(this, { servers, name, file, tokenFile, spool, wait, backoff, most, keys: readKeys(keys), table: null, said: '', saidAt: 0, turn: [], events: [], dropped: 0 });
    if (file && existsSync(file)) this.restore();
    if (spool && existsSync(spool)) this.events = readFileSync(spool, 'utf8').split('\n').slice(0, -1);
  }

  restore() {
    const data = readFileSync(this.file);
    const end = data.indexOf('\n');
    const [mark, digest, ...signature] = data.subarray(0, Math.max(end, 0)).toString().split(' ');
    const body = data.subarray(end + 1);
    try {
      if (mark !== 'signalbox-table' || sha256(body).digest('hex') !== digest) throw new Refused('0-0', 'it is damaged');
      this.table = check(body, signature.join(' '), this.keys, null);
    } catch (err) {
      complain(`${this.file} is not used: ${err.message}`);
    }
  }

  async request(method, server, path, { body, headers = {}, timeout = 10_000 } = {}) {
    if (this.tokenFile) headers.Authorization = 'Bearer ' + readFileSync(this.tokenFile, 'utf8').trim();
    const answer = await fetch(server.replace(/\/$/, '') + path, { method, body, headers, redirect: 'manual', signal: AbortSignal.timeout(timeout) });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (!answer.ok && answer.status !== 304) throw new Error(`HTTP ${answer.status} ${bytes.toString().slice(0, 200)}`);
    return { status: answer.status, bytes, headers: answer.headers };
  }

  nextServer() {
    if (this.turn.length === 0) this.turn = this.servers.map((s) => [Math.random(), s]).sort(([a], [b]) => a - b).map(([, s]) => s);
    return this.turn.pop();
  }

  // poll asks once; whether there was a new table.
  async poll(server) {
    const have = this.table?.generation;
    const headers = have ? { 'If-None-Match': `"${have}"`, Prefer: `wait=${this.wait}` } : {};
    const { status, bytes, headers: got } = await this.request('GET', server, '/routes', { headers, timeout: (this.wait * 17 / 16 + 10) * 1000 });
    const signature = got.get('Signalbox-Signature') ?? '';
    let table = null;
    try {
      if (status !== 304) table = check(bytes, signature, this.keys, have);
    } catch (err) {
      await this.say(server, { generation: err.generation, applied: false, why: err.why });
      throw err;
    }
    if (table) {
      this.table = table; // senders see it at once, whatever becomes of the file
      if (this.file) writeWhole(this.file, Buffer.concat([Buffer.from(`signalbox-table ${sha256(bytes).digest('hex')} ${signature || '-'}\n`), bytes]));
    }
    await this.say(server, { generation: this.table.generation, applied: true });
    return table !== null;
  }

  // say tells which table runs here: at once where that is news, and every minute.
  async say(server, word) {
    const body = JSON.stringify(word);
    if (server + body === this.said && Date.now() - this.saidAt < 60_000) return;
    try {
      await this.request('PUT', server, '/senders/' + encodeURIComponent(this.name), { body, headers: { 'Content-Type': 'application/json' }, timeout: 5000 });
      [this.said, this.saidAt] = [server + body, Date.now()];
    } catch {
      // the next poll says it again
    }
  }

  // watch keeps the table up to date, for ever.
  async watch(tell = () => {}) {
    let server = this.nextServer();
    for (let backoff = 100, last = ''; ; ) {
      const began = Date.now();
      let rest = 250; // while others read the same news
      let word;
      try {
        if (!(await this.poll(server))) {
          server = this.nextServer(); // this one may be cut off from the news itself
          rest = Date.now() - began > this.wait * 500 ? 0 : 5000;
        }
        word = 'runs ' + this.table.generation;
        backoff = 100;
      } catch (err) {
        word = err instanceof Refused ? `refused ${err.generation}: ${err.why}` : `away: ${server} ${err.cause?.message ?? err.message}`;
        server = this.nextServer();
        rest = backoff;
        backoff = Math.min(2 * backoff, this.backoff * 1000);
      }
      if (word !== last) tell((last = word));
      await pause(rest);
    }
  }

  pick(cls, network, key) {
    return this.table && pick(this.table, cls, network, key);
  }

  // report hands a line over and never waits; where there is no room the oldest are dropped.
  report(line) {
    this.events.push(line);
    for (; this.events.length > this.most; this.dropped++) this.events.shift();
  }

  // flush posts what waits, in batches; what is not taken stays. Whether all is taken.
  async flush() {
    for (let tries = this.servers.length; this.events.length > 0 && tries > 0; ) {
      const batch = this.events.slice(0, 1000);
      const gone = this.dropped;
      try {
        const { bytes } = await this.request('POST', this.nextServer(), '/events', { body: batch.join('\n') + '\n', headers: { 'Content-Type': 'application/x-ndjson' } });
        for (const { why } of JSON.parse(bytes).refused) complain('event refused:', why);
      } catch (err) {
        complain('events not taken:', err.cause?.message ?? err.message);
        tries--;
        continue;
      }
      tries = this.servers.length;
      this.events.splice(0, Math.max(0, batch.length - (this.dropped - gone))); // some of them may have been dropped meanwhile
    }
    if (this.spool && (this.events.length > 0 || existsSync(this.spool))) writeWhole(this.spool, this.events.map((l) => l + '\n').join(''));
    return this.events.length === 0;
  }

  // deliver flushes every second, and less often while that fails, until it is told to stop.
  async deliver(stopped = () => false) {
    for (let wait = 1000; !stopped(); ) {
      wait = (await this.flush()) ? 1000 : Math.min(2 * wait, this.backoff * 1000);
      for (let slept = 0; slept < wait && !stopped(); slept += 100) await pause(100);
    }
  }
}

function checkVectors(path) {
  const v = JSON.parse(readFileSync(path));
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const wrong = Object.entries(v.countries).filter(([n, c]) => country(n) !== c).map(([n]) => n);
  for (const p of v.picks) {
    const got = pick(v.tables[p.table], p.class, p.network, p.key);
    const ok = p.lane
      ? got && same([got.class, got.network, got.route, got.fallbacks, got.retry_after_ms], [p.lane.class, p.lane.network, p.route, p.fallbacks, milliseconds(p.retry_after)])
      : got === null;
    if (!ok || slot(p.key) !== p.slot) wrong.push(`${p.table} ${p.class}/${p.network} ${p.key}`);
  }
  for (const a of v.answers) {
    let got = 'refused';
    try {
      got = check(Buffer.from(a.body), a.signature, readKeys(a.keys.map((k) => v.keys[k]).join('')), a.have) ? 'taken' : 'same';
    } catch (err) {
      if (!(err instanceof Refused)) throw err;
    }
    if (got !== a.want) wrong.push(`${a.name}: got ${got}, want ${a.want}`);
  }
  console.log([`${v.picks.length} picks, ${v.answers.length} answers, ${Object.keys(v.countries).length} networks: ${wrong.length} wrong`, ...wrong].join('\n'));
  return wrong.length > 0 ? 1 : 0;
}

async function main([command, ...args]) {
  const env = process.env;
  if (command === 'vectors' && args.length === 1) return checkVectors(args[0]);
  const s = new Sender({
    servers: (env.SIGNALBOX_SERVERS ?? 'http://127.0.0.1:9465').split(/\s+/), name: env.SIGNALBOX_NAME ?? 'gw-1', file: env.SIGNALBOX_TABLE ?? 'table.txt',
    keys: env.SIGNALBOX_KEYS ? readFileSync(env.SIGNALBOX_KEYS, 'utf8') : '', tokenFile: env.SIGNALBOX_TOKEN_FILE, spool: env.SIGNALBOX_SPOOL, wait: Number(env.SIGNALBOX_WAIT ?? 30), backoff: Number(env.SIGNALBOX_BACKOFF ?? 30),
  });
  if (command === 'watch' && args.length === 0) await s.watch(complain);
  if (command === 'pick' && args.length === 3) {
    const got = s.pick(...args);
    if (!got) complain(s.table ? `no lane serves ${args[0]}/${args[1]}` : 'no table yet');
    else console.log(JSON.stringify(got));
    return got ? 0 : 1;
  }
  if (command === 'report' && args.length === 0) {
    let ended = false;
    const delivered = s.deliver(() => ended);
    for await (const line of createInterface({ input: process.stdin })) s.report(line);
    ended = true;
    await delivered;
    return (await s.flush()) ? 0 : 1;
  }
  complain('want watch, report, pick CLASS NETWORK KEY or vectors FILE; README.md says more');
  return 2;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.argv.slice(2));
