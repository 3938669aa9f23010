// Asking: gets the daemon's answer again and again, and knows how old it is.
//
// A page that looks alive while the daemon is dead is a lie. So the age of what is shown is
// counted here, by two clocks, for one of them may stand while a computer sleeps.

import { only } from "./view.js";
import { plain } from "./words.js";

export const OLD_MS = 6000; // what is shown is no longer how things are
const EVERY_MS = 2000;
const PATIENCE_MS = 5000; // for one answer
const LONGEST_MS = 15000; // between two tries
const MOST_WORDS = 200; // of what somebody answers who is no daemon

/** What came instead of an answer; the message says it to the reader. */
class NoAnswer extends Error {}

/** Asks for what *view* wants, and calls *heard* or *failed* each time. */
export class Asking {
  #view;
  #told;
  #failures = 0;
  #moved = new AbortController(); // aborted when something else is to be asked, or at once
  #since = null; // when the last answer came, by both clocks, and how old it was

  constructor(view, told) {
    this.#view = view;
    this.#told = told;
  }

  /** Ask for as long as the page is there. */
  async run() {
    for (;;) {
      this.#moved = new AbortController(); // a new one each time: whoever waits for it is forgotten with it
      const moved = this.#moved.signal;
      await this.#once(moved);
      if (!moved.aborted) await pause(this.waitMs, moved);
    }
  }

  /** Ask at once. */
  now() {
    this.#moved.abort();
  }

  /** Say how long it is until the next question after this one. */
  get waitMs() {
    return this.#failures ? Math.min(LONGEST_MS, 500 * 2 ** this.#failures) : EVERY_MS;
  }

  /** Say how old what is known is, milliseconds; infinitely so before the first answer. */
  get ageMs() {
    if (!this.#since) return Infinity;
    const passed = Math.max(performance.now() - this.#since.ticks, Date.now() - this.#since.time);
    return this.#since.ageMs + passed;
  }

  async #once(moved) {
    try {
      const answer = await ask(this.#view, moved);
      if (moved.aborted) return;
      this.#failures = 0;
      const ageMs = 1000 * (answer.status.age_seconds ?? 0);
      this.#since = { ticks: performance.now(), time: Date.now(), ageMs };
      this.#told.heard(answer);
    } catch (error) {
      if (moved.aborted) return;
      if (!(error instanceof NoAnswer)) throw error;
      this.#failures += 1;
      this.#told.failed(error.message);
    }
  }
}

/** Get status and space, and the chosen link even where it isn't among the others. */
async function ask(view, moved) {
  const [status, space] = await Promise.all([
    get(`status?${view.query}`, moved),
    get(`space?${view.spaceQuery}`, moved, true),
  ]);
  if (!Array.isArray(status?.worst)) throw new NoAnswer("What answers is no daemon's status.");
  const one = view.one;
  const isListed = one === null || status.worst.some((link) => link.link === one);
  const isPlaced = one === null || !space || space.links.some((link) => link.link === one);
  const [listed, placed] = await Promise.all([
    isListed ? null : get(`status?${only(one)}`, moved),
    isPlaced ? null : get(`space?${only(one)}`, moved, true),
  ]);
  return { status, space, one: listed?.worst[0], spot: placed?.links[0] };
}

/** Get one document; where *mayLack*, one that isn't there is null. */
async function get(address, moved, mayLack = false) {
  const limit = AbortSignal.any([moved, AbortSignal.timeout(PATIENCE_MS)]);
  let answer, words;
  try {
    answer = await fetch(address, { signal: limit, cache: "no-store", redirect: "error" });
    words = await answer.text();
  } catch (error) {
    const isLate = error.name === "TimeoutError";
    throw new NoAnswer(isLate ? `No answer within ${PATIENCE_MS / 1000} s.` : "No answer.");
  }
  if (answer.status === 404 && mayLack) return null;
  if (!answer.ok) {
    throw new NoAnswer(`The answer is ${answer.status}: ${plain(words.trim().slice(0, MOST_WORDS))}`);
  }
  try {
    return JSON.parse(words);
  } catch {
    throw new NoAnswer("What answers is no daemon.");
  }
}

function pause(ms, moved) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    moved.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
