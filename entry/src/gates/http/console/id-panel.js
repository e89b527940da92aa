// The panel that explains a message's permanent id, part by part.

import { explainId } from "./permanent-id.js";
import { payloadText, timeText } from "./list.js";

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

/// Shows `message` of `realm` in `dialog`.
export function showIdPanel(dialog, realm, message) {
  const parts = explainId(message.id);
  const text = dialog.querySelector(".id-text");
  const list = dialog.querySelector("dl");
  text.replaceChildren();
  list.replaceChildren();
  const say = (kind, name, ...values) => {
    const term = element("dt", kind, name);
    list.append(term, ...values.map((value) => element("dd", "", value)));
  };
  if (parts === null) {
    text.append(element("span", "", message.id));
  } else {
    text.append(
      element("span", "minute", parts.minute),
      element("span", "rest", parts.restKey),
      element("span", "offset", parts.offsetKey),
    );
    sayParts(say, parts);
  }
  say("", "Position", `${message.position}: its place in the one order of all messages, the same for every reader`);
  say("", "Topic", message.topic);
  dialog.querySelector("pre").textContent = payloadText(message) || "(no arguments)";
  const query = new URLSearchParams({ realm, after: message.id, limit: "100" });
  dialog.querySelector("a").href = `history?${query}`;
  dialog.showModal();
}

function sayParts(say, parts) {
  const time = timeText(parts.time);
  const nth = parts.offset + 1;
  say("minute", parts.minute, `Date, hour and minute: ${time.slice(0, 16)} UTC`);
  say("rest", parts.restKey,
    `The rest of the stamp: “${parts.restKey[0]}” says that ${parts.restKey.length - 1} digits of base 36 follow`,
    `Time: ${parts.msInMinute} ms into the minute, so ${time} UTC`,
    `Counter: ${parts.counter}, for stamps of one millisecond`,
    `Lane: ${parts.lane}, of the sync node sync${parts.lane} that made the stamp`);
  say("offset", parts.offsetKey,
    `Offset: ${parts.offset}, so message number ${nth} of its segment; “${parts.offsetKey[0]}” says that ${parts.offsetKey.length - 1} ${parts.offsetKey.length === 2 ? "digit follows" : "digits follow"}`);
  say("", "Segment", `${parts.segment}…: messages whose ids begin so were stored and voted on together`);
  say("", "Stamp", `${parts.stamp}: what the sync nodes elected, a number that only rises`);
}
