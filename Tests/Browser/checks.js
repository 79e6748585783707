// SPDX-License-Identifier: Apache-2.0
// What a page does with the broker. The run script serves this, hands the ports over in the address, and collects what
// is posted to /result: one line for each check.
import { Client, within } from "./mqtt.js";

const given = new URLSearchParams(location.search);
const ports = Object.fromEntries([...given].map(([name, port]) => [name, Number(port)]));
let serial = 0;

function equal(got, wanted, what) {
  if (got !== wanted) throw new Error(`${what}: ${got}, not ${wanted}`);
}

function sameBytes(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const numbered = (base) => `${base}-${(serial += 1)}`;
const client = (base, level, protocols) => new Client(base, level, numbered("browser"), protocols);

async function opensWithMqtt(base) {
  const c = await client(base, 4, ["chat", "mqttv3.1", "mqtt"]).connect();
  equal(c.socket.protocol, "mqtt", "the subprotocol");
  equal(c.socket.extensions, "", "extensions");
  c.disconnect();
  const closed = await within(c.closed, "the close event");
  equal(closed.code, 1000, "the close code");
  equal(closed.wasClean, true, "a clean end");
}

async function exchangesMessages(base, level) {
  const reader = await client(base, level).connect();
  const writer = await client(base, level).connect();
  const topic = numbered("browser/topic");
  await reader.subscribe(topic, 2);
  for (const qos of [0, 1, 2]) {
    for (const size of [0, 1, 125, 126, 5000, 70000]) {
      const payload = Uint8Array.from({ length: size }, (_, i) => (i * 31 + qos) & 255);
      writer.publish(topic, payload, qos, 7);
      if (qos === 1) await writer.next(4);
      if (qos === 2) {
        await writer.next(5);
        writer.socket.send(Uint8Array.of(0x62, 2, 0, 7));
        await writer.next(7);
      }
      const got = await reader.message();
      equal(got.topic, topic, "the topic");
      equal(got.qos, qos, "the QoS");
      if (!sameBytes(got.payload, payload)) throw new Error(`${size} bytes at QoS ${qos} arrive changed`);
    }
  }
  reader.disconnect();
  writer.disconnect();
}

async function manyMessages(base) {
  const reader = await client(base, 4).connect();
  const writer = await client(base, 4).connect();
  const topic = numbered("browser/many");
  await reader.subscribe(topic, 0);
  for (let i = 0; i < 5000; i += 1) writer.publish(topic, new TextEncoder().encode(String(i)), 0);
  for (let i = 0; i < 5000; i += 1) {
    const got = await reader.message();
    equal(new TextDecoder().decode(got.payload), String(i), "the order");
  }
  reader.socket.close();
  writer.socket.close(4000, "enough");
  equal((await within(writer.closed, "the close event")).code, 4000, "the close code");
}

async function textIsRefused(base) {
  const c = await client(base, 4).connect();
  c.socket.send("MQTT");
  equal((await within(c.closed, "the close event")).code, 1003, "the close code");
}

async function malformedIsTold(base) {
  const c = await client(base, 4).connect();
  c.socket.send(Uint8Array.of(0xc1, 0));
  equal((await within(c.closed, "the close event")).code, 1002, "the close code");
}

async function doesNotOpen(url, protocols) {
  const c = client(url, 4, protocols);
  const closed = await within(c.closed, "the failure");
  equal(closed.code, 1006, "the close code");
  equal(c.socket.readyState, WebSocket.CLOSED, "the state");
}

function checks() {
  const list = [];
  for (const scheme of ["ws", "wss"]) {
    if (!ports[scheme]) continue;
    const base = `${scheme}://127.0.0.1:${ports[scheme]}/mqtt`;
    list.push([`${scheme}: the subprotocol is mqtt, nothing is compressed, DISCONNECT ends cleanly`, opensWithMqtt, base]);
    list.push([`${scheme}: messages of every QoS and many sizes, MQTT 3.1.1`, exchangesMessages, base, 4]);
    list.push([`${scheme}: messages of every QoS and many sizes, MQTT 5`, exchangesMessages, base, 5]);
    list.push([`${scheme}: 5,000 messages in order, then the page closes`, manyMessages, base]);
    list.push([`${scheme}: text is refused with 1003`, textIsRefused, base]);
    list.push([`${scheme}: a malformed packet ends with 1002`, malformedIsTold, base]);
    list.push([`${scheme}: no other path opens`, doesNotOpen, base + "s"]);
    list.push([`${scheme}: no other subprotocol opens`, doesNotOpen, base, "chat"]);
  }
  if (ports.closed) {
    list.push(["a page of another origin does not get in", doesNotOpen, `ws://127.0.0.1:${ports.closed}/mqtt`]);
  }
  if (ports.own) list.push(["a page of an allowed origin gets in", opensWithMqtt, `ws://127.0.0.1:${ports.own}/mqtt`]);
  return list;
}

const lines = [];
for (const [name, check, ...more] of checks()) {
  try {
    await check(...more);
    lines.push(`ok   ${name}`);
  } catch (error) {
    lines.push(`FAIL ${name}: ${error.message}`);
  }
}
await fetch("/result", { method: "POST", body: lines.join("\n") });
