// What the server is doing, from its Prometheus page: figures, the last two minutes as lines, the models.

import {getJson, getText} from '/web/api.js';
import {make} from '/web/markdown.js';

const kEvery = 1000;
const kKept = 120;

/** Prometheus' text format as {name: [{labels, value}]}. */
export function parseMetrics(text) {
  const families = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!match || line.startsWith('#')) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
    (families[match[1]] ??= []).push({labels, value: Number(match[3])});
  }
  return families;
}

const sum = (families, name) => (families[name] ?? []).reduce((total, one) => total + one.value, 0);
const largest = (families, name) => Math.max(0, ...(families[name] ?? []).map((one) => one.value));

/** A histogram's quantile between two readings, by straight lines within its buckets; null without any events. */
export function quantile(now, before, name, share) {
  const counts = new Map();
  for (const [families, sign] of [[now, 1], [before, -1]]) {
    for (const {labels, value} of families[`${name}_bucket`] ?? []) {
      const bound = labels.le === '+Inf' ? Infinity : Number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  }
  const bounds = [...counts.keys()].sort((a, b) => a - b);
  const total = counts.get(Infinity) ?? 0;
  if (total <= 0) return null;
  let low = 0;
  let below = 0;
  for (const bound of bounds) {
    const upTo = counts.get(bound);
    if (upTo >= share * total) {
      if (bound === Infinity) return low;
      return low + (bound - low) * ((share * total - below) / Math.max(1e-9, upTo - below));
    }
    low = bound;
    below = upTo;
  }
  return low;
}

const bytes = (value) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) value /= 1024, ++unit;
  return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
};
const seconds = (value) => (value == null ? '–' : value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(2)} s`);

const charts = [
  {name: 'Tokens a second', series: [{key: 'decode', label: 'answers', mark: 's1'}, {key: 'prefill', label: 'prompts', mark: 's2', dash: true}],
   show: (value) => value.toFixed(value < 10 ? 1 : 0)},
  {name: 'Requests', series: [{key: 'running', label: 'running', mark: 's1'}, {key: 'waiting', label: 'waiting', mark: 's3', dash: true}],
   show: (value) => String(Math.round(value))},
  {name: 'Memory bandwidth, GB/s', series: [{key: 'read', label: 'read', mark: 's2'}, {key: 'limit', label: 'limit', mark: 's5', dash: true}],
   show: (value) => value.toFixed(1)},
  {name: 'KV cache, %', series: [{key: 'cache', label: 'in use', mark: 's2'}], most: 100, show: (value) => value.toFixed(0)},
];

const svg = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

const points = [];

function drawChart(chart) {
  const width = 600;
  const height = 160;
  const values = chart.series.flatMap(({key}) => points.map((point) => point[key] ?? 0));
  const most = chart.most ?? Math.max(1, ...values) * 1.15;
  const picture = svg('svg', {viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img'});
  for (const share of [0, 0.5, 1]) {
    picture.append(svg('line', {class: 'grid', x1: 0, x2: width, y1: height - share * (height - 8) - 1, y2: height - share * (height - 8) - 1}));
  }
  const legend = make('p', {class: 'legend'});
  let description = '';
  for (const {key, label, mark, dash} of chart.series) {
    const path = points.map((point, i) => {
      const x = width - (points.length - 1 - i) * (width / (kKept - 1));
      const y = height - 1 - ((point[key] ?? 0) / most) * (height - 8);
      return `${i ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    }).join('');
    if (points.length > 1) picture.append(svg('path', {class: `line ${mark}${dash ? ' dash' : ''}`, d: path}));
    const last = points.at(-1)?.[key];
    const said = last == null ? '–' : chart.show(last);
    legend.append(make('span', {class: `mark ${mark}${dash ? ' dash' : ''}`}), `${label} `, make('b', {}, said), ' ');
    description += `${label} ${said}. `;
  }
  picture.setAttribute('aria-label', `${chart.name}, the last two minutes. ${description}`);
  return make('section', {class: 'card'}, make('h2', {}, chart.name), picture,
              make('p', {class: 'axis'}, make('span', {}, '2 min ago'), make('span', {}, `0 – ${chart.show(most)}`), make('span', {}, 'now')), legend);
}

const figure = (label, value, note = '') => make('section', {class: 'card figure'}, make('h2', {}, label), make('p', {class: 'value'}, value),
                                                 make('p', {class: 'caption'}, note));

async function showModels() {
  const {models = []} = await getJson('/api/ps');
  const {data = []} = await getJson('/v1/models');
  const loaded = new Map(models.map((model) => [model.name, model]));
  const rows = data.map(({id}) => {
    const one = loaded.get(id) ?? loaded.get(`${id}:latest`);
    return make('tr', {}, make('td', {}, id), make('td', {class: 'number'}, one ? bytes(one.size_vram || one.size || 0) : '–'),
                make('td', {}, one ? 'loaded' : 'loads when it is asked for'));
  });
  document.getElementById('models').replaceChildren(
    make('table', {}, make('thead', {}, make('tr', {}, make('th', {}, 'Model'), make('th', {class: 'number'}, 'Memory'), make('th', {}, 'State'))),
         make('tbody', {}, ...rows)));
}

let before = null;
let first = null;
let timer = null;

async function tick() {
  const now = {at: performance.now(), families: parseMetrics(await getText('/metrics'))};
  first ??= now;
  if (before) {
    const {families} = now;
    const passed = (now.at - before.at) / 1000;
    const rate = (name) => Math.max(0, sum(families, name) - sum(before.families, name)) / passed;
    points.push({
      decode: rate('vllm:generation_tokens_total'),
      prefill: rate('vllm:prompt_tokens_total'),
      running: sum(families, 'vllm:num_requests_running'),
      waiting: sum(families, 'vllm:num_requests_waiting'),
      read: sum(families, 'quern_memory_read_bytes_per_second') / 1e9,
      limit: largest(families, 'quern_memory_read_limit_bytes_per_second') / 1e9,
      cache: largest(families, 'vllm:kv_cache_usage_perc') * 100,
    });
    if (points.length > kKept) points.shift();
  }
  before = now;
  const {families} = now;
  const hits = sum(families, 'vllm:prefix_cache_hits_total');
  const asked = sum(families, 'vllm:prefix_cache_queries_total');
  const p = (name, share) => seconds(quantile(families, {}, name, share));
  document.getElementById('figures').replaceChildren(
    figure('Requests answered', Math.round(sum(families, 'vllm:request_success_total')).toLocaleString(), `${Math.round(sum(families, 'quern_rejected_requests_total'))} refused`),
    figure('First token', p('vllm:time_to_first_token_seconds', 0.5), `p95 ${p('vllm:time_to_first_token_seconds', 0.95)}`),
    figure('Between tokens', p('vllm:inter_token_latency_seconds', 0.5), `p99 ${p('vllm:inter_token_latency_seconds', 0.99)}`),
    figure('Prompt tokens known', asked ? `${Math.round((hits / asked) * 100)} %` : '–', `${Math.round(hits).toLocaleString()} of ${Math.round(asked).toLocaleString()}`),
    figure('Process memory', bytes(sum(families, 'quern_process_resident_memory_bytes')), ''));
  document.getElementById('charts').replaceChildren(...charts.map(drawChart));
}

/** Reads the server's figures every second while the page is seen. */
export function startStatus(failed) {
  stopStatus();
  let turn = 0;
  const run = async () => {
    try {
      if (!document.hidden) {
        await tick();
        if (turn++ % 5 === 0) await showModels();
        failed(null);
      }
    } catch (error) {
      failed(error);
    }
    if (timer !== null) timer = setTimeout(run, kEvery);
  };
  timer = setTimeout(run, 0);
}

export function stopStatus() {
  clearTimeout(timer);
  timer = null;
}
