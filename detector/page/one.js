// One: the link that was chosen, with how far it is from each label.

import { eventsOf } from "./events.js";
import { lastingOf, sinceOf, whyOf } from "./links.js";
import { make, measure, put } from "./words.js";

/** Shows the chosen link in full. */
export class One {
  #marks;
  #part = document.getElementById("one");
  #body = document.getElementById("one-body");
  #near = make("div", "near");
  #distances = make("div", "distances");
  #fields = new Map();
  #head;

  constructor(marks, view) {
    this.#marks = marks;
    document.getElementById("one-close").addEventListener("click", () => view.change({ one: null }));
    this.#head = make("p", "head");
    this.#head.append(marks.icon("unsettled"), make("bdi", "name"));
    const list = make("dl");
    for (const name of ["state", "source", "why", "margin", "strange", "events"]) {
      const pair = make("div", name);
      pair.append(make("dt", "", name), make("dd"));
      list.append(pair);
      this.#fields.set(name, pair.lastChild);
    }
    this.#near.append(make("p", "", "Distance to the nearest anchor of"), this.#distances);
    this.#body.append(this.#head, list, this.#near);
  }

  /** Show *link* and its place, either of which may not be known; no name at all shows nothing. */
  show(name, link, spot, status) {
    this.#part.hidden = name === null;
    if (name === null) return;
    put(this.#head.lastChild, name);
    this.#marks.change(this.#head.firstChild, link?.state ?? "unsettled");
    const told = link ? inWords(link, status) : { state: "no such link now" };
    for (const [field, where] of this.#fields) {
      put(where, told[field] ?? "");
      where.parentNode.hidden = !told[field];
    }
    this.#fields.get("strange").classList.toggle("over", link?.strangeness > 1);
    this.#show(spot?.distances ?? {});
    this.#near.hidden = !spot;
  }

  #show(distances) {
    const labels = Object.entries(distances).sort((a, b) => a[1] - b[1]);
    const largest = Math.max(...labels.map(([, distance]) => distance), Number.MIN_VALUE);
    while (this.#distances.children.length > labels.length) this.#distances.lastChild.remove();
    labels.forEach(([label, distance], place) => {
      const row = this.#distances.children[place] ?? this.#distances.appendChild(this.#bar());
      this.#marks.change(row.children[0], label);
      put(row.children[1], label);
      row.children[2].firstChild.style.width = `${(100 * distance) / largest}%`;
      row.children[2].className = `bar is-${this.#marks.kind(label)}`;
      put(row.children[3], `${measure(distance)} away`);
    });
  }

  #bar() {
    const row = make("div");
    const bar = make("span", "bar");
    bar.append(make("span"));
    row.append(this.#marks.icon("unsettled"), make("bdi"), bar, make("span", "value"));
    return row;
  }
}

function inWords(link, status) {
  const since = link.state === null ? "" : ` for ${lastingOf(link, status)}, since ${sinceOf(link)}`;
  const strange = link.strangeness > 1 ? "above 1: like nothing known" : "1 and below is known";
  return {
    state: `${link.state ?? "unsettled"}${since}`,
    source: link.source,
    why: whyOf(link, status),
    margin: measure(link.margin),
    strange: link.strangeness === null ? "–" : `${measure(link.strangeness)} (${strange})`,
    events: eventsOf(link, status).join("\n"),
  };
}
