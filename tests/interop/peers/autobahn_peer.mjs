// Sessions of autobahn for JavaScript.
import { createRequire } from 'node:module';
import { NotInLibrary, Refused, checkValues, decode, encode, factsOf, say, serve } from './common.mjs';

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
      throw new NotInLibrary(`no ${method}`);
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
    if (error instanceof autobahn.Error) throw new Refused(error.error, String(error.args));
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

async function publish({ session, topic, args, kwargs, options }) {
  checkValues(sessions.get(session).serializer !== 'cbor', { args, kwargs });
  const { session: to } = sessions.get(session);
  const done = to.publish(topic, decode(args), decode(kwargs), options);
  const publication = await refusable(done);
  return { publication: publication?.id ?? null };
}

async function close({ session }) {
  const { connection, left } = sessions.get(session);
  connection.close();
  return { reason: await left };
}

serve({ open, subscribe, unsubscribe, publish, close });
