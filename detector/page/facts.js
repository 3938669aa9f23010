// Facts: how the daemon itself is, in words. What is wrong comes first and is said in capitals.
//
// The words and limits are those of `anchorwatch top` (detector/top/header.py).

import { count, lasting, number } from "./words.js";

const MOST_REASONS = 3; // for which windows are rejected
const LEAST_RECALL = 0.8; // of canaries; a label with less is marked
const WAITING_SECONDS = 5; // a status is published once a second
const STALLED_SECONDS = 15; // what waits for the broker tries again every few
const UNHEARD_SECONDS = 30; // the broker is asked for more all the time
const RANKS = { bad: 0, odd: 1 };
const [BAD, ODD] = ["bad", "odd"];

/** Give the facts: the name of each and its parts, each of words and "bad", "odd" or "". */
export function facts(status) {
  return [
    { name: "daemon", parts: badFirst([loop(status), ...bundle(status)]) },
    { name: "broker", parts: [broker(status)] },
    { name: "windows", parts: [...rejected(status.rejected), part(`${number(status.windows_per_second)} /s`)] },
    { name: "lag", parts: [part(count(status.lag_messages, "message"))] },
    { name: "exporters", parts: exporters(status) },
    { name: "canaries", parts: canaries(status.canary) },
    { name: "unknown", parts: unknown(status.unknown) },
    { name: "drift", parts: drift(status.drift) },
    ...candidate(status.shadow),
    ...others(status),
  ];
}

/** Say what keeps the daemon's loop from its work; nothing if nothing does. */
export function standstill(status) {
  if (status.idle_seconds > STALLED_SECONDS) {
    return `STALLED: the daemon answers, but its loop has stood for ${lasting(status.idle_seconds)}.`;
  }
  if (status.age_seconds > WAITING_SECONDS) {
    return `WAITING: the daemon's loop has tried for ${lasting(status.age_seconds)} to finish a step; mostly it waits for the broker.`;
  }
  return "";
}

function part(words, level = "") {
  return { words, level };
}

function badFirst(parts) {
  return parts.toSorted((a, b) => (RANKS[a.level] ?? 2) - (RANKS[b.level] ?? 2));
}

function loop(status) {
  if (status.idle_seconds > STALLED_SECONDS) return part(`STALLED for ${lasting(status.idle_seconds)}`, BAD);
  if (status.refused) return part(`REFUSED: ${status.refused}`, BAD);
  if (status.age_seconds > WAITING_SECONDS) return part(`WAITING for ${lasting(status.age_seconds)} to finish a step`, BAD);
  return status.ready ? part("ready") : part("NOT READY", BAD);
}

function bundle(status) {
  return status.bundle_refused ? [part("BUNDLE REFUSED", BAD)] : [];
}

function rejected(counts) {
  const told = Object.entries(counts).toSorted(([, a], [, b]) => b - a);
  if (!told.length) return [];
  const reasons = told.slice(0, MOST_REASONS).map(([reason, windows]) => `${reason} ${number(windows)}`);
  if (told.length > MOST_REASONS) reasons.push("...");
  const total = told.reduce((sum, [, windows]) => sum + windows, 0);
  return [part(`REJECTED ${number(total)} in 10 min (${reasons.join(", ")})`, BAD)];
}

function broker(status) {
  const silent = status.contact_seconds;
  if (silent === null) return part("none");
  if (silent <= UNHEARD_SECONDS) return part(`heard ${silent.toFixed(1)} s ago`);
  if (silent > status.uptime_seconds) return part("NEVER HEARD", BAD);
  return part(`NOT HEARD for ${lasting(silent)}`, BAD);
}

function exporters(status) {
  if (!status.sources_known) return [part("none yet")];
  if (!status.sources_lost) return [part(`all ${number(status.sources_known)} reporting`)];
  const lost = status.sources.filter((source) => source.state === "lost");
  return [
    part(`${number(status.sources_lost)} LOST of ${number(status.sources_known)}`, BAD),
    ...lost.slice(0, 3).map((source) => {
      const since = lasting(source.seen_seconds);
      return part(`${source.name} for ${since} (${count(source.links, "link")})`, BAD);
    }),
    ...(lost.length > 3 ? [part(`+ ${lost.length - 3} more`, BAD)] : []),
  ];
}

function canaries(canary) {
  const parts = Object.entries(canary).map(([label, one]) => sung(label, one));
  return parts.length ? badFirst(parts) : [part("none sent", ODD)];
}

function sung(label, canary) {
  const tries = `${number(canary.found)} of ${number(canary.found + canary.missed)}`;
  if (canary.recall === null) {
    return part(`${label} ${canary.found + canary.missed ? `TOO FEW YET (${tries})` : "NONE YET"}`, ODD);
  }
  const delay = canary.delay_seconds === null ? "" : ` in ${canary.delay_seconds.toFixed(0)} s`;
  const recall = canary.recall.toFixed(2);
  if (Number(recall) < LEAST_RECALL) return part(`${label} LOW ${recall}${delay} (${tries})`, BAD);
  return part(`${label} ${recall}${delay}`);
}

function unknown({ rate_link_week: is, budget_link_week: may, low, high }) {
  const budget = may === null ? [] : [part(`budget ${rate(may)}`)];
  if (is === null) return [part("no rate yet"), ...budget];
  const interval = low === null || high === null ? "" : ` (${rate(low)} to ${rate(high)})`;
  const parts = [part(`${rate(is)} a link-week${interval}`), ...budget];
  if (may === null) return parts;
  if (is <= may && high !== null && high > may) return [part("too early to say"), ...parts];
  if (is <= may) return [part("within budget"), ...parts];
  if (low !== null && low <= may) return [part("above budget, may be chance", ODD), ...parts];
  return [part("OVER BUDGET", BAD), ...parts];
}

function rate(value) {
  return value > 0 && value < 0.1 ? String(Number(value.toPrecision(2))) : number(value, 2);
}

function drift(told) {
  if (!told.windows) return [part("nothing compared yet")];
  const parts = Object.entries(told.shares).map(([what, share]) => {
    const limit = told.limits[what];
    const words = `${what} ${percent(share)} outside${limit === undefined ? "" : `, limit ${percent(limit)}`}`;
    const isOver = limit !== undefined && share > limit;
    // Until enough of one link was seen it says as little as a link's first minute does.
    return isOver && told.links ? part(`${words} EXCEEDED`, ODD) : part(words);
  });
  const drifting = Math.max(0, ...Object.values(told.drifting));
  if (drifting) parts.unshift(part(`${count(drifting, "link")} DRIFTING`, ODD));
  if (told.wanted) parts.unshift(part("NEW TRAINING WANTED", BAD));
  return badFirst(parts);
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function candidate(shadow) {
  if (!shadow.candidate) return [];
  const name = part(`candidate ${shadow.candidate}`);
  if (shadow.failure) return [{ name: "shadow", parts: [part(`FAILED: ${shadow.failure}`, BAD), name] }];
  const agreement = shadow.agreement === null ? "no window yet" : `agrees ${percent(shadow.agreement)}`;
  const { live, shadow: own, both } = shadow.onsets;
  const onsets = `onsets ${number(both)} both, ${number(live - both)} live only, ${number(own - both)} its own`;
  return [{ name: "shadow", parts: [name, part(agreement), part(onsets)] }];
}

function others(status) {
  const parts = [];
  if (status.peers) parts.push(part(count(status.peers, "other daemon")));
  if (status.enrolled) parts.push(part(count(status.enrolled, "enrolled anchor")));
  return parts.length ? [{ name: "beside", parts }] : [];
}
