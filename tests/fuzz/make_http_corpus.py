"""Writes corpus/http: the requests of tests/data/serve/attacks and some good ones, each with the two bytes in front
that choose where it is cut. Run it in this folder after a change of the cases."""

import json
import pathlib

here = pathlib.Path(__file__).parent
corpus = here / "corpus" / "http"
corpus.mkdir(parents=True, exist_ok=True)


def bytes_of(send):
    if isinstance(send, str):
        return send.encode()
    if isinstance(send, dict):
        return send["text"].encode() * min(send["times"], 8)
    return b"".join(bytes_of(piece) for piece in send)


cases = []
for file in sorted((here.parent / "data" / "serve" / "attacks").glob("*.json")):
    cases += [bytes_of(case["send"]) for case in json.loads(file.read_text())]
host = b"Host: a\r\n"
cases.append(b"GET / HTTP/1.1\r\n" + host + b"\r\n" * 2 + b"GET /x?y=z HTTP/1.0\r\n\r\n")
cases.append(b"POST /v1/chat HTTP/1.1\r\n" + host + b"Content-Length: 2\r\n\r\n{}" + b"GET / HTTP/1.1\r\n" + host + b"\r\n")
cases.append(b"POST / HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n")
cases.append(b"\r\nGET / HTTP/1.1\r\n" + host + b"\r\n\r\nGET / HTTP/1.1\r\n" + host + b"\r\n")
for index, case in enumerate(cases):
    (corpus / f"{index:03}").write_bytes(bytes([index % 7, 0]) + case)
