"""An HTTP backend with CORS headers of its own: `python cors_backend.py PORT`."""

import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(data))),
                            ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "true"),
                            ("Access-Control-Expose-Headers", "X-Mine"), ("X-Mine", "kept"), ("Vary", "Accept")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "id" not in message:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if message["method"] == "initialize":
            result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "c", "version": "1"}}
            return self.answer(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})
        return self.answer(200, {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}})

    def do_GET(self):
        self.answer(200, {"path": self.path})

    do_DELETE = do_GET

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
