// One WAMP session by autobahn for JavaScript, driven by interop.py. Same commands and same output
// as peer.py.
'use strict';

const fs = require('node:fs');

// autobahn warns of every connection that is closed, also of one that was to be closed.
console.warn = () => {};
const autobahn = require('autobahn');

const TIMEOUT_MS = 60_000;
const [command, url, ...rest] = process.argv.slice(2);

function say(facts) {
  fs.writeSync(1, JSON.stringify(facts) + '\n');
}

function input() {
  return JSON.parse(fs.readFileSync(0, 'utf8'));
}

async function receive(session, topic, count) {
  let received = 0;
  let finish;
  const done = new Promise((resolve) => (finish = resolve));
  const onEvent = (args, kwargs, details) => {
    received += 1;
    say({ args, kwargs, publication: details.publication });
    if (received === Number(count)) finish();
  };
  await session.subscribe(topic, onEvent);
  say({ subscribed: topic });
  await done;
}

async function publish(session, topic) {
  for (const { args, kwargs } of input()) {
    const publication = await session.publish(topic, args, kwargs, { acknowledge: true });
    say({ publication: publication.id });
  }
}

async function refused(session) {
  for (const topic of input()) {
    try {
      await session.publish(topic, [], {}, { acknowledge: true });
      say({ topic, error: null });
    } catch (error) {
      say({ topic, error: error.error });
    }
  }
}

async function own(session, topic) {
  let finish;
  const done = new Promise((resolve) => (finish = resolve));
  await session.subscribe(topic, ([text]) => {
    say({ received: text });
    if (text === 'included') finish();
  });
  await session.publish(topic, ['excluded'], {}, { acknowledge: true });
  await session.publish(topic, ['included'], {}, { acknowledge: true, exclude_me: false });
  await done;
}

const commands = { receive, publish, refused, own };

function fail(error) {
  console.error(error);
  process.exit(1);
}

setTimeout(() => fail(`not done after ${TIMEOUT_MS} ms`), TIMEOUT_MS).unref();
const connection = new autobahn.Connection({ url, realm: 'realm1', max_retries: 0 });
connection.onopen = (session) => {
  commands[command](session, ...rest)
    .then(() => connection.close())
    .catch(fail);
};
connection.onclose = (reason, details) => {
  if (reason !== 'closed') fail(`${reason}: ${JSON.stringify(details)}`);
  say({ left: details.reason });
};
connection.open();
