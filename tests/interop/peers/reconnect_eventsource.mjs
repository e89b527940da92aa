// `EventSource`, as browsers have it, at /events: see ./reconnect_autobahn.mjs.
import { say } from './common.mjs';

const { EventSource } = await import(`${process.env.INTEROP_JS}/eventsource/dist/index.js`);
const [url, topic] = process.argv.slice(2);

const events = new URL('/events', url.replace(/^ws/, 'http'));
events.searchParams.set('topic', topic);
const source = new EventSource(events);
// It comes back from where it was: after the last event that it got.
source.onopen = () => say({ joined: true });
source.onmessage = ({ data }) => say({ event: JSON.parse(data).args[0] });
source.onerror = () => say({ lost: 'error', willRetry: source.readyState !== EventSource.CLOSED });
process.stdin.on('end', () => process.exit(0)).resume();
