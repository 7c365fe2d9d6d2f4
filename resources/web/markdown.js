// Markdown as models write it, made into elements. Text only ever becomes text nodes: nothing that a model says can
// become markup of this page.

/** An element with attributes and children. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const fenceOf = (line) => /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/.exec(line);
const isListLine = (line) => /^\s*([-*+]|\d{1,9}[.)])\s+/.test(line);
const isNumbered = (line) => /^\s*\d/.test(line);
const isTableRule = (line) => /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line) && line.includes('-');

/** The text in pieces that are rendered by themselves. All but the last stay as they are while text is added. */
export function blocksOf(text) {
  const blocks = [];
  let block = [];
  let fence = null;
  const close = () => {
    if (block.length) blocks.push(block.join('\n'));
    block = [];
  };
  for (const line of text.split('\n')) {
    const mark = fenceOf(line);
    if (fence) {
      block.push(line);
      if (mark && mark[1][0] === fence[0] && mark[1].length >= fence.length && !mark[2]) {
        fence = null;
        close();
      }
    } else if (mark) {
      close();
      fence = mark[1];
      block.push(line);
    } else if (!line.trim()) {
      // A list goes on behind an empty line.
      if (block.length && isListLine(block[0])) block.push('');
      else close();
    } else {
      const isInList = block.length > 0 && isListLine(block[0]);
      if (isInList && block.at(-1) === '' && !isListLine(line) && !/^\s{2,}/.test(line)) close();
      // Numbers behind dots, or the other way round, are another list.
      if (isInList && /^ ?\S/.test(line) && isListLine(line) && isNumbered(line) !== isNumbered(block[0])) close();
      block.push(line);
    }
  }
  close();
  return blocks;
}

const inlinePatterns = [
  {pattern: /^(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)/, make: (m) => make('code', {}, m[2].trim() || m[2])},
  {pattern: /^\*\*(?=\S)([\s\S]*?\S)\*\*/, make: (m) => make('strong', {}, ...inline(m[1]))},
  {pattern: /^__(?=\S)([\s\S]*?\S)__(?!\w)/, make: (m) => make('strong', {}, ...inline(m[1])), isWord: true},
  {pattern: /^~~(?=\S)([\s\S]*?\S)~~/, make: (m) => make('del', {}, ...inline(m[1]))},
  {pattern: /^\*(?=\S)([^*]*?[^*\s])\*(?!\*)/, make: (m) => make('em', {}, ...inline(m[1]))},
  {pattern: /^_(?=\S)([^_]*?[^_\s])_(?!\w)/, make: (m) => make('em', {}, ...inline(m[1])), isWord: true},
  {pattern: /^\[([^\]]+)\]\(\s*([^\s)]+)[^)]*\)/, make: (m) => link(m[2], inline(m[1]))},
  {pattern: /^https?:\/\/[^\s<>)\]]+[^\s<>)\].,;:!?]/, make: (m) => link(m[0], [m[0]]), isWord: true},
];

/** Links go to the web or to a mail program, nowhere else. */
function link(address, children) {
  if (!/^(https?:|mailto:)/i.test(address)) return make('span', {}, ...children, ` (${address})`);
  return make('a', {href: address, target: '_blank', rel: 'noopener noreferrer'}, ...children);
}

function inline(text) {
  const parts = [];
  let plain = '';
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at, at + 4096);
    if (rest[0] === '\\' && /^\\[!-/:-@[-`{-~]/.test(rest)) {
      plain += rest[1];
      at += 2;
      continue;
    }
    let found = null;
    if ('`*_~[h'.includes(rest[0])) {
      const isInWord = at > 0 && /\w/.test(text[at - 1]);
      for (const candidate of inlinePatterns) {
        if (candidate.isWord && isInWord) continue;
        const match = candidate.pattern.exec(rest);
        if (match) {
          found = {match, node: candidate.make(match)};
          break;
        }
      }
    }
    if (found) {
      if (plain) parts.push(plain);
      plain = '';
      parts.push(found.node);
      at += found.match[0].length;
    } else {
      plain += rest[0];
      at += 1;
    }
  }
  if (plain) parts.push(plain);
  return parts;
}

/** A text's lines with breaks between them. */
function lines(text) {
  return text.split('\n').flatMap((line, i) => (i ? [make('br'), ...inline(line)] : inline(line)));
}

function codeBlock(source) {
  const all = source.split('\n');
  const [, marks, language] = fenceOf(all[0]);
  const last = fenceOf(all.at(-1));
  const isClosed = all.length > 1 && last && last[1][0] === marks[0] && !last[2];
  const code = all.slice(1, isClosed ? -1 : undefined).join('\n');
  const button = make('button', {class: 'ghost copy', type: 'button', onclick: () => copy(button, code)}, 'Copy');
  return make('div', {class: 'code'}, make('header', {}, make('span', {}, language || 'text'), button),
              make('pre', {tabindex: '0'}, make('code', {}, code)));
}

/** Copies a text and says so for two seconds. */
export async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that did not come over TLS may not: the old way, by a selection.
    const field = make('textarea', {class: 'hidden'});
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  button.textContent = 'Copied';
  setTimeout(() => (button.textContent = 'Copy'), 2000);
}

const cellsOf = (line) => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(rows) {
  const head = make('tr', {}, ...cellsOf(rows[0]).map((cell) => make('th', {}, ...inline(cell))));
  const body = rows.slice(2).map((row) => make('tr', {}, ...cellsOf(row).map((cell) => make('td', {}, ...inline(cell)))));
  return make('div', {class: 'table'}, make('table', {}, make('thead', {}, head), make('tbody', {}, ...body)));
}

/** Items by their indentation; deeper ones are lists of the item before. */
function list(rows) {
  const first = /^(\s*)([-*+]|\d{1,9}[.)])\s+/.exec(rows[0]);
  const isOrdered = /\d/.test(first[2]);
  const result = make(isOrdered ? 'ol' : 'ul', isOrdered ? {start: parseInt(first[2], 10)} : {});
  const items = [];
  for (const row of rows) {
    const mark = /^(\s*)([-*+]|\d{1,9}[.)])\s+/.exec(row);
    if (mark && mark[1].length <= first[1].length + 1) items.push({text: [row.slice(mark[0].length)], deeper: []});
    else if (items.at(-1).deeper.length || (mark && mark[1].length > first[1].length + 1)) items.at(-1).deeper.push(row);
    else if (row.trim()) items.at(-1).text.push(row.trim());
  }
  for (const {text, deeper} of items) {
    const item = make('li', {}, ...lines(text.join('\n')));
    const rest = deeper.filter((row) => row.trim());
    if (rest.length) item.append(isListLine(rest[0]) ? list(rest) : make('p', {}, ...lines(rest.join('\n'))));
    result.append(item);
  }
  return result;
}

/** One block of blocksOf() as an element. */
export function renderBlock(source) {
  if (fenceOf(source)) return codeBlock(source);
  const rows = source.split('\n');
  const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(rows[0]);
  if (heading) {
    const title = make(`h${Math.min(6, heading[1].length + 2)}`, {}, ...inline(heading[2]));
    return rows.length === 1 ? title : make('div', {}, title, renderBlock(rows.slice(1).join('\n')));
  }
  if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(rows[0]) && rows.length === 1) return make('hr');
  if (rows.every((row) => /^\s*>/.test(row))) {
    const inside = rows.map((row) => row.replace(/^\s*> ?/, '')).join('\n');
    return make('blockquote', {}, ...blocksOf(inside).map(renderBlock));
  }
  if (rows.length > 1 && rows[0].includes('|') && isTableRule(rows[1])) return table(rows);
  if (isListLine(rows[0])) return list(rows);
  const listAt = rows.findIndex(isListLine);
  if (listAt > 0) {
    return make('div', {}, make('p', {}, ...lines(rows.slice(0, listAt).join('\n'))), list(rows.slice(listAt)));
  }
  return make('p', {}, ...lines(source));
}

/** Shows `text` in `target`, and touches only the blocks that have changed since the last time. */
export function showMarkdown(target, text) {
  const blocks = blocksOf(text);
  const shown = target.quernBlocks ?? [];
  let same = 0;
  while (same < shown.length && shown[same] === blocks[same]) ++same;
  while (target.childNodes.length > same) target.lastChild.remove();
  for (const block of blocks.slice(same)) target.append(renderBlock(block));
  target.quernBlocks = blocks;
}
