#!/usr/bin/env bash
# wampy (npm) 8.0.2, CBOR: a subscription id above 2^32, as routers draw them, goes back in UNSUBSCRIBE as a float.
#
# WAMP ids are integers up to 2^53, drawn at random in the router scope and global scope; the id of
# SUBSCRIBED is to be repeated in UNSUBSCRIBE. By CBOR wampy writes it as a double (0xfb), so a router that
# wants an integer there ends the session. By JSON the same client writes an integer.
#
# Seen (Node 20.20): as in `expected` below.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >package.json <<'JSON'
{"private": true, "type": "module", "dependencies": {"wampy": "8.0.2"}}
JSON
npm install --silent --no-audit --no-fund
cat >trial.mjs <<'JS'
import { readdirSync, existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
const base = 'node_modules/wampy/dist/esm/serializers';
const load = async (name) => {
  const file = readdirSync(base).find((file) => file.toLowerCase() === `${name}-serializer.js` || file.toLowerCase() === `${name}serializer.js`);
  const module = await import(pathToFileURL(`${process.cwd()}/${base}/${file}`));
  return new (Object.values(module).find((value) => typeof value === 'function'))();
};
if (!existsSync(base)) throw new Error('no serializers there');
const cbor = await load('cbor');
const json = await load('json');
for (const id of [4294967295, 4294967296, 8890856892754007]) {
  const frame = Buffer.from(await cbor.encode([34, 1, id]));
  const how = { 0x1a: 'an integer of 4 bytes', 0x1b: 'an integer of 8 bytes', 0xfb: 'a float of 8 bytes' }[frame[4]];
  console.log(`${id}: CBOR ${how ?? frame.toString('hex')}, JSON ${await json.encode([34, 1, id])}`);
}
JS
cat >expected <<'TEXT'
4294967295: CBOR an integer of 4 bytes, JSON [34,1,4294967295]
4294967296: CBOR a float of 8 bytes, JSON [34,1,4294967296]
8890856892754007: CBOR a float of 8 bytes, JSON [34,1,8890856892754007]
TEXT
timeout 60 node trial.mjs | tee seen
diff expected seen
echo "as stated"
