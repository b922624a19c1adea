#!/usr/bin/env python3
"""The sender of send.js by the client for Python: it hands messages to Kannel by the routes that signalbox publishes.

    python3 send.py [--rate 12] [--signalbox URL] [--receipts URL] [--kannel URL] [--name gw-1] [--client FOLDER]

It prints one JSON line for each message, with the route it asked for and the generation of the table it went by."""

import argparse
import concurrent.futures
import json
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

LANE = {"class": "otp", "network": "234-15"}  # of every message that this sender has


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rate", type=float, default=12)
    p.add_argument("--signalbox", default="http://127.0.0.1:9465")
    p.add_argument("--receipts", default="")
    p.add_argument("--kannel", default="http://127.0.0.1:13013")
    p.add_argument("--name", default="gw-1")
    p.add_argument("--client", default="../senders", help="the folder with sender.py")
    flags = p.parse_args()
    sys.path.insert(0, flags.client)
    import sender

    box = sender.Sender([flags.signalbox], flags.name, wait=30)
    sending = threading.Event()
    sending.set()
    signal.signal(signal.SIGUSR2, lambda *_: sending.clear())  # heartbeats go on: receipts are still to come
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for run in (box.watch, box.deliver, lambda: heartbeats(box, flags.name)):
        threading.Thread(target=run, daemon=True).start()
    while box.table is None:
        time.sleep(0.1)
    pool = concurrent.futures.ThreadPoolExecutor(64)
    began, run, n = time.monotonic(), format(int(time.time() * 1000), "x"), 0
    while sending.is_set():
        n += 1
        pool.submit(send, box, flags, f"{run}-{n}")
        time.sleep(max(0, began + n / flags.rate - time.monotonic()))
    while True:
        time.sleep(1)


def heartbeats(box, name):
    """Says every second how far this sender has got; while it is silent, missing receipts say nothing of routes."""
    while True:
        if box.table:
            routes = [r["route"] for lane in box.table["lanes"] for r in lane["routes"]]
            box.report(json.dumps({"type": "heartbeat", "time": time.time(), "source": name, "routes": routes}).encode())
        time.sleep(1)


def send(box, flags, key):
    picked, generation = box.pick(LANE["class"], LANE["network"], key), box.table["generation"]
    route, submitted = picked["route"], f"{time.time():.3f}"
    back = urllib.parse.urlencode({"id": key, "route": route, **LANE, "submitted": submitted})
    query = urllib.parse.urlencode({
        "username": "tester",
        "password": "foobar",
        "from": "signalbox",
        "to": f"447700900{random.randrange(1000):03}",
        "text": "Your code is in another message",
        "smsc": route,
        "dlr-mask": "31",
        # What begins with % is for Kannel to fill in, and must reach it unescaped once the query is decoded.
        "dlr-url": f"{flags.receipts or flags.signalbox}/receipts/kannel?{back}&smsc=%i&status=%d&reply=%A&at=%T&fid=%F",
    })
    line = {"id": key, "route": route, "generation": generation}
    try:
        try:
            with urllib.request.urlopen(f"{flags.kannel}/cgi-bin/sendsms?{query}", timeout=10) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            status, text = e.code, e.read().decode()
        if status == 202:
            box.report(json.dumps({"type": "submit", "time": float(submitted), "id": key, "route": route, **LANE, "source": flags.name, "result": "accepted", "generation": generation}).encode())
        print(json.dumps({**line, "status": status, "answer": text}, separators=(",", ":")), flush=True)
    except OSError as e:
        print(json.dumps({**line, "status": 0, "answer": str(e)}, separators=(",", ":")), flush=True)


main()
