#!/usr/bin/env python3
"""A sender's side of signalbox, in one file, with Python's standard library only. README.md says what it keeps to.

    sender.py watch                     keeps the table up to date, in the file SIGNALBOX_TABLE
    sender.py pick CLASS NETWORK KEY    prints the route of a message, by that file
    sender.py report < events.ndjson    reports submits and receipts
    sender.py vectors FILE              checks this file against the published vectors

In a program: s = Sender(...); threading.Thread(target=s.watch, daemon=True).start(), and the same
with s.deliver; then s.pick("otp", "234-15", "m-1") and s.report(b'{"type":"submit",…}').
"""
import base64, collections, hashlib, itertools, json, os, random, re, sys, tempfile, threading, time, urllib.error, urllib.request

MCC = """
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
"""
COUNTRY, UNITS = {}, {"d": 86400e3, "h": 3600e3, "m": 60e3, "s": 1e3, "ms": 1, "us": 1e-3, "ns": 1e-6}
for word in MCC.split():
    if word.isalpha():
        here = word
    else:
        COUNTRY[word] = here


def country(network):
    """The country of an MCC-MNC, a country itself, "" where there is none."""
    if re.fullmatch("[A-Z]{2}", network):
        return network
    return COUNTRY.get(network[:3], "") if re.fullmatch("[0-9]{3}-[0-9]{2,3}", network) else ""


def generation(text):
    """A generation such as "1-42" as numbers, which compare as generations do."""
    epoch, number = re.fullmatch("([0-9]+)-([0-9]+)", text).groups()
    return int(epoch), int(number)


def milliseconds(text):
    """A duration such as 1m30s."""
    return int(sum(int(n) * UNITS[u] for n, u in re.findall("([0-9]+)([a-z]+)", text)))


def slot(key):
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 10000


class NoRoute(Exception):
    """There is no table yet, or no lane for the message."""


class Refused(Exception):
    """A table that is not taken: its generation, and why."""


def pick(table, class_, network, key):
    """The route of a message, and what to try after it, one after the other."""
    lanes = {}
    for lane in table["lanes"]:
        lanes.setdefault((lane["class"], lane["network"]), lane)
    search = [(c, n) for c in (class_, "*") for n in (network, country(network), "*") if n]
    lane = next((lanes[s] for s in search if s in lanes), None)
    if lane is None:
        raise NoRoute(f"no lane serves {class_}/{network}")
    routes, at, left = lane["routes"], 0, slot(key)
    while left >= routes[at]["share"]:
        left -= routes[at]["share"]
        at += 1
    others = routes[at + 1:] + routes[:at]
    fallbacks = [r["route"] for r in others if r.get("admin") != "drained" and (r["phase"] == "active" or r.get("admin") == "pinned")]
    return {"generation": table["generation"], "class": lane["class"], "network": lane["network"], "route": routes[at]["route"],
            "fallbacks": fallbacks, "retry_after_ms": milliseconds(lane["retry_after"])}


# Ed25519 (RFC 8032), to verify only: nothing here is secret, so that it may take as long as it likes.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    A, B = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    C, E = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return ((B - A) * (E - C) % P, (E + C) * (B + A) % P, (E - C) * (E + C) % P, (B - A) * (B + A) % P)


def times(n, a):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, a)
        a, n = add(a, a), n >> 1
    return q


def point(b):
    y, sign = int.from_bytes(b, "little") & (2**255 - 1), b[31] >> 7
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - x2) % P or x == 0 and sign:
        raise ValueError("no point")
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point(bytes([0x58] + [0x66] * 31))


def ed25519(key, message, signature):
    """Whether the key signed the message."""
    try:
        if len(signature) != 64 or (s := int.from_bytes(signature[32:], "little")) >= L:
            return False
        h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
        a, b = times(s, BASE), add(point(signature[:32]), times(h, point(key)))
    except ValueError:
        return False
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def read_keys(pem):
    """Public keys by keyid."""
    keys = {}
    for block in re.findall("-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", pem, re.S):
        der = base64.b64decode(block)
        if len(der) != 44 or not der.startswith(bytes.fromhex("302a300506032b6570032100")):
            raise ValueError("want Ed25519 public keys in PEM")
        keys[hashlib.sha256(der[12:]).hexdigest()[:16]] = der[12:]
    return keys


def check(body, signature, keys, have):
    """The table, or None where it is the one that the sender has; raises Refused."""
    got = "0-0"
    try:
        table = json.loads(body)
        got = table["generation"]
        new = generation(got)
        if not table["lanes"]:
            raise Refused(got, "it has no lanes")
        for lane in table["lanes"]:
            if sum(r["share"] for r in lane["routes"]) != 10000 or any(r["share"] < 0 for r in lane["routes"]):
                raise Refused(got, "its shares do not sum to 10000")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(got, "it is no table") from None
    if keys and not any(signed(one, body, keys) for one in signature.split(",")):
        raise Refused(got, "it is not signed by a key that is known here")
    if have and new < generation(have):
        raise Refused(got, f"it is older than {have}, which is in force here")
    return None if have and new == generation(have) else table


def signed(one, body, keys):
    match = re.fullmatch("ed25519;keyid=([0-9a-f]{16});sig=([A-Za-z0-9+/=]+)", one.strip())
    try:
        return bool(match) and match[1] in keys and ed25519(keys[match[1]], body, base64.b64decode(match[2], validate=True))
    except ValueError:
        return False


def write_whole(path, data):
    """After a crash the file is the old or the new one."""
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path) or ".", delete=False) as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(f.name, path)


class Direct(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None  # the token goes nowhere else


class Sender:
    def __init__(self, servers, name, file="", keys="", token_file="", spool="", wait=30, backoff=30, most=50_000):
        self.servers, self.name, self.file, self.token_file, self.spool_file, self.wait, self.backoff = servers, name, file, token_file, spool, wait, backoff
        self.keys, self.http = read_keys(keys), urllib.request.build_opener(Direct())
        self.table, self.said, self.said_at, self.turn = None, None, 0, []
        self.events, self.most, self.dropped, self.lock, self.flushing = collections.deque(), most, 0, threading.Lock(), threading.Lock()
        if file and os.path.exists(file):
            self.restore()
        if spool and os.path.exists(spool):
            with open(spool, "rb") as f:
                self.events.extend(line for line in f if line.endswith(b"\n"))

    def restore(self):
        with open(self.file, "rb") as f:
            head, _, body = f.read().partition(b"\n")
        try:
            mark, digest, signature = head.decode().split(" ", 2)
            if mark != "signalbox-table" or digest != hashlib.sha256(body).hexdigest():
                raise Refused("0-0", "it is damaged")
            self.table = check(body, signature, self.keys, None)
        except (ValueError, Refused) as e:
            print(f"{self.file} is not used: {e}", file=sys.stderr)

    def request(self, method, server, path, body=None, headers={}, timeout=10):
        r = urllib.request.Request(server.rstrip("/") + path, data=body, method=method, headers=headers)
        if self.token_file:
            with open(self.token_file) as f:
                r.add_header("Authorization", "Bearer " + f.read().strip())
        with self.http.open(r, timeout=timeout) as answer:
            return answer.read(), answer.headers

    def next_server(self):
        self.turn = self.turn or random.sample(self.servers, len(self.servers))
        return self.turn.pop()

    def poll(self, server):
        """Asks once; whether there was a new table."""
        have, headers = self.table and self.table["generation"], {}
        if have:
            headers = {"If-None-Match": f'"{have}"', "Prefer": f"wait={self.wait}"}
        try:
            body, got = self.request("GET", server, "/routes", headers=headers, timeout=self.wait * 17 / 16 + 10)
        except urllib.error.HTTPError as e:
            if e.code != 304 or not have:
                raise
            body = None
        try:
            table = check(body, signature := got.get("Signalbox-Signature", ""), self.keys, have) if body is not None else None
        except Refused as e:
            self.say(server, {"generation": e.args[0], "applied": False, "why": e.args[1]})
            raise
        if table:
            self.table = table  # senders see it at once, whatever becomes of the file
            if self.file:
                write_whole(self.file, f"signalbox-table {hashlib.sha256(body).hexdigest()} {signature or '-'}\n".encode() + body)
        self.say(server, {"generation": self.table["generation"], "applied": True})
        return table is not None

    def say(self, server, word):
        """Tells which table runs here: at once where that is news, and every minute."""
        if (server, word) == self.said and time.monotonic() - self.said_at < 60:
            return
        try:
            self.request("PUT", server, "/senders/" + self.name, json.dumps(word).encode(), {"Content-Type": "application/json"}, 5)
            self.said, self.said_at = (server, word), time.monotonic()
        except (OSError, ValueError):
            pass  # the next poll says it again

    def watch(self, tell=lambda line: None):
        """Keeps the table up to date, for ever."""
        server, pause, last = self.next_server(), 0.1, None
        while True:
            began, word = time.monotonic(), None
            try:
                if self.poll(server):
                    rest = 0.25  # while others read the same news
                else:
                    server = self.next_server()  # this one may be cut off from the news itself
                    rest = 0 if time.monotonic() - began > self.wait / 2 else 5
                word, pause = "runs " + self.table["generation"], 0.1
            except (Refused, OSError, ValueError) as e:
                word = f"refused {e.args[0]}: {e.args[1]}" if isinstance(e, Refused) else f"away: {server} {e}"
                server, rest = self.next_server(), pause
                pause = min(2 * pause, self.backoff)
            if word != last:
                tell(word)
                last = word
            time.sleep(rest * random.uniform(0.8, 1.2))

    def pick(self, class_, network, key):
        if self.table is None:
            raise NoRoute("no table yet")
        return pick(self.table, class_, network, key)

    def report(self, event):
        """Hands a line over and never waits; where there is no room the oldest are dropped."""
        with self.lock:
            self.events.append(event.rstrip(b"\n") + b"\n")
            while len(self.events) > self.most:
                self.events.popleft()
                self.dropped += 1

    def flush(self):
        """Posts what waits, in batches; what is not taken stays. Whether all is taken."""
        with self.flushing:
            tries = len(self.servers)
            while self.events and tries:
                with self.lock:
                    batch = list(itertools.islice(self.events, 1000))
                try:
                    answer, _ = self.request("POST", self.next_server(), "/events", b"".join(batch), {"Content-Type": "application/x-ndjson"})
                    for refused in json.loads(answer)["refused"]:
                        print("event refused:", refused["why"], file=sys.stderr)
                except (OSError, ValueError, KeyError) as e:
                    print("events not taken:", e, file=sys.stderr)
                    tries -= 1
                    continue
                tries = len(self.servers)
                with self.lock:  # some of them may have been dropped meanwhile
                    sent = set(map(id, batch))
                    while self.events and id(self.events[0]) in sent:
                        self.events.popleft()
            if self.spool_file and (self.events or os.path.exists(self.spool_file)):
                with self.lock:
                    write_whole(self.spool_file, b"".join(self.events))
            return not self.events

    def deliver(self):
        """Flushes every second, for ever, and less often while that fails."""
        pause = 1
        while True:
            pause = 1 if self.flush() else min(2 * pause, self.backoff)
            time.sleep(pause * random.uniform(0.8, 1.2))


def check_vectors(path):
    with open(path, encoding="utf-8") as f:
        v = json.load(f)
    wrong = [n for n, c in v["countries"].items() if country(n) != c]
    for p in v["picks"]:
        try:
            got = pick(v["tables"][p["table"]], p["class"], p["network"], p["key"])
            lane = {"class": got["class"], "network": got["network"]}
            same = (lane, got["route"], got["fallbacks"], got["retry_after_ms"]) == (p["lane"], p["route"], p["fallbacks"], milliseconds(p["retry_after"]))
        except NoRoute:
            same = p["lane"] is None
        if not same or slot(p["key"]) != p["slot"]:
            wrong.append(f'{p["table"]} {p["class"]}/{p["network"]} {p["key"]}')
    for a in v["answers"]:
        keys = read_keys("".join(v["keys"][k] for k in a["keys"]))
        try:
            got = "taken" if check(a["body"].encode(), a["signature"], keys, a["have"]) else "same"
        except Refused:
            got = "refused"
        if got != a["want"]:
            wrong.append(f'{a["name"]}: got {got}, want {a["want"]}')
    print(f'{len(v["picks"])} picks, {len(v["answers"])} answers, {len(v["countries"])} networks: {len(wrong)} wrong', *wrong, sep="\n")
    return 1 if wrong else 0


def main(args):
    env = os.environ.get
    if args[:1] == ["vectors"] and len(args) == 2:
        return check_vectors(args[1])
    pem = open(env("SIGNALBOX_KEYS")).read() if env("SIGNALBOX_KEYS") else ""
    s = Sender(env("SIGNALBOX_SERVERS", "http://127.0.0.1:9465").split(), env("SIGNALBOX_NAME", "gw-1"), env("SIGNALBOX_TABLE", "table.txt"), pem,
               env("SIGNALBOX_TOKEN_FILE", ""), env("SIGNALBOX_SPOOL", ""), int(env("SIGNALBOX_WAIT", "30")), float(env("SIGNALBOX_BACKOFF", "30")))
    if args == ["watch"]:
        s.watch(lambda line: print(line, file=sys.stderr, flush=True))
    elif args == ["report"]:
        threading.Thread(target=s.deliver, daemon=True).start()
        for line in sys.stdin.buffer:
            s.report(line)
        return 0 if s.flush() else 1
    elif args[:1] == ["pick"] and len(args) == 4:
        try:
            print(json.dumps(s.pick(*args[1:]), ensure_ascii=False))
        except NoRoute as e:
            print(e, file=sys.stderr)
            return 1
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
