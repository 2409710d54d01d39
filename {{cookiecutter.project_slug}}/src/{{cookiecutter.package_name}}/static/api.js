/**
 * Calls to the server, and what this browser remembers.
 *
 * A call that gets no answer is made again until it gets one: each may safely be repeated.
 */

const { api } = document.documentElement.dataset;
export const BASE = new URL(`${api}/`, location);
const KEY = `silo:${api}`;

/** An answer that is not a success; `message` is the server's own sentence. */
export class Problem extends Error {
  constructor({ status, detail, error, errors = [] }) {
    super(detail ?? `The server answered ${status}.`);
    Object.assign(this, { status, code: error, fields: errors });
  }
}

let kept = {};

/** {session, files: [{name, size}], options, goal, state, corrected}; shared by the tabs of this browser. */
export function recall() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? kept;
  } catch {
    return kept; // storage is blocked: this tab remembers by itself
  }
}

export function remember(changes) {
  kept = { ...recall(), ...changes };
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // blocked or full: `kept` serves this tab
  }
}

/** Call `again` when another tab has remembered something. */
export function onOtherTab(again) {
  addEventListener("storage", ({ key }) => key === KEY && again());
}

export function connection(up) {
  document.dispatchEvent(new CustomEvent("silo:connection", { detail: { up } }));
}

/** Wait, but no longer than until the browser is online again. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const over = AbortSignal.timeout(seconds * 1000);
    over.addEventListener("abort", resolve);
    addEventListener("online", resolve, { signal: over });
    signal?.addEventListener("abort", () => reject(signal.reason), { signal: over });
  });
}

/** Whether an answer is to be waited for. Who does something too often is told so instead. */
const later = ({ status, headers }) =>
  [502, 503, 504].includes(status) || (status !== 429 && headers.has("Retry-After"));

/** Fetch until the server answers; throw a Problem unless the answer is a success. */
export async function request(path, { headers, away = later, ...init } = {}, signal) {
  for (let wait = 1; ; wait = Math.min(wait * 2, 8)) {
    const limit = signal ?? AbortSignal.timeout(30000);
    const all = { cache: "no-store", ...init, headers: { ...identity(), ...headers }, signal: limit };
    const response = await fetch(new URL(path, BASE), all).catch(() => signal?.throwIfAborted());
    if (response && !away(response)) return check(response);
    connection(false);
    await pause(Number(response?.headers.get("Retry-After")) || wait, signal);
  }
}

/** One for all tries of an action: the server acts once. */
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

export function identity() {
  const { session } = recall();
  return { "X-Requested-With": "fetch", ...(session && { "X-Session-ID": session }) };
}

export async function check(response) {
  connection(true);
  const session = response.headers.get("X-Session-ID");
  if (session && session !== recall().session) remember({ session });
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Problem({ ...body, status: response.status });
}

export async function get(path) {
  return (await request(path)).json();
}

export async function post(path, json = {}) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": newKey() };
  const response = await request(path, { method: "POST", headers, body: JSON.stringify(json) });
  return response.status === 204 ? null : response.json();
}
