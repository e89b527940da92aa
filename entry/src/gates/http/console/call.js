// The form that calls a procedure, and what is answered.

import { isObject, typedJson } from "./json.js";
import { payloadText } from "./list.js";

/// So many parts of a result are shown, the last ones.
const PARTS_MAX = 100;

export class CallForm {
  constructor(form, session) {
    Object.assign(this, { form, session });
    /// Gives up the call that is open; null when none is.
    this.cancel = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.cancel === null) this.call();
    });
    for (const name of ["call-args", "call-kwargs"]) {
      this.el(name).addEventListener("input", () => this.complain(name, ""));
    }
    // What was answered before is of another one.
    this.el("procedure").addEventListener("input", () => this.clear());
    this.el("give-up").addEventListener("click", () => this.cancel?.());
  }

  el(id) {
    return this.form.querySelector(`#${id}`);
  }

  /// What can be pressed, as the session stands.
  refresh() {
    this.el("do-call").disabled = !this.session.isOpen || this.cancel !== null;
    this.el("give-up").hidden = this.cancel === null;
  }

  /// Puts a procedure into the form.
  choose(procedure) {
    if (this.el("procedure").value !== procedure) this.clear();
    this.el("procedure").value = procedure;
    this.el("call-args").focus();
  }

  /// Says at a field what is wrong with it; an empty text takes that back.
  complain(name, text) {
    this.el(`${name}-bad`).textContent = text;
    this.el(name).setAttribute("aria-invalid", String(text !== ""));
  }

  /// The raw text of a field, which may be empty; null if it is not what it has to be: the field says so.
  typed(name, fits, wanted) {
    const text = this.el(name).value.trim();
    const typed = text === "" ? "" : typedJson(text, fits);
    this.complain(name, typed === null ? wanted : "");
    return typed;
  }

  async call() {
    const args = this.typed("call-args", Array.isArray, 'not a JSON list, as in [1, "two"]');
    const kwargs = this.typed("call-kwargs", isObject, 'not a JSON object, as in {"one": 1}');
    this.clear();
    if (args === null || kwargs === null) {
      this.el(args === null ? "call-args" : "call-kwargs").focus();
      return;
    }
    const procedure = this.el("procedure").value.trim();
    const timeout = this.el("call-timeout").value;
    const begun = performance.now();
    const after = () => `after ${Math.round(performance.now() - begun)} ms`;
    this.show("", "called, waiting for the result");
    const options = timeout === "" ? {} : { timeout: Number(timeout) };
    const call = this.session.call(procedure, args, kwargs, options, (part) => this.onPart(part));
    this.cancel = call.cancel;
    this.refresh();
    try {
      const result = await call.answer;
      this.show("good", `result ${after()}`, payloadText(result) || "(no arguments)");
    } catch (error) {
      const lost = "the connection was lost: not known whether it was called";
      const said = error.uri ? `error ${error.uri} ${after()}` : error.message;
      this.show("bad", error.isLost ? lost : said, error.payload && payloadText(error.payload));
    }
    this.cancel = null;
    this.refresh();
  }

  /// Takes away what is shown of a call that has ended.
  clear() {
    if (this.cancel !== null) return;
    this.el("parts").replaceChildren();
    this.el("parts").start = 1;
    this.show("", "");
  }

  onPart(payload) {
    const part = document.createElement("li");
    part.textContent = payloadText(payload) || "(no arguments)";
    const parts = this.el("parts");
    parts.append(part);
    if (parts.children.length > PARTS_MAX) {
      parts.firstElementChild.remove();
      parts.start += 1;
    }
    parts.scrollTop = parts.scrollHeight;
    parts.hidden = false;
  }

  /// What is said of the call, and the arguments that came with it.
  show(kind, text, payload = "") {
    const called = this.el("called");
    called.className = kind;
    called.textContent = text;
    this.el("answer").textContent = payload;
    this.el("answer").hidden = payload === "";
    const parts = this.el("parts");
    parts.hidden = parts.children.length === 0;
  }
}
