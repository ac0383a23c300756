#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/fleet/gateway.py FOLDER: an etcd gateway that misbehaves as etcd's own does, rarely.

Answers what pshare-fleet asks, in the words of etcd 3.4 (all of these with HTTP status 200):
the first watch is told that its revision was compacted, the second that it is denied, the third
ends without a word, the fourth with an error of gRPC; the first keep-alive after that says that the
lease is dead. From the fifth on a watch runs. What was asked is written to FOLDER/asked, one line
each; the port to FOLDER/port.
"""
import base64
import http.server
import json
import sys
import time

FOLDER = sys.argv[1]
COUNTS = {"watch": 0, "lease": 0, "keepalive": 0}
REVISION = 7


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def note(what):
    with open(f"{FOLDER}/asked", "a", encoding="utf-8") as file:
        file.write(what + "\n")


class Gateway(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, answer):
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def line(self, answer):
        self.wfile.write(json.dumps(answer).encode() + b"\n")
        self.wfile.flush()

    def txn(self, body):
        header = {"revision": str(REVISION)}
        if "compare" in body:
            self.reply({"header": header, "succeeded": True, "responses": [{"response_put": {}}]})
            return
        wanted = {"schema": 1, "value": "33", "change": "c1"}
        name = "/pshare/default/v1/all/set/Mem.ShareScanTime"
        kvs = [{"key": encoded(name), "value": encoded(json.dumps(wanted)), "version": "1",
                "create_revision": "5", "mod_revision": "5"}]
        note("read")
        self.reply({"header": header, "succeeded": True, "responses": [
            {"response_range": {"header": header, "kvs": kvs, "count": "1"}},
            {"response_range": {"header": header}}, {"response_range": {"header": header}},
            {"response_range": {"header": header}}]})

    def watch(self):
        COUNTS["watch"] += 1
        number = COUNTS["watch"]
        note(f"watch {number}")
        self.send_response(200)
        self.end_headers()
        if number == 1:
            self.line({"result": {"header": {}, "created": True}})
            self.line({"result": {"header": {}, "canceled": True, "compact_revision": "9"}})
            time.sleep(30)  # the stream stays open
        elif number == 2:
            self.line({"result": {"header": {}, "watch_id": "-1", "created": True,
                                  "canceled": True}})
            time.sleep(30)
        elif number == 3:
            self.line({"result": {"header": {}, "created": True}})
        elif number == 4:
            self.line({"error": {"grpc_code": 14, "http_code": 503, "http_status": "Unavailable",
                                 "message": "etcdserver: no leader"}})
            time.sleep(30)
        else:
            self.line({"result": {"header": {}, "created": True}})
            while True:
                time.sleep(1)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v3/watch":
            self.watch()
            return
        body = json.loads(body)
        if self.path == "/v3/kv/txn":
            self.txn(body)
        elif self.path == "/v3/lease/grant":
            COUNTS["lease"] += 1
            note(f"lease {COUNTS['lease']}")
            self.reply({"header": {}, "ID": str(100 + COUNTS["lease"]), "TTL": "3"})
        elif self.path == "/v3/lease/keepalive":
            COUNTS["keepalive"] += 1
            dead = COUNTS["watch"] >= 5 and COUNTS["lease"] == 1
            note("keepalive dead" if dead else "keepalive")
            self.reply({"result": {"header": {}, "ID": body["ID"]} if dead else
                        {"header": {}, "ID": body["ID"], "TTL": "3"}})
        else:
            self.reply({"header": {}})


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.daemon_threads = True
    with open(f"{FOLDER}/port", "w", encoding="utf-8") as file:
        file.write(str(server.server_port))
    server.serve_forever()


main()
