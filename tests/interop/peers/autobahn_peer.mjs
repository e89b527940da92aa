// Sessions of autobahn for JavaScript.
import { createRequire } from 'node:module';
import {
  INVOCATION_FACTS,
  Invocations,
  NotInLibrary,
  Refused,
  checkValues,
  decode,
  encode,
  factsOf,
  outcomeOf,
  say,
  serve,
} from './common.mjs';

// autobahn warns of every connection that is closed, also of one that was to be closed.
console.warn = () => {};
const autobahn = createRequire(process.env.INTEROP_JS + '/')('autobahn');

const SERIALIZERS = {
  json: autobahn.serializer.JSONSerializer,
  msgpack: autobahn.serializer.MsgpackSerializer,
  cbor: autobahn.serializer.CBORSerializer,
};

const sessions = new Map();
const subscriptions = new Map();
const registrations = new Map();
const calls = new Map();
const invocations = new Invocations();

// As `load_private_key` makes it of what a browser has stored.
function keyOf(seed) {
  return autobahn.nacl.sign.keyPair.fromSeed(Buffer.from(seed, 'hex'));
}

function answerTo({ method, secret }) {
  switch (method) {
    case 'anonymous':
      return undefined;
    case 'ticket':
      return () => secret;
    case 'wampcra':
      return (_session, _method, { challenge, salt, iterations, keylen }) => {
        const { derive_key, sign } = autobahn.auth_cra;
        const key = salt === undefined ? secret : derive_key(secret, salt, iterations, keylen);
        return sign(key, challenge);
      };
    case 'cryptosign': {
      const key = keyOf(secret);
      return (_session, _method, extra) => autobahn.auth_cryptosign.sign_challenge(key, extra);
    }
    default:
      throw new NotInLibrary(`has no \`${method}\``);
  }
}

function open({ name, url, realm, serializer, auth }) {
  const onchallenge = answerTo(auth);
  const isCryptosign = auth.method === 'cryptosign';
  const pubkey = isCryptosign && autobahn.auth_cryptosign.public_key(keyOf(auth.secret));
  const connection = new autobahn.Connection({
    url,
    realm,
    max_retries: 0,
    serializers: [new SERIALIZERS[serializer]()],
    authmethods: [auth.method],
    authid: auth.authid,
    authextra: isCryptosign ? { pubkey } : undefined,
    onchallenge,
    // Told by what callers get, and by `onclose`.
    on_user_error: () => {},
    on_internal_error: () => {},
  });
  return new Promise((resolve, reject) => {
    const left = new Promise((leave) => {
      connection.onclose = (reason, details) => {
        reject(new Refused(details.reason, details.message));
        leave(details.reason);
      };
    });
    connection.onopen = (session, { authid, authrole, authmethod }) => {
      sessions.set(name, { connection, session, left, serializer });
      resolve({ session: session.id, authid, authrole, authmethod });
    };
    connection.open();
  });
}

async function refusable(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof autobahn.Error) {
      throw new Refused(error.error, String(error.args), error.args, error.kwargs);
    }
    throw error;
  }
}

async function subscribe({ id, session, topic, options }) {
  const onEvent = (args, kwargs, event) => {
    say({ event: id, args: encode(args), kwargs: encode(kwargs), ...factsOf(event) });
  };
  const asked = sessions.get(session).session.subscribe(topic, onEvent, options);
  const subscription = await refusable(asked);
  subscriptions.set(id, { session, subscription });
  return { subscription: subscription.id };
}

async function unsubscribe({ subscription }) {
  const { session, subscription: one } = subscriptions.get(subscription);
  if (!one.active) throw new NotInLibrary('knows by itself what is subscribed');
  await refusable(sessions.get(session).session.unsubscribe(one));
}

/** It sends any, also one that takes an announcement. */
function checkOptions(options) {
  for (const name of Object.keys(options)) {
    if (name.startsWith('ppt_')) throw new NotInLibrary('does not announce `payload_passthru_mode`');
  }
}

async function publish({ session, topic, args, kwargs, options }) {
  checkOptions(options);
  checkValues(sessions.get(session).serializer !== 'cbor', { args, kwargs });
  const { session: to } = sessions.get(session);
  const done = to.publish(topic, decode(args), decode(kwargs), options);
  const publication = await refusable(done);
  return { publication: publication?.id ?? null };
}

async function register({ id, session, procedure, options, answer }) {
  const onCall = (args, kwargs, details) => {
    if (answer !== null) return new autobahn.Result(decode(answer), {});
    const facts = { args: encode(args), kwargs: encode(kwargs) };
    return invocations.begin(id, { ...facts, ...factsOf(details, INVOCATION_FACTS) }, details.progress);
  };
  const asked = sessions.get(session).session.register(procedure, onCall, options);
  const registration = await refusable(asked);
  registration.on_unregister.then((revoked) => say({ event: id, revoked }));
  registrations.set(id, { session, registration });
  return { registration: registration.id };
}

async function unregister({ registration }) {
  const { session, registration: one } = registrations.get(registration);
  if (!one.active) throw new NotInLibrary('knows by itself what is registered');
  await refusable(sessions.get(session).session.unregister(one));
}

async function give({ invocation, args, kwargs, options: { progress, ...options } }) {
  for (const name of Object.keys(options)) throw new NotInLibrary(`a result has no \`${name}\``);
  const { resolve, progress: give } = invocations.of(invocation);
  if (progress) give(decode(args), decode(kwargs));
  else resolve(new autobahn.Result(decode(args), decode(kwargs)));
}

async function fail({ invocation, error, args, kwargs }) {
  invocations.of(invocation).reject(new autobahn.Error(error, decode(args), decode(kwargs)));
}

/** A result is one value, or an object of several. */
function parts(result) {
  if (result instanceof autobahn.Result) {
    return { args: encode(result.args), kwargs: encode(result.kwargs) };
  }
  return { args: result === null || result === undefined ? [] : [encode(result)], kwargs: {} };
}

async function call({ id, session, procedure, args, kwargs, options }) {
  const { session: by, serializer } = sessions.get(session);
  checkValues(serializer !== 'cbor', { args, kwargs });
  if (options.progress) throw new NotInLibrary('a call is one message');
  checkOptions(options);
  const made = by.call(procedure, decode(args), decode(kwargs), options);
  const one = { made, isCancelled: false };
  calls.set(id, one);
  outcomeOf(() => resultOf(id, one)).then((outcome) => say({ event: id, outcome }));
}

async function resultOf(id, one) {
  const onProgress = (result) => say({ event: id, ...parts(result) });
  try {
    const result = await refusable(
      new Promise((resolve, reject) => one.made.then(resolve, reject, onProgress)),
    );
    return { ...parts(result), callee: null };
  } catch (error) {
    // Its own word, without the router's answer.
    if (one.isCancelled && error.uri === 'Cancelled') return { cancelled: true };
    throw error;
  }
}

async function cancel({ call: id, options }) {
  const one = calls.get(id);
  one.isCancelled = true;
  one.made.cancel(options);
}

async function more() {
  throw new NotInLibrary('a call is one message');
}

async function ended({ session }) {
  return { reason: await sessions.get(session).left };
}

async function close({ session }) {
  const { connection, left } = sessions.get(session);
  connection.close();
  return { reason: await left };
}

serve({
  open,
  subscribe,
  unsubscribe,
  publish,
  register,
  unregister,
  yield: give,
  fail,
  call,
  cancel,
  more,
  ended,
  close,
});
