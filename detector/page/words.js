// Words: names, numbers and times as they are shown.
//
// Names come off the network. They are only ever text; what can't be seen in them, or would move
// the letters around it, is spelt out, so that no name can pass for another.

// Controls, format and bidirectional ones, unassigned and private ones, lone surrogates; what is
// invisible by default; every space but the usual one; a fifth accent on one letter and further.
const ODD = /[\p{C}\p{DI}\p{Zl}\p{Zp}\u2800]|(?! )\p{Zs}|(?<=\p{M}{4})\p{M}/u;
const ODD_RUN = new RegExp(`(${ODD.source})`, "gu");
const shown = new WeakMap(); // element: the words that it shows

/** Spell out one character. */
function spelt(character) {
  const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  return `‹U+${code}›`;
}

/** Give *words* with what can't be seen spelt out. */
export function plain(words) {
  return ODD.test(words) ? words.replace(ODD_RUN, spelt) : words;
}

/** Show *words* in *element*, as text. Costs nothing when it shows them already. */
export function put(element, words) {
  if (shown.get(element) === words) return;
  shown.set(element, words);
  if (!ODD.test(words)) {
    element.textContent = words;
    return;
  }
  const parts = words.split(ODD_RUN); // every other one is odd
  element.replaceChildren(...parts.map((part, place) => (place % 2 ? odd(part) : part)));
}

function odd(character) {
  const span = document.createElement("span");
  span.className = "odd";
  span.textContent = spelt(character);
  return span;
}

/** Make an element that shows *words*. */
export function make(tag, className = "", words = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (words) put(element, words);
  return element;
}

/** Shorten to *most* characters, in the middle: names that are alike differ at either end. */
export function short(words, most) {
  const letters = Array.from(plain(words));
  if (letters.length <= most) return letters.join("");
  const end = Math.floor((most - 1) / 2);
  return `${letters.slice(0, most - 1 - end).join("")}…${letters.slice(-end).join("")}`;
}

/** Say how many, with commas. */
export function number(value, digits = 0) {
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en", form);
}

/** Say how many of what. */
export function count(value, noun) {
  return `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** Give a measured number with two digits after the point, or – where it isn't known. */
export function measure(value) {
  return Number.isFinite(value) ? value.toFixed(2) : "–";
}

/** Say how long. */
export function lasting(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 10 * size) return `${number(Math.floor(seconds / size))} ${unit}`;
  }
  return `${Math.max(0, Math.trunc(seconds)) || 0} s`;
}

/** Say when something was, UTC: the time, and the day if that was another than *nowMs*'s. */
export function moment(atMs, nowMs) {
  const [at, now] = [iso(atMs), iso(nowMs)];
  if (!at || !now) return "?";
  return at.slice(0, 10) === now.slice(0, 10) ? at.slice(11, 19) : `${at.slice(5, 10)} ${at.slice(11, 16)}`;
}

/** Give date and time, UTC, to the second; "?" where no calendar has it. */
export function date(atMs) {
  return iso(atMs).slice(0, 19).replace("T", " ") || "?";
}

function iso(ms) {
  const at = new Date(ms);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString();
}
