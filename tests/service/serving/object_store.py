"""A bucket in memory behind the part of S3's HTTP API that a Delta table needs; run as a program.

It prints its port. ``POST /-/fail`` answers everything with 503 from then on, ``/-/hang`` answers nothing,
``/-/well`` answers again.
"""

from __future__ import annotations

import threading
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

OBJECTS: dict[str, bytes] = {}
LOCK = threading.Lock()
ANSWERING = threading.Event()
FAILING = threading.Event()
ANSWERING.set()


class Bucket(BaseHTTPRequestHandler):
    """One request of an S3 client, path style."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Change the weather, or delete several objects."""
        body = self._body()
        match self.path:
            case "/-/fail":
                FAILING.set()
            case "/-/hang":
                ANSWERING.clear()
            case "/-/well":
                FAILING.clear()
                ANSWERING.set()
            case _:
                for part in body.split(b"<Key>")[1:]:
                    OBJECTS.pop(part.partition(b"</Key>")[0].decode(), None)
                return self._answer(200, b"<DeleteResult></DeleteResult>")
        return self._answer(204)

    def do_PUT(self) -> None:
        """Store an object, with ``If-None-Match: *`` only where there is none."""
        body = self._body()
        if self._sick():
            return None
        with LOCK:
            if self.headers.get("If-None-Match") == "*" and self._key() in OBJECTS:
                return self._answer(412)
            OBJECTS[self._key()] = body
        return self._answer(200, headers={"ETag": _tag(body)})

    def do_GET(self) -> None:
        """Read an object or a part of it, or list a prefix."""
        if self._sick():
            return
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query)
        else:
            self._read(with_body=True)

    def do_HEAD(self) -> None:
        """Tell an object's size."""
        if not self._sick():
            self._read(with_body=False)

    def do_DELETE(self) -> None:
        """Forget an object."""
        if not self._sick():
            OBJECTS.pop(self._key(), None)
            self._answer(204)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _read(self, *, with_body: bool) -> None:
        content = OBJECTS.get(self._key())
        if content is None:
            return self._answer(404, with_body=with_body)
        headers, status, part = {"ETag": _tag(content), "Accept-Ranges": "bytes"}, 200, content
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            low = int(first) if first else max(0, len(content) - int(last))
            high = min(int(last), len(content) - 1) if first and last else len(content) - 1
            part, status = content[low : high + 1], 206
            headers["Content-Range"] = f"bytes {low}-{high}/{len(content)}"
        return self._answer(status, part, headers, with_body=with_body)

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, after = (query.get(name, [""])[0] for name in ("prefix", "start-after"))
        delimiter = query.get("delimiter", [""])[0]
        found = sorted(key for key in OBJECTS if key.startswith(prefix) and key > after)
        folders = {
            prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter
            for key in found
            if delimiter and delimiter in key[len(prefix) :]
        }
        files = [key for key in found if not delimiter or delimiter not in key[len(prefix) :]]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2024-02-29T12:00:00.000Z</LastModified>"
            f"<ETag>{escape(_tag(OBJECTS[key]))}</ETag><Size>{len(OBJECTS[key])}</Size></Contents>"
            for key in files
        ) + "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in folders)
        listed = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._answer(200, listed.encode(), {"Content-Type": "application/xml"})

    def _sick(self) -> bool:
        if FAILING.is_set():
            self._answer(503, with_body=self.command != "HEAD")
            return True
        ANSWERING.wait()
        return False

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).split("/", 2)[2]

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        with_body: bool = True,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Thu, 29 Feb 2024 12:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def _tag(content: bytes) -> str:
    return f'"{md5(content).hexdigest()}"'  # noqa: S324 - what S3 calls an ETag


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)  # noqa: T201 - the program's answer
    server.serve_forever()
