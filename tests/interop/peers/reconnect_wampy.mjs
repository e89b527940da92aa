// wampy.js with its automatic reconnection: see ./reconnect_autobahn.mjs.
import { createRequire } from 'node:module';
import { say } from './common.mjs';

const root = process.env.INTEROP_JS;
const { Wampy } = await import(`${root}/wampy/dist/esm/wampy.js`);
const WebSocket = createRequire(`${root}/`)('ws');
const [url, topic] = process.argv.slice(2);

const wampy = new Wampy(url, {
  ws: WebSocket,
  realm: 'realm1',
  autoReconnect: true,
  reconnectInterval: 200,
  // No bound.
  maxRetries: 0,
  onClose: () => say({ lost: 'closed', willRetry: false }),
  // It subscribes again by itself, and does not say when it has: as soon as this is over, which is why what is
  // asked for behind that, and answered behind it, tells.
  onReconnectSuccess: () => setImmediate(subscribed),
});
async function subscribed() {
  const session = wampy.getSessionId();
  await wampy.subscribe(`${topic}.${session}`, () => {});
  say({ joined: session });
}
await wampy.connect();
await wampy.subscribe(topic, ({ argsList }) => say({ event: argsList[0] }));
say({ joined: wampy.getSessionId() });
process.stdin.on('end', () => process.exit(0)).resume();
