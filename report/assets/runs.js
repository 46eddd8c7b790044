// The list of runs: search, status filter, order, groups by folder, selection.

import {element, formatCount, formatDuration, formatNumber, formatTime, swatch} from './common.js';

const orders = {
  newest: ['Newest first', (run) => -(Date.parse(run.start) || 0)],
  name: ['Name', null],
  step: ['Most steps', (run) => -(run.step ?? -1)],
  loss: ['Lowest loss D', (run) => run.loss_d ?? Infinity],
  score: ['Best score', (run) => (run.score?.value ?? Infinity) * (run.score?.better === 'higher' ? -1 : 1)],
  left: ['Least time left', (run) => secondsLeft(run) ?? Infinity],
};
const statuses = ['running', 'stalled', 'finished', 'interrupted', 'failed', 'killed'];
const statusNotes = {
  killed: 'run.json says running, but no process holds the lock: it ended without saying so',
  stalled: 'the process lives, but has written nothing for ten minutes',
};

// An estimate: the updates alone, at the pace of the last log point.
export function secondsLeft(run) {
  if (run.status !== 'running' || !run.ms_per_step || run.steps === undefined) return undefined;
  return Math.max(0, run.steps - (run.step ?? 0)) * run.ms_per_step / 1000;
}

const collator = new Intl.Collator('en', {numeric: true});

export class RunList {
  // state: the page's; changed(): called after the selection, filter or order changed.
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    this.runs = new Map();
    this.folders = new Map();
    this.rows = new Map();
    this.closed = new Set();
    this.box = document.getElementById('runs');
    this.connectControls();
  }

  connectControls() {
    const search = document.getElementById('search'), status = document.getElementById('status');
    const sort = document.getElementById('sort');
    search.value = this.state.query;
    sort.append(...Object.entries(orders).map(([value, [text]]) => element('option', {value}, text)));
    sort.value = this.state.sort;
    search.addEventListener('input', () => this.set({query: search.value}));
    status.addEventListener('change', () => this.set({status: status.value}));
    sort.addEventListener('change', () => this.set({sort: sort.value}));
    document.getElementById('clear').addEventListener('click', () => this.select([]));
  }

  set(values) {
    Object.assign(this.state, values);
    this.render();
    this.changed(false);
  }

  select(ids) {
    this.state.selected = ids;
    this.render();
    this.changed(true);
  }

  toggle(id) {
    const selected = this.state.selected;
    this.select(selected.includes(id) ? selected.filter((each) => each !== id) : [...selected, id]);
  }

  // An answer of /api/runs. Returns the ids that it changed.
  update(answer) {
    if (answer.complete) this.runs.clear();
    for (const run of answer.runs) this.runs.set(run.id, run);
    this.isTruncated = answer.truncated;
    this.folders = new Map(answer.folders.map((folder) => [folder.id, folder]));
    for (const id of this.rows.keys()) if (!this.runs.has(id)) this.rows.delete(id);
    for (const run of answer.runs) if (this.rows.has(run.id)) this.fillRow(run);
    this.render();
    return answer.runs.map((run) => run.id);
  }

  // Runs whose text holds every word of the search.
  matching() {
    const words = this.state.query.toLowerCase().split(/\s+/).filter(Boolean);
    return [...this.runs.values()].filter((run) => {
      if (this.state.status && run.status !== this.state.status) return false;
      const text = `${run.id} ${run.strategy ?? ''} ${run.name ?? ''} seed${run.seed ?? ''} ${run.status}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  render() {
    const key = orders[this.state.sort][1];
    const runs = this.matching().sort((a, b) => (key && key(a) - key(b)) || collator.compare(a.id, b.id));
    const groups = Map.groupBy ? Map.groupBy(runs, (run) => run.group) : groupBy(runs, (run) => run.group);
    const focused = document.activeElement?.dataset?.focus;
    this.box.replaceChildren(...[...groups].map(([id, members]) => this.group(id, members)));
    if (focused) this.box.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
    if (runs.length === 0) this.box.append(element('p', {className: 'note'}, this.emptyText()));
    this.renderCounts(runs.length);
  }

  emptyText() {
    return this.runs.size > 0 ? 'No run matches.' : 'No run is here yet. `spectral-gan train CONFIG` starts one; it appears by itself.';
  }

  renderCounts(shown) {
    const all = this.runs.size, chosen = this.state.selected.length;
    document.getElementById('count').textContent =
        `${shown === all ? formatCount(all) : `${formatCount(shown)} of ${formatCount(all)}`} runs${this.isTruncated ? ', not all: the folder is too large' : ''} · ${chosen} selected`;
    document.getElementById('clear').hidden = chosen === 0;
    const counts = new Map();
    for (const run of this.runs.values()) counts.set(run.status, (counts.get(run.status) ?? 0) + 1);
    const names = [...new Set([...statuses, ...counts.keys()])].filter((name) => counts.has(name) || name === this.state.status);
    const select = document.getElementById('status');
    const texts = ['All states', ...names.map((name) => `${name} (${counts.get(name) ?? 0})`)];
    if (texts.join() === [...select.options].map((option) => option.text).join()) return;
    select.replaceChildren(...texts.map((text, i) => element('option', {value: i === 0 ? '' : names[i - 1]}, text)));
    select.value = this.state.status;
  }

  group(id, members) {
    const isOpen = !this.closed.has(id);
    const all = members.every((run) => this.state.selected.includes(run.id));
    const head = element('div', {className: 'group'},
        element('button', {type: 'button', className: 'fold', ariaExpanded: String(isOpen), 'data-focus': `fold ${id}`,
                           onclick: () => this.fold(id)},
            element('span', {className: 'name'}, id === '.' ? 'this folder' : id), ` ${members.length}`),
        this.reportOf(id),
        element('button', {type: 'button', className: 'quiet', 'data-focus': `all ${id}`,
                           ariaLabel: `${all ? 'Deselect' : 'Select'} all runs of ${id}`,
                           onclick: () => this.selectGroup(members, all)}, all ? 'none' : 'all'));
    const list = element('ul', {hidden: !isOpen}, ...(isOpen ? members.map((run) => this.row(run)) : []));
    return element('section', {ariaLabel: id}, head, list);
  }

  // A comparison's report is beside its folder of runs.
  reportOf(id) {
    const parent = id.includes('/') ? id.slice(0, id.lastIndexOf('/')) : '.';
    const folder = [id, ...(id.split('/').at(-1) === 'runs' ? [parent] : [])].find((each) => this.folders.has(each));
    return folder === undefined ? null : reportLink({folder}, `Report of ${folder}`);
  }

  fold(id) {
    if (!this.closed.delete(id)) this.closed.add(id);
    this.render();
  }

  // More than 24 curves cannot be told apart.
  selectGroup(members, all) {
    const ids = members.map((run) => run.id);
    const others = this.state.selected.filter((id) => !ids.includes(id));
    this.select(all ? others : [...others, ...ids].slice(0, 24));
  }

  row(run) {
    if (!this.rows.has(run.id)) this.fillRow(run);
    const row = this.rows.get(run.id);
    const isSelected = this.state.selected.includes(run.id);
    const box = row.querySelector('input');
    if (box.checked !== isSelected) box.checked = isSelected;
    row.classList.toggle('selected', isSelected);
    row.querySelector('.swatch').replaceWith(isSelected ? swatch(this.state.slot(run.id)) : element('span', {className: 'swatch'}));
    return row;
  }

  fillRow(run) {
    const box = element('input', {type: 'checkbox', 'data-focus': `run ${run.id}`, onchange: () => this.toggle(run.id)});
    const label = element('label', {}, box, element('span', {className: 'swatch'}), element('span', {className: 'name', title: run.id}, run.folder));
    const status = element('span', {className: `status ${statuses.includes(run.status) ? run.status : ''}`,
                                    title: run.why ?? statusNotes[run.status] ?? ''}, run.status);
    const start = element('span', {className: 'soft time', title: `started ${run.start ?? '?'}${run.end ? `, ended ${run.end}` : ''}`}, run.start ? formatTime(run.start) : '');
    const head = element('div', {className: 'row'}, label, run.report ? reportLink({run: run.id}, `Report of ${run.folder}`) : null, start, status);
    const row = element('li', {className: 'run'}, head, facts(run));
    const known = this.rows.get(run.id);
    if (known) known.replaceChildren(...row.childNodes);
    else this.rows.set(run.id, row);
  }
}

function groupBy(values, key) {
  const groups = new Map();
  for (const value of values) groups.set(key(value), [...(groups.get(key(value)) ?? []), value]);
  return groups;
}

function reportLink(parameters, label) {
  return element('a', {href: `/report?${new URLSearchParams(parameters)}`, target: '_blank', rel: 'noopener',
                       ariaLabel: label, className: 'report'}, 'report');
}

// "⚠ saturated at step 700", the latest of each trouble; the whole text on hover.
function alarms(list) {
  const latest = new Map(list.map((alarm) => [alarm.trouble, alarm]));
  const texts = [...latest.values()].map((alarm) => `⚠ ${alarm.trouble} at step ${formatCount(alarm.step ?? 0)}`);
  return element('div', {className: 'alarm', title: list.map((alarm) => `step ${alarm.step}: ${alarm.text}`).join('\n')}, texts.join('  '));
}

// "step 100 / 300   D 1.81   G −0.38   FD 72.5   ~3 min left", and a bar.
function facts(run) {
  const fact = (name, value, title = '') => element('span', {title}, element('span', {className: 'soft'}, `${name} `), value);
  const wanted = run.steps === undefined || run.step === run.steps ? '' : ` / ${formatCount(run.steps)}`;
  const parts = [fact('step', formatCount(run.step ?? 0) + wanted)];
  if (run.loss_d !== undefined) parts.push(fact('D', formatNumber(run.loss_d), 'discriminator loss of the last log point'));
  if (run.loss_g !== undefined) parts.push(fact('G', formatNumber(run.loss_g), 'generator loss of the last log point'));
  if (run.score) {
    parts.push(fact(run.score.name.split('_')[0].toUpperCase(), formatNumber(run.score.value),
                    `${run.score.name} at step ${run.score.step}`));
  }
  const left = secondsLeft(run);
  if (left !== undefined) {
    parts.push(fact('about', `${formatDuration(left)} left`, 'steps left × ms per step of the last log point; an estimate without scores, probes and samples'));
  }
  const done = run.steps ? Math.min(1, (run.step ?? 0) / run.steps) : 0;
  const children = [element('div', {className: 'facts'}, ...parts)];
  if (run.alarms?.length) children.push(alarms(run.alarms));
  if (run.why) children.push(element('div', {className: 'why'}, run.why));
  if (done < 1) children.push(element('progress', {max: 1, value: done, ariaLabel: `${Math.round(100 * done)} % of the steps`}));
  return element('div', {className: 'about'}, ...children);
}
