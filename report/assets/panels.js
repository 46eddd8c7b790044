// The views of the selected runs. Each has show(box): builds itself; refresh(): shows what is new; hide().

import {Chart, ChartGroup} from './charts.js';
import {element, formatCount, formatNumber, getJson, note, swatch, throttled} from './common.js';

// The curves that are shown before any was chosen, where the runs have them.
function usualMetrics(metrics) {
  const score = metrics.find((metric) => metric.startsWith('score.fd_')) ?? metrics.find((metric) => metric.startsWith('score.'));
  return ['loss_d', 'loss_g', score, 'critic_slope.max'].filter((metric) => metrics.includes(metric));
}

// False where `value` is what it was the last time: controls that are in use must not be rebuilt by every log point.
function isNews(panel, value) {
  const text = JSON.stringify(value), is = text !== panel.last;
  panel.last = text;
  return is;
}

const labelled = (text, control, ...more) => element('label', {className: 'control'}, text, control, ...more);

function runPicker(page, id, change) {
  const select = element('select', {}, ...page.state.selected.map((run) => element('option', {value: run}, page.runName(run))));
  select.value = page.state.selected.includes(id) ? id : page.state.selected[0];
  select.addEventListener('change', () => change(select.value));
  return labelled('Run', select);
}

// The curves of the chosen metrics, one chart each.
export class CurvesPanel {
  constructor(page) {
    this.page = page;
  }

  show(box) {
    this.last = null;
    this.group = new ChartGroup(this.page.state, this.page.runName);
    this.charts = element('div', {className: 'charts'});
    this.known = [];
    this.filled = null;
    this.picker = element('select', {onchange: () => this.pick([...this.shown, this.picker.value])});
    box.replaceChildren(this.toolbar(), this.charts);
    return this.refresh();
  }

  toolbar() {
    const state = this.page.state;
    const axis = element('select', {onchange: () => { this.group.window = null; this.set({axis: axis.value}); }},
        element('option', {value: 'step'}, 'steps'), element('option', {value: 'seconds'}, 'seconds'));
    axis.value = state.axis;
    const log = element('input', {type: 'checkbox', checked: state.log, onchange: () => this.set({log: log.checked})});
    const value = element('output', {}, String(state.smooth));
    const reload = throttled(() => this.set({smooth: Number(smooth.value)}), 150);
    const smooth = element('input', {type: 'range', min: 0, max: 0.99, step: 0.01, value: state.smooth,
                                     title: 'weight of the exponential moving average over log points',
                                     oninput: () => { value.value = smooth.value; reload(); }});
    return element('div', {className: 'toolbar'},
        labelled('Curve', this.picker), labelled('Over', axis), labelled('Smoothing', smooth, value),
        labelled('', log, 'Log scale'), element('span', {className: 'hint soft'}, 'Drag to zoom, double click for all'));
  }

  set(values) {
    Object.assign(this.page.state, values);
    this.page.remember();
    this.group.load();
  }

  pick(metrics) {
    this.page.state.metrics = metrics;
    this.page.remember();
    this.refresh();
  }

  get shown() {
    return this.page.state.metrics ?? usualMetrics(this.known);
  }

  // Charts that stay are kept, with what they are zoomed to.
  renderCharts() {
    const names = this.shown;
    const old = new Map(this.group.charts.map((chart) => [chart.title, chart]));
    if (names.join('\n') === [...old.keys()].join('\n')) return;
    for (const [name, chart] of old) if (!names.includes(name)) chart.destroy();
    this.group.charts = names.map((metric) => old.get(metric) ?? new Chart(this.group, metric, [{metric}],
        {remove: () => this.pick(this.shown.filter((each) => each !== metric))}));
    this.charts.replaceChildren(...this.group.charts.map((chart) => chart.element));
    if (names.length === 0) this.charts.append(note(this.page.state.selected.length ? 'The selected runs have recorded nothing yet.' : 'Select runs to see their curves.'));
  }

  async refresh() {
    const {selected} = this.page.state;
    this.known = selected.length ? (await getJson('/api/metrics', {run: selected})).metrics : [];
    this.fillPicker(this.known);
    this.renderCharts();
    return this.group.load();
  }

  fillPicker(metrics) {
    const rest = metrics.filter((metric) => !this.shown.includes(metric));
    if (this.filled === rest.join('\n')) return;  // an open list must not be rebuilt by every log point
    this.filled = rest.join('\n');
    const groups = new Map([['training', []]]);
    for (const metric of rest) {
      const name = metric.includes('.') ? metric.split('.')[0] : 'training';
      groups.set(name, [...(groups.get(name) ?? []), metric]);
    }
    this.picker.replaceChildren(element('option', {value: ''}, 'add one…'),
        ...[...groups].map(([label, names]) => element('optgroup', {label}, ...names.map((name) => element('option', {value: name}, name)))));
  }

  hide() {
    this.group.destroy();
  }
}

// The sample grids of all selected runs at one point of their training.
export class SamplesPanel {
  constructor(page) {
    this.page = page;
  }

  show(box) {
    this.last = null;
    this.slider = element('input', {type: 'range', className: 'timeline', min: 0, value: 0, oninput: () => this.slide()});
    this.output = element('output', {className: 'step'});
    this.reals = element('input', {type: 'checkbox', checked: this.page.state.reals, onchange: () => this.toggleReals()});
    this.play = element('button', {type: 'button', onclick: () => this.togglePlay()}, 'Play');
    this.figures = element('div', {className: 'figures'});
    this.steps = [];
    box.replaceChildren(element('div', {className: 'toolbar'},
        labelled('Step', this.slider, this.output), this.play, labelled('', this.reals, 'Real images')), this.figures);
    return this.refresh();
  }

  async refresh() {
    const {selected, step} = this.page.state;
    this.runs = selected.length ? (await getJson('/api/samples', {run: selected})).runs : [];
    if (!isNews(this, [selected, this.runs])) return;
    this.steps = [...new Set(this.runs.flatMap((run) => run.steps))].sort((a, b) => a - b);
    this.slider.max = Math.max(0, this.steps.length - 1);
    this.slider.disabled = this.play.disabled = this.steps.length < 2;
    // At the end it follows what is new.
    const chosen = step === null ? -1 : this.steps.findLastIndex((each) => each <= step);
    this.slider.value = chosen < 0 ? this.slider.max : chosen;
    this.renderFigures();
  }

  renderFigures() {
    const shown = this.runs.filter((run) => run.steps.length > 0 || run.reals);
    this.images = shown.map((run) => {
      const image = element('img', {decoding: 'async'}), caption = element('span', {className: 'soft'});
      const figure = element('figure', {}, element('figcaption', {}, swatch(this.page.state.slot(run.run)),
          element('span', {className: 'name'}, this.page.runName(run.run)), caption), image);
      return {run, image, caption, figure};
    });
    const real = shown.find((run) => run.reals);
    const reals = this.reals.checked && real ? [element('figure', {}, element('figcaption', {}, 'Real images'),
        element('img', {src: imageUrl(real, 'reals'), alt: 'grid of real images'}))] : [];
    this.figures.replaceChildren(...reals, ...this.images.map((each) => each.figure));
    if (shown.length === 0) this.figures.append(note(this.page.state.selected.length ? 'The selected runs have no samples yet.' : 'Select runs to see their samples.'));
    this.renderStep();
  }

  renderStep() {
    const step = this.steps[Number(this.slider.value)];
    this.output.value = step === undefined ? '–' : formatCount(step);
    this.slider.setAttribute('aria-valuetext', `step ${this.output.value}`);
    for (const {run, image, caption} of this.images) {
      const newest = run.steps.findLast((each) => each <= step);
      image.hidden = newest === undefined;
      caption.textContent = newest === undefined ? 'none yet' : newest === step ? '' : `step ${formatCount(newest)}`;
      if (newest === undefined) continue;
      image.src = imageUrl(run, newest);
      image.alt = `samples of ${this.page.runName(run.run)} at step ${newest}`;
    }
  }

  slide() {
    const last = Number(this.slider.value) === this.steps.length - 1;
    this.page.state.step = last ? null : this.steps[Number(this.slider.value)];
    this.page.remember();
    this.renderStep();
  }

  toggleReals() {
    this.page.state.reals = this.reals.checked;
    this.page.remember();
    this.renderFigures();
  }

  togglePlay() {
    if (this.timer) return this.stop();
    if (Number(this.slider.value) === this.steps.length - 1) this.slider.value = 0;
    this.play.textContent = 'Pause';
    this.timer = setInterval(() => {
      this.slider.value = Number(this.slider.value) + 1;
      this.slide();
      if (Number(this.slider.value) === this.steps.length - 1) this.stop();
    }, 400);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.play.textContent = 'Play';
  }

  hide() {
    this.stop();
  }
}

// The version changes with the run's files, so the browser may keep what it has fetched.
const imageUrl = (run, step) => `/api/image?${new URLSearchParams({run: run.run, step, version: run.version})}`;

// The bracket of the discriminator's Lipschitz constant over the steps, and one bracket's layers.
export class LipschitzPanel {
  constructor(page) {
    this.page = page;
  }

  show(box) {
    this.last = null;
    this.group = new ChartGroup(this.page.state, this.page.runName);
    this.chart = this.group.add(new Chart(this.group, 'Lipschitz constant of the discriminator: upper bound (line), lower bound (dashed)',
        [{metric: 'lipschitz.upper', name: 'upper bound'}, {metric: 'lipschitz.lower', name: 'lower bound', dashed: true}], {log: true}));
    this.layers = element('div');
    box.replaceChildren(element('div', {className: 'charts one'}, this.chart.element), this.layers);
    return this.refresh();
  }

  async refresh() {
    const {selected} = this.page.state;
    const loading = selected.length > 0 ? this.group.load() : Promise.resolve();
    if (!selected.includes(this.run)) { this.run = selected[0]; this.step = null; }
    const answer = this.run === undefined ? null : await getJson('/api/lipschitz', {run: this.run, step: this.step});
    if (!isNews(this, [selected, this.run, answer])) return loading;
    if (answer) this.renderLayers(answer);
    else this.layers.replaceChildren();
    return loading;
  }

  choose(run, step) {
    Object.assign(this, {run, step});
    this.refresh();
  }

  renderLayers({steps, bracket}) {
    const picker = runPicker(this.page, this.run, (run) => this.choose(run, null));
    const step = element('select', {onchange: () => this.choose(this.run, step.value)}, ...steps.toReversed().map((each) => element('option', {value: each}, formatCount(each))));
    step.value = bracket?.step;
    const head = element('div', {className: 'toolbar'}, picker, steps.length ? labelled('Step', step) : null);
    if (!bracket) return this.layers.replaceChildren(head, note('This run has no bracket yet: lipschitz.every, or `spectral-gan lipschitz RUN`, makes one.'));
    const network = bracket.network ?? {};
    const summary = element('p', {}, 'Lipschitz constant (', bracket.norm ?? 'l2', ') at least ', element('b', {}, formatNumber(network.lower, 4)),
        network.upper_useful === false || network.upper === null || network.upper === undefined ? '; no useful upper bound' : ', at most ', network.upper_useful === false ? '' : element('b', {}, formatNumber(network.upper ?? undefined, 4)));
    const methods = note(`Upper bound: ${network.upper_method ?? '–'}. Lower bound: ${network.lower_method ?? '–'}. ${bracket.arithmetic ?? ''}`);
    this.layers.replaceChildren(head, summary, layerTable(bracket.layers ?? []), methods);
  }

  hide() {
    this.group.destroy();
  }
}

function layerTable(layers) {
  const columns = [['Layer', (layer) => layer.name || layer.operation || ''], ['Operation', (layer) => (layer.name ? layer.operation ?? '' : '')],
    ['σ̂ (power iteration, estimate)', (layer) => formatNumber(layer.sigma_estimate)], ['σ of reshaped weight', (layer) => formatNumber(layer.sigma_reshaped)],
    ['Operator norm ≥', (layer) => formatNumber(layer.operator_lower, 4)], ['Operator norm ≤', (layer) => formatNumber(layer.operator_upper, 4)],
    ['Factor', (layer) => formatNumber(layer.factor, 4)], ['Bound so far', (layer) => formatNumber(layer.running_upper, 4)], ['Method', (layer) => layer.method ?? '']];
  const head = element('tr', {}, ...columns.map(([name]) => element('th', {scope: 'col'}, name)));
  const rows = layers.map((layer) => element('tr', {}, ...columns.map(([, text], i) => element(i === 0 ? 'th' : 'td', i === 0 ? {scope: 'row'} : {}, text(layer)))));
  return scrolling('Layers', element('table', {className: 'numbers'}, element('thead', {}, head), element('tbody', {}, ...rows)));
}

const scrolling = (label, table) => element('div', {className: 'scroll', tabIndex: 0, role: 'region', ariaLabel: label}, table);

// What the selected runs' configs and records say; by default only where they differ.
export class ConfigPanel {
  constructor(page) {
    this.page = page;
  }

  show(box) {
    this.last = null;
    this.all = element('input', {type: 'checkbox', checked: this.page.state.allKeys, onchange: () => { this.page.state.allKeys = this.all.checked; this.render(); }});
    this.search = element('input', {type: 'search', placeholder: 'Search keys', ariaLabel: 'Search keys', oninput: () => this.render()});
    this.tables = element('div');
    box.replaceChildren(element('div', {className: 'toolbar'}, labelled('', this.all, 'All keys'), this.search), this.tables);
    return this.refresh();
  }

  async refresh() {
    const {selected} = this.page.state;
    this.answer = selected.length ? await getJson('/api/configs', {run: selected}) : null;
    if (isNews(this, [selected, this.answer])) this.render();
  }

  render() {
    if (!this.answer) return this.tables.replaceChildren(note('Select runs to see their configs.'));
    const one = this.page.state.selected.length === 1;
    const shows = ({key, values}) => (this.all.checked || one || values.some((value) => value !== values[0])) && key.includes(this.search.value.trim());
    const config = this.answer.keys.filter(shows), record = recordRows(this.answer.records).filter(shows);
    this.tables.replaceChildren(...this.section('Config', config), ...this.section('Run', record));
  }

  section(title, rows) {
    const runs = this.page.state.selected;
    const heading = element('h2', {}, title);
    if (rows.length === 0) return [heading, note(runs.length > 1 ? 'No key differs.' : 'No key.')];
    const head = element('tr', {}, element('th', {scope: 'col'}, 'Key'), ...runs.map((run) => element('th', {scope: 'col'}, swatch(this.page.state.slot(run)), this.page.runName(run))));
    const body = rows.map(({key, values}) => element('tr', {className: this.all.checked && values.some((value) => value !== values[0]) ? 'differs' : ''},
        element('th', {scope: 'row'}, key), ...values.map((value) => element('td', {}, value === null || value === undefined ? '–' : value === '' ? '""' : value))));
    return [heading, scrolling(title, element('table', {className: 'config'}, element('thead', {}, head), element('tbody', {}, ...body)))];
  }
}

// run.json of each run as rows of dotted keys.
function recordRows(records) {
  const rows = new Map();
  const flatten = (value, path, column) => {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [key, child] of Object.entries(value)) flatten(child, path ? `${path}.${key}` : key, column);
      return;
    }
    if (!rows.has(path)) rows.set(path, records.map(() => null));
    rows.get(path)[column] = typeof value === 'number' ? String(Number(value.toPrecision(8))) : typeof value === 'string' ? value : JSON.stringify(value);
  };
  records.forEach((record, column) => flatten(record, '', column));
  return [...rows].map(([key, values]) => ({key, values}));
}

// A run's log.txt from its end; earlier parts on demand.
export class LogPanel {
  constructor(page) {
    this.page = page;
  }

  show(box) {
    this.last = null;
    this.follow = element('input', {type: 'checkbox', checked: true, onchange: () => this.scroll()});
    this.earlier = element('button', {type: 'button', onclick: () => this.loadEarlier()}, 'Earlier lines');
    this.place = element('span', {className: 'soft'});
    this.text = element('pre', {tabIndex: 0, role: 'log', ariaLabel: 'Log', ariaLive: 'off'});
    this.toolbar = element('div', {className: 'toolbar'});
    box.replaceChildren(this.toolbar, this.text);
    return this.open(this.page.state.selected.includes(this.run) ? this.run : this.page.state.selected[0]);
  }

  async open(run) {
    this.run = run;
    this.start = this.end = 0;
    this.text.textContent = '';
    this.toolbar.replaceChildren();
    if (run === undefined) return this.toolbar.append(note('Select a run to see its log.'));
    this.toolbar.append(runPicker(this.page, run, (chosen) => this.open(chosen)), labelled('', this.follow, 'Follow'), this.earlier, this.place);
    this.replace(await getJson('/api/log', {run}));
  }

  replace(part) {
    this.text.textContent = part.text;
    this.start = part.start;
    this.end = part.end;
    this.renderPlace(part.size);
    this.scroll();
  }

  async loadEarlier() {
    const part = await getJson('/api/log', {run: this.run, end: this.start});
    const height = this.text.scrollHeight;
    this.text.prepend(part.text);
    this.text.scrollTop += this.text.scrollHeight - height;
    this.start = part.start;
    this.follow.checked = false;
    this.renderPlace(part.size);
  }

  async refresh() {
    if (!this.page.state.selected.includes(this.run)) return this.open(this.page.state.selected[0]);
    const run = this.run;
    const part = await getJson('/api/log', {run, start: this.end});
    if (run !== this.run) return;
    if (part.start !== this.end) return this.replace(part);  // the file was cut: a resumed run
    this.text.append(part.text);
    this.end = part.end;
    this.trim();
    this.renderPlace(part.size);
    this.scroll();
  }

  // A log that is followed for days must not fill the page.
  trim() {
    const most = 2 ** 21;
    if (!this.follow.checked || this.text.textContent.length < most) return;
    getJson('/api/log', {run: this.run}).then((part) => this.replace(part));
  }

  renderPlace(size) {
    this.earlier.disabled = this.start === 0;
    const kib = (bytes) => formatCount(Math.ceil(bytes / 1024));
    this.place.textContent = this.start === 0 ? `${kib(size)} KiB, all` : `last ${kib(size - this.start)} of ${kib(size)} KiB`;
  }

  scroll() {
    if (this.follow.checked) this.text.scrollTop = this.text.scrollHeight;
  }
}
