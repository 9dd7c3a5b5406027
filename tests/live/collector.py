# SPDX-License-Identifier: Apache-2.0
"""A destination of exports that fails as it is told to, and counts what it took."""
import collections
import gzip
import hashlib
import http.server
import socket
import ssl
import struct
import threading
import time
import urllib.request

import wire

# What can go wrong with a request. Those in TAKEN have been taken all the same: the sender can't know.
TAKEN = {'ok', 'swallow', 'broken body', 'huge body', 'slow'}
FAULTS = ['503', 'reset', 'swallow', '503 date', 'garbage', 'broken body', '429', 'huge body', '502']


class Collector:
    """`faults`: what to do with each request in turn, then over again; every second is good then."""

    def __init__(self, engine, faults=(), tls=None, token=None, forward=None):
        self.engine = engine
        self.plan = [step for fault in faults for step in (fault, 'ok')] or ['ok']
        self.token = token
        self.forward = forward
        self.taken = {}                       # id: body
        self.attempts = collections.Counter()  # by what was done
        self.samples = 0
        self.repeated = 0
        self.wrong = []
        self.paths = set()
        self.headers = []
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                try:
                    collector.answer(self)
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True  # the sender was killed, or waits no longer
                except Exception as error:  # pylint: disable=broad-except
                    with collector.lock:
                        collector.wrong.append(repr(error))
                        collector.changed.notify_all()
                    raise

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # a client that does not trust us goes away; else see `wrong`

        self.server = Server(('127.0.0.1', 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            context.load_verify_locations(tls)
            context.verify_mode = ssl.CERT_REQUIRED  # of the client
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f'http{"s" if tls else ""}://localhost:{self.server.server_address[1]}'
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler):
        with self.lock:
            todo = self.plan[sum(self.attempts.values()) % len(self.plan)]
            if self.token and handler.headers['Authorization'] != f'Bearer {self.token}':
                todo = '401'
            self.attempts[todo] += 1
            self.changed.notify_all()
        if todo == 'reset':
            self.reset(handler)
            return
        body = handler.rfile.read(int(handler.headers['Content-Length']))
        if todo in TAKEN:
            self.take(handler, body)
        getattr(self, 'do_' + todo.split()[0])(handler, todo)

    def take(self, handler, body):
        if self.forward:  # the true one, behind us
            request = urllib.request.Request(self.forward + handler.path, body, {
                name: handler.headers[name] for name in ('Content-Type', 'Content-Encoding')})
            with urllib.request.urlopen(request, timeout=10) as response:
                response.read()
        plain = gzip.decompress(body) if handler.headers['Content-Encoding'] == 'gzip' else body
        request = wire.READERS[self.engine](plain)
        ident = request.id or hashlib.sha256(plain).hexdigest()
        with self.lock:
            self.paths.add(handler.path)
            self.headers.append(dict(handler.headers))
            if ident in self.taken:
                self.repeated += 1
                if self.taken[ident] != body:
                    self.wrong.append('the same id, another body')
            else:
                self.taken[ident] = body
                self.samples += wire.count(request)
            self.changed.notify_all()

    def wait(self, condition, seconds=30):
        """Until condition() holds; what was wrong before is raised."""
        with self.lock:
            if not self.changed.wait_for(lambda: self.wrong or condition(), seconds):
                raise AssertionError(f'after {seconds} s: {self.attempts}, {self.samples} samples, '
                                     f'{self.repeated} repeated')
            assert not self.wrong, self.wrong

    def answered(self):
        """Does the sender know of all that was taken?"""
        return self.repeated >= self.attempts['swallow'] + self.attempts['slow']

    @staticmethod
    def respond(handler, status, body=b'', **headers):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace('_', '-'), value)
        handler.send_header('Content-Length', str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def reset(handler):
        handler.close_connection = True
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        handler.connection.close()

    def do_ok(self, handler, _):
        self.respond(handler, 200)

    def do_503(self, handler, todo):
        when = (time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime(time.time() + 1))
                if 'date' in todo else '0')
        self.respond(handler, 503, b'<html>not now\x1b[31m</html>', Retry_After=when)

    def do_502(self, handler, _):
        self.respond(handler, 502)

    def do_429(self, handler, _):
        self.respond(handler, 429, Retry_After='nonsense')

    def do_401(self, handler, _):
        self.respond(handler, 401)

    def do_400(self, handler, _):
        self.respond(handler, 400, b'no, never')

    def do_302(self, handler, _):
        self.respond(handler, 302, Location='/elsewhere')

    def do_swallow(self, handler, _):
        self.reset(handler)

    def do_garbage(self, handler, _):
        handler.wfile.write(b'\0\xffthis is no HTTP\r\n' * 100)
        self.reset(handler)

    def do_broken(self, handler, _):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf')
        handler.wfile.flush()
        self.reset(handler)

    def do_huge(self, handler, _):
        handler.send_response(200)
        handler.send_header('Content-Length', str(1 << 40))
        handler.end_headers()
        self.endless(handler)

    def do_slow(self, handler, _):
        """Longer than the sender waits."""
        with self.lock:
            before = self.repeated
            self.changed.wait_for(lambda: self.repeated > before, 30)
        self.respond(handler, 200)

    @staticmethod
    def endless(handler):
        handler.close_connection = True
        try:
            while True:
                handler.wfile.write(bytes(1 << 16))
        except OSError:
            pass  # it has seen enough
