// Chats in this browser's own database: {id, title, changed, messages: [{role, content, …}]}.

const opened = new Promise((resolve, reject) => {
  const request = indexedDB.open('quern', 1);
  request.onupgradeneeded = () => request.result.createObjectStore('chats', {keyPath: 'id'});
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
opened.catch(() => {});

// Where the browser keeps nothing (private windows), chats live as long as the page.
const here = new Map();

async function inStore(mode, work) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const transaction = database.transaction('chats', mode);
    const request = work(transaction.objectStore('chats'));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

/** All chats, the last changed first. */
export async function allChats() {
  const chats = await inStore('readonly', (store) => store.getAll()).catch(() => [...here.values()]);
  return chats.sort((a, b) => b.changed - a.changed);
}

export async function saveChat(chat) {
  chat.changed = Date.now();
  await inStore('readwrite', (store) => store.put(chat)).catch(() => here.set(chat.id, structuredClone(chat)));
}

export async function deleteChat(id) {
  await inStore('readwrite', (store) => store.delete(id)).catch(() => here.delete(id));
}

export const newChat = () => ({id: crypto.getRandomValues(new Uint32Array(4)).join('-'), title: '', changed: Date.now(),
                               messages: []});
