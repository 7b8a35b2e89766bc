# SPDX-License-Identifier: Apache-2.0
"""Decides about devices: each code is good for one of them. See docs/provisioning.md, "Your own service decides"."""
import http.server
import json

codes = {"1234": None}  # and the key of the device that has used it


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = asked["custom"].get("code")
        answer = {"accept": True}
        if asked["hook"] == "validate_csr" and codes.get(code, "none") not in (None, asked["key"]):
            answer = {"accept": False, "message": "This code is not good."}
        elif asked["hook"] == "validate_csr":
            codes[code] = asked["key"]
            answer = {"accept": True, "subject": {"common_name": "Tablet 7"}, "attributes": {"contract": "C-1"}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", 8082), Hook).serve_forever()
