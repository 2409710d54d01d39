/**
 * Uploads that survive: each file goes by itself, and goes on from where the server has it.
 *
 * After a lost connection the server is asked for the offset, so only what is missing is sent again;
 * after a reload, too, if the same file is chosen. When all are there, the server takes them at once.
 */

import { BASE, Problem, check, connection, identity, newKey, pause, recall, remember, request } from "./api.js";

const TRIES = 3;
const SILENT = 30000; // milliseconds without a byte, after which a connection counts as lost
const GONE = [404, 410]; // the upload or its session: begin anew
const TYPE = "application/partial-upload";

/** Upload files; `onProgress(sent, total)` counts bytes. */
export async function upload(files, onProgress, signal) {
  const marks = files.map(mark);
  await abandon((each) => !marks.includes(each), signal);
  for (let attempt = 1; ; attempt++) {
    try {
      await sendAll(files, onProgress, signal);
      return remember({ uploads: {} });
    } catch (error) {
      if (!GONE.includes(error.status) || attempt === TRIES) {
        abandon(() => true);
        throw error;
      }
    }
  }
}

/** Begin all uploads before the first byte is sent: what the server refuses, it refuses here. */
async function sendAll(files, onProgress, signal) {
  const ids = [];
  const parts = [];
  for (const file of files) {
    const part = { file, ...(await begun(file, ids, signal)) };
    parts.push(part);
    ids.push(part.id);
  }
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  let most = 0; // what was under way when a connection broke is counted again, but not shown again
  const advance = (count) => onProgress((most = Math.max(most, before + count)), total);
  for (const part of parts) {
    await sendRest(part, advance, signal);
    before += part.file.size;
  }
  onProgress(total, total);
  const headers = { "Content-Type": "application/json", "Idempotency-Key": newKey() };
  const body = JSON.stringify({ uploads: ids });
  await request("upload", { method: "POST", headers, body }, signal);
}

/** Send what is missing of a file; after a lost connection, ask what that is by then. */
async function sendRest({ file, id, offset, complete }, onProgress, signal) {
  for (let fruitless = 0; !complete; ) {
    onProgress(offset);
    const response = await send(`uploads/${id}`, file, offset, onProgress, signal);
    if (response && ![400, 409].includes(response.status) && response.status < 500) return check(response);
    const before = offset;
    ({ offset, complete } = await ask(id, signal));
    fruitless = offset > before ? 0 : fruitless + 1;
    if (fruitless === TRIES) await brokenOff(response);
    if (!complete) await pause(2 ** fruitless / 2, signal);
  }
}

async function brokenOff(response) {
  if (response) await check(response);
  throw new Problem({ detail: "The upload broke off three times. The files may be too large for this server." });
}

/** Where a file's upload stands: one that was begun before, if it is still there, or a new one. */
async function begun(file, taken, signal) {
  const { uploads = {} } = recall();
  const id = uploads[mark(file)];
  if (id && !taken.includes(id)) {
    try {
      return { id, ...(await ask(id, signal)) };
    } catch (error) {
      if (!GONE.includes(error.status)) throw error;
    }
  }
  const fresh = await create(file, signal);
  remember({ uploads: { ...recall().uploads, [mark(file)]: fresh } });
  return { id: fresh, offset: 0 };
}

const mark = ({ name, size, lastModified }) => `${size} ${lastModified} ${name}`;

async function create({ name, size }, signal) {
  const headers = {
    "Content-Disposition": `attachment; filename*=UTF-8''${encoded(name)}`,
    "Idempotency-Key": newKey(),
    "Upload-Complete": "?0",
    "Upload-Length": size,
  };
  const response = await request("uploads", { method: "POST", headers }, signal);
  return (await response.json()).id;
}

/** A text as RFC 8187 has it. */
function encoded(text) {
  return encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt().toString(16)}`);
}

async function ask(id, signal) {
  const { headers } = await request(`uploads/${id}`, { method: "HEAD" }, signal);
  return { offset: Number(headers.get("Upload-Offset")), complete: headers.get("Upload-Complete") === "?1" };
}

/** Let go of uploads that were begun and will not be used; `isIdle` is asked about each. */
async function abandon(isIdle, signal) {
  const uploads = Object.entries(recall().uploads ?? {});
  const [idle, kept] = [uploads.filter(([each]) => isIdle(each)), uploads.filter(([each]) => !isIdle(each))];
  remember({ uploads: Object.fromEntries(kept) });
  const drop = ([, id]) => request(`uploads/${id}`, { method: "DELETE" }, signal);
  await Promise.allSettled(idle.map(drop));
}

/** Send the rest of a file by XMLHttpRequest, because fetch does not count. Null when it broke off. */
function send(path, file, offset, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let silent;
    const wait = () => {
      clearTimeout(silent);
      silent = setTimeout(() => xhr.abort(), SILENT);
    };
    xhr.upload.onprogress = ({ loaded }) => (wait(), onProgress(offset + loaded));
    xhr.onload = () => resolve(new Response(xhr.response || null, { status: xhr.status }));
    xhr.onerror = xhr.onabort = () => (connection(false), resolve(null));
    xhr.onloadend = () => clearTimeout(silent);
    signal.addEventListener("abort", () => (reject(signal.reason), xhr.abort()));
    xhr.open("PATCH", new URL(path, BASE));
    const headers = { ...identity(), "Content-Type": TYPE, "Upload-Complete": "?1", "Upload-Offset": offset };
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    wait();
    xhr.send(file.slice(offset));
  });
}

/** What to press first where no files are taken, in words; empty if there is nothing. */
export function declined() {
  const ways = document.querySelectorAll("[data-do=stop], [data-do=choose], [data-do=reset]");
  const way = [...ways].find((button) => button.checkVisibility());
  return way ? `What you dropped was not taken. To use other files, press “${way.textContent}” first.` : "";
}

/** The files at these addresses, which stand in one text with spaces between them. */
export function fetched(samples) {
  const file = async (url) => new File([await (await request(url)).blob()], decodeURIComponent(url.split("/").pop()));
  return Promise.all(samples.trim().split(" ").map(file));
}
