// The conversation: a list of chats, messages, a composer, and one answer at a time while it streams.

import {ApiError, streamChat} from '/web/api.js';
import {allChats, deleteChat, newChat, saveChat} from '/web/history.js';
import {copy, make, showMarkdown} from '/web/markdown.js';

const byId = (id) => document.getElementById(id);
const messages = byId('messages');
const prompt = byId('prompt');
const send = byId('send');

let chat = newChat();
let running = null;  // the AbortController of the answer that streams
let needsKey = () => {};

/** Figures under an answer, of those that the server measured. */
function figuresOf(answer) {
  const parts = [];
  const usage = answer.usage;
  const own = usage?.quern;
  if (own?.tokens_per_second) parts.push(`${own.tokens_per_second.toFixed(1)} tok/s`);
  if (usage?.completion_tokens) parts.push(`${usage.completion_tokens} tokens`);
  if (own?.ttft_ms) parts.push(`${(own.ttft_ms / 1000).toFixed(2)} s to first token`);
  if (own?.bandwidth_share) parts.push(`${Math.round(own.bandwidth_share * 100)} % of bandwidth limit`);
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  if (cached) parts.push(`${cached} of ${usage.prompt_tokens} prompt tokens known`);
  if (answer.finish === 'length') parts.push('stopped: token limit');
  if (answer.finish === 'stopped') parts.push('stopped by you');
  return parts.join(' · ');
}

function buttonFor(text, title, action) {
  return make('button', {class: 'ghost', type: 'button', title, onclick: action}, text);
}

function questionNode(message, index) {
  const edit = buttonFor('Edit', 'Ask differently from here', () => editFrom(index));
  return make('article', {class: 'question'}, make('div', {class: 'bubble'}, message.content), make('footer', {}, edit));
}

/** An answer's element, which `update` brings up to date while it grows. */
function answerNode(message, index) {
  const thought = make('details', {class: 'thought'}, make('summary', {}, 'Thinking'), make('p'));
  const text = make('div', {class: 'text'});
  const error = make('p', {class: 'error'});
  const caption = make('p', {class: 'caption'});
  const copyButton = buttonFor('Copy', 'Copy the answer', () => copy(copyButton, message.content));
  const again = buttonFor('Regenerate', 'Make another answer', () => regenerate(index));
  const footer = make('footer', {}, copyButton, again);
  const node = make('article', {class: 'answer'},
                    make('img', {src: '/web/logo.svg', alt: '', width: 20, height: 20}),
                    make('div', {}, thought, text, error, footer, caption));
  node.update = () => {
    thought.hidden = !message.reasoning;
    thought.lastChild.textContent = message.reasoning ?? '';
    thought.firstChild.textContent = message.isRunning && !message.content ? 'Thinking …' : 'Thought';
    showMarkdown(text, message.content);
    node.classList.toggle('running', Boolean(message.isRunning));
    error.hidden = !message.error;
    error.textContent = message.error ?? '';
    footer.hidden = Boolean(message.isRunning);
    again.textContent = message.error ? 'Retry' : 'Regenerate';
    caption.textContent = figuresOf(message);
  };
  node.update();
  return node;
}

function show() {
  messages.replaceChildren();
  if (!chat.messages.length) {
    messages.append(make('div', {class: 'empty'}, make('img', {src: '/web/logo.svg', alt: '', width: 48, height: 48}),
                         make('p', {}, 'Ask something. The answer is made on the server that sent this page.')));
  }
  chat.messages.forEach((message, i) => {
    messages.append(message.role === 'user' ? questionNode(message, i) : answerNode(message, i));
  });
  messages.scrollTop = messages.scrollHeight;
}

async function showList() {
  const all = await allChats();
  byId('chats').replaceChildren(...all.map((one) => make(
    'li', {class: one.id === chat.id ? 'selected' : ''},
    make('button', {class: 'open', type: 'button', title: one.title, onclick: () => open(one)}, one.title || 'New chat'),
    make('button', {class: 'remove', type: 'button', 'aria-label': `Delete ${one.title}`, title: 'Delete',
                    onclick: () => remove(one)}, '×'))));
}

function open(one) {
  stop();
  chat = one;
  for (const message of chat.messages) message.isRunning = false;
  document.body.classList.remove('list-open');
  show();
  showList();
  prompt.focus();
}

async function remove(one) {
  if (!confirm(`Delete “${one.title || 'New chat'}”? It cannot be brought back.`)) return;
  await deleteChat(one.id);
  if (one.id === chat.id) open(newChat());
  else showList();
}

const number = (id) => (byId(id).value.trim() === '' ? undefined : Number(byId(id).value));

/** The request for an answer to the chat as it is. */
function requestBody() {
  const system = byId('system').value.trim();
  const history = chat.messages.filter((m) => m.role === 'user' || m.content)
    .map(({role, content}) => ({role, content}));
  return {
    model: byId('model').value,
    messages: system ? [{role: 'system', content: system}, ...history] : history,
    temperature: number('temperature'),
    top_p: number('top-p'),
    max_tokens: number('max-tokens'),
    seed: number('seed'),
  };
}

function setRunning(controller) {
  running = controller;
  send.textContent = controller ? 'Stop' : 'Send';
  send.classList.toggle('stop', Boolean(controller));
}

function stop() {
  running?.abort();
}

/** Streams an answer to the last question, and keeps what came when it ends, however it ends. */
async function answer() {
  const of = chat;
  const body = requestBody();
  const message = {role: 'assistant', content: '', reasoning: '', model: body.model, isRunning: true};
  of.messages.push(message);
  const node = answerNode(message, of.messages.length - 1);
  messages.append(node);
  const controller = new AbortController();
  setRunning(controller);
  let timer = null;
  const paint = () => {
    timer = null;
    const isAtEnd = messages.scrollHeight - messages.scrollTop - messages.clientHeight < 80;
    node.update();
    if (isAtEnd) messages.scrollTop = messages.scrollHeight;
  };
  try {
    for await (const chunk of streamChat(body, controller.signal)) {
      if (chunk.usage) message.usage = chunk.usage;
      const choice = chunk.choices?.[0];
      message.content += choice?.delta?.content ?? '';
      message.reasoning += choice?.delta?.reasoning_content ?? '';
      if (choice?.finish_reason) message.finish = choice.finish_reason;
      timer ??= setTimeout(paint, 33);
    }
    byId('announcer').textContent = 'Answer finished';
  } catch (error) {
    if (error.name === 'AbortError') {
      message.finish = 'stopped';
    } else {
      message.error = error instanceof ApiError ? error.message : `The answer could not be read: ${error.message}`;
      byId('announcer').textContent = message.error;
      if (error.status === 401) needsKey();
    }
  }
  clearTimeout(timer);
  message.isRunning = false;
  if (running === controller) setRunning(null);
  if (of === chat) paint();
  await saveChat(of);
  showList();
}

async function ask(text) {
  chat.messages.push({role: 'user', content: text});
  if (!chat.title) chat.title = text.replace(/\s+/g, ' ').slice(0, 60);
  if (chat.messages.length === 1) messages.replaceChildren();
  messages.append(questionNode(chat.messages.at(-1), chat.messages.length - 1));
  messages.scrollTop = messages.scrollHeight;
  await saveChat(chat);
  showList();
  await answer();
}

function regenerate(index) {
  if (running) return;
  chat.messages.length = index;
  show();
  answer();
}

function editFrom(index) {
  if (running) return;
  prompt.value = chat.messages[index].content;
  chat.messages.length = index;
  show();
  grow();
  prompt.focus();
}

/** One to eight lines, then it scrolls. */
function grow() {
  prompt.style.height = 'auto';
  prompt.style.height = `${Math.min(prompt.scrollHeight, 176)}px`;
}

const remembered = ['system', 'temperature', 'top-p', 'max-tokens', 'seed'];

export function startChat(askForKey) {
  needsKey = askForKey;
  for (const id of remembered) {
    byId(id).value = localStorage.getItem(`quern.${id}`) ?? '';
    byId(id).addEventListener('change', () => localStorage.setItem(`quern.${id}`, byId(id).value));
  }
  byId('composer').addEventListener('submit', (event) => {
    event.preventDefault();
    if (running) return stop();
    const text = prompt.value.trim();
    if (!text || !byId('composer').reportValidity()) return;
    prompt.value = '';
    grow();
    ask(text);
  });
  prompt.addEventListener('input', grow);
  prompt.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!running) byId('composer').requestSubmit();
    }
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') stop();
  });
  byId('new-chat').addEventListener('click', () => open(newChat()));
  show();
  showList();
  prompt.focus();
}
