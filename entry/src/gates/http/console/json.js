// JSON without losing the text: parsing would round large numbers, and the list shows payloads as
// they were published.

/// Raw texts of the elements of a JSON array, which must be valid.
export function elements(text) {
  return parts(text).map(([from, to]) => text.slice(from, to).trim());
}

/// Raw texts of the members of a JSON object, which must be valid, by name.
export function members(text) {
  return new Map(parts(text).map(([from, to]) => {
    const member = text.slice(from, to);
    const colon = stringEnd(member, member.indexOf('"')) + 1;
    const [name, value] = [member.slice(0, colon), member.slice(colon)];
    return [JSON.parse(name), value.slice(value.indexOf(":") + 1).trim()];
  }));
}

/// Where the parts between the outermost commas begin and end.
function parts(text) {
  const found = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text[at]) {
      case '"':
        at = stringEnd(text, at);
        break;
      case "[":
      case "{":
        depth += 1;
        if (depth === 1) from = at + 1;
        break;
      case ",":
        if (depth === 1) {
          found.push([from, at]);
          from = at + 1;
        }
        break;
      case "]":
      case "}":
        depth -= 1;
        if (depth === 0 && (found.length > 0 || text.slice(from, at).trim() !== "")) {
          found.push([from, at]);
        }
        break;
    }
  }
  return found;
}

/// Where the string that begins at `at` has its closing quote.
function stringEnd(text, at) {
  do {
    at += text[at] === "\\" ? 2 : 1;
  } while (at < text.length && text[at] !== '"');
  return at;
}

/// The text as it was typed if it is JSON that `fits`, else null.
export function typedJson(text, fits) {
  try {
    return fits(JSON.parse(text)) ? text.trim() : null;
  } catch {
    return null;
  }
}

export function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
