// Requests to the server this page came from, with the key if there is one, and answers that stream.

const place = 'quern.key';
let key = sessionStorage.getItem(place) ?? localStorage.getItem(place) ?? '';

/** A failure with the server's own sentence; `status` is 0 where there was no answer at all. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

export const hasKey = () => key !== '';

/** Keeps a key until the window closes, or in this browser; an empty one is forgotten. */
export function useKey(value, keeps) {
  key = value.trim();
  sessionStorage.removeItem(place);
  localStorage.removeItem(place);
  if (key) (keeps ? localStorage : sessionStorage).setItem(place, key);
}

async function failure(response) {
  let message = `The server answered ${response.status}.`;
  try {
    const body = await response.json();
    message = body.error?.message ?? body.error ?? message;
  } catch {
    // Not JSON: the status says enough.
  }
  return new ApiError(String(message), response.status);
}

async function ask(path, options = {}) {
  const headers = {...options.headers};
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, {...options, headers, credentials: 'omit', cache: 'no-store'});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('The server does not answer. Is it still running?');
  }
  if (!response.ok) throw await failure(response);
  return response;
}

export const getJson = async (path, signal) => (await ask(path, {signal})).json();
export const getText = async (path, signal) => (await ask(path, {signal})).text();

/** The data of server-sent events, one after another, however the bytes were cut. */
export async function* eventData(stream) {
  const decoder = new TextDecoder();
  let rest = '';
  const reader = stream.getReader();
  try {
    for (;;) {
      const {done, value} = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, {stream: true});
      const events = rest.split(/\r?\n\r?\n/);
      rest = done ? '' : events.pop();
      for (const event of events) {
        const data = event.split(/\r?\n/).filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).replace(/^ /, '')).join('\n');
        if (data) yield data;
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Chunks of a chat completion. Aborting `signal` ends the answer on the server, too. */
export async function* streamChat(body, signal) {
  const response = await ask('/v1/chat/completions', {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({...body, stream: true, stream_options: {include_usage: true}}),
    signal,
  });
  for await (const data of eventData(response.body)) {
    if (data === '[DONE]') return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message ?? 'The answer failed.', 500);
    yield chunk;
  }
  throw new ApiError('The connection ended before the answer did.');
}
