// Links: the table, one row for each link, as the daemon ordered them.
//
// Rows are kept and changed only where something changed: a thousand of them are looked through
// every other second. The keyboard is at the table, and moves the choice, not from row to row.

import { CALM } from "./marks.js";
import { count, date, lasting, make, measure, moment, number, put } from "./words.js";

const COLUMNS = ["state", "link", "source", "for", "since", "margin", "strange", "why"];
const QUIET_SECONDS = 60; // a link of which no window came for as long is said to be quiet
const TAIL = 12; // letters of a long name that are shown however narrow the column is
const LONG = 20;

/** Shows the links, and lets one be chosen. */
export class Links {
  #marks;
  #view;
  #rows = new Map(); // link: its row, the row's cells, and the mark that it shows
  #names = new WeakMap(); // row: its link
  #order = []; // links, as they are shown
  #body = document.getElementById("rows");
  #table = document.getElementById("table");
  #rowNumber = 0;

  constructor(marks, view) {
    this.#marks = marks;
    this.#view = view;
    this.#body.addEventListener("click", (event) => {
      const name = this.#names.get(event.target.closest("tr"));
      if (name !== undefined) this.#choose(name === view.one ? null : name);
    });
    this.#table.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Show the links of *status*. */
  show(status) {
    const names = status.worst.map((link) => link.link);
    const gone = new Set(this.#rows.keys());
    for (const name of names) gone.delete(name);
    for (const name of gone) {
      this.#rows.get(name).row.remove();
      this.#rows.delete(name);
    }
    let at = this.#body.firstChild;
    for (const link of status.worst) {
      const one = this.#rows.get(link.link) ?? this.#make(link.link);
      this.#fill(one, link, status);
      const row = one.row;
      if (row === at) at = at.nextSibling;
      else this.#body.insertBefore(row, at);
    }
    this.#order = names;
    this.mark();
    this.#count(status);
  }

  /** Show which link is chosen. */
  mark() {
    const chosen = this.#rows.get(this.#view.one)?.row;
    for (const row of this.#body.querySelectorAll("[aria-selected=true]")) {
      if (row !== chosen) row.setAttribute("aria-selected", "false");
    }
    chosen?.setAttribute("aria-selected", "true");
    if (chosen) this.#table.setAttribute("aria-activedescendant", chosen.id);
    else this.#table.removeAttribute("aria-activedescendant");
  }

  #count(status) {
    const { matched, searched, links, worst } = status;
    const isChoosy = this.#view.states.size > 0 || this.#view.pattern !== "";
    let words = worst.length < links ? `${number(worst.length)} of ${count(links, "link")}` : count(links, "link");
    if (isChoosy) words = `${number(worst.length)} of ${number(matched)} that match`;
    if (isChoosy && searched < links) words += `, looked for among the ${number(searched)} worst`;
    put(document.getElementById("links-count"), words);
    const none = document.getElementById("no-links");
    none.hidden = worst.length > 0;
    put(none, isChoosy ? "no link matches" : "no links yet");
  }

  #make(name) {
    const row = make("tr");
    row.id = `row-${(this.#rowNumber += 1)}`;
    row.setAttribute("role", "row");
    row.setAttribute("aria-selected", "false");
    const cells = Object.fromEntries(COLUMNS.map((column) => [column, make("td", column)]));
    for (const cell of Object.values(cells)) cell.setAttribute("role", "gridcell");
    row.append(...Object.values(cells));
    cells.state.append(this.#marks.icon("unsettled"), make("bdi", "name"));
    cells.link.append(named(name));
    cells.source.append(make("bdi"));
    cells.why.append(make("bdi"));
    const one = { row, cells, shown: "" };
    this.#rows.set(name, one);
    this.#names.set(row, name);
    return one;
  }

  #fill(one, link, status) {
    const cells = one.cells;
    const state = link.state ?? "unsettled";
    const shown = `${this.#marks.kind(state)} ${state}`;
    if (one.shown !== shown) {
      one.shown = shown;
      this.#marks.change(cells.state.firstChild, state);
      one.row.classList.toggle("fault", !CALM.has(state));
    }
    put(cells.state.lastChild, state);
    put(cells.source.firstChild, link.source);
    put(cells.for, lastingOf(link, status));
    put(cells.since, link.state === null ? "–" : moment(link.since_ms, status.now_ms));
    put(cells.margin, measure(link.margin));
    put(cells.strange, measure(link.strangeness));
    cells.strange.classList.toggle("over", link.strangeness > 1);
    put(cells.why.firstChild, whyOf(link, status));
  }

  #choose(name) {
    this.#view.change({ one: name });
    this.#rows.get(name)?.row.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const last = this.#order.length - 1;
    if (last < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = this.#order.indexOf(this.#view.one);
    const places = { ArrowDown: at + 1, ArrowUp: at < 0 ? last : at - 1, Home: 0, End: last, PageDown: at + 10, PageUp: at - 10 };
    if (event.key === "Escape") this.#choose(null);
    else if (event.key in places) this.#choose(this.#order[Math.min(last, Math.max(0, places[event.key]))]);
    else return;
    event.preventDefault();
  }
}

/** Show a name so that, where it is cut, its end stays: names that are alike differ at either end. */
function named(name) {
  if (!/^[ -~]+$/.test(name) || name.length < LONG) return make("bdi", "name whole", name);
  const both = make("bdi", "name");
  both.append(make("span", "start", name.slice(0, -TAIL)), make("span", "end", name.slice(-TAIL)));
  both.title = name;
  return both;
}

/** Give the seconds since a window of a link came, whatever time that was of. */
function heardSeconds(link, status) {
  if (link.heard_seconds !== null) return link.heard_seconds;
  return status.contact_seconds === null ? 0 : (status.now_ms - link.last_ms) / 1000;
}

/** Say for how long, as far as is known, a link has been in its state. */
export function lastingOf(link, status) {
  if (link.state === null) return "–";
  const heard = heardSeconds(link, status);
  const isKnown = heard <= QUIET_SECONDS || link.state === "silent";
  return lasting((link.last_ms - link.since_ms) / 1000 + (isKnown ? heard : 0));
}

/** Say why a link is in its state, and what else is odd about it. */
export function whyOf(link, status) {
  const notes = link.flapping ? ["flapping"] : [];
  const heard = heardSeconds(link, status);
  if (link.state !== "silent" && heard > QUIET_SECONDS) notes.push(`last heard ${lasting(heard)} ago`);
  return [...notes, link.reason].filter(Boolean).join("; ");
}

/** Say since when, in full. */
export function sinceOf(link) {
  return link.state === null ? "–" : `${date(link.since_ms)} UTC`;
}
