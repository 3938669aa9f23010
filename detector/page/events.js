// Events: the latest changes, newest first, each with its reason.

import { count, make, moment, put } from "./words.js";

/** Shows the latest events; one about a link chooses it. */
export class Events {
  #marks;
  #view;
  #list = document.getElementById("events");
  #items = new Map(); // what tells an event from others: its item
  #isFirst = true;

  constructor(marks, view) {
    this.#marks = marks;
    this.#view = view;
  }

  /** Show those of *status*. */
  show(status) {
    const keys = new Set();
    let at = this.#list.firstChild;
    for (const event of status.events) {
      const key = JSON.stringify([event.at_ms, event.type, event.link, event.source, event.group, event.state]);
      if (keys.has(key)) continue;
      keys.add(key);
      const item = this.#items.get(key) ?? this.#make(key, event);
      put(item.querySelector("time"), moment(event.at_ms, status.now_ms));
      this.#marks.change(item.querySelector("svg"), stateOf(event));
      if (item === at) at = at.nextSibling;
      else this.#list.insertBefore(item, at);
    }
    for (const [key, item] of this.#items) {
      if (keys.has(key)) continue;
      item.remove();
      this.#items.delete(key);
    }
    this.#isFirst = false;
    document.getElementById("no-events").hidden = keys.size > 0;
  }

  #make(key, event) {
    const item = make("li", this.#isFirst ? "" : "new");
    const change = make("span", "change");
    change.append(this.#marks.icon(stateOf(event)), make("bdi", "", changeOf(event)));
    item.append(make("time"), this.#whom(event), change);
    if (event.reason) item.append(make("bdi", "why", event.reason));
    this.#items.set(key, item);
    return item;
  }

  #whom(event) {
    if (!event.link) {
      const words = isOfMany(event) ? `${count(event.links, "link")} of ${event.group || event.source}` : `exporter ${event.source}`;
      return make("bdi", "whom", words);
    }
    const button = make("button", "whom");
    button.type = "button";
    button.append(make("bdi", "", event.link));
    button.addEventListener("click", () => this.#view.change({ one: event.link }));
    return button;
  }
}

/** Give the events of a link, in words; a reason that is the link's own isn't said again. */
export function eventsOf(link, status) {
  const own = status.events.filter((event) => event.link === link.link);
  return own.map((event) => {
    const reason = event.reason && event.reason !== link.reason ? `: ${event.reason}` : "";
    return `${moment(event.at_ms, status.now_ms)} ${changeOf(event)}${reason}`;
  });
}

function isOfMany(event) {
  return event.links > 1 || event.group !== "";
}

/** Give the state that an event's mark shows: what is now. */
function stateOf(event) {
  return event.state || "normal";
}

/** Say what changed. */
function changeOf(event) {
  if (event.type !== "abated") return event.previous ? `${event.state}, was ${event.previous}` : event.state;
  const over = event.previous ? `${event.previous} is over` : "over";
  return ["normal", ""].includes(event.state) ? over : `${over}, now ${event.state}`;
}
