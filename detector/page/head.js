// Head: the top of the page. How old all of it is, how the daemon itself is, links by state.

import { facts } from "./facts.js";
import { CALM } from "./marks.js";
import { count, date, lasting, make, number, put } from "./words.js";

const LEVELS = { bad: "▲ ", odd: "△ " }; // so that no colour is needed

/** Shows everything above the links. */
export class Head {
  #marks;
  #view;
  #buttons = new Map(); // state: its button
  #rows = new Map(); // fact: where its parts stand
  #at = (id) => document.getElementById(id);

  constructor(marks, view) {
    this.#marks = marks;
    this.#view = view;
  }

  /** Show what a daemon answered. */
  show(status) {
    this.#identity(status);
    this.#facts(status);
    this.#counts(status);
    const faults = faultsIn(status);
    this.title = faults ? `${count(faults, "fault")} · anchorwatch` : "anchorwatch";
  }

  /** Show how old that is: beside the name as long as that is fine, else across the page. */
  age(seconds, isOld, status) {
    const words = status ? `${date(status.now_ms)} UTC` : "asking the daemon";
    put(this.#at("pulse-words"), isOld && status ? `${words} · OLD` : words);
    document.body.classList.toggle("old", isOld);
    document.title = isOld && status ? `OLD · ${this.title}` : (this.title ?? "anchorwatch");
    put(this.#at("trouble-age"), status && isOld ? `What is shown is ${lasting(seconds)} old.` : "");
  }

  /** Say across the page what is wrong; "" takes it away. */
  trouble(words) {
    put(this.#at("trouble-words"), words);
    this.#at("trouble").hidden = !words;
  }

  #identity(status) {
    const engine = status.engine ? ` (${status.engine})` : "";
    const told = { bundle: `${status.bundle}${engine}`, version: status.version, up: lasting(status.uptime_seconds) };
    for (const [name, words] of Object.entries(told)) put(this.#row(this.#at("identity"), name), words);
  }

  #facts(status) {
    const told = facts(status);
    for (const { name, parts } of told) {
      const row = this.#row(this.#at("facts"), name);
      row.parentNode.hidden = false;
      row.previousSibling.className = parts[0].level;
      for (const place of parts.keys()) if (!row.children[place]) row.append(make("span"));
      while (row.children.length > parts.length) row.lastChild.remove();
      parts.forEach(({ words, level }, place) => {
        row.children[place].className = level;
        put(row.children[place], `${LEVELS[level] ?? ""}${words}`);
      });
    }
    const names = new Set(["bundle", "version", "up", ...told.map((fact) => fact.name)]);
    for (const [name, row] of this.#rows) row.parentNode.hidden = !names.has(name);
  }

  #row(list, name) {
    if (!this.#rows.has(name)) {
      const pair = make("div");
      pair.append(make("dt", "", name), make("dd"));
      list.append(pair);
      this.#rows.set(name, pair.lastChild);
    }
    return this.#rows.get(name);
  }

  #counts(status) {
    const wanted = this.#view.states;
    const counts = new Map(Object.entries(status.states));
    const states = byState(counts, wanted);
    const list = this.#at("counts");
    for (const [state, button] of this.#buttons) {
      if (!states.includes(state)) button.remove();
    }
    states.forEach((state, place) => {
      const button = this.#button(state);
      if (list.children[place] !== button) list.insertBefore(button, list.children[place] ?? null);
      put(button.querySelector(".number"), number(counts.get(state) ?? 0));
      button.setAttribute("aria-pressed", wanted.has(state));
      this.#marks.change(button.querySelector("svg"), state);
    });
    list.classList.toggle("chosen", wanted.size > 0);
    const whole = this.#whole();
    list.append(whole);
    const flapping = status.flapping ? `, ${number(status.flapping)} FLAPPING` : "";
    put(whole, `${count(status.links, "link")}${flapping}`);
  }

  #button(state) {
    if (!this.#buttons.has(state)) {
      const button = make("button");
      button.type = "button";
      button.append(this.#marks.icon(state), make("span", "number"), make("bdi", "name", state));
      button.addEventListener("click", () => this.#view.toggle(state));
      this.#buttons.set(state, button);
    }
    return this.#buttons.get(state);
  }

  #whole() {
    return this.#at("whole") ?? Object.assign(make("p"), { id: "whole" });
  }
}

function faultsIn(status) {
  const faults = Object.entries(status.states).filter(([state]) => !CALM.has(state));
  return faults.reduce((sum, [, links]) => sum + links, 0);
}

/** Give the states that links are in or that are wanted: faults first, the most frequent above. */
function byState(counts, wanted) {
  const states = [...new Set([...Array.from(counts.keys()).filter((state) => counts.get(state)), ...wanted])];
  const rank = (state) => (state === "unsettled" ? 1 : state === "normal" ? 2 : 0);
  const order = (a, b) => rank(a) - rank(b) || (counts.get(b) ?? 0) - (counts.get(a) ?? 0) || (a < b ? -1 : 1);
  return states.sort(order);
}
