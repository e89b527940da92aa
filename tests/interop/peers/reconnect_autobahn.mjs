// autobahn for JavaScript with its automatic reconnection: URL and topic as arguments. Says a line of
// JSON for each time it has joined and subscribed, and for each event.
import { createRequire } from 'node:module';
import { say } from './common.mjs';

// It warns of every connection that is lost.
console.warn = () => {};
const autobahn = createRequire(process.env.INTEROP_JS + '/')('autobahn');
const [url, topic] = process.argv.slice(2);

const connection = new autobahn.Connection({
  url,
  realm: 'realm1',
  // As the library does it, but not as slowly.
  initial_retry_delay: 0.2,
  max_retry_delay: 0.5,
  max_retries: -1,
});
connection.onopen = async (session) => {
  await session.subscribe(topic, ([n]) => say({ event: n }));
  say({ joined: session.id });
};
connection.onclose = (reason, { will_retry: willRetry }) => say({ lost: reason, willRetry });
connection.open();
// Until the end of the input.
process.stdin.on('end', () => process.exit(0)).resume();
