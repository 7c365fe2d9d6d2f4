// Puts the page together: which of its two halves is seen, the model, the key, the theme.

import {getJson, useKey} from '/web/api.js';
import {startChat} from '/web/chat.js';
import {copy} from '/web/markdown.js';
import {startStatus, stopStatus} from '/web/status.js';

const byId = (id) => document.getElementById(id);

function notice(text) {
  byId('notice').hidden = !text;
  byId('notice').textContent = text ?? '';
}

async function loadModels() {
  try {
    const {data} = await getJson('/v1/models');
    const wanted = localStorage.getItem('quern.model');
    byId('model').replaceChildren(...data.map(({id}) => new Option(id, id, false, id === wanted)));
    byId('send').disabled = data.length === 0;
    notice(data.length ? '' : 'This server has no model. Whoever runs it names one with --model, or puts one into its models folder.');
    showCall();
  } catch (error) {
    notice(error.status === 401 ? 'This server wants an API key.' : error.message);
    if (error.status === 401) askForKey();
  }
}

function askForKey() {
  if (!byId('key-dialog').open) byId('key-dialog').showModal();
}

function showCall() {
  const body = {model: byId('model').value || 'MODEL', messages: [{role: 'user', content: 'Hello'}], stream: true};
  byId('curl').textContent = [`curl ${location.origin}/v1/chat/completions \\`, `  -H "Authorization: Bearer $QUERN_API_KEY" \\`,
                              `  -H "Content-Type: application/json" \\`, `  -d '${JSON.stringify(body)}'`].join('\n');
}

function showPage() {
  const isStatus = location.hash === '#status';
  byId('page-chat').hidden = isStatus;
  byId('page-status').hidden = !isStatus;
  byId('toggle-list').hidden = isStatus;
  byId('tab-chat').setAttribute('aria-current', isStatus ? 'false' : 'page');
  byId('tab-status').setAttribute('aria-current', isStatus ? 'page' : 'false');
  if (!isStatus) return stopStatus();
  startStatus((error) => {
    if (!error) return notice('');
    notice(error.status === 403 ? 'This key may not read the server\'s figures: they need the scope "admin".' : error.message);
    if (error.status === 401) {
      stopStatus();
      askForKey();
    }
  });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('quern.theme', theme);
}

setTheme(localStorage.getItem('quern.theme') ?? (matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'));
byId('theme').addEventListener('click', () => setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark'));
byId('toggle-list').addEventListener('click', () => {
  const isOpen = document.body.classList.toggle('list-open');
  byId('toggle-list').setAttribute('aria-expanded', String(isOpen));
});
byId('model').addEventListener('change', () => {
  localStorage.setItem('quern.model', byId('model').value);
  showCall();
});
byId('open-key').addEventListener('click', askForKey);
byId('key-dialog').addEventListener('close', () => {
  if (byId('key-dialog').returnValue === 'use') {
    useKey(byId('key').value, byId('keep-key').checked);
    loadModels();
    showPage();
  }
  byId('key').value = '';
});
document.querySelectorAll('[data-copies]').forEach((button) => {
  button.addEventListener('click', () => copy(button, byId(button.dataset.copies).textContent));
});
addEventListener('hashchange', showPage);
startChat(askForKey);
loadModels();
showPage();
