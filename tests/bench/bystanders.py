"""Connections that ask for nothing, and readers that take an answer slowly, beside what many_clients.py measures; in a
process of their own, so that what they cost here is not in the way. Says "ready" once the answers have been made, and
goes on until its standard input ends. Standard library only.

  bystanders.py PORT IDLE SLOW
"""

import json
import select
import socket
import sys
import time

BYTES_A_SECOND = 3000  # a server may cut who takes 64 KiB in more than half a minute
TOKENS = 40  # with what else could have been said: some 100 KB, more than the system keeps for a connection


def connect(port, buffer=None):
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.connect(("127.0.0.1", port))
    return connection


def slow_stream(port, number):
    body = json.dumps({"messages": [{"role": "user", "content": f"{number}: a long answer that is read slowly"}], "stream": True,
                       "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True, "logprobs": True, "top_logprobs": 20}).encode()
    connection = connect(port, buffer=4096)
    connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return connection


def gauges(port):
    with connect(port) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b""
        while piece := connection.recv(65536):
            text += piece
    lines = text.decode().splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith(("vllm:num_requests_running", "vllm:num_requests_waiting"))]


def until_made(port, streams):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        time.sleep(0.2)
        sip(streams, 0.2)
        if not any(gauges(port)):
            return
    sys.exit("The slow readers' answers were not made within two minutes.")


def take(stream, size, flags=0):
    """What is there, None where nothing is."""
    try:
        return stream.recv(size, flags | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def sip(streams, seconds):
    """Takes that time's share of every stream."""
    for stream in streams:
        if take(stream, int(BYTES_A_SECOND * seconds)) == b"":
            sys.exit("A slow reader was cut.")


def main():
    port, idle, slow = map(int, sys.argv[1:4])
    idlers = [connect(port) for _ in range(idle)]
    for connection in idlers:
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    streams = []
    for begin in range(0, slow, 32):
        streams += [slow_stream(port, number) for number in range(begin, min(slow, begin + 32))]
        until_made(port, streams)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 1)[0]:
        sip(streams, 1)
    # Those that were slow had something left to read: else nothing was shown.
    left = sum(bool(take(stream, 1, socket.MSG_PEEK)) for stream in streams)
    print(left, flush=True)


main()
