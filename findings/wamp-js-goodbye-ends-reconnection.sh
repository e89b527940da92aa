#!/usr/bin/env bash
# autobahn (npm) 22.11.1 and wampy 8.0.2, reconnection switched on: a router that says farewell loses them,
# a router that just closes the WebSocket keeps them.
#
# The WAMP specification lets a router end a session by GOODBYE, say wamp.close.system_shutdown at a
# restart, and refuse one by ABORT; neither says that the client may not come back. Both libraries
# take a GOODBYE as final, also one followed by a close: the retries they were configured for never
# begin. autobahn takes an ABORT in the middle of its retries as final too, so one refusal while a
# router starts is enough; wampy goes on. Every plain close is retried: 1000, 1001, 1008, 1011, 1012, a cut.
# So a rolling restart that is polite by the specification loses what a crash keeps.
#
# Seen (Node 20.20): as in `expected` below.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >package.json <<'JSON'
{"private": true, "type": "module", "dependencies": {"autobahn": "22.11.1", "wampy": "8.0.2", "ws": "8.18.3"}}
JSON
npm install --silent --no-audit --no-fund
cat >trial.mjs <<'JS'
import { createRequire } from 'node:module';
import WebSocket, { WebSocketServer } from 'ws';
import { Wampy } from 'wampy';
const autobahn = createRequire(import.meta.url)('autobahn');
const print = console.log;
console.log = () => {}; // autobahn tells its own story there

const GOODBYE = JSON.stringify([6, {}, 'wamp.close.system_shutdown']);
const ABORT = JSON.stringify([3, {}, 'wamp.close.system_shutdown']);
const endings = {
  'GOODBYE': (socket) => socket.send(GOODBYE),
  'GOODBYE and close 1012': (socket) => { socket.send(GOODBYE); socket.close(1012); },
  'cut, then one ABORT': (socket) => socket.terminate(),
  'close 1000': (socket) => socket.close(1000),
  'close 1001': (socket) => socket.close(1001),
  'close 1008': (socket) => socket.close(1008),
  'close 1011': (socket) => socket.close(1011),
  'close 1012': (socket) => socket.close(1012),
  'cut': (socket) => socket.terminate(),
};
const clients = {
  autobahn(url) {
    const connection = new autobahn.Connection({ url, realm: 'r', max_retries: 20, initial_retry_delay: 0.1, max_retry_delay: 0.3 });
    connection.onclose = () => false; // "go on with the retries"
    connection.open();
    return () => connection.close();
  },
  wampy(url) {
    const client = new Wampy(url, { realm: 'r', ws: WebSocket, autoReconnect: true, reconnectInterval: 200, maxRetries: 20 });
    client.connect().catch(() => {});
    return () => client.disconnect().catch(() => {});
  },
};

// The smallest router: welcomes, ends the first session one way, and sees who comes back.
async function trial(client, ending) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'wamp.2.json' });
  await new Promise((listening) => server.once('listening', listening));
  let hellos = 0;
  let stop = () => {};
  const back = new Promise((resolve) => server.on('connection', (socket) => socket.on('message', (text) => {
    const [code] = JSON.parse(text);
    if (code !== 1) { socket.close(); return; }
    hellos += 1;
    if (hellos === 2 && ending.includes('ABORT')) { socket.send(ABORT); return; }
    socket.send(JSON.stringify([2, hellos, { roles: { broker: {} } }]));
    if (hellos === 1) setTimeout(() => endings[ending](socket), 50); else resolve('joins again');
  })));
  stop = clients[client](`ws://127.0.0.1:${server.address().port}/`);
  const seen = await Promise.race([back, new Promise((resolve) => setTimeout(resolve, 4000, 'stays away'))]);
  print(`${client}: ${ending}: ${seen}`);
  try { stop(); } catch { /* it is closed */ }
  for (const socket of server.clients) socket.terminate();
  server.close();
}
process.on('unhandledRejection', () => {});
for (const client of Object.keys(clients)) for (const ending of Object.keys(endings)) await trial(client, ending);
process.exit(0);
JS
timeout 120 node trial.mjs >seen 2>log || { cat log; exit 1; }
for client in autobahn wampy; do
    for ending in 'GOODBYE' 'GOODBYE and close 1012'; do echo "$client: $ending: stays away"; done
    if [[ $client == autobahn ]]; then echo "$client: cut, then one ABORT: stays away"; else echo "$client: cut, then one ABORT: joins again"; fi
    for ending in 'close 1000' 'close 1001' 'close 1008' 'close 1011' 'close 1012' 'cut'; do echo "$client: $ending: joins again"; done
done >expected
cat seen
diff expected seen || { echo "changed: see the lines above (< expected, > seen)"; exit 1; }
echo "as described"
