// Follows live things of an onsale node from a page: a seat map, an order, a coupon task, the feed of a store.
//
//   import { follow } from "https://tickets.example/onsale.js";
//   const map = follow({ seats: "pf_…", onState: (state) => draw(state.seats) }); // and later: map.close()
//
// It reads streams with `fetch`, not with `EventSource`: that one gives up for good after any answer but 200, hides the
// status and `Retry-After`, and hides heartbeats, so that a dead connection looks like a quiet one. With a token each
// connection gets a stream ticket of its own: the token itself never stands in a URL, where it would get into logs.

/**
 * @typedef {{event: string, data: any, id?: string, skipped?: number | null}} Frame `skipped`: how many of a store's frames
 *   were left out before this one; `null`: some, uncounted.
 * @typedef {{expected: string, prev: string, id?: string, lost: boolean}} Gap A frame names another predecessor than the
 *   last one that came, and the node is asked again. `lost`: in vain; the stream begins anew without what was missed.
 * @typedef {{status: number, code: string, detail: string, retryIn: number | null}} Trouble `status` 0: cut or no answer;
 *   `code`: the problem's, else `cut`, `gap`, `silent`, `http`; `retryIn`: milliseconds, `null` when it is hopeless.
 * @typedef {{close(): void, ended: Promise<void>, readonly state: any, readonly lastEventId?: string}} Following
 *   `ended` is resolved when nothing will follow: closed, over (a coupon task has one result), or hopeless.
 * @typedef {object} Options Exactly one of `seats`, `order`, `couponTask`, `store`, `path`; the rest as needed.
 * @property {string} [seats] A performance's id. State: `{performance_id, position, at, seats: Map<seat_id, status>}` with
 *   the seats that are not available; the map is one object that lives on until a reset.
 * @property {string} [order] An order's id. State: the order.
 * @property {string} [couponTask] The id of a request for a coupon. State: its result, and then it is over.
 * @property {string} [store] A store's id. No state: what counts is `onEvent`.
 * @property {string} [path] Any other stream, such as `/v1/rankings/shows/events?window=1h`; again no state.
 * @property {"latest" | "all"} [resume] Stores: which of the missed payments come after a cut (`latest`).
 * @property {string} [after] An id or `position` to go on from, as if it had been seen here.
 * @property {string | (() => string | Promise<string>)} [token] Or what gives a fresh one; asked for each connection.
 * @property {string} [base] Where the node is; where this module came from if not given.
 * @property {number} [silence] Milliseconds without a byte after which a connection counts as dead (45,000).
 * @property {number} [longestWait] Milliseconds between two tries, unless the node asks for more (30,000).
 * @property {AbortSignal} [signal] Closes.
 * @property {(frame: Frame) => void} [onEvent] Every frame, `reset` too.
 * @property {(state: any, frame: Frame) => void} [onState] What all frames came to, and the last of them.
 * @property {(gap: Gap) => void} [onGap]
 * @property {(trouble: Trouble) => void} [onError] Every connection that failed or ended.
 * @property {() => void} [onOpen] Every connection that stands.
 */

const newest = (name) => (state, { event, data }) => (event === name ? data : state);
const KINDS = {
  seats: { path: (id) => `/v1/performances/${id}/seats/events`, fold: seatMap },
  order: { path: (id) => `/v1/orders/${id}/events`, fold: newest("order") },
  couponTask: { path: (id) => `/v1/coupon-tasks/${id}/events`, fold: newest("result"), last: "result" },
  store: { path: (id) => `/v1/stores/${id}/payments/events` }, path: { path: (path) => path },
};

function seatMap(state, { event, data }) {
  if (event === "snapshot") return { ...data, seats: new Map(data.seats.map((seat) => [seat.seat_id, seat.status])) };
  if (!state || !event.startsWith("seat.")) return state;
  for (const seat of data.seats) data.status === "available" ? state.seats.delete(seat) : state.seats.set(seat, data.status);
  return { ...state, at: data.at };
}

/** @param {Options} options @returns {Following} */
export function follow(options) {
  const name = Object.keys(KINDS).find((kind) => options[kind] !== undefined);
  if (!name) throw new TypeError(`follow what? One of: ${Object.keys(KINDS).join(", ")}`);
  const kind = KINDS[name], path = kind.path(name === "path" ? options.path : encodeURIComponent(options[name]));
  const { silence = 45_000, longestWait = 30_000, resume = "latest" } = options;
  const base = (options.base ?? new URL(".", import.meta.url).href).replace(/\/$/, "");
  let state, last = options.after, retry = 3_000, failures = 0, gapAt, closed = false, attempt, wake;

  const tell = (handler, ...what) => {
    // A page's own mistake in a handler must not end the stream; it shows like any uncaught error.
    try { if (!closed) options[handler]?.(...what); } catch (error) { reportError(error); }
  };
  const close = () => { closed = true; attempt?.abort(); wake?.(); };
  const address = async (signal) => {
    const url = new URL(base + path, globalThis.location?.href);
    if (options.token !== undefined) {
      const token = typeof options.token === "function" ? await options.token() : options.token;
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const body = JSON.stringify({ path: path.split("?")[0] });
      const answer = await ask(`${base}/v1/stream-tickets`, { method: "POST", headers, body, signal });
      url.searchParams.set("ticket", (await answer.json()).ticket);
    }
    if (name === "store") url.searchParams.set("resume", resume);
    if (last !== undefined) url.searchParams.set("last_event_id", last);
    return url;
  };

  // `first`: of its connection. Before that one a store which resumes with the latest payment has left out the others.
  const take = (frame, first) => {
    const { event, id, data } = frame;
    if (event === "reset") {
      [state, last] = [undefined, undefined]; // whoever is cut before the snapshot must not come back with an old id
    } else if (last !== undefined && id !== undefined) {
      if (!isAfter(id, last)) return; // a proxy's repetition
      if (name === "store" && resume === "latest" && first) frame.skipped = data.skipped ?? (data.prev === last ? 0 : null);
      else if (data.prev !== undefined && data.prev !== last) {
        const gap = { expected: last, prev: data.prev, id, lost: gapAt === last };
        [gapAt, last] = [last, gap.lost ? undefined : last];
        tell("onGap", gap);
        throw new Trouble(0, "gap", `${id} comes after ${gap.prev}, not after ${gap.expected}`, gap.lost ? undefined : 0);
      }
    }
    last = id ?? last;
    state = kind.fold?.(state, frame);
    if (name === "seats" && id !== undefined && state) state.position = id;
    tell("onEvent", frame);
    if (state !== undefined && id !== undefined) tell("onState", state, frame);
    if (event === kind.last) close();
  };

  const connect = async () => {
    let alarm, { signal } = (attempt = new AbortController());
    const alive = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => attempt.abort(new Trouble(0, "silent", `nothing came for ${silence} ms`)), silence);
    };
    try {
      alive();
      const response = await ask(await address(signal), { headers: { accept: "text/event-stream" }, signal, cache: "no-store" });
      if (response.status === 204) return close();
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) throw new Trouble(0, "http", "no stream");
      let first = true;
      const parse = parser((frame) => {
        if (!closed) take({ ...frame, data: JSON.parse(frame.data) }, first);
        first &&= frame.id === undefined;
      }, (millis) => (retry = millis), (id) => (last = last === undefined || isAfter(id, last) ? id : last));
      tell("onOpen");
      for (const reader = response.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done || closed) return;
        alive();
        failures = 0;
        parse(value);
      }
    } finally {
      clearTimeout(alarm);
      attempt.abort(); // also where a frame was refused: the rest of this connection is of no use
    }
  };

  const run = async () => {
    while (!closed) {
      const trouble = await connect().then(() => new Trouble(0, "cut", "the stream ended"), (error) =>
        error instanceof Trouble ? error : new Trouble(0, "cut", String(error)));
      // The node spreads `retry` by itself; what the page makes of it must not bring all pages back at once either.
      const grown = Math.min(failures++ ? retry * 2 ** failures * (0.5 + Math.random() / 2) : retry, longestWait);
      const asked = trouble.after && trouble.after * (1 + Math.random() / 4);
      if (!trouble.hopeless) trouble.retryIn = Math.min(asked ?? grown, 2 ** 31 - 1);
      tell("onError", trouble);
      if (trouble.hopeless) closed = true;
      if (!closed) await new Promise((resolve) => setTimeout((wake = resolve), trouble.retryIn));
    }
  };
  options.signal?.aborted ? close() : options.signal?.addEventListener("abort", close);
  return { close, ended: run(), get state() { return state; }, get lastEventId() { return last; } };
}

class Trouble extends Error {
  constructor(status, code, detail, after) {
    super(detail);
    Object.assign(this, { status, code, detail, after, retryIn: null });
    this.hopeless = status >= 400 && status < 500 && ![408, 425, 429].includes(status) && code !== "ticket-invalid";
  }
}

async function ask(url, init) {
  const response = await fetch(url, init);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const given = response.headers.get("retry-after");
  const after = given === null ? undefined : /^\d+$/.test(given) ? given * 1_000 : Date.parse(given) - Date.now();
  throw new Trouble(response.status, problem.code ?? "http", problem.detail ?? "", after >= 0 ? after : undefined);
}

/** Ids are `<partition>:<n>`. */
function isAfter(id, other) {
  const [[partition, n], [its, than]] = [id.split(":"), other.split(":")];
  return partition !== its || Number(n) > Number(than);
}

/** The grammar of `text/event-stream`, for bytes that may be cut anywhere: in a character, between CR and LF, in a line. */
export function parser(onFrame, onRetry = () => {}, onPlace = () => {}) {
  const decoder = new TextDecoder();
  let [rest, afterCr, frame] = ["", false, { data: [] }];
  const line = (text) => {
    if (text === "" && frame.data.length) onFrame({ ...frame, event: frame.event || "message", data: frame.data.join("\n") });
    else if (text === "" && frame.id !== undefined) onPlace(frame.id); // nothing to show, but a place to come back to
    if (text === "") return void (frame = { data: [] });
    const [, field, value = ""] = /^([^:]*)(?:: ?([^]*))?$/.exec(text);
    if (field === "data") frame.data.push(value);
    else if (field === "event") frame.event = value;
    else if (field === "id" && !value.includes("\0")) frame.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) onRetry(Number(value));
  };
  return (bytes) => {
    let text = decoder.decode(bytes, { stream: true });
    if (text === "") return;
    if (afterCr && text[0] === "\n") text = text.slice(1); // the other half of a line's end
    afterCr = text.endsWith("\r");
    const lines = (rest + text).split(/\r\n|\r|\n/);
    rest = lines.pop();
    lines.forEach(line);
  };
}
