"""`quern serve` as a process, and requests to it byte for byte. Standard library only."""

import asyncio
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time


class Server:
    """A running server: .port, .process, .text() of its log. It ends with the block that start() opens."""

    def __init__(self, port, process, log):
        self.port, self.process, self.log = port, process, log

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def ask(self, method, path, body=b"", headers=""):
        """(status, head, body) of one request, waited for."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall(request(path, body, headers + "Connection: close\r\n", method))
            data = b""
            while piece := connection.recv(65536):
                data += piece
        return parse(data)

    def end(self, within=60):
        """Exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)


def request(path, body=b"", headers="", method="POST"):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def parse(data):
    """(status, head, body) of a whole answer; status -1 where it was cut."""
    head, _, rest = data.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return -1, head, b""
    status = int(words[1])
    if b"transfer-encoding: chunked" not in head.lower():
        return status, head, rest
    whole = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return status, head, whole
        whole, rest = whole + rest[:length], rest[length + 2:]
    return -1, head, whole


async def exchange(port, path, body, headers="", hang_up=None, limit=180):
    """The same without waiting in line; (0, b"", b"") where this client hangs up after some seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(path, body, headers + "Connection: close\r\n"))
        if hang_up is not None:
            await asyncio.sleep(hang_up)
            writer.transport.abort()
            return 0, b"", b""
        return parse(await asyncio.wait_for(reader.read(), limit))
    finally:
        writer.close()


def add_key(program, home, name, *arguments):
    """A new API key for the server whose home this is."""
    return subprocess.run([program, "key", "add", name, *arguments], check=True, capture_output=True, text=True,
                          env=dict(os.environ, QUERN_HOME=home)).stdout.strip()


@contextlib.contextmanager
def start(program, model, *arguments, wait=180, prepare=lambda home: None):
    """A server on a port that was free, once it is ready, with a home of its own that `prepare` may fill."""
    with tempfile.TemporaryDirectory() as home:
        prepare(home)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = pathlib.Path(home) / "log"
        with open(log, "wb") as out:
            process = subprocess.Popen([program, "serve", "--port", str(port), "--model", model, *arguments], stdout=out,
                                       stderr=out, stdin=subprocess.DEVNULL, env=dict(os.environ, QUERN_HOME=home))
        server = Server(port, process, log)
        try:
            until = time.monotonic() + wait
            while True:
                with contextlib.suppress(OSError):
                    if server.ask("GET", "/ready")[0] == 200:
                        break
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit("The server did not come up: " + server.text()[-600:])
                time.sleep(0.1)
            yield server
        finally:
            process.kill()
            process.wait()
