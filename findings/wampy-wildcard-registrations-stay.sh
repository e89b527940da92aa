#!/usr/bin/env bash
# wampy (npm) 8.0.2: a procedure that was registered by wildcard cannot be taken back while the session lasts.
#
# `register('a..b', …, {match: 'wildcard'})` checks the URI as a pattern, `unregister('a..b')` as a plain one, where an
# empty component is an error: it rejects with UriError, and nothing goes to the router, which goes on calling. Nor can
# the handler be changed: registrations are kept by URI, so a second register is refused as "already registered".
# For the same reason an exact and a prefix registration of one URI, two different ones for the router, exclude
# each other. Wildcard subscriptions have an id to be ended by, and are not affected.
#
# Seen (Node 20.20): as in `expected` below.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >package.json <<'JSON'
{"private": true, "type": "module", "dependencies": {"wampy": "8.0.2", "ws": "8.18.3"}}
JSON
npm install --silent --no-audit --no-fund
cat >trial.mjs <<'JS'
import WebSocket, { WebSocketServer } from 'ws';
import { Wampy } from 'wampy';

// The smallest router: welcomes, registers and unregisters whatever is asked, and notes what that was.
const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'wamp.2.json' });
await new Promise((listening) => server.once('listening', listening));
let heard = [];
server.on('connection', (socket) => socket.on('message', (text) => {
  const [code, request, , uri] = JSON.parse(text);
  if (code === 1) socket.send(JSON.stringify([2, 7, { roles: { broker: {}, dealer: {} } }]));
  if (code === 64) socket.send(JSON.stringify([65, request, 100 + request]));
  if (code === 66) socket.send(JSON.stringify([67, request]));
  if (code === 6) socket.close();
  if (code === 64) heard.push(`REGISTER ${uri}`);
  if (code === 66) heard.push('UNREGISTER');
}));

const url = `ws://127.0.0.1:${server.address().port}/`;
async function trial(title, steps) {
  const client = new Wampy(url, { realm: 'r', ws: WebSocket, uriValidation: 'loose', autoReconnect: false });
  await client.connect();
  heard = [];
  const outcomes = [];
  for (const [name, ...given] of steps) {
    const done = name === 'register' ? client.register(given[0], () => null, given[1]) : client.unregister(given[0]);
    outcomes.push(await done.then(() => 'done', (error) => error.name));
  }
  await client.disconnect();
  console.log(`${title}: ${outcomes.join(', ')}; the router heard ${heard.join(', ')}`);
}
const [exact, prefix, wildcard] = ['exact', 'prefix', 'wildcard'].map((match) => ({ match }));
await trial('prefix', [['register', 'a.b', prefix], ['unregister', 'a.b']]);
await trial('wildcard', [['register', 'a..b', wildcard], ['unregister', 'a..b']]);
await trial('wildcard twice', [['register', 'a..b', wildcard], ['register', 'a..b', wildcard]]);
await trial('exact and prefix', [['register', 'a.b', exact], ['register', 'a.b', prefix]]);
process.exit(0);
JS
cat >expected <<'TEXT'
prefix: done, done; the router heard REGISTER a.b, UNREGISTER
wildcard: done, UriError; the router heard REGISTER a..b
wildcard twice: done, RPCAlreadyRegisteredError; the router heard REGISTER a..b
exact and prefix: done, RPCAlreadyRegisteredError; the router heard REGISTER a.b
TEXT
timeout 60 node trial.mjs >seen 2>log || { cat seen log; exit 1; }
cat seen
diff expected seen || { echo "changed: see the lines above (< expected, > seen)"; exit 1; }
echo "as described"
