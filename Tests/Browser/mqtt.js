// SPDX-License-Identifier: Apache-2.0
// As much of MQTT 3.1.1 and 5.0 as the checks need, over the browser's own WebSocket.

const utf8 = new TextEncoder();

function text(value) {
  const bytes = typeof value === "string" ? utf8.encode(value) : value;
  return [bytes.length >> 8, bytes.length & 255, ...bytes];
}

function packet(head, body) {
  const length = [];
  let left = body.length;
  do {
    const more = left > 127 ? 128 : 0;
    length.push((left & 127) | more);
    left >>= 7;
  } while (left > 0);
  const bytes = new Uint8Array(1 + length.length + body.length);
  bytes.set([head, ...length]);
  bytes.set(body, 1 + length.length);
  return bytes;
}

function joined(...parts) {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A promise that gives up: what for is told. */
export function within(promise, what, ms = 10000) {
  return Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`waited in vain for ${what}`)), ms)),
  ]);
}

export class Client {
  /** level: 4 or 5; id: the client identifier. */
  constructor(url, level, id, protocols = "mqtt") {
    this.level = level;
    this.id = id;
    this.buffer = new Uint8Array(0);
    this.packets = [];
    this.waiting = [];
    this.socket = new WebSocket(url, protocols);
    this.socket.binaryType = "arraybuffer";
    this.closed = new Promise((resolve) => (this.socket.onclose = resolve));
    this.opened = new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.socket.onerror = () => reject(new Error("the browser could not open the WebSocket"));
    });
    this.opened.catch(() => {});
    this.socket.onmessage = (event) => this.received(new Uint8Array(event.data));
  }

  received(bytes) {
    this.buffer = joined(this.buffer, bytes);
    for (;;) {
      let length = 0;
      let at = 1;
      for (let shift = 0; ; shift += 7, at += 1) {
        if (at >= this.buffer.length) return;
        length |= (this.buffer[at] & 127) << shift;
        if (this.buffer[at] < 128) break;
      }
      at += 1;
      if (this.buffer.length < at + length) return;
      const whole = { type: this.buffer[0] >> 4, flags: this.buffer[0] & 15, body: this.buffer.slice(at, at + length) };
      this.buffer = this.buffer.slice(at + length);
      const waiter = this.waiting.shift();
      if (waiter) waiter(whole);
      else this.packets.push(whole);
    }
  }

  async next(type) {
    const ready = this.packets.shift();
    const got = ready ?? (await within(new Promise((resolve) => this.waiting.push(resolve)), `packet ${type}`));
    if (got.type !== type) throw new Error(`packet ${got.type} came, not ${type}`);
    return got;
  }

  async connect(keepAlive = 60) {
    await within(this.opened, "the WebSocket to open");
    const properties = this.level === 5 ? [0] : [];
    this.socket.send(packet(0x10, [
      ...text("MQTT"), this.level, 2, keepAlive >> 8, keepAlive & 255, ...properties, ...text(this.id)]));
    const connack = await this.next(2);
    if (connack.body[1] !== 0) throw new Error(`CONNACK with code ${connack.body[1]}`);
    return this;
  }

  async subscribe(filter, qos) {
    const properties = this.level === 5 ? [0] : [];
    this.socket.send(packet(0x82, [0, 1, ...properties, ...text(filter), qos]));
    const suback = await this.next(9);
    if (suback.body.at(-1) !== qos) throw new Error(`SUBACK grants ${suback.body.at(-1)}`);
  }

  publish(topic, payload, qos, id) {
    const head = [...text(topic), ...(qos ? [id >> 8, id & 255] : []), ...(this.level === 5 ? [0] : [])];
    this.socket.send(packet(0x30 | (qos << 1), joined(head, payload)));
  }

  /** The next PUBLISH, acknowledged: topic, payload, qos. */
  async message() {
    const { flags, body } = await this.next(3);
    const qos = (flags >> 1) & 3;
    let at = 2 + ((body[0] << 8) | body[1]);
    const topic = new TextDecoder().decode(body.slice(2, at));
    const id = body.slice(at, at + 2);
    if (qos) at += 2;
    if (this.level === 5) at += 1 + body[at];
    if (qos === 1) this.socket.send(packet(0x40, id));
    if (qos === 2) {
      this.socket.send(packet(0x50, id));
      await this.next(6);
      this.socket.send(packet(0x70, id));
    }
    return { topic, qos, payload: body.slice(at) };
  }

  disconnect() {
    this.socket.send(packet(0xe0, []));
  }
}
