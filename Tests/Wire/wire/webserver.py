# SPDX-License-Identifier: Apache-2.0
"""A web server that behaves as a test wants it to: each path is a way to answer, or not to."""
import asyncio
import ssl
import subprocess
import threading
from pathlib import Path


class WebServer:
    """HTTP/1.1 on a thread of its own. connections counts those accepted, requests lists (method, path).

    /ok /status/N /echo /chunked /big/BYTES /slow/MS /never /cut /close /silent-head /garbage /redirect /loop
    /held (answered once release() was called) /long-head /once (only the first request of a connection is answered)
    /flaky/N (closes N times, then answers)
    /auth/USER (200; bad...: 403, slow-MS-...: later, held...: after release(), cut...: closes)
    """

    def __init__(self, host="127.0.0.1", port=0, context=None, name="here"):
        self.host, self.port, self.context, self.name = host, port, context, name
        self.connections, self.requests, self.flaky, self.writers = 0, [], {}, set()
        self.loop, self.gate, self.error = asyncio.new_event_loop(), asyncio.Event(), None
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        if self.error:
            raise self.error

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        starting = asyncio.start_server(self.serve, self.host, self.port, ssl=self.context, backlog=1024)
        try:
            self.server = self.loop.run_until_complete(starting)
        except OSError as error:
            self.error = error
            ready.set()
            return
        self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end)
        self.thread.join(10)

    def release(self):
        """Those that are held are answered, and those that come."""
        self.loop.call_soon_threadsafe(self.gate.set)

    def end(self):
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.call_later(0.05, self.loop.stop)

    def url(self, path, scheme=None):
        return f"{scheme or ('https' if self.context else 'http')}://{self.host}:{self.port}{path}"

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.add(writer)
        served = 0
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                method, path, _ = first.split(" ")
                fields = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines if line)}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                self.requests.append((method, path))
                if not await self.answer(writer, method, path, fields, body, served):
                    break
                served += 1
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    @staticmethod
    def whole(status, body=b"", **fields):
        fields = {"Content-Length": len(body), **fields}
        lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
        return f"HTTP/1.1 {status} Because\r\n{lines}\r\n".encode() + body

    async def answer(self, writer, method, path, fields, body, served):
        """True when the connection stays."""
        word, _, rest = path[1:].partition("/")
        say = getattr(self, "say_" + word.replace("-", "_"))
        return await say(writer, rest, (method, fields, body, served)) is not False

    async def say_ok(self, writer, rest, request):
        writer.write(self.whole(200, b"hello", X_Name=self.name, X_Two=" spaced "))

    async def say_status(self, writer, rest, request):
        writer.write(self.whole(int(rest), b"status " + rest.encode()))

    async def say_echo(self, writer, rest, request):
        method, fields, body, _ = request
        writer.write(self.whole(200, body, X_Method=method, X_Type=fields.get("content-type", "none"),
                                X_Agent=fields.get("user-agent"), X_Mine=fields.get("x-mine", "none")))

    async def say_chunked(self, writer, rest, request):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in (b"one ", b"two ", b"three"):
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"0\r\nX-Trailer: end\r\n\r\n")

    async def say_big(self, writer, rest, request):
        writer.write(self.whole(200, bytes(int(rest))))

    async def say_bigchunks(self, writer, rest, request):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(int(rest) // 1000):
            writer.write(b"3e8\r\n" + bytes(1000) + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async def say_slow(self, writer, rest, request):
        await asyncio.sleep(int(rest.split("-")[0]) / 1000)
        writer.write(self.whole(200, b"slow"))

    async def say_held(self, writer, rest, request):
        await self.gate.wait()
        writer.write(self.whole(200, b"held"))

    async def say_never(self, writer, rest, request):
        await asyncio.sleep(3600)

    async def say_cut(self, writer, rest, request):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        await writer.drain()
        return False

    async def say_close(self, writer, rest, request):
        return False

    async def say_once(self, writer, rest, request):
        if request[3]:
            return False
        writer.write(self.whole(200, b"once"))

    async def say_flaky(self, writer, rest, request):
        self.flaky[rest] = self.flaky.get(rest, 0) + 1
        if self.flaky[rest] <= int(rest):
            return False
        writer.write(self.whole(200, b"at last"))

    async def say_garbage(self, writer, rest, request):
        writer.write(b"220 smtp.example ready\r\n")
        return False

    async def say_long_head(self, writer, rest, request):
        writer.write(self.whole(200, b"x", **{f"X-{i}": "y" * 1000 for i in range(100)}))

    async def say_redirect(self, writer, rest, request):
        writer.write(self.whole(302, b"elsewhere", Location="/ok"))

    async def say_loop(self, writer, rest, request):
        writer.write(self.whole(302, Location="/loop"))

    async def say_auth(self, writer, rest, request):
        if rest.startswith("slow-"):
            await asyncio.sleep(int(rest.split("-")[1]) / 1000)
        if rest.startswith("held"):
            await self.gate.wait()
        if rest.startswith("cut"):
            return False
        writer.write(self.whole(403 if rest.startswith("bad") else 200, b""))


def make_certificates(folder):
    """A CA and a certificate for localhost and 127.0.0.1, another CA, and a client's certificate, all in folder."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)

    def openssl(words):
        subprocess.run(["openssl", *words.split()], check=True, capture_output=True, cwd=folder)

    new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    (folder / "names").write_text("subjectAltName = DNS:localhost, IP:127.0.0.1\n")
    for ca in ("ca", "other"):
        openssl(f"{new} -x509 -days 2 -keyout {ca}.key -out {ca}.pem -subj /CN=Test-{ca}")
    for name in ("server", "client"):
        openssl(f"{new} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names "
                f"-out {name}.pem")
    return folder


def tls_context(folder, wants_client=False):
    """A server's context from make_certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    if wants_client:
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context
