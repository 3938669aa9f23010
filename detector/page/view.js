// View: what the reader wants to see. It is kept in the address behind the #, so that a view can
// be reloaded, kept as a bookmark, and sent to somebody else.

const USUAL_MOST = 200;

/** What the reader wants to see; whoever listens to "change" hears when he wants something else. */
export class View extends EventTarget {
  constructor(hash) {
    super();
    const asked = new URLSearchParams(hash.replace(/^#/, ""));
    this.states = new Set(asked.getAll("state"));
    this.pattern = asked.get("link") ?? "";
    this.most = Number(asked.get("most")) || USUAL_MOST;
    this.one = asked.get("one"); // the link that was chosen, or null
  }

  /** Want something else. */
  change(changes) {
    const asks = ["pattern", "most", "states"].some((key) => key in changes);
    Object.assign(this, changes);
    this.dispatchEvent(new CustomEvent("change", { detail: { asks } }));
  }

  /** Show links in a state too, or no longer. */
  toggle(state) {
    const states = new Set(this.states);
    if (!states.delete(state)) states.add(state);
    this.change({ states });
  }

  /** Give what stands behind the # for this view. */
  get hash() {
    const asked = new URLSearchParams();
    for (const state of this.states) asked.append("state", state);
    if (this.pattern) asked.set("link", this.pattern);
    if (this.most !== USUAL_MOST) asked.set("most", this.most);
    if (this.one !== null) asked.set("one", this.one);
    return asked.size ? `#${asked}` : "#";
  }

  /** Give the query for the links that are wanted. */
  get query() {
    const asked = new URLSearchParams({ most: this.most });
    for (const state of this.states) asked.append("state", state);
    if (this.pattern) asked.append("link", fitting(this.pattern));
    return asked.toString();
  }

  /** Give the query for their places, whatever their state: those of others stay to be seen. */
  get spaceQuery() {
    const asked = new URLSearchParams({ most: 1000 });
    if (this.pattern) asked.append("link", fitting(this.pattern));
    return asked.toString();
  }
}

/** Give the query for one link. */
export function only(name) {
  return new URLSearchParams({ most: 1, link: name.replace(/[*?[]/g, "[$&]") }).toString();
}

/** Make a pattern of what was typed: without a star or the like it may be any part of the name. */
function fitting(typed) {
  return /[*?[]/.test(typed) ? typed : `*${typed}*`;
}
