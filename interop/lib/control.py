"""The HTTP API on the socket in a broker's data folder, for tests that need users."""

import http.client
import json
import os
import socket


class Control(http.client.HTTPConnection):
    def __init__(self, broker):
        super().__init__("localhost", timeout=30)
        self.path = os.path.join(broker.data, "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def say(self, method, path, body=None):
        """Raises unless that is done."""
        self.request(method, "/api/" + path, None if body is None else json.dumps(body),
                     {"content-type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        if answer.status not in (200, 201, 204):
            raise OSError(f"{method} {path}: {answer.status} {text}")
        return json.loads(text) if text else None

    def put(self, path, body):
        return self.say("PUT", path, body)

    def delete(self, path):
        return self.say("DELETE", path)

    def user(self, name, password=None):
        self.put(f"users/{name}", {"password": password or name, "tags": ""})

    def permit(self, name, configure="", write="", read="", vhost="%2F"):
        self.put(f"permissions/{vhost}/{name}", {"configure": configure, "write": write, "read": read})
