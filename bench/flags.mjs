// SPDX-License-Identifier: Apache-2.0
// flags.mjs - flags over HTTP: the server's CPU a request for one flag and for 350, GrowthBook's SDK in Node beside it, and event
// streams: memory of each, and how long a change takes to the last of them. `node bench/flags.mjs [STREAMS]`; it needs test/node_modules.
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { createRequire } from 'node:module';
import { startServer } from '../test/lib/server.mjs';

const { GrowthBook } = createRequire(new URL('../test/', import.meta.url))('@growthbook/growthbook');
const STREAMS = Number(process.argv[2] ?? 10_000), FLAGS = 350, SECONDS = 4, CONNECTIONS = 8, DEEP = 8;
const server = await startServer({ config: { flush_ms: 1000 } });
await server.publish({ kind: 'settings', key: 'shop', holdout: '0%', currency: 'EUR' });      // GrowthBook's SDK cannot compute ours
for (let i = 0; i < FLAGS; i += 10) {
  await Promise.all(Array.from({ length: 10 }, (_, k) => server.publish({ kind: 'flag', key: `flag-${i + k}`, title: 'f', owner: 'bench', type: 'string', default: 'none', rules: [
    { key: 'no', kind: 'force', target: 'context.country = "SE"', value: 'se' }, { key: 'some', kind: 'rollout', share: '50%', hash: 'gb2', value: 'half' }] })));
}
const worker = readdirSync('/proc').filter((p) => /^\d+$/.test(p)).find((p) => {
  try { return Number(readFileSync(`/proc/${p}/stat`, 'utf8').split(') ')[1].split(' ')[1]) === server.child.pid; } catch { return false; }
});
const cpu = () => { const f = readFileSync(`/proc/${worker}/stat`, 'utf8').split(') ')[1].split(' '); return (Number(f[11]) + Number(f[12])) / 100; };
const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${worker}/status`, 'utf8'))[1]);

/** Requests kept under way on a few connections; counts answers by their heads. */
async function load(path, body) {
  const text = `POST ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${server.write}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  let done = 0, bytes = 0;
  const began = Date.now(), cpu_began = cpu(), until = began + SECONDS * 1000;
  await Promise.all(Array.from({ length: CONNECTIONS }, () => new Promise((ended) => {
    const socket = connect(server.port, '127.0.0.1', () => { for (let i = 0; i < DEEP; i++) socket.write(text); });
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      for (let at = chunk.indexOf('HTTP/1.1 200'); at >= 0; at = chunk.indexOf('HTTP/1.1 200', at + 1)) {
        done++;
        if (Date.now() < until) socket.write(text);
        else { socket.destroy(); ended(); return; }
      }
    });
  })));
  const s = (Date.now() - began) / 1000, used = cpu() - cpu_began;
  console.log(`${path} ${Math.round(done / s)} requests/s here, ${(used / done * 1e6).toFixed(1)} us of server CPU a request: ${Math.round(done / used)}/s a core, ${Math.round(bytes / done)} bytes`);
}

await load('/ofrep/v1/evaluate/flags/flag-7', '{"context":{"targetingKey":"ana-77","country":"NO"}}');
await load('/ofrep/v1/evaluate/flags', '{"context":{"targetingKey":"ana-77","country":"NO"}}');

const payload = await (await server.request('GET', `/growthbook/api/features/${server.write}`)).json();
const gb = new GrowthBook({ attributes: { id: 'ana-77', country: 'NO' } });
gb.initSync({ payload });
const began = process.cpuUsage();
let rounds = 0;
for (const until = Date.now() + 2000; Date.now() < until; rounds++) for (const key in payload.features) gb.evalFeature(key);
console.log(`GrowthBook SDK in Node: ${Math.round(rounds / (process.cpuUsage(began).user / 1e6))} times all ${Object.keys(payload.features).length} flags a second of CPU, without HTTP`);

const before = resident();
let heard = 0, last = 0, open = 0;
await new Promise((ready) => {
  for (let i = 0; i < STREAMS; i++) {
    const socket = connect(server.port, '127.0.0.1', () => socket.write('GET /ofrep/v1/stream HTTP/1.1\r\nHost: bench\r\n\r\n'));
    socket.on('data', (chunk) => {
      if (chunk.includes(': open') && ++open === STREAMS) ready();
      if (chunk.includes('refetchEvaluation')) { heard++; last = Date.now(); }
    });
    socket.on('error', () => {});
  }
});
const each = (resident() - before) / STREAMS;
await server.put('/v1/definitions/flag/flag-1', { type: 'string', default: 'changed', rules: [] });
await server.post('/v1/definitions/flag/flag-1/publish');
const published = Date.now();
while (heard < STREAMS && Date.now() < published + 10_000) await new Promise((done) => setTimeout(done, 5));
console.log(`${STREAMS} streams: ${each.toFixed(2)} KB each, publish to last ${last - published} ms (${heard} heard)`);
await server.stop({ remove: true });
process.exit(0);
